"""The lint of metric groups finds faults: each is put into a group that is right otherwise."""

import os
import subprocess

import pytest

LINT = os.environ["LINT_GROUPS"]
RIGHT = """SHORT Something
FOR icl icx
EVENTS
 slots = TOPDOWN:SLOTS_P
 done = UOPS_RETIRED:SLOTS
 busy = task-clock [ns]
METRICS
 done [%] = done / slots
 rate [count/s] = done / busy
FOR amd64_fam19h_zen4
EVENTS
 cycles = CYCLES_NOT_IN_HALT
METRICS
 cycles [count] = cycles
FOR arm_v1 arm_n2
EVENTS
 dispatched = OP_SPEC
METRICS
 operations [count] = dispatched
FOR cpu/topdown-retiring/
EVENTS
 slots = cpu/slots/
METRICS
 slots [count] = slots
FOR any
EVENTS
 energy = rapl:::PACKAGE_ENERGY:PACKAGE0 [nJ]
METRICS
 power [W] = energy / elapsed
LONG
Read it so.
Source: nobody.
"""


def lint(folder, text):
    (folder / "x.group").write_text(text)
    done = subprocess.run([LINT, folder], text=True, timeout=60, stdout=subprocess.PIPE)
    return done.returncode, done.stdout


def test_a_group_that_is_right(tmp_path):
    status, said = lint(tmp_path, RIGHT)
    assert (status, said.splitlines()[-1]) == (0, "1 groups, 0 faults"), said


@pytest.mark.parametrize("right, wrong, line, words", [
    # Names, of processors that are not here
    ("TOPDOWN:SLOTS_P", "TOPDOWN:SLOTS_Q", 4, "unknown event"),
    ("CYCLES_NOT_IN_HALT", "CYCLES_IN_HALT", 12, "unknown event"),
    ("OP_SPEC", "OP_SPECK", 17, "OP_SPECK"),
    ("FOR arm_v1 arm_n2", "FOR arm_v1 arm_n1", 17, "for arm_n1"),
    ("task-clock [ns]", "task-clog [ns]", 6, "unknown event"),
    ("FOR icl icx", "FOR icl icy", 2, 'no processor "icy"'),
    # Units and formulas
    ("busy = task-clock [ns]", "busy = task-clock", 9, "which is not its unit"),
    (" rate [count/s] = done / busy", " rate [ns/count] = busy / done\n all [count] = busy", 10,
     "which is not its unit"),
    ("UOPS_RETIRED:SLOTS", "UOPS_RETIRED:SLOTS [ns]", 8, "which is not its unit"),
    ("PACKAGE0 [nJ]", "PACKAGE0", 29, "which is not its unit"),
    ("[nJ]\nMETRICS\n power [W]", "[B]\nMETRICS\n power [B/s]", 27, "another unit"),
    ("CYCLES_NOT_IN_HALT\nMETRICS\n cycles [count]",
     "CYCLES_NOT_IN_HALT [ns]\nMETRICS\n cycles [s]", 12, "another unit"),
    ("done / slots", "done / (slots", 8, "ends too early"),
    ("done / slots", "done / slots + nothing", 8, 'no event "nothing"'),
    # What would never be used
    ("FOR amd64_fam19h_zen4", "FOR amd64_fam19h_zen4 icl", 10, "icl never gets here"),
    ("FOR amd64_fam19h_zen4", "FOR any", 15, "arm_v1 never gets here"),
    ("Source: nobody", "Nobody", 2, "where the formulas are from"),
])
def test_faults_are_found(tmp_path, right, wrong, line, words):
    assert right in RIGHT
    status, said = lint(tmp_path, RIGHT.replace(right, wrong, 1))
    assert status == 1
    found = [text for text in said.splitlines() if text.startswith(f"{tmp_path}/x.group:{line}: ")]
    assert any(words in text for text in found), said


def test_nothing_to_check_is_a_fault(tmp_path):
    assert subprocess.run([LINT, tmp_path], stdout=subprocess.PIPE, timeout=60).returncode == 1
