"""Simulated counts are exact: sums close to the count, loops are linear, strides miss where they must.

What the programs do is known by construction; how many instructions an interpreter needs for it is
not, so that is only compared with itself.
"""

import os
import pathlib
import shutil
import textwrap

import pytest

EVENTS = ["PAPI_TOT_INS", "PAPI_LD_INS", "PAPI_SR_INS", "PAPI_L1_ICM", "PAPI_L1_DCM", "PAPI_L2_TCM",
          "PAPI_L3_TCM", "PAPI_BR_INS", "PAPI_BR_MSP"]

MANY_WAYS = """
    import asyncio, sys, threading

    def fib(n):
        return n if n < 2 else fib(n - 1) + fib(n - 2)

    def numbers(n):
        for i in range(n):
            try:
                yield i
            except ValueError:
                pass

    def generators():
        made = numbers(9)
        next(made)
        made.throw(ValueError)
        return sum(made) + sum(x * x for x in range(20))

    async def answer(n):
        await asyncio.sleep(0)
        return n

    async def coroutines():
        return sum(await asyncio.gather(*[answer(i) for i in range(5)]))

    def deep(n):
        if n == 0:
            raise KeyError(n)
        deep(n - 1)

    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    def key(x):
        return -x

    class Ended:
        def __del__(self):
            pass

    def main():
        fib(10)
        generators()
        asyncio.run(coroutines())
        sys.setrecursionlimit(5000)
        try:
            deep(2000)
        except KeyError:
            pass
        even(50)
        sorted(range(100), key=key)
        Ended()

    main()
"""

COUNT_CALLS = """
    import collections, json, sys

    counts = collections.Counter()

    def count(frame, event, argument):
        if event == "call" and frame.f_code.co_filename == sys.argv[1]:
            counts[frame.f_code.co_qualname] += 1

    with open(sys.argv[1]) as file:
        code = compile(file.read(), sys.argv[1], "exec")
    sys.setprofile(count)
    exec(code, {"__name__": "__main__"})
    sys.setprofile(None)
    json.dump(counts, sys.stdout)
"""


@pytest.fixture
def simulate(need, tallystack, run_cli, read_csv, tmp_path):
    """simulate(command, *options): the rows of its lines, and the totals by event."""
    tool = pathlib.Path(tallystack).parent.parent / "lib/tallystack/valgrind"
    need("simulator", shutil.which("valgrind") and tool.exists(), "there is no valgrind here")

    def run(command, *options, by="line", output="rec", **more):
        done = run_cli(["record", "--simulate", "-q", "-o", output, *options, "--", *command],
                       timeout=600, **more)
        assert done.returncode == 0, done.stderr
        report = run_cli(["report", "-i", output, "--csv", "--limit", 0, "--by", by])
        totals = read_csv(run_cli(["stat", "-i", output, "--csv"]).stdout)
        return read_csv(report.stdout), {row["event"]: int(row["value"]) for row in totals}
    return run


def write(folder, name, text):
    path = folder / name
    path.write_text(textwrap.dedent(text))
    return path


def sums(rows):
    out = {}
    for row in rows:
        assert row["self_low"] == row["self"] == row["self_high"]
        assert row["source"] == "simulated"
        out[row["event"]] = out.get(row["event"], 0) + int(row["self"])
    return out


def self_of(rows, event, function, line=None):
    return sum(int(row["self"]) for row in rows if row["event"] == event
               and row["function"] == function and (line is None or row["line"] == str(line)))


def test_sums_close(simulate, any_python, tmp_path):
    program = write(tmp_path, "program.py", MANY_WAYS)
    rows, totals = simulate([any_python, program])
    assert list(totals) == EVENTS
    assert sums(rows) == totals
    assert totals["PAPI_TOT_INS"] > totals["PAPI_LD_INS"] > totals["PAPI_L1_DCM"] > 0


def test_calls_are_those_of_setprofile(simulate, any_python, tmp_path):
    import json
    import subprocess
    program = write(tmp_path, "program.py", MANY_WAYS)
    counter = write(tmp_path, "count.py", COUNT_CALLS)
    known = json.loads(subprocess.run([any_python, counter, program], check=True,
                                      stdout=subprocess.PIPE).stdout)
    rows, _ = simulate([any_python, program], "-e", "PAPI_TOT_INS,calls", by="function")
    seen = {name: self_of([row for row in rows if row["module"] == "__main__"], "calls", name)
            for name in known}
    assert seen == known


def test_loop_is_linear(simulate, any_python, tmp_path):
    # The same steps in each: no small integers, which are not allocated.
    program = write(tmp_path, "program.py", """
        def once(first, last):
            for i in range(first, last):
                i ^ 1
        def twice(first, last):
            for i in range(first, last):
                i ^ 1
        def four_times(first, last):
            for i in range(first, last):
                i ^ 1
        once(10000, 20000)
        twice(10000, 30000)
        four_times(10000, 50000)
    """)
    rows, _ = simulate([any_python, program], "-e", "PAPI_TOT_INS")
    steps = [self_of(rows, "PAPI_TOT_INS", name) / (10000 * factor)
             for name, factor in (("once", 1), ("twice", 2), ("four_times", 4))]
    assert steps[1] == pytest.approx(steps[0], rel=1e-3)
    assert steps[2] == pytest.approx(steps[0], rel=1e-3)
    on_lines = self_of(rows, "PAPI_TOT_INS", "once", 3) + self_of(rows, "PAPI_TOT_INS", "once", 4)
    assert on_lines > 0.99 * self_of(rows, "PAPI_TOT_INS", "once")


def test_stride_misses_on_its_line(simulate, python, tmp_path):
    program = write(tmp_path, "program.py", """
        big, small = bytearray(64 << 20), bytearray(4 << 10)
        def far(n, at=0):
            for i in range(n):
                big[at]
                at = (at + 4160) & 0x3ffffff
        def near(n, at=0):
            for i in range(n):
                small[at]
                at = (at + 4160) & 0xfff
        far(50000)
        near(50000)
    """)
    rows, _ = simulate([python, program], "-e", "PAPI_L1_DCM,PAPI_TOT_INS")
    assert 50000 <= self_of(rows, "PAPI_L1_DCM", "far", 5) <= 51000
    assert self_of(rows, "PAPI_L1_DCM", "near") < 500


def test_runs_repeat(simulate, python, tmp_path):
    program = write(tmp_path, "program.py", MANY_WAYS)
    (tmp_path / "out").mkdir()
    first = simulate([python, program], output="out/a")
    again = simulate([python, program], output="out/a")
    assert again == first


def test_environment_moves_only_the_start(simulate, python, tmp_path):
    # A little: where the heap stands decides when an allocation needs a new pool.
    program = write(tmp_path, "program.py", MANY_WAYS)
    own = [self_of(simulate([python, program], "-e", "PAPI_TOT_INS", output="out",
                            env={"NOTHING": value})[0], "PAPI_TOT_INS", "fib")
           for value in (None, "x" * 1000)]
    assert own[0] == pytest.approx(own[1], rel=1e-3)


def test_native_functions_under_their_lines(simulate, any_python, tmp_path, build_c, workloads):
    # Two instructions a step, and the few that a C function begins and ends with.
    library = build_c(workloads / "burns.c", "-shared", "-fPIC")
    program = write(tmp_path, "program.py", f"""
        import ctypes
        library = ctypes.CDLL({library!r})
        def calls(n):
            library.burn(n)
            library.burn_both(2 * n)
        calls(100000)
    """)
    rows, totals = simulate([any_python, program], "-e", "PAPI_TOT_INS", by="native")
    assert sums(rows) == totals
    seen = {(row["line"], row["native"].split()[0]): int(row["self"]) for row in rows
            if row["function"] == "calls" and row["native"].startswith("burn")}
    assert sorted(seen) == [("5", "burn"), ("6", "burn"), ("6", "burn_both")]
    assert 200000 <= seen["5", "burn"] < 200020
    assert 400000 <= seen["6", "burn"] < 400020
    assert 400000 <= seen["6", "burn_both"] < 400020


def test_threads_and_children(simulate, any_python, tmp_path):
    program = write(tmp_path, "program.py", """
        import os, subprocess, sys, threading
        def work(n):
            for i in range(n):
                i ^ 1
        threads = [threading.Thread(target=work, args=(20000,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            work(20000)
            os._exit(0)
        os.waitpid(child, 0)
        subprocess.run([sys.executable, "-c", "def sub(n):\\n for i in range(n): i ^ 1\\nsub(20000)"],
                       env={}, check=True)
        subprocess.run(["/bin/true"], check=True)
        try:
            os.execv("/nonexistent", ["nothing"])
        except OSError:
            work(20000)
    """)
    rows, totals = simulate([any_python, "-W", "ignore", program], "-e", "PAPI_TOT_INS,calls")
    assert sums(rows) == totals
    assert self_of(rows, "calls", "work") == 5
    assert self_of(rows, "calls", "sub") == 1
    assert self_of(rows, "PAPI_TOT_INS", "work") == pytest.approx(
        5 * self_of(rows, "PAPI_TOT_INS", "sub"), rel=0.02)


def test_last_level_of_two(simulate, python, run_cli):
    rows, totals = simulate([python, "-c", "pass"], "--simulate=two-level")
    assert "PAPI_L2_TCM" not in totals and totals["PAPI_L3_TCM"] > 0
    done = run_cli(["record", "--simulate=two-level", "-e", "PAPI_L2_TCM", "--", python, "-c", ""])
    assert done.returncode == 125
    assert "has no second-level cache" in done.stderr


def test_status_passes_and_nothing_is_left(simulate, python, run_cli, tmp_path):
    done = run_cli(["record", "--simulate", "-q", "--", python, "-c", "raise SystemExit(7)"])
    assert done.returncode == 7
    before = sorted(os.listdir(tmp_path))
    for command, status in ((["nosuchprogram"], 127), ([tmp_path], 126)):
        done = run_cli(["record", "--simulate", "-o", "new", "--", *command])
        assert done.returncode == status
        assert done.stderr.count("cannot run") == 1
        assert done.stderr.splitlines()[-1].endswith(".")
    assert sorted(os.listdir(tmp_path)) == before


def test_without_valgrind(simulate, python, run_cli, tmp_path):
    done = run_cli(["record", "--simulate", "--", python, "-c", ""], env={"PATH": str(tmp_path)})
    assert done.returncode == 125
    assert "package \"valgrind\"" in done.stderr
    assert os.listdir(tmp_path) == []


def test_refuses_a_debug_build(simulate, debug_python, run_cli, tmp_path):
    done = run_cli(["record", "--simulate", "--", debug_python, "-c", ""])
    assert done.returncode == 125
    assert "debug build" in done.stderr
    assert os.listdir(tmp_path) == []


def test_progress_on_a_terminal(simulate, python, tallystack, run_cli, tmp_path):
    import pty
    import subprocess
    code = "import time; end = time.time() + 5\nwhile time.time() < end: pass"
    command = ["record", "--simulate", "-e", "PAPI_TOT_INS", "-o", "out", "--", python, "-c", code]
    terminal, inside = pty.openpty()
    running = subprocess.Popen([tallystack, *command], cwd=tmp_path, stderr=inside)
    os.close(inside)
    text = b""
    while True:
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        text += part
        if not part:
            break
    os.close(terminal)
    assert running.wait() == 0
    shown = [line for line in text.split(b"\r\x1b[K") if line.startswith(b"simulated: ")]
    assert shown and all(b" M instructions, " in line for line in shown)
    assert b"\r\x1b[K" in text[text.rindex(shown[-1]):]
    assert "M instructions" not in run_cli(command).stderr


def test_unknown_instruction_is_said(simulate, run_cli, build_c, workloads):
    if os.uname().machine != "x86_64":
        pytest.skip("the instruction is one of x86-64")
    program = build_c(workloads / "unknown_instruction.c")
    done = run_cli(["record", "--simulate", "-e", "PAPI_TOT_INS", "--", program])
    assert done.returncode == 128 + 4
    assert "does not know an instruction" in done.stderr


def test_jit_on_and_off(simulate, any_python, tmp_path):
    import subprocess
    available = "import sys; sys.exit(not (hasattr(sys, '_jit') and sys._jit.is_available()))"
    if subprocess.run([any_python, "-c", available]).returncode != 0:
        pytest.skip("this interpreter has no JIT")
    program = write(tmp_path, "program.py", """
        def leaf(x):
            return x + 1
        def loop(n, t=0):
            for i in range(n):
                t = leaf(t) ^ 3
        def numbers(n):
            for i in range(n):
                yield i
        loop(20000)
        sum(numbers(20000))
    """)
    costs = []
    for jit in "01":
        rows, totals = simulate([any_python, program], "-e", "PAPI_TOT_INS,calls", by="function",
                                env={"PYTHON_JIT": jit})
        assert sums(rows) == totals
        assert self_of(rows, "calls", "leaf") == 20000
        assert self_of(rows, "calls", "numbers") == 20001
        costs.append(self_of(rows, "PAPI_TOT_INS", "loop") + self_of(rows, "PAPI_TOT_INS", "leaf"))
    assert costs[1] < 0.95 * costs[0]


def test_interpreter_loaded_late(simulate, need, build_c, workloads, tmp_path):
    found = [path for path in pathlib.Path("/usr/lib").glob("*/libpython3.1[1-5].so.1.0")]
    need("libpython", found, "there is no shared libpython of a supported version")
    program = build_c(workloads / "embeds_python.c", "-ldl")
    script = write(tmp_path, "inside.py", """
        import threading
        def work(n):
            for i in range(n):
                i ^ 1
        work(10000)
        thread = threading.Thread(target=work, args=(10000,))
        thread.start()
        thread.join()
    """)
    rows, totals = simulate([program, found[0], script], "-e", "PAPI_TOT_INS,calls")
    assert sums(rows) == totals
    assert self_of(rows, "calls", "work") == 2
    assert self_of(rows, "PAPI_TOT_INS", "work", 4) > 10 * 20000
