"""Simulated counts close: all rows, summed, are the program's total, and calls are the true ones."""

import json
import subprocess

import pytest

EVENTS = ["PAPI_TOT_INS", "PAPI_LD_INS", "PAPI_SR_INS", "PAPI_L1_ICM", "PAPI_L1_DCM", "PAPI_L2_TCM",
          "PAPI_L3_TCM", "PAPI_BR_INS", "PAPI_BR_MSP"]

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


def calls_by_function(run):
    counts = {}
    for row in run.rows:
        if row["event"] == "calls" and row["module"] == "__main__" and row["self"] != "0":
            name = f"{row['function']}:{row['line']}"
            counts[name] = counts.get(name, 0) + int(row["self"])
    return counts


@pytest.mark.parametrize("name", ["sim_calls", "sim_library", "sim_threads"])
def test_sums_close(simulate, any_python, workloads, name):
    run = simulate([any_python, workloads / f"{name}.py"])
    assert list(run.totals) == EVENTS
    assert run.sums() == run.totals
    assert run.totals["PAPI_TOT_INS"] > run.totals["PAPI_LD_INS"] > run.totals["PAPI_L1_DCM"] > 0


def test_sums_close_with_numpy(simulate, numpy_python, workloads):
    run = simulate([numpy_python, workloads / "sim_numpy.py"])
    assert run.sums() == run.totals


@pytest.mark.parametrize("name", ["sim_calls", "sim_library", "sim_threads"])
def test_calls_are_those_of_setprofile(simulate, any_python, workloads, write, name):
    program = workloads / f"{name}.py"
    counted = subprocess.run([any_python, write(COUNT_CALLS), program], check=True,
                             stdout=subprocess.PIPE)
    run = simulate([any_python, program], "-e", "PAPI_TOT_INS,calls", by="function")
    assert calls_by_function(run) == json.loads(counted.stdout)


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
