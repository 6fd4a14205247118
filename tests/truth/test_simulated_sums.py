"""Simulated counts close, and repeat: all rows, summed, are the program's total, calls are the true
ones, and what surrounds a program moves nothing in it.
"""

import ctypes
import json
import shutil
import subprocess

import pytest

EVENTS = ["PAPI_TOT_INS", "PAPI_LD_INS", "PAPI_SR_INS", "PAPI_L1_ICM", "PAPI_L1_DCM", "PAPI_L2_TCM",
          "PAPI_L3_TCM", "PAPI_BR_INS", "PAPI_BR_MSP"]
ALL = ("-e", ",".join([*EVENTS, "calls"]))

# Calls as the interpreter's own profiling hook sees them, of the functions of one file.
COUNT_CALLS = """
    import collections, json, sys, threading

    called = []

    def count(frame, event, argument):
        code = frame.f_code
        if event == "call" and code.co_filename == sys.argv[1]:
            called.append(f"{code.co_qualname}:{code.co_firstlineno}")

    with open(sys.argv[1]) as file:
        code = compile(file.read(), sys.argv[1], "exec")
    threading.setprofile(count)
    sys.setprofile(count)
    exec(code, {"__name__": "__main__", "__builtins__": __builtins__})
    sys.setprofile(None)
    json.dump(collections.Counter(called), sys.stdout)
"""


RUNS = {}


@pytest.fixture
def alone(workloads, tmp_path):
    """alone(name): a workload in a folder of its own. The import system reads the program's folder,
    and other tests write bytecode into that of all."""
    def copy(name):
        (tmp_path / "alone").mkdir()
        return shutil.copy(workloads / f"{name}.py", tmp_path / "alone")
    return copy


@pytest.fixture
def simulated(simulate, run_cli, read_csv, workloads):
    """simulated(python, name): the one run of a workload, and its rows by function."""
    def run(python, name):
        if (python, name) not in RUNS:
            done = simulate([python, workloads / f"{name}.py"], *ALL)
            report = run_cli(["report", "-i", "rec", "--csv", "--limit", 0])
            RUNS[python, name] = done, read_csv(report.stdout)
        return RUNS[python, name]
    return run


def differing(rows, others):
    """What a few of the rows that differ are, in both."""
    keys = [key for key in {**rows, **others} if rows.get(key) != others.get(key)]
    return len(keys), {key: (rows.get(key), others.get(key)) for key in keys[:5]}


def calls_by_function(rows):
    counts = {}
    for row in rows:
        if row["event"] == "calls" and row["module"] == "__main__" and row["self"] != "0":
            name = f"{row['function']}:{row['line']}"
            counts[name] = counts.get(name, 0) + int(row["self"])
    return counts


@pytest.mark.parametrize("name", ["sim_calls", "sim_library", "sim_threads"])
def test_sums_close(simulated, any_python, name):
    run, _ = simulated(any_python, name)
    assert list(run.totals) == [*EVENTS, "calls"]
    assert run.sums() == run.totals
    assert run.totals["PAPI_TOT_INS"] > run.totals["PAPI_LD_INS"] > run.totals["PAPI_L1_DCM"] > 0


def test_sums_close_with_numpy(simulate, numpy_python, workloads):
    run = simulate([numpy_python, workloads / "sim_numpy.py"])
    assert list(run.totals) == EVENTS
    assert run.sums() == run.totals


@pytest.mark.parametrize("name", ["sim_calls", "sim_library", "sim_threads"])
def test_calls_are_those_of_setprofile(simulated, any_python, workloads, write, name):
    program = workloads / f"{name}.py"
    counted = subprocess.run([any_python, write(COUNT_CALLS), program], check=True,
                             stdout=subprocess.PIPE)
    _, rows = simulated(any_python, name)
    assert calls_by_function(rows) == json.loads(counted.stdout)


def test_classes_call_their_init(simulated, any_python):
    """What the interpreter has run between a class's caller and __init__ is its caller's."""
    _, rows = simulated(any_python, "sim_library")
    assert {"Functions.__init__"} < {row["function"] for row in rows}
    assert "__init__" not in {row["function"] for row in rows}
    assert all(row["file"].startswith(("/", "<")) for row in rows if row["file"])


def test_code_where_other_code_was(simulate, any_python, write):
    program = write("""
        def rule(name, text):
            f = eval(compile(text, "<%s>" % name, "eval"))
            f()
        for _ in range(100):
            rule("less", "lambda: 1")
            rule("more", "lambda: 2")
    """)
    run = simulate([any_python, program], "-e", "calls", by="function")
    calls = {(row["function"], row["file"]): int(row["self"]) for row in run.rows
             if row["file"] in ("<less>", "<more>") and row["self"] != "0"}
    assert calls == dict.fromkeys([("<module>", "<less>"), ("<module>", "<more>"),
                                   ("<lambda>", "<less>"), ("<lambda>", "<more>")], 100)


def test_call_to_close_a_generator(simulate, any_python, write):
    """From 3.13 on, closing one that waits outside any try runs nothing of it (but under
    sys.setprofile, which has 3.14 run it after all)."""
    program = write("""
        def numbers():
            yield 1
            yield 2
        def begin():
            made = numbers()
            next(made)
            made.close()
        for _ in range(100):
            begin()
    """)
    run = simulate([any_python, program], "-e", "calls")
    resumes = 200 if any_python.version in ("3.11", "3.12") else 100
    assert (run.self_of("calls", "begin"), run.self_of("calls", "numbers")) == (100, resumes)


def test_runs_repeat(simulate, python, alone):
    command = [python, alone("sim_calls")]
    first, second = simulate(command), simulate(command)
    assert differing(dict(enumerate(first.rows)), dict(enumerate(second.rows))) == (0, {})
    assert first.totals == second.totals


def test_expat_repeats(simulate, python, write):
    program = write("""
        import pyexpat
        for _ in range(10):
            parser = pyexpat.ParserCreate()
            parser.StartElementHandler = lambda name, attributes: None
            names = "".join(f"<b{i} c{i}='1'/>" for i in range(100))
            parser.Parse(f"<a>{names}</a>", True)
    """)
    first, second = simulate([python, program]), simulate([python, program])
    assert differing(dict(enumerate(first.rows)), dict(enumerate(second.rows))) == (0, {})


def test_what_runs_leave_in_the_folder(simulate, any_python, write, tmp_path):
    """Recordings and reports where the import system looks for modules move nothing in the next run."""
    program = write("import json\nprint(json.dumps([1, {}]))\n")
    first = simulate([any_python, program], *ALL)
    for name in ("report.csv", "plot.svg", "plot.png", "run.log"):
        (tmp_path / name).touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other/session.json").touch()
    second = simulate([any_python, program], *ALL)
    assert (second.rows, second.totals) == (first.rows, first.totals)


def test_folders_are_whole_for_the_program(run_cli, python, write, tmp_path):
    program = write("""
        import os, sys
        import package.part
        import other
        print(*sorted(os.listdir(sys.path[0])), os.stat(sys.path[0]).st_nlink, other.__path__[0])
    """)
    for name in ("package", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "package/part.py").touch()
    (tmp_path / "report.csv").touch()
    done = run_cli(["record", "--simulate", "-q", "-e", "calls", "--", python, program])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [*sorted(path.name for path in tmp_path.iterdir()),
                                   str(tmp_path.stat().st_nlink), str(tmp_path / "other")]


@pytest.fixture
def program_rows():
    """program_rows(python, run): what a run counted, without the rows of what the interpreter runs
    while it starts: outside Python, in the modules that it has loaded before the program begins,
    and in the lines of .pth files."""
    def select(python, run):
        loaded = subprocess.run([python, "-c", "import sys; print(*sys.modules)"], check=True,
                                stdout=subprocess.PIPE, text=True).stdout.split()
        start = {*loaded, "getpath"} - {"__main__"}
        return {(row["event"], row["module"], row["function"], row["line"]): int(row["self"])
                for row in run.rows
                if not row["function"].startswith("[") and row["module"] not in start
                and not row["module"].startswith("importlib.") and row["file"] != "<string>"}
    return select


OTHER_VARIABLES = {"NOTHING": "x" * 1000, "TERM": "dumb",
                   **{f"NOTHING_{i}": "x" * 7 * i for i in range(20)}}


def without_randomisation():
    ctypes.CDLL(None).personality(0x0040000)  # ADDR_NO_RANDOMIZE, as setarch -R


@pytest.mark.parametrize("more", [{"env": OTHER_VARIABLES}, {"cwd": "/usr/share"},
                                  {"preexec_fn": without_randomisation}],
                         ids=["environment", "folder", "addresses"])
def test_surroundings_move_only_the_start(simulate, python, alone, program_rows, tmp_path, more):
    """In all events, each line of the program and of what it imports counts the same."""
    program = alone("sim_recursion")
    rows = program_rows(python, simulate([python, program], *ALL))
    assert {"fib", "numbers", "key"} < {function for _, _, function, _ in rows}
    again = simulate([python, program], *ALL, output=tmp_path / "again", **more)
    assert differing(rows, program_rows(python, again)) == (0, {})


def test_surroundings_of_a_library(simulate, any_python, alone, program_rows, tmp_path):
    """The same with json, re and ast, all surroundings changed at once."""
    program = alone("sim_library")
    rows = program_rows(any_python, simulate([any_python, program], *ALL))
    assert {"json.encoder", "ast", "re"} < {module.partition("._")[0] for _, module, *_ in rows}
    again = simulate([any_python, program], *ALL, env=OTHER_VARIABLES, cwd="/usr/share",
                     output=tmp_path / "again", preexec_fn=without_randomisation)
    assert differing(rows, program_rows(any_python, again)) == (0, {})
