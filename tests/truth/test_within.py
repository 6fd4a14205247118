"""--within counts what the full simulation counts in the function, and nothing else."""

import pathlib
import shutil
import textwrap

import pytest

PROGRAM = """
    import signal, sys, threading

    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    def raises(n):
        if n == 0:
            raise KeyError(n)
        raises(n - 1)

    class Made:
        def numbers(self, n):
            for i in range(n):
                yield fib(3)

        def again(self):
            return 1 ^ 2

    def again():
        return 2 ^ 3

    def key(x):
        return -x

    def main():
        fib(12)
        try:
            raises(50)
        except KeyError:
            pass
        sum(Made().numbers(20))
        Made().again()
        again()
        for i in range(50):
            sorted((3, 1, 2), key=key)
        thread = threading.Thread(target=fib, args=(8,))
        thread.start()
        thread.join()

    main()
"""
# A store that switches for the first time ends its translation only from then on.
FIRST_CALLS = 300


@pytest.fixture
def record(need, tallystack, run_cli, read_csv, tmp_path):
    """record(*options): rows by (function, event), totals by event, and what it said."""
    tool = pathlib.Path(tallystack).parent.parent / "lib/tallystack/valgrind"
    need("simulator", shutil.which("valgrind") and tool.exists(), "there is no valgrind here")

    def run(*command):
        done = run_cli(["record", "--simulate", "-e", "PAPI_TOT_INS,calls", *command], timeout=600)
        assert done.returncode == 0, done.stderr
        rows = read_csv(run_cli(["report", "--csv", "--limit", 0]).stdout)
        totals = read_csv(run_cli(["stat", "-i", "tallystack.rec", "--csv"]).stdout)
        counts = {(row["function"], row["event"]): (int(row["self"]), int(row["inclusive"]))
                  for row in rows if row["module"] == "__main__"}
        totals = {row["event"]: int(row["value"]) for row in totals}
        sums = dict.fromkeys(totals, 0)
        for row in rows:
            sums[row["event"]] += int(row["self"])
        assert sums == totals
        return counts, totals, done.stderr
    return run


def test_counts_what_runs_inside(record, any_python, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    full, _, _ = record("--", any_python, "-S", program)
    line = 1 + PROGRAM.splitlines()[1:].index("            raise KeyError(n)")
    for name, function in (("fib", "fib"), ("numbers", "Made.numbers"), ("__main__.key", "key"),
                           (f"program.py:{line}", "raises")):
        counts, totals, said = record(f"--within={name}", "--", any_python, "-S", program)
        assert "only what ran within" in said
        assert counts[function, "calls"] == full[function, "calls"]
        assert counts[function, "PAPI_TOT_INS"][1] == totals["PAPI_TOT_INS"]
        assert totals["PAPI_TOT_INS"] == pytest.approx(full[function, "PAPI_TOT_INS"][1],
                                                       rel=1e-3, abs=FIRST_CALLS)
        assert counts["main", "PAPI_TOT_INS"][0] == 0


def test_called_by_coroutines(record, any_python, tmp_path):
    """The first calls, which 3.11 links to their callers after making them current, too."""
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent("""
        def work(n):
            return n

        async def inner(n):
            return work(n)

        async def outer():
            for i in range(10):
                await inner(i)

        try:
            outer().send(None)
        except StopIteration:
            pass
    """))
    counts, _, _ = record("--within=work", "--", any_python, "-S", program)
    work, inclusive = counts["work", "PAPI_TOT_INS"]
    assert counts["work", "calls"][0] == 10
    assert inclusive == work
    assert counts["inner", "PAPI_TOT_INS"] == (0, work)


def test_names_that_end_alike(record, python, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(textwrap.dedent(PROGRAM))
    def called(name):
        return {function for (function, event), (count, _) in
                record(f"--within={name}", "--", python, program)[0].items()
                if event == "calls" and count}
    assert called("again") == {"Made.again", "again"}
    assert called("program.Made.again") == {"Made.again"}
    assert called("gain") == set()


def test_never_ran(record, python, run_cli, tmp_path):
    _, totals, said = record("--within=nosuch", "--", python, "-c", "pass")
    assert totals == {"PAPI_TOT_INS": 0, "calls": 0}
    assert "nosuch never ran" in said
    report = run_cli(["report"])
    assert "nosuch never ran" in report.stdout + report.stderr


def test_needs_the_simulator(run_cli, python):
    done = run_cli(["record", "--within=x", "--", python, "-c", ""])
    assert done.returncode == 125
    assert "--simulate" in done.stderr and done.stderr.count("\n") == 1
