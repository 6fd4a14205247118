"""What is simulated: threads and children are followed, what cannot be is refused in a sentence.

How right the counts are is in test_simulated_sums.py, _memory.py and _peers.py.
"""

import ast
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import textwrap

import pytest


def test_threads_and_children(simulate, any_python, write):
    program = write("""
        import os, subprocess, sys, threading
        from itertools import repeat # no new numbers: where the heap stands decides what they cost
        sys.setswitchinterval(1000) # a switch costs instructions, and when they come is chance
        def work(n):
            for i in repeat(1, n):
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
        code = "from itertools import repeat\\n" \
               "def sub(n):\\n for i in repeat(1, n):\\n  i ^ 1\\nsub(20000)"
        subprocess.run([sys.executable, "-c", code], env={}, check=True)
        subprocess.run(["/bin/true"], check=True)
        try:
            os.execv("/nonexistent", ["nothing"])
        except OSError:
            work(20000)
    """)
    run = simulate([any_python, "-W", "ignore", program], "-e", "PAPI_TOT_INS,calls")
    assert run.sums() == run.totals
    assert run.self_of("calls", "work") == 5
    assert run.self_of("calls", "sub") == 1
    assert run.self_of("PAPI_TOT_INS", "work") == pytest.approx(
        5 * run.self_of("PAPI_TOT_INS", "sub"), rel=0.02)


def test_native_functions_under_their_lines(simulate, any_python, write, build_c, workloads):
    # Two instructions a step, and the few that a C function begins and ends with.
    library = build_c(workloads / "burns.c", "-shared", "-fPIC")
    program = write(f"""
        import ctypes
        library = ctypes.CDLL({library!r})
        def calls(n):
            library.burn(n)
            library.burn_both(2 * n)
        calls(100000)
    """)
    run = simulate([any_python, program], "-e", "PAPI_TOT_INS", by="native")
    assert run.sums() == run.totals
    seen = {(row["line"], row["native"].split()[0]): int(row["self"]) for row in run.rows
            if row["function"] == "calls" and row["native"].startswith("burn")}
    assert sorted(seen) == [("5", "burn"), ("6", "burn"), ("6", "burn_both")]
    assert 200000 <= seen["5", "burn"] < 200020
    assert 400000 <= seen["6", "burn"] < 400020
    assert 400000 <= seen["6", "burn_both"] < 400020


def test_environment_is_whole(run_cli, any_python, write, tmp_path):
    """What the interpreter has of it, though that is kept in memory of its own."""
    program = write("""
        import os, sys
        os.environ["ADDED"] = "1"
        del os.environ["TAKEN"]
        os.putenv("PUT", "2")
        with open("own", "w") as file:
            print(ascii(dict(os.environ)), file=file)
        code = "import os; print(ascii(dict(os.environ)), file=open('child', 'w'))"
        assert os.spawnv(os.P_WAIT, sys.executable, [sys.executable, "-c", code]) == 0
    """)
    given = {"TAKEN": "", "EMPTY": "", "EQUALS": "=a=b=", "NOT_ASCII": "\u00fc\u20ac",
             "LONG": "x" * 100000, **{f"MANY_{i}": str(i) * 40 for i in range(300)}}
    done = run_cli(["record", "--simulate", "-q", "-e", "PAPI_TOT_INS", "-o", "rec", "--",
                    any_python, program], env=given)
    assert done.returncode == 0, done.stderr
    own, child = (ast.literal_eval((tmp_path / name).read_text()) for name in ("own", "child"))
    wanted = {**given, "ADDED": "1"}
    del wanted["TAKEN"]
    assert {name: own.get(name) for name in wanted} == wanted
    assert "TAKEN" not in own
    assert {name: child.get(name) for name in wanted} == wanted and child["PUT"] == "2"


def test_last_level_of_two(simulate, python, run_cli):
    totals = simulate([python, "-c", "pass"], "--simulate=two-level").totals
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


def test_descriptors_are_as_without(simulate, python, run_cli, write):
    program = write("""
        import os, sys
        print(os.open("/", os.O_RDONLY), flush=True)
        if not sys.argv[1:]:
            os.execv(sys.executable, [sys.executable, __file__, "again"])
    """)
    alone = subprocess.run([python, program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           text=True, check=True).stdout
    assert run_cli(["record", "--simulate", "-e", "calls", "--", python, program]).stdout == alone


def test_progress_on_a_terminal(simulate, python, tallystack, run_cli, tmp_path):
    import pty
    code = "import time; end = time.time() + 3\nwhile time.time() < end: pass"
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
    assert done.returncode == 125
    assert done.stderr.count("does not know") == 1
    assert done.stderr.splitlines()[-1] == (
        "tallystack record: this valgrind does not know the instruction 62 f1 7c 48 58 c1 b8 00 in "
        f"main ({program}), which ended the program; a newer one may.")
    assert "does not know the instruction 62 f1" in run_cli(["report"]).stdout


def test_unknown_instruction_that_is_handled(simulate, run_cli, python, build_c, workloads, write):
    if os.uname().machine != "x86_64":
        pytest.skip("the instruction is one of x86-64")
    library = build_c(workloads / "unknown_instruction.c", "-shared", "-fPIC")
    program = write(f"""
        import ctypes, os, signal
        if os.fork() == 0:
            ctypes.CDLL({library!r}).main()
        assert os.waitstatus_to_exitcode(os.wait()[1]) == -signal.SIGILL
    """)
    run = simulate([python, "-W", "ignore", program], "-e", "PAPI_TOT_INS")
    assert run.sums() == run.totals
    assert "note: this valgrind does not know the instruction 62 f1" in run_cli(
        ["report", "-i", "rec"]).stdout


def test_jit_on_and_off(simulate, any_python, write):
    available = "import sys; sys.exit(not (hasattr(sys, '_jit') and sys._jit.is_available()))"
    if subprocess.run([any_python, "-c", available]).returncode != 0:
        pytest.skip("this interpreter has no JIT")
    program = write("""
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
        run = simulate([any_python, program], "-e", "PAPI_TOT_INS,calls", by="function",
                                env={"PYTHON_JIT": jit})
        assert run.sums() == run.totals
        assert run.self_of("calls", "leaf") == 20000
        assert run.self_of("calls", "numbers") == 20001
        costs.append(run.self_of("PAPI_TOT_INS", "loop") + run.self_of("PAPI_TOT_INS", "leaf"))
    assert costs[1] < 0.95 * costs[0]


def test_interpreter_loaded_late(simulate, need, build_c, workloads, write):
    found = [path for path in pathlib.Path("/usr/lib").glob("*/libpython3.1[1-5].so.1.0")]
    need("libpython", found, "there is no shared libpython of a supported version")
    program = build_c(workloads / "embeds_python.c", "-ldl")
    script = write("""
        import threading
        def work(n):
            for i in range(n):
                i ^ 1
        work(10000)
        thread = threading.Thread(target=work, args=(10000,))
        thread.start()
        thread.join()
    """)
    run = simulate([program, found[0], script], "-e", "PAPI_TOT_INS,calls")
    assert run.sums() == run.totals
    assert run.self_of("calls", "work") == 2
    assert run.self_of("PAPI_TOT_INS", "work", 4) > 10 * 20000


def test_subinterpreters(simulate, any_python, run_cli, write):
    """A thread goes from its thread state to one of a subinterpreter, and back: that is no call."""
    program = write("""
        import threading
        try:
            import _interpreters as interpreters
            run_in = interpreters.exec
        except ImportError:
            import _xxsubinterpreters as interpreters
            run_in = interpreters.run_string
        code = "def sub(n):\\n for i in range(n): i ^ 1\\nsub(5000)"
        def work(n):
            for i in range(n):
                i ^ 1
        def run():
            made = interpreters.create()
            run_in(made, code)
            work(5000)
            interpreters.destroy(made)
        run()
        for _ in range(2):
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
    """)
    run = simulate([any_python, program], "-e", "PAPI_TOT_INS,calls", by="function")
    assert run.sums() == run.totals
    assert (run.self_of("calls", "run"), run.self_of("calls", "work")) == (3, 3)
    is_told = any_python.version != "3.11"
    assert run.self_of("calls", "sub") == (3 if is_told else 0)
    assert not is_told or run.self_of("PAPI_TOT_INS", "sub") > 3 * 10 * 5000
    outside = run.self_of("PAPI_TOT_INS", "[native thread]")
    assert outside < 0.01 * run.totals["PAPI_TOT_INS"]
    (whole,) = [int(row["inclusive"]) for row in run.rows
                if row["event"] == "PAPI_TOT_INS" and row["function"] == "run"]
    assert whole > 2 * run.self_of("PAPI_TOT_INS", "work")
    assert is_told != ("note: subinterpreters ran: " in run_cli(["report", "-i", "rec"]).stdout)


# A child that lives for ever, and reports: its own image says so.
KILLED = """
    import os, signal, struct, time
    REWRITTEN = 64
    def has_reported(number):
        try:
            with open(f"rec/{number:06}.image", "rb") as image:
                header = image.read(40)
                return len(header) == 40 and bool(struct.unpack_from("I", header, 36)[0] & REWRITTEN)
        except FileNotFoundError:
            return False
    def work(number):
        for i in range(20000):
            i ^ 1
        while not has_reported(number):
            time.sleep(0.01)
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_RDWR), 1)
        os.dup2(1, 2)
        work(2)
        while True:
            pass
    work(2)
    if HOW == "killed":
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    print(child, flush=True)
"""


@pytest.mark.parametrize("how, note", [
    ("killed", "processes killed: 1, that outlive the program: 0; "),
    ("survived", "processes killed: 0, that outlive the program: 1; "),
])
def test_killed_processes_keep_what_they_reported(simulate, python, run_cli, read_csv, write, how,
                                                  note):
    program = write(f"HOW = {how!r}\n" + textwrap.dedent(KILLED))
    done = run_cli(["record", "--simulate", "-o", "rec", "-e", "PAPI_TOT_INS,calls", "--", python,
                    "-W", "ignore", program], timeout=300)
    assert done.returncode == 0, done.stderr
    if how == "survived":
        os.kill(int(done.stdout), signal.SIGKILL)
    assert note in done.stderr
    rows = read_csv(run_cli(["report", "-i", "rec", "--csv", "--limit", 0]).stdout)
    sums = {}
    for row in rows:
        sums[row["event"]] = sums.get(row["event"], 0) + int(row["self"])
    totals = read_csv(run_cli(["stat", "-i", "rec", "--csv"]).stdout)
    assert sums == {row["event"]: int(row["value"]) for row in totals}
    (work,) = [row for row in rows if row["event"] == "PAPI_TOT_INS" and row["function"] == "work"]
    assert int(work["self"]) > 2 * 10 * 20000
    assert run_cli(["report", "-i", "rec"]).stderr == ""


def test_dropped_privileges(simulate, need, run_cli, write, installed, tmp_path):
    """Forks and execs of a process that may neither write to the recording nor see its folder. The
    tool itself it must be able to read, to go on in another program."""
    if os.getuid() != 0:
        pytest.skip("only root can drop privileges")
    python = "/usr/bin/python3"  # others may not be readable for everybody
    need("python3", os.access(python, os.X_OK), f"there is no {python}")
    program = write(f"""
        import os, subprocess
        def work(n):
            for i in range(n):
                i ^ 1
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        work(10000)
        if os.fork() == 0:
            work(10000)
            if os.fork() == 0:
                work(10000)
                os._exit(0)
            os.wait()
            os._exit(0)
        os.wait()
        code = "def sub(n):\\n for i in range(n): i ^ 1\\nsub(10000)"
        subprocess.run([{python!r}, "-c", code], check=True)
        os.execv({python!r}, ["python3", "-c", code])
    """)
    tmp_path.chmod(0o700)
    run = simulate([python, "-E", "-S", program], "-e", "PAPI_TOT_INS,calls",
                   tallystack=installed / "bin/tallystack")
    assert run.sums() == run.totals
    assert (run.self_of("calls", "work"), run.self_of("calls", "sub")) == (3, 2)
    assert run.self_of("PAPI_TOT_INS", "work") == pytest.approx(
        1.5 * run.self_of("PAPI_TOT_INS", "sub"), rel=0.1)
    assert "not counted" not in run_cli(["report", "-i", "rec"]).stdout


def test_another_root(simulate, python, run_cli, write, build_c, workloads, tmp_path):
    """What is forked there is counted; valgrind is not there to run other programs."""
    if os.getuid() != 0:
        pytest.skip("only root can change the root folder")
    (tmp_path / "jail").mkdir()
    shutil.copy(build_c(workloads / "static_child.c", "-static"), tmp_path / "jail/static_child")
    program = write("""
        import os
        def work(n):
            for i in range(n):
                i ^ 1
        os.chroot("jail")
        os.chdir("/")
        work(10000)
        if os.fork() == 0:
            work(10000)
            os._exit(0)
        os.wait()
        try:
            os.execv("/nonexistent", ["nothing"])
        except OSError:
            work(10000)
        assert os.spawnv(os.P_WAIT, "/static_child", ["static_child", "1"]) == 0
    """)
    run = simulate([python, "-W", "ignore", program], "-e", "PAPI_TOT_INS,calls")
    assert run.sums() == run.totals
    assert run.self_of("calls", "work") == 3
    assert "ran as they are, not counted" in run_cli(["report", "-i", "rec"]).stdout


def test_programs_that_valgrind_refuses_run_natively(simulate, python, run_cli, write, tmp_path):
    shutil.copy("/bin/true", tmp_path / "raised")
    (tmp_path / "raised").chmod(0o4755)
    program = write("""
        import subprocess
        subprocess.run(["./raised"], check=True)
    """)
    run = simulate([python, program], "-e", "PAPI_TOT_INS")
    assert run.sums() == run.totals
    assert "ran as they are, not counted" in run_cli(["report", "-i", "rec"]).stdout
