"""Where the kernel says no: sampling falls back to CPU timers aloud, or says what would mend it."""

import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

RUNS, ENOUGH = 12, 9  # fewer inside intervals of 95 % have a chance of 1 in 400
FALLBACK = "samples come from CPU timers (source clock), which interrupt system calls"


@pytest.fixture
def public(tallystack, workloads):
    """A copy of the command, its agent and the workloads that every user can read, and a folder
    that every user can write to."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    command = pathlib.Path(tallystack).resolve()
    (folder / "bin").mkdir()
    shutil.copy(command, folder / "bin")
    shutil.copytree(command.parent.parent / "lib/tallystack", folder / "lib/tallystack")
    shutil.copytree(workloads, folder / "workloads")
    (folder / "place").mkdir()
    (folder / "place").chmod(0o777)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def nobodys_python(as_nobody, python, need):
    """An interpreter that the user nobody can run."""
    for path in (python, "/usr/bin/python3"):
        if not subprocess.run([*as_nobody, path, "-c", "pass"], cwd="/", stderr=subprocess.DEVNULL
                              ).returncode:
            return path
    need("python for nobody", False, "no interpreter here can be run by another user")


def in_interval(recording, event="task-clock"):
    """For each function of cpu_load.py, whether its true share lies inside the printed interval."""
    rows = recording.rows("function", event)
    total = sum(row["self"] for row in rows)
    rows = {row["function"]: row for row in rows}
    assert total == recording.total(event)
    return [rows[name]["self_low"] / total <= seconds * 1e9 / total <= rows[name]["self_high"] / total
            for name, seconds in json.loads(recording.stdout).items()]


def count_inside(run):
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return [sum(column) for column in zip(*pool.map(lambda seed: in_interval(run(seed)),
                                                        range(RUNS)))]


@pytest.mark.parametrize("error", ["EACCES", "EPERM"])
def test_shares_by_cpu_timers(record, deny_perf, python, workloads, error):
    def run(seed):
        done = record(python, "-B", workloads / "cpu_load.py", "functions", "5:3:1", "0.6", seed,
                      options=(), before=[deny_perf, error])
        assert {event["source"] for event in done.run()["events"]} == {"clock"}
        return done
    counts = count_inside(run)
    print(error, counts)
    assert min(counts) >= ENOUGH, counts


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "ENOSYS"])
def test_first_line_says_so(tallystack, tmp_path, deny_perf, python, error):
    done = subprocess.run([deny_perf, error, tallystack, "record", "--", python, "-c", "pass"],
                          cwd=tmp_path, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == 0
    first = done.stderr.splitlines()[0]
    assert FALLBACK in first
    if error != "ENOSYS":
        assert "seccomp" in first and "docker run" in first
    report = subprocess.run([tallystack, "report"], cwd=tmp_path, text=True, stdout=subprocess.PIPE)
    assert any(line.startswith("note: ") and FALLBACK in line
               for line in report.stdout.splitlines())


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "ENOSYS"])
@pytest.mark.parametrize("events", ["page-faults", "context-switches", "task-clock,page-faults:1"])
def test_what_timers_cannot_do_is_refused(tallystack, tmp_path, deny_perf, python, error, events):
    done = subprocess.run([deny_perf, error, tallystack, "record", "-e", events, "--", python, "-c",
                           "print('ran')"], cwd=tmp_path, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.count("\n") == 1 and done.stderr.endswith(".\n")
    if error != "ENOSYS":
        assert "docker run" in done.stderr or "perf_event_paranoid" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_explicit_clock(tallystack, tmp_path, python):
    """Asked for, it is no fallback; what it cannot count is refused."""
    done = subprocess.run([tallystack, "record", "--source", "clock", "-e", "page-faults", "--",
                           python, "-c", "pass"], cwd=tmp_path, text=True, stderr=subprocess.PIPE)
    assert done.returncode == 125
    assert "task-clock" in done.stderr


@pytest.mark.parametrize("program, arguments, status", [
    ("pool.py", ["fork"], 0), ("nested.py", ["2", "--bare"], 0),
    ("execs.py", [], 0), ("many_threads.py", ["400", "100"], 0), ("signals.py", [], 0),
    ("closes_descriptors.py", ["range"], 0), ("ends.py", ["kill"], 137), ("ends.py", ["_exit"], 7),
    ("flow.py", [], 0), ("deep.py", ["20000"], 0), ("releases_gil.py", [], 0)])
def test_programs_of_every_kind(record, deny_perf, python, workloads, program, arguments, status):
    """Nothing hangs, nothing crashes, and the sums close."""
    plain = subprocess.run([python, "-B", workloads / program, *arguments], text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    done = record(python, "-B", workloads / program, *arguments, options=(), status=status,
                  before=[deny_perf, "EPERM"])
    assert len(done.stdout) > 0 or not plain.stdout
    for event in done.run()["events"]:
        counted = sum(row["self"] for row in done.rows("process", event["name"]))
        assert counted == event["total"]
    assert len(done.rows("process", "task-clock")) >= (3 if program == "nested.py" else 1)


def test_denied_within_the_run_only(record, deny_perf, python, workloads, kernel_events):
    """The recorder may count, the program's own processes may not: it counts for them."""
    done = record(deny_perf, "EPERM", python, "-B", workloads / "many_threads.py", 200, 50)
    assert done.self_of()["touch"] == pytest.approx(600, rel=0.01)
    done.assert_sums_close()


def test_unprivileged_shares(public, nobodys_python, as_nobody, record):
    command = public / "bin" / "tallystack"
    places = iter(range(10000))

    def run(seed):
        path = public / "place" / f"{next(places)}.rec"
        done = subprocess.run([*as_nobody, command, "record", "-q", "-o", path, "--", nobodys_python,
                               "-B", public / "workloads/cpu_load.py", "functions", "5:3:1", "0.6",
                               str(seed)], cwd=public / "place", text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, "")
        return record.read(done, path)
    counts = count_inside(run)
    assert min(counts) >= ENOUGH, counts


def test_unprivileged_events(public, nobodys_python, as_nobody, record):
    """Kernel events of an ordinary user are of his own code only, aloud, or refused with the mend."""
    command, path = public / "bin" / "tallystack", public / "place/faults.rec"
    level = int(pathlib.Path("/proc/sys/kernel/perf_event_paranoid").read_text())
    done = subprocess.run([*as_nobody, command, "record", "-e", "page-faults", "-o", path, "--",
                           nobodys_python, "-B", public / "workloads/fresh_pages.py", "1000"],
                          cwd=public / "place", text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    if done.returncode == 125:
        assert level > 2 or level < 0
        assert done.stderr.count("\n") == 1
        assert "sysctl kernel.perf_event_paranoid=1" in done.stderr
        assert not path.exists()
        return
    assert done.returncode == 0
    recording = record.read(done, path)
    assert recording.self_of()["once"] == pytest.approx(1000, abs=2)
    recording.assert_sums_close()
    if level > 1:
        assert "counts user code only" in done.stderr.splitlines()[0]
        heading = recording.report().split("\n\n")[0]
        assert "counts user code only" in heading
        assert "k=1" not in heading  # the encoding is that of what was counted


@pytest.mark.parametrize("release", ["5.13.0", "5.15.0-91-generic", "5.17.9"])
def test_kernels_whose_traps_are_not_safe(tallystack, tmp_path, build_c, python, workloads, release):
    library = build_c(workloads.parent / "fault/old_kernel.c", "-shared", "-fPIC")
    environment = dict(os.environ, LD_PRELOAD=library, OLD_KERNEL=release,
                       ASAN_OPTIONS="verify_asan_link_order=0")
    done = subprocess.run([tallystack, "record", "--", python, "-B", workloads / "signals.py"],
                          cwd=tmp_path, env=environment, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert json.loads(done.stdout)["SIGTRAP"] == 100
    first = done.stderr.splitlines()[0]
    assert FALLBACK in first or "refuses perf_event_open" in first
    if FALLBACK in first and "perf_event_open" not in first:
        assert release in first
    named = subprocess.run([tallystack, "record", "-e", "page-faults", "-o", "named.rec", "--",
                            python, "-c", "pass"], cwd=tmp_path, env=environment, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert named.returncode == 125
    assert named.stderr.count("\n") == 1
    assert not (tmp_path / "named.rec").exists()


def verdict_of(done, read_csv):
    assert done.returncode == 0, done.stderr
    program = [row for row in read_csv(done.stdout) if row["scope"] == "program"]
    assert len(program) == 1
    return program[0]["verdict"]


def at_once(diagnose, verdicts):
    """diagnose(kind) of programs that all wait."""
    with concurrent.futures.ThreadPoolExecutor(len(verdicts)) as pool:
        return dict(zip(verdicts, pool.map(diagnose, verdicts)))


def test_unprivileged_diagnosis(public, nobodys_python, as_nobody, read_csv):
    """Of a program of his own an ordinary user is told all causes."""
    verdicts = {"sleep": "sleeping", "http": "I/O-bound (network)", "lock": "lock-bound"}
    command = public / "bin/tallystack"

    def diagnose(kind):
        path = public / f"place/{kind}.rec"
        subprocess.run([*as_nobody, command, "record", "-q", "-o", path, "--", nobodys_python, "-B",
                        public / "workloads/waits.py", kind], cwd=public / "place", check=True)
        words = [*as_nobody, command, "diagnose", "-i", path]
        told = subprocess.run([*words, "--csv"], cwd="/", text=True, capture_output=True)
        assert "may not be read" not in subprocess.run(words, cwd="/", text=True, check=True,
                                                       capture_output=True).stdout
        return verdict_of(told, read_csv)

    assert at_once(diagnose, verdicts) == verdicts


def kernel_names_waits():
    """Whether this kernel tells the function that a child of ours sleeps in."""
    with subprocess.Popen(["sleep", "0.5"]) as child:
        names = set()
        while child.poll() is None:
            names.add(pathlib.Path(f"/proc/{child.pid}/wchan").read_text())
    return any("nanosleep" in name for name in names)


def test_diagnosis_by_kernel_functions(tallystack, python, build_c, workloads, tmp_path, read_csv,
                                       need):
    """The kernel's own functions tell most causes; a lock from the GIL they do not, nor is it
    guessed."""
    need("wchan", kernel_names_waits(), "this kernel does not tell where a process sleeps")
    verdicts = {"sleep": "sleeping", "pipe": "I/O-bound (pipe)", "child": "child-bound",
                "http": "I/O-bound (network)", "lock": "balanced"}
    hides = build_c(workloads.parent / "fault/deny_syscall_file.c", "-shared", "-fPIC")

    def diagnose(kind):
        subprocess.run([tallystack, "record", "-q", "-o", kind, "--", python, "-B",
                        workloads / "waits.py", kind], cwd=tmp_path, check=True,
                       start_new_session=True,  # without a terminal, to which TCP looks alike
                       env=dict(os.environ, LD_PRELOAD=hides,
                                ASAN_OPTIONS="verify_asan_link_order=0"))
        words = [tallystack, "diagnose", "-i", kind]
        told = subprocess.run([*words, "--csv"], cwd=tmp_path, text=True, capture_output=True)
        text = subprocess.run(words, cwd=tmp_path, text=True, capture_output=True).stdout
        assert "only as far as the kernel's own functions tell, and a lock not from the GIL" in text
        verdict = verdict_of(told, read_csv)
        assert ("no known cause stands out" in text) == (verdict == "balanced")
        return verdict

    assert at_once(diagnose, verdicts) == verdicts
