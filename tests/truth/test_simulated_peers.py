"""Simulated totals are those of Valgrind's own tools on the same machine, in the same environment."""

import os
import pathlib
import re
import shutil
import tempfile

import pytest

TWO_LEVEL = ["--tool=cachegrind", "--cache-sim=yes", "--I1=32768,8,64", "--D1=32768,8,64",
             "--LL=8388608,16,64", "--cachegrind-out-file=peer.out"]
LACKEY = ["--tool=lackey", "--detailed-counts=yes", "--log-file=peer.out"]

# Takes valgrind's place in PATH: starts another tool in the environment that the launcher makes.
# That keeps its size and order, since it is on the program's stack and heap, whose layout decides
# about conflicts in the caches.
INSTEAD = """#!/usr/bin/python3 -IS
import os, sys
words = sys.argv[1:]
while words[0].startswith("-"):
    del words[0]
environment = dict(os.environb)
before, environment[b"PATH"] = environment[b"PATH"].split(b":", 1)
environment[b"TALLYSTACK_PADDING"] += b"." * (len(before) + 1)
environment[b"VALGRIND_LIB"] = {tools!r}
os.execve({real!r}, ["valgrind", *{options!r}, *words], environment)
"""


@pytest.fixture
def peer_tools(tallystack):
    """Valgrind's own tools in a folder whose path is as long as that of ours.

    Each preloads the library that our tool does. Cachegrind's name is as long as tallystack.
    """
    ours = (pathlib.Path(tallystack).parent / "../lib/tallystack/valgrind").resolve()
    theirs = (ours / "default.supp").resolve().parent
    place = tempfile.gettempdir()
    folder = pathlib.Path(place) / f"peer-{os.getpid()}".ljust(len(str(ours)) - len(place) - 1, "-")
    assert len(str(folder)) == len(str(ours))
    folder.mkdir()
    for file in theirs.iterdir():
        (folder / file.name).symlink_to(file)
    (library,) = ours.glob("vgpreload_tallystack-*")
    for tool in ("cachegrind", "lackey"):
        (folder / library.name.replace("tallystack", tool)).symlink_to(library)
    yield folder
    shutil.rmtree(folder)


# What the dynamic linker reads of the environment, the model keeps out of its caches; the peers do not.
FEW_VARIABLES = {**{name: None for name in os.environ if name not in ("PATH", "HOME")},
                 "LANG": "C.UTF-8"}


@pytest.fixture
def run_peer(run_cli, tmp_path, peer_tools):
    """run_peer(command, options): what another tool writes of a command."""
    def run(command, options):
        folder = tmp_path / "instead"
        folder.mkdir()
        program = folder / "valgrind"
        real = shutil.which("valgrind")
        if os.access(real + ".bin", os.X_OK):
            real += ".bin"  # as the launcher does
        program.write_text(INSTEAD.format(real=real, options=options,
                                          tools=os.fsencode(peer_tools)))
        program.chmod(0o755)
        run_cli(["record", "--simulate=two-level", "-q", "-o", "peer", "--", *command],
                env={**FEW_VARIABLES, "PATH": f"{folder}:{os.environ['PATH']}"}, timeout=600)
        return (tmp_path / "peer.out").read_text()
    return run


def programs(name, python, numpy_python, workloads):
    if name == "fib":
        code = "def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)\nfib(21)"
        return [python, "-c", code]
    return [numpy_python if name == "sim_numpy" else python, workloads / f"{name}.py"]


@pytest.mark.parametrize("name", ["fib", "sim_numpy", "sim_library"])
def test_totals_are_those_of_cachegrind(simulate, run_peer, python, numpy_python, workloads, name):
    command = programs(name, python, numpy_python, workloads)
    text = run_peer(command, TWO_LEVEL)
    known = dict(zip(re.search("^events: (.*)$", text, re.M)[1].split(),
                     map(int, re.search("^summary: (.*)$", text, re.M)[1].split())))
    seen = simulate(command, "--simulate=two-level", "-e",
                    "PAPI_TOT_INS,PAPI_LD_INS,PAPI_L1_ICM,PAPI_L1_DCM,PAPI_L3_TCM", env=FEW_VARIABLES).totals
    assert seen == pytest.approx({
        "PAPI_TOT_INS": known["Ir"], "PAPI_LD_INS": known["Dr"], "PAPI_L1_ICM": known["I1mr"],
        "PAPI_L1_DCM": known["D1mr"] + known["D1mw"],
        "PAPI_L3_TCM": known["ILmr"] + known["DLmr"] + known["DLmw"]}, rel=1e-3)


def test_stores_are_those_of_lackey(simulate, run_peer, python, numpy_python, workloads):
    command = programs("fib", python, numpy_python, workloads)
    rows = re.findall(r"^==\d+== +[IFV]\d+ +([\d,]+) +([\d,]+) +[\d,]+$",
                      run_peer(command, LACKEY), re.M)
    known = [sum(int(row[at].replace(",", "")) for row in rows) for at in (0, 1)]
    seen = simulate(command, "--simulate=two-level", "-e", "PAPI_LD_INS,PAPI_SR_INS",
                    env=FEW_VARIABLES).totals
    assert list(seen.values()) == pytest.approx(known, rel=1e-3)
