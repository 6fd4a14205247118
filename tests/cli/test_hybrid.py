"""A hybrid processor: the fake PMU's first core type counts page faults of user code and runs 3/4
of the time, its second one counts those within the kernel."""

import csv
import io
import os
import subprocess

import pytest

CPUS = sorted(os.sched_getaffinity(0))
# 3000 pages that the program touches, and 2000 that the kernel fills for it.
FAULTS = ("import mmap\n"
          "def touch():\n"
          "    memory = mmap.mmap(-1, 3000 * 4096)\n"
          "    for i in range(3000): memory[i * 4096] = 1\n"
          "def fill():\n"
          "    memory = mmap.mmap(-1, 2000 * 4096)\n"
          "    with open('/dev/zero', 'rb', buffering=0) as zero:\n"
          "        for i in range(2000): zero.readinto(memoryview(memory)[i * 4096:i * 4096 + 1])\n"
          "touch()\n"
          "fill()\n")


def cores(first=CPUS[0], second=CPUS[-1]):
    return {"cpu_core/type": "4", "cpu_core/cpus": str(first), "cpu_core/format/event": "config:0-7",
            "cpu_core/events/own": "event=0xc1",
            "cpu_atom/type": "10", "cpu_atom/cpus": str(second)}


@pytest.fixture
def hybrid(fake_devices, kernel_events):
    return fake_devices(cores(), FAKE_HYBRID="1")


@pytest.fixture
def call(tallystack, hybrid, tmp_path):
    def run(*words, status=0, **variables):
        done = subprocess.run([tallystack, *map(str, words)], text=True, timeout=60, cwd=tmp_path,
                              env=dict(hybrid, **variables), stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert done.returncode == status, done.stderr
        return done
    return run


def rows_of(text):
    start = max(text.find("event,unit"), 0)
    return {row["event"]: row for row in csv.DictReader(io.StringIO(text[start:]))}


@pytest.fixture
def stat(call, python):
    def run(events, *options):
        return rows_of(call("stat", "--csv", "-e", events, *options, "--", python, "-c",
                            FAULTS).stderr)
    return run


def value(row):
    return int(row["value"])


def test_what_means_the_same_is_added_without_scaling(stat):
    rows = stat("instructions,PAPI_BR_INS,page-faults")
    for name in ("instructions", "PAPI_BR_INS"):
        assert value(rows[name]) == value(rows["page-faults"]) > 5000
        assert rows[name]["running"] == "1" and "alone" not in rows[name]["metric"]


def test_an_event_of_one_core_type_is_not_scaled(stat):
    rows = stat("cpu_core/instructions/,cpu_atom/instructions/,cpu_core/own/,page-faults:u,"
                "page-faults:k")
    assert value(rows["cpu_core/instructions/"]) == value(rows["page-faults:u"]) > 3000
    assert value(rows["cpu_core/own/"]) == value(rows["page-faults:u"])
    assert value(rows["cpu_atom/instructions/"]) == value(rows["page-faults:k"]) > 2000
    assert rows["cpu_core/own/"]["metric"] == "on cpu_core alone, 75.0 % of the time"
    assert rows["cpu_atom/instructions/"]["metric"] == "on cpu_atom alone, 25.0 % of the time"
    assert all(row["running"] == "1" for row in rows.values())


def test_what_may_mean_something_else_has_a_row_per_core_type(stat):
    rows = stat("L1-dcache-loads,page-faults:u,page-faults:k")
    assert "L1-dcache-loads" not in rows
    assert value(rows["cpu_core/L1-dcache-loads/"]) == value(rows["page-faults:u"])
    assert value(rows["cpu_atom/L1-dcache-loads/"]) == value(rows["page-faults:k"])


def test_modes(stat):
    rows = stat("L1-dcache-loads:u,cpu_core/cycles/:u,page-faults:u")
    for name in ("cpu_core/L1-dcache-loads/:u", "cpu_core/cycles/:u"):
        assert value(rows[name]) == value(rows["page-faults:u"]) > 3000
    # The second core type counts the kernel's faults only.
    assert rows["cpu_atom/L1-dcache-loads/:u"]["value"] in ("", "0")


def test_the_default_counts_of_all_core_types(call, python):
    rows = rows_of(call("stat", "--csv", "--", python, "-c", FAULTS).stderr)
    assert value(rows["branches"]) == value(rows["page-faults"])


def test_intervals(call, python):
    done = call("stat", "--csv", "-I", "10", "-e", "instructions,page-faults", "--", python, "-c",
                FAULTS)
    counted = {"instructions": 0, "page-faults": 0}
    for row in csv.DictReader(io.StringIO(done.stderr)):
        counted[row["event"]] += int(row["value"])
        assert row["running"] == "1"
    # The two are read one after the other.
    assert counted["instructions"] == pytest.approx(counted["page-faults"], abs=5)


def test_threads(tallystack, hybrid, python):
    done = subprocess.run([tallystack, "stat", "--csv", "--per-thread", "-e",
                           "instructions,page-faults", "--", python, "-c", FAULTS], text=True,
                          timeout=60, stderr=subprocess.PIPE, env=hybrid)
    if "does not report" in done.stderr:
        pytest.skip("this kernel does not report what threads count")
    assert done.returncode == 0, done.stderr
    counts = {row["event"]: row["value"] for row in csv.DictReader(io.StringIO(done.stderr))
              if row["thread"]}
    assert counts["instructions"] == counts["page-faults"]


def test_counters_are_too_few(call):
    events = "instructions,branches,branch-misses"
    failed = call("stat", "-e", events, "--", "true", status=125, FAKE_COUNTERS="2")
    assert "only the first 2" in failed.stderr
    failed = call("stat", "--multiplex", "-e", events, "--", "true", status=125, FAKE_COUNTERS="2")
    assert "cannot take turns" in failed.stderr and failed.stderr.count("\n") == 1


def test_a_group_takes_no_event_of_one_core_type_for_the_whole(call, tmp_path):
    path = tmp_path / "own.group"
    path.write_text("SHORT x\nEVENTS\n all = instructions\n loads = L1-dcache-loads\nMETRICS\n"
                    " loads of all [1] = loads / all\n all [count] = all\nLONG\ny\n")
    done = call("stat", "-g", path, "--", "true")
    assert done.stderr.count("which has cpu_atom/L1-dcache-loads/ and cpu_core/L1-dcache-loads/") == 2
    rows = rows_of(call("stat", "--csv", "-g", path, "--", "true").stderr)
    assert rows["loads of all"]["value"] == "" and float(rows["all"]["value"]) > 0


def test_samples_of_both_are_of_one_event(record, hybrid, python, tmp_path):
    log = tmp_path / "log"
    recording = record(python, "-c", FAULTS, options=("-e", "instructions:1"),
                       env=dict(hybrid, FAKE_LOG=str(log)))
    assert [event["name"] for event in recording.run()["events"]] == ["instructions"]
    recording.assert_sums_close()
    counts = recording.self_of()
    assert counts["touch"] >= 3000 and counts["fill"] >= 2000
    # Each core type has a group of its own, or neither would ever run.
    assert {"0 400000001", "0 a00000001"} <= set(log.read_text().splitlines())


def test_each_core_type_is_sampled_with_the_same_period(record, hybrid, python):
    recording = record(python, "-c", FAULTS, options=("-e", "instructions:10"), env=hybrid)
    rows = {row["function"]: row for row in recording.rows()}
    for name in ("touch", "fill"):
        # Of each counter less than a period is left over.
        assert abs(rows[name]["self"] - 10 * rows[name]["samples"]) <= 20
        assert rows[name]["samples"] >= 190
    recording.assert_sums_close()


def test_read_along_with_a_clock_of_all_core_types(record, hybrid, python):
    recording = record(python, "-c", FAULTS, env=hybrid,
                       options=("-e", "task-clock,instructions:0,page-faults:0"))
    assert recording.total("instructions") == recording.total("page-faults")
    recording.assert_sums_close()


def test_nothing_is_read_along_with_one_core_type(call, python):
    failed = call("record", "-e", "instructions:10,page-faults:0", "--", python, "-c", "pass",
                  status=125)
    assert "put task-clock first" in failed.stderr and failed.stderr.count("\n") == 1


def test_the_default_recording(record, hybrid, python):
    events = record(python, "-c", FAULTS, options=(), env=hybrid).run()["events"]
    assert [event["name"] for event in events[:2]] == ["task-clock", "cycles"]
    assert events[1]["read_only"] and len(events[1]["terms"]) == 2


def test_list_and_doctor(call):
    rows = {row["name"]: row for row in csv.DictReader(
        io.StringIO(call("list", "--csv", "L1-dcache-load").stdout))}
    for core in ("cpu_core", "cpu_atom"):
        assert rows[f"{core}/L1-dcache-loads/"]["available"] == "yes"
    done = call("doctor", "--csv")
    row = next(row for row in csv.DictReader(io.StringIO(done.stdout)) if row["check"] == "cores")
    assert row["state"] == "limited" and "of 2 types" in row["detail"]
    assert f"cpu_core (processors {CPUS[0]})" in row["detail"] and "taskset -c" in row["fix"]


def test_a_core_type_that_may_not_be_used_proves_nothing(tallystack, fake_devices, kernel_events,
                                                         tmp_path):
    environment = fake_devices(cores(second=CPUS[-1] + 1000), FAKE_HYBRID="1")
    rows = {}
    for name in ("instructions", "L1-dcache-loads"):
        done = subprocess.run([tallystack, "list", "--csv", name], text=True, timeout=60,
                              stdout=subprocess.PIPE, env=environment, check=True)
        rows.update({row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))})
    assert rows["instructions"]["available"] == "yes"
    assert rows["cpu_core/L1-dcache-loads/"]["available"] == "yes"
    assert rows["cpu_atom/L1-dcache-loads/"]["available"] == "unproven"
