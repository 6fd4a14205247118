"""record and report, as a user meets them: statuses, sentences, and what is left behind."""

import fcntl
import os
import pathlib
import re
import resource
import select
import shutil
import signal
import struct
import subprocess
import termios
import time

import pytest

COLUMNS = {
    "function": "module,function,file,line",
    "line": "module,function,file,line",
    "module": "module",
    "thread": "process,thread",
    "process": "process",
    "native": "module,function,file,line,native",
}
VALUES = ",event,unit,source,self,inclusive,samples,self_low,self_high,running"


def one_sentence(run):
    assert run.stdout == ""
    assert run.stderr.count("\n") == 1, run.stderr
    assert run.stderr.endswith(".\n"), run.stderr
    return run.stderr


def files(folder):
    return sorted(path.name for path in pathlib.Path(folder).iterdir())


# The program's own affairs


@pytest.mark.parametrize("script, status", [
    ("pass", 0), ("import sys; sys.exit(7)", 7), ("import sys; sys.exit(125)", 125),
    ("import os; os.kill(os.getpid(), 9)", 137), ("import os; os.kill(os.getpid(), 15)", 143),
    ("import os; os.abort()", 134), ("import os; os._exit(3)", 3), ("1 / 0", 1)])
def test_status_passes_through(run_cli, any_python, script, status):
    done = run_cli(["record", "-q", "--", any_python, "-c", script])
    assert done.returncode == status
    assert run_cli(["report", "--csv"]).returncode == 0


@pytest.mark.parametrize("status", [125, 126, 127])
def test_a_diagnosis_of_whatever_status(run_cli, status):
    for _ in range(2):
        done = run_cli(["diagnose", "--", "sh", "-c", f"exit {status}"])
        assert (done.returncode, done.stdout) == (status, "")
        assert "The main thread's wall time" in done.stderr
    done = run_cli(["diagnose", "--", "./missing"])
    assert done.returncode == 127
    assert "missing" in one_sentence(done)
    with open("/dev/full", "w") as full:
        assert run_cli(["diagnose", "--", "true"], stderr=full).returncode == 125


def test_streams_are_the_programs(run_cli, python):
    script = "import sys; data = sys.stdin.read(); print(data); print('err', file=sys.stderr)"
    done = run_cli(["record", "-q", python, "-c", script], stdin=None, input="in")
    assert (done.returncode, done.stdout, done.stderr) == (0, "in\n", "err\n")


def test_a_program_may_limit_its_memory(run_cli, any_python):
    script = ("import resource, threading\n"
              "resource.setrlimit(resource.RLIMIT_AS, (150 << 20, 150 << 20))\n"
              "threads = [threading.Thread(target=bytearray, args=(8 << 20,)) for _ in range(3)]\n"
              "for thread in threads: thread.start()\n"
              "for thread in threads: thread.join()\n")
    done = run_cli(["record", "-q", "--", any_python, "-c", script])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_programs_options_are_its_own(run_cli, python):
    done = run_cli(["record", "-q", python, "-c", "import sys; print(sys.argv[1:])", "-o", "x", "-q"])
    assert done.stdout == "['-o', 'x', '-q']\n"


def test_environment_is_the_programs(run_cli, python):
    script = ("import os, subprocess, sys\n"
              "print(os.environ['MINE'], 'LD_PRELOAD' in os.environ)\n")
    plain = run_cli(["record", "-q", "--", python, "-c", script], env={"MINE": "mine"})
    assert plain.returncode == 0
    assert plain.stdout.startswith("mine ")


def test_quiet_is_silent(run_cli, python, kernel_events):
    done = run_cli(["record", "-q", "--", python, "-c", "pass"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_top_functions_on_stderr(run_cli, python, workloads, kernel_events):
    done = run_cli(["record", "-e", "page-faults", "--", python, workloads / "fresh_pages.py", "2000"])
    assert done.stdout == ""
    table = [line for line in done.stderr.splitlines() if " exact " in line]
    assert len(table) == 5
    assert "three_times  fresh_pages.py:13" in table[0]
    assert "tallystack report -i tallystack.rec" in done.stderr


# What cannot be done


def test_unknown_event(run_cli, tmp_path):
    done = run_cli(["record", "-e", "page-fualts", "--", "true"])
    assert done.returncode == 125
    assert "page-fualts" in done.stderr and "page-faults" in one_sentence(done)
    assert files(tmp_path) == []


def test_no_pmu(run_cli, tmp_path, tallystack):
    listing = run_cli(["list", "--csv", "cache-misses"]).stdout
    if ",yes," in listing:
        pytest.skip("this machine counts cache misses")
    done = run_cli(["record", "-e", "cache-misses", "--", "true"])
    assert done.returncode == 125
    assert "PMU" in done.stderr and "page-faults" in one_sentence(done)
    assert files(tmp_path) == []


@pytest.mark.parametrize("arguments", [
    [], ["-F", "0", "true"], ["-F", "x", "true"], ["-I", "0", "true"], ["--source", "x", "true"],
    ["--max-size", "x", "true"], ["--watch", "101", "true"], ["--watch", "x", "true"],
    ["-e", "page-faults:0", "true"], ["-e", "", "true"],
    ["-e", "page-faults:x", "true"], ["-o", "no/such/folder", "true"], ["--frobnicate"]])
def test_wrong_usage(run_cli, tmp_path, arguments):
    done = run_cli(["record", *arguments])
    assert done.returncode == 125
    assert done.stdout == ""
    assert done.stderr.startswith("tallystack record: ")
    assert files(tmp_path) == []


@pytest.mark.parametrize("name, status", [("no-such-program", 127), ("./no-such-program", 127),
                                          ("./not-executable", 126), ("./a-folder", 126)])
def test_program_that_cannot_run(run_cli, tmp_path, name, status):
    (tmp_path / "not-executable").write_text("#!/bin/sh\n")
    (tmp_path / "a-folder").mkdir()
    before = files(tmp_path)
    done = run_cli(["record", "--", name])
    assert done.returncode == status
    assert name in one_sentence(done)
    assert files(tmp_path) == before


def test_program_that_cannot_run_leaves_the_older_recording(run_cli, tmp_path, python):
    run_cli(["record", "-q", "--", python, "-c", "pass"])
    before = run_cli(["report", "--csv"]).stdout
    assert run_cli(["record", "--", "no-such-program"]).returncode == 127
    assert files(tmp_path) == ["tallystack.rec"]
    assert run_cli(["report", "--csv"]).stdout == before


def unsupported(version):
    root = pathlib.Path(__file__).resolve().parents[2]
    lines = subprocess.run([root / "scripts/pythons", "--list", version], text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    return lines[0].split(" ", 1)[1] if lines else None


def old_python(need):
    for version in ("3.10", "3.9", "3.8"):
        if path := unsupported(version):
            return path, version
    need("python3.10", False, "there is no Python 3.10, 3.9 or 3.8 here")


def test_interpreter_that_is_too_old(run_cli, tmp_path, need):
    path, version = old_python(need)
    done = run_cli(["record", "--", path, "-c", "print('ran')"])
    assert done.returncode == 125
    assert f"Python {version}" in one_sentence(done)
    assert "--native" in done.stderr
    assert files(tmp_path) == []


def test_debug_build(run_cli, tmp_path, debug_python):
    done = run_cli(["record", "--", debug_python, "-c", "print('ran')"])
    assert done.returncode == 125
    assert "debug build" in one_sentence(done)
    assert files(tmp_path) == []


def test_refused_program_leaves_the_older_recording(run_cli, tmp_path, python, debug_python):
    run_cli(["record", "-q", "--", python, "-c", "pass"])
    before = run_cli(["report", "--csv"]).stdout
    assert run_cli(["record", "--", debug_python, "-c", "pass"]).returncode == 125
    assert files(tmp_path) == ["tallystack.rec"]
    assert run_cli(["report", "--csv"]).stdout == before


def test_unsupported_child_is_left_alone(record, python, debug_python, workloads, kernel_events):
    script = "import subprocess, sys; subprocess.run(sys.argv[1:], check=True)"
    done = record(python, "-c", script, debug_python, workloads / "fresh_pages.py", "1000")
    counts = done.self_of()
    assert counts["[Python 3.13 unsupported]"] >= 4000
    done.assert_sums_close()


def test_the_version_of_an_old_interpreter(record, tmp_path, build_c, kernel_events):
    """It has no number for it, but a text."""
    (tmp_path / "old.c").write_text("const char *Py_GetVersion(void) { return \"3.10.13 (x)\"; }\n"
                                    "int PyCode_Type;\nint main(void) { return 0; }\n")
    old = build_c(tmp_path / "old.c", "-rdynamic")
    assert "\npython: 3.10.13; " in record("sh", "-c", f"{old}; true").report()


@pytest.mark.parametrize("interpreter", ["python", "debug_python"])
def test_native(record, interpreter, request, workloads, kernel_events):
    done = record(request.getfixturevalue(interpreter), workloads / "fresh_pages.py", "1000",
                  options=("-e", "page-faults", "--native"))
    counts = done.self_of()
    assert counts["[native program]"] >= 4000
    assert set(counts) <= {"[native program]", "[start-up and exit]", "[tallystack]"}
    assert any("python3.1" in row["native"] for row in done.rows("native"))
    done.assert_sums_close()


def test_a_program_that_is_not_loaded(run_cli, tmp_path, build_c):
    """It runs no agent, and is not called static for it."""
    (tmp_path / "lack.c").write_text("int lack(void) { return 0; }")
    (tmp_path / "lacks.c").write_text("int lack(void); int main(void) { return lack(); }")
    library = build_c(tmp_path / "lack.c", "-shared", "-fPIC")
    program = build_c(tmp_path / "lacks.c", library)
    os.unlink(library)
    done = run_cli(["record", "--", program])
    assert done.returncode == 127
    assert "ended before it was loaded" in done.stderr


# Recordings


def test_a_recording_without_a_seal(run_cli, tmp_path, python):
    """Its totals are there, unless its recorder was killed; a file that may not be read is."""
    assert run_cli(["record", "-q", "--", python, "-c", "pass"]).returncode == 0
    (tmp_path / "tallystack.rec/seal").unlink()
    done = run_cli(["stat", "-i", "tallystack.rec"])
    assert "task-clock" in done.stdout
    assert "not sealed" in done.stderr and "no totals" not in done.stderr


def test_a_recording_that_may_not_be_read(run_cli, tmp_path, tallystack, python, as_nobody):
    assert run_cli(["record", "-q", "--", python, "-c", "pass"]).returncode == 0
    (tmp_path / "tallystack.rec/session.json").chmod(0)
    folder = os.open(tmp_path / "tallystack.rec", os.O_RDONLY)
    done = subprocess.run([*as_nobody, tallystack, "report", "-i", f"/proc/self/fd/{folder}"],
                          pass_fds=[folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          text=True)
    os.close(folder)
    assert done.returncode == 125
    assert "Permission denied" in one_sentence(done)


def test_rotation(run_cli, tmp_path, python):
    for name in ("first", "second", "third"):
        assert run_cli(["record", "-q", "--", python, "-c", f"def {name}(): pass\n"]).returncode == 0
    assert files(tmp_path) == ["tallystack.rec", "tallystack.rec.old"]
    assert "third" in run_cli(["report"]).stdout.splitlines()[0]
    assert "second" in run_cli(["report", "-i", "tallystack.rec.old"]).stdout.splitlines()[0]


@pytest.mark.parametrize("name", ["folder", "file", "folder/"])
def test_what_is_no_recording_is_not_overwritten(run_cli, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/precious").write_text("data")
    (tmp_path / "file").write_text("data")
    done = run_cli(["record", "-o", name, "--", "touch", "ran"])
    assert done.returncode == 125
    assert name in one_sentence(done)
    assert files(tmp_path) == ["file", "folder"]
    assert (tmp_path / "folder/precious").read_text() == "data"


def test_what_is_no_older_recording_is_not_overwritten(run_cli, tmp_path, python):
    run_cli(["record", "-q", "--", python, "-c", "pass"])
    (tmp_path / "tallystack.rec.old").mkdir()
    (tmp_path / "tallystack.rec.old/precious").write_text("data")
    done = run_cli(["record", "-q", "--", python, "-c", "pass"])
    assert (tmp_path / "tallystack.rec.old/precious").read_text() == "data"
    assert done.returncode == 125
    assert "tallystack.rec.old" in one_sentence(done)


@pytest.mark.parametrize("name", ["nothing", "folder", "file"])
def test_report_of_what_is_no_recording(run_cli, tmp_path, name):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("data")
    done = run_cli(["report", "-i", name])
    assert done.returncode == 125
    assert name in one_sentence(done)


@pytest.mark.parametrize("send, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143),
                                          (signal.SIGQUIT, 131)])
def test_terminal_signals_end_the_program_and_keep_the_recording(run_cli, tallystack, tmp_path,
                                                                 python, send, status):
    program = tmp_path / "endless.py"
    program.write_text("def spin():\n    for _ in range(100000): pass\n"
                       "print('there', flush=True)\nwhile True:\n    spin()\n")
    recorder = subprocess.Popen([tallystack, "record", "--", python, program], cwd=tmp_path,
                                text=True, start_new_session=True, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE)
    assert recorder.stdout.readline() == "there\n"
    time.sleep(0.3)
    os.killpg(recorder.pid, send)
    _, errors = recorder.communicate(timeout=20)
    assert recorder.returncode == status
    assert "Recorded in tallystack.rec" in errors
    report = run_cli(["report", "--csv"])
    assert (report.returncode, report.stderr) == (0, "")
    assert "__main__,spin," in report.stdout


def test_program_that_handles_ctrl_c(tallystack, tmp_path, python):
    program = tmp_path / "handles.py"
    program.write_text("import sys, time\n"
                       "try:\n    print('there', flush=True)\n    time.sleep(30)\n"
                       "except KeyboardInterrupt:\n    sys.exit(4)\n")
    recorder = subprocess.Popen([tallystack, "record", "-q", "--", python, program], cwd=tmp_path,
                                text=True, start_new_session=True, stdout=subprocess.PIPE)
    assert recorder.stdout.readline() == "there\n"
    os.killpg(recorder.pid, signal.SIGINT)
    assert recorder.wait(20) == 4


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1])
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_signal_comes_once(tallystack, tmp_path, python, send, number):
    program = tmp_path / "counts.py"
    program.write_text("import signal, sys, time\n"
                       "got = []\n"
                       "signal.signal(int(sys.argv[1]), lambda *_: got.append('got'))\n"
                       "print('there', flush=True)\n"
                       "while not got: time.sleep(0.01)\n"
                       "time.sleep(0.1)\n"
                       "print(*got)\n")
    recorder = subprocess.Popen([tallystack, "record", "-q", "--", python, program,
                                 str(int(number))], cwd=tmp_path, text=True,
                                start_new_session=True, stdout=subprocess.PIPE)
    assert recorder.stdout.readline() == "there\n"
    send(recorder.pid, number)
    assert recorder.communicate(timeout=20)[0] == "got\n"
    assert recorder.returncode == 0


@pytest.mark.parametrize("percent, account", [("0", "not-looked-at"), ("5", "sleep")])
def test_watch(run_cli, read_csv, python, percent, account):
    run_cli(["record", "-q", "--watch", percent, "--", python, "-c", "import time; time.sleep(0.5)"])
    report = run_cli(["report", "-e", "waits", "--by", "process", "--csv"]).stdout
    seconds = {row["event"]: float(row["self"]) / 1e9 for row in read_csv(report)}
    assert 0.45 < seconds[account] < 0.6
    assert percent != "0" or not {"sleep", "other-wait"} & set(seconds)


def test_max_size(run_cli, tmp_path, python, workloads, kernel_events):
    done = run_cli(["record", "-e", "page-faults", "--max-size", "300k", "--", python,
                    workloads / "fresh_pages.py", "10000"])
    assert done.returncode == 0
    assert "--max-size" in done.stderr
    size = sum(path.stat().st_size for path in (tmp_path / "tallystack.rec").iterdir())
    assert size < 330000
    check_lost(run_cli, "--max-size")


def test_max_size_spent_before_an_exec(run_cli, python):
    """What was told of the shell alone is no account of the program."""
    script = f"exec {python} -c 'import time; time.sleep(0.1)'"
    assert run_cli(["record", "-q", "--max-size", "64K", "--", "sh", "-c", script]).returncode == 0
    waits = run_cli(["report", "-e", "waits"])
    assert waits.returncode == 125
    assert "ended early" in one_sentence(waits)
    assert run_cli(["diagnose", "-i", "tallystack.rec"]).stdout.startswith("unknown: ")


def check_lost(run_cli, word, *where):
    """What could not be written is in a row of its own, and the sums still close."""
    report = run_cli(["report", *where])
    assert report.returncode == 0
    notes = [line for line in report.stdout.splitlines() if line.startswith("note: ")]
    assert len(notes) == 1 and word in notes[0] and "[lost]" in notes[0]
    total = int(re.search(r"total ([\d ]+)", report.stdout).group(1).replace(" ", ""))
    table = run_cli(["report", "--csv", *where]).stdout
    lost = int(re.search(r",\[lost\],,,page-faults,count,software,(\d+),", table).group(1))
    assert lost > 20000
    assert sum(int(row.split(",software,")[1].split(",")[0])
               for row in table.splitlines()[1:]) == total


def test_full_disk(run_cli, python, workloads, small_disk, kernel_events):
    path = small_disk("300k") / "full.rec"
    done = run_cli(["record", "-e", "page-faults", "-o", path, "--", python,
                    workloads / "fresh_pages.py", "10000"])
    assert done.returncode == 0
    assert "No space left" in done.stderr
    check_lost(run_cli, "No space left", "-i", path)


@pytest.mark.parametrize("pages", [1, 2, 3, 4, 8, 20])
def test_disk_that_is_full_at_once(run_cli, python, small_disk, kernel_events, pages):
    """However little room there is: no crash, no silence, and the program still runs."""
    path = small_disk(f"{4 * pages}k") / "full.rec"
    done = run_cli(["record", "-e", "page-faults", "-o", path, "--", python, "-c", "print('ran')"])
    assert done.returncode in (0, 125)
    assert "No space left" in done.stderr or done.returncode == 0
    if done.returncode == 0:
        assert done.stdout == "ran\n"
        assert run_cli(["report", "-i", path]).returncode == 0
    elif done.stdout == "":
        assert not path.exists()


# report


def test_columns(record, python, workloads):
    done = record(python, workloads / "cpu_load.py", "functions", "2:1", "0.05", "1", options=())
    for by, columns in COLUMNS.items():
        table = done.report("--csv", "--by", by)
        assert table.splitlines()[0] == columns + VALUES
        events = [event["name"] for event in done.run()["events"]]
        assert len(table.splitlines()) > len(events)
        assert {row["event"] for row in done.rows(by, events[0])} == {events[0]}


def test_limit_and_sort(record, run_cli, python, workloads, kernel_events):
    done = record(python, workloads / "fresh_pages.py", "1000",
                  options=("-e", "task-clock,page-faults:1"))
    everything = done.report("--csv").splitlines()
    limited = done.report("--csv", "--limit", "3", "--sort", "page-faults").splitlines()
    assert len(limited) == 1 + 3 * 2
    assert limited[1].startswith("__main__,three_times,")
    assert set(limited) <= set(everything)
    assert done.report("--csv", "--limit", "0").splitlines() == everything
    names = run_cli(["report", "-i", done.path, "--sort", "cycles"])
    assert names.returncode == 125
    assert "task-clock" in one_sentence(names)


def test_report_heading(record, python, workloads, kernel_events):
    done = record(python, workloads / "fresh_pages.py", "1000")
    heading = done.report().split("\n\n")[0]
    assert "fresh_pages.py 1000" in heading
    for word in (f"python: {python.version}.", "machine: ", "source software", "a sample every 1",
                 f"{sum(row['samples'] for row in done.rows())} samples", "% of the CPU time"):
        assert word in heading
    shown = done.report()
    assert "10 000" not in heading and " 3 000 " in shown and " exact " in shown


def test_tree(record, python, workloads, kernel_events):
    done = record(python, workloads / "fresh_pages.py", "1000")
    shown = [re.search(r"( *)(\S+)  fresh_pages", line).groups()
             for line in done.report("--tree").splitlines() if " fresh_pages" in line]
    # Each caller stands above what it calls, and less far to the right.
    assert [name for _, name in shown[:3]] == ["<module>", "main", "three_times"]
    assert len(shown[0][0]) < len(shown[1][0]) < len(shown[2][0])
    table = done.report("--tree", "--csv").splitlines()
    assert table[0] == "node,parent,module,function,file,line,event,unit,source,self,inclusive,samples"
    total = sum(int(row.split(",software,")[1].split(",")[0]) for row in table[1:])
    assert total == done.total("page-faults")
    few = [row.split(",")[:4] for row in done.report("--tree", "--csv", "--limit", "3").splitlines()[1:]]
    assert [name for *_, name in few] == ["<module>", "main", "three_times"]
    assert [parent for _, parent, *_ in few] == ["0", few[0][0], few[1][0]]


def test_a_tree_is_of_functions(run_cli):
    done = run_cli(["report", "--tree", "--by", "line"])
    assert (done.returncode, "--tree" in one_sentence(done)) == (125, True)


def test_tree_of_a_recursion(record, python, tmp_path, kernel_events):
    program = tmp_path / "sinks.py"
    program.write_text("""import mmap

def sink(depth):
    if depth:
        return sink(depth - 1)
    memory = mmap.mmap(-1, 500 * 4096)
    for page in range(500):
        memory[page * 4096] = 1

sink(79)
""")
    done = record(python, program)
    frames = [int((re.search(r"\((\d+) frames\)", line) or [0, 1])[1])
              for line in done.report("--tree").splitlines() if "sink  sinks.py:3" in line]
    # A new piece of the interpreter's stack is a fault of its own here and there.
    assert sum(frames) == 80 and len(frames) < 10
    nodes = {line.split(",")[0] for line in done.report("--tree", "--csv").splitlines()
             if ",sink," in line}
    assert len(nodes) == 80


def on_terminal(tallystack, columns, *arguments):
    """What the command prints on a terminal so wide."""
    ours, its = os.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with subprocess.Popen([tallystack, *map(str, arguments)], stdin=its, stdout=its,
                          stderr=its) as process:
        os.close(its)
        text = b""
        while select.select([ours], [], [], 30)[0]:
            try:
                text += os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
        assert process.wait() == 0
    os.close(ours)
    return text.decode().replace("\r\n", "\n")


def test_events_for_which_a_terminal_has_no_room(record, python, workloads, tallystack,
                                                 kernel_events):
    done = record(python, workloads / "fresh_pages.py", "100",
                  options=["-e", "page-faults:1,task-clock,context-switches"])
    wide = on_terminal(tallystack, 200, "report", "-i", done.path)
    assert "context-switches   " in wide and "no room" not in wide
    narrow = on_terminal(tallystack, 110, "report", "-i", done.path, "--sort", "task-clock")
    heading = next(line for line in narrow.splitlines() if not line.startswith(" ")
                   and "task-clock   " in line)
    assert heading.split() == ["page-faults", "task-clock"]
    assert "(no room for context-switches; " in narrow
    assert "no room" not in done.report()


@pytest.mark.parametrize("arguments", [["--by", "colour"], ["--limit", "x"], ["extra"], ["--nope"]])
def test_wrong_usage_of_report(run_cli, arguments):
    done = run_cli(["report", *arguments])
    assert done.returncode == 125
    assert done.stdout == ""
    assert done.stderr.startswith("tallystack report: ")


@pytest.mark.parametrize("limit", [8192, 600 << 10])
def test_limited_size_of_files(run_cli, python, tmp_path, limit):
    """A recording that may not grow is refused, or cut short; the limit's signal ends nobody."""
    program = "import json, email, decimal\nprint(sum(range(2_000_000)))"
    done = run_cli(["record", "-q", "-F", 20000, "--", python, "-c", program],
                   preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    if limit < 512 << 10:
        assert done.returncode == 125
        assert "8192 bytes" in one_sentence(done) and "ulimit -f" in done.stderr
        assert files(tmp_path) == []
    else:
        assert (done.returncode, done.stdout) == (0, "1999999000000\n"), done.stderr


def test_full_standard_output(tallystack, record, python):
    done = record(python, "-c", "pass", options=())
    with open("/dev/full", "w") as full:
        run = subprocess.run([tallystack, "report", "-i", done.path, "--csv"], stdout=full, text=True,
                             stderr=subprocess.PIPE)
    assert run.returncode == 125
    assert "No space left" in run.stderr


def test_recording_can_be_moved(record, run_cli, tmp_path, python, workloads):
    done = record(python, workloads / "fresh_pages.py", "100", options=())
    before = done.report("--csv")
    shutil.move(done.path, tmp_path / "elsewhere")
    assert run_cli(["report", "-i", "elsewhere", "--csv"]).stdout == before
