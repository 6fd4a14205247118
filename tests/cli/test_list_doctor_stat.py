"""doctor, list and stat, as a user meets them."""

import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pytest

STAT_COLUMNS = ["event", "unit", "source", "value", "deviation", "runs", "running", "metric"]
LIST_COLUMNS = ["name", "source", "unit", "available", "reason", "description"]
DOCTOR_COLUMNS = ["check", "state", "detail", "fix"]
PYTHON = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable

# Touches 4000 fresh pages.
TOUCH = "import mmap; m = mmap.mmap(-1, 4000 * 4096)\nfor i in range(4000): m[i * 4096] = 1"


def run(*command, **options):
    options.setdefault("timeout", 60)
    return subprocess.run(command, capture_output=True, text=True, **options)


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def table(text):
    """The rows of a CSV table that messages come before, by event."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("event,"))
    return {row["event"]: row for row in rows("\n".join(lines[start:]))}


def one_sentence(text):
    assert text.count("\n") == 1, text
    assert text.endswith(".\n"), text


@pytest.fixture(scope="module")
def has_perf(tallystack):
    found = {row["name"]: row["available"] for row in
             rows(run(tallystack, "list", "--csv", "page-faults").stdout)}
    if found["page-faults"] != "yes":
        pytest.skip("this kernel refuses perf_event_open")


@pytest.fixture(scope="module")
def has_pmu(tallystack):
    found = {row["name"]: row["available"] for row in
             rows(run(tallystack, "list", "--csv", "cycles").stdout)}
    return found["cycles"] == "yes"


# stat: the program's own affairs


@pytest.mark.parametrize("script, status", [("exit 0", 0), ("exit 7", 7), ("kill -KILL $$", 137),
                                            ("kill -TERM $$", 143), ("exit 125", 125)])
def test_status_passes_through(tallystack, script, status):
    assert run(tallystack, "stat", "--", "sh", "-c", script).returncode == status


def test_stdout_and_stdin_are_the_programs(tallystack):
    done = run(tallystack, "stat", "--csv", "--", "sh", "-c", "cat; echo err >&2", input="in\n")
    assert done.stdout == "in\n"
    assert done.stderr.startswith("err\n")


def test_the_programs_options_are_its_own(tallystack):
    done = run(tallystack, "stat", "--csv", "printf", "%s ", "-e", "--csv", "-r", "3")
    assert done.stdout == "-e --csv -r 3 "
    assert table(done.stderr)["elapsed"]["runs"] == "1"


def test_missing_program(tallystack):
    done = run(tallystack, "stat", "no-such-program-anywhere")
    assert done.returncode == 127
    assert 'cannot run "no-such-program-anywhere"' in done.stderr
    one_sentence(done.stderr)


def test_program_that_is_not_executable(tallystack, tmp_path):
    program = tmp_path / "plain"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o644)
    done = run(tallystack, "stat", str(program))
    assert done.returncode == 126
    one_sentence(done.stderr)


@pytest.mark.parametrize("arguments, words", [
    (["-e", "page-fault", "true"], 'unknown event "page-fault"; nearest are page-faults'),
    (["-e", "zzzzzzzzzzzz", "true"], "tallystack list"),
    (["-e", "page-faults,page-faults", "true"], "twice"),
    (["-e", "faults,page-faults", "true"], "same event"),
    (["-e", "", "true"], "empty"),
    (["-e", "page-faults:1x", "true"], "the period"),
    (["-r", "0", "true"], "between 1 and"),
    (["-I", "x", "true"], "whole number"),
    (["-I", "10", "-r", "2", "true"], "cannot be combined"),
    (["-I", "10", "--per-thread", "true"], "neither -I nor -r"),
    (["-r", "2", "--per-thread", "true"], "neither -I nor -r"),
    (["-o", "/nonexistent/file", "true"], 'cannot write "/nonexistent/file"'),
    ([], "no program"),
    (["--"], "no program"),
])
def test_usage_errors(tallystack, arguments, words):
    done = run(tallystack, "stat", *arguments)
    assert done.returncode == 125
    assert words in done.stderr
    assert done.stdout == ""
    one_sentence(done.stderr)


# stat: the numbers


def test_columns(tallystack):
    done = run(tallystack, "stat", "--csv", "true")
    header = next(line for line in done.stderr.splitlines() if line.startswith("event,"))
    assert header.split(",") == STAT_COLUMNS
    found = table(done.stderr)
    for event in ("task-clock", "page-faults", "context-switches", "elapsed", "user", "system"):
        assert int(found[event]["value"]) >= 0
        assert found[event]["deviation"] == ""
        assert found[event]["runs"] == "1"
    assert found["task-clock"]["unit"] == "ns"
    assert found["page-faults"]["unit"] == "count"
    assert found["elapsed"]["source"] == "clock"


def test_page_faults_are_counted_in_children_too(tallystack, has_perf):
    def faults(*command):
        done = run(tallystack, "stat", "--csv", "-e", "page-faults", *command)
        row = table(done.stderr)["page-faults"]
        assert row["source"] == "software" and row["running"] == "1"
        return int(row["value"])

    few = faults(PYTHON, "-c", "import mmap")
    many = faults(PYTHON, "-c", TOUCH)
    child = faults("sh", "-c", '"$0" -c "$1"; true', PYTHON, TOUCH)
    assert many - few == pytest.approx(4000, abs=100)
    assert child >= many


def test_repeats(tallystack, has_perf):
    done = run(tallystack, "stat", "--csv", "-r", "4", "-e", "page-faults", "sh", "-c", "echo x")
    assert done.stdout == "x\n" * 4
    for row in table(done.stderr).values():
        assert row["runs"] == "4"
        assert float(row["deviation"]) >= 0


def test_intervals_add_up(tallystack, has_perf, tmp_path):
    output = tmp_path / "series.csv"
    done = run(tallystack, "stat", "-I", "50", "--csv", "-e", "page-faults,task-clock", "-o",
               str(output), "--", PYTHON, "-c", TOUCH + "\nimport time; time.sleep(0.3)")
    assert done.returncode == 0 and done.stderr == ""
    text = output.read_text()
    assert text.splitlines()[0].split(",") == ["time_s"] + STAT_COLUMNS
    series = [row for row in rows(text) if row["event"] == "page-faults"]
    times = [float(row["time_s"]) for row in series]
    assert len(series) >= 5
    assert times == sorted(times)
    assert 4000 < sum(int(row["value"]) for row in series) < 8000


# Three threads touch 1000, 2000 and 3000 fresh pages, a child 5000 and its thread 4000.
THREADS = """
import mmap, os, threading
def touch(pages):
    memory = mmap.mmap(-1, pages * 4096)
    for i in range(pages): memory[i * 4096] = 1
def run(*pages):
    threads = [threading.Thread(target=touch, args=(count,)) for count in pages]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
run(1000, 2000, 3000)
if os.fork() == 0:
    touch(5000)
    run(4000)
    os._exit(0)
os.wait()
"""


@pytest.fixture(scope="module")
def has_threads(tallystack, has_perf):
    done = run(tallystack, "stat", "--per-thread", "-e", "page-faults", "true")
    if done.returncode == 125:
        one_sentence(done.stderr)
        assert "does not report" in done.stderr
        pytest.skip("this kernel does not report what threads count")


def by_thread(tallystack, *command, events="page-faults", **options):
    done = run(tallystack, "stat", "--per-thread", "--csv", "-e", events, *command, **options)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[0].split(",") == ["process", "thread"] + STAT_COLUMNS
    return rows(done.stderr)


def test_each_thread_has_its_own_counts(tallystack, has_threads):
    found = by_thread(tallystack, PYTHON, "-c", THREADS)
    faults = [row for row in found if row["event"] == "page-faults"]
    processes = {row["process"] for row in faults}
    assert len(faults) == 6 and len(processes) == 2
    for row in faults:
        pid, name = row["process"].split(" ", 1)
        tid, own_name = row["thread"].split(" ", 1)
        assert name.startswith("python") and own_name
        assert (row["source"], row["running"]) == ("software", "1")
    counts = sorted(int(row["value"]) for row in faults if row["process"] != row["thread"])
    assert counts == [pytest.approx(pages, abs=50) for pages in (1000, 2000, 3000, 4000)]
    child = max((row for row in faults if row["process"] == row["thread"]),
                key=lambda row: int(row["process"].split()[0]))
    assert int(child["value"]) == pytest.approx(5000, abs=600)
    elapsed = next(row for row in found if row["event"] == "elapsed")
    assert elapsed["process"] == elapsed["thread"] == ""


def test_threads_sum_to_the_total(tallystack, has_threads, workloads):
    """Of many short threads none is missed: they touch their pages each."""
    command = (PYTHON, "-B", str(workloads / "many_threads.py"), "300", "60")
    sums = [sum(int(row["value"]) for row in by_thread(tallystack, *command)
                if row["event"] == "page-faults") for _ in range(3)]
    totals = [int(table(run(tallystack, "stat", "--csv", "-e", "page-faults", *command).stderr)
                  ["page-faults"]["value"]) for _ in range(3)]
    spread = max(totals + sums) - min(totals + sums)
    assert min(sums) > 300 and spread < 300, (sums, totals)


OUTLIVED = """
import os, time
done, told = os.pipe()
if os.fork():
    os.read(done, 1)  # the child has counted something by then
else:
    os.write(told, b".")
    os.closerange(0, 3)
    time.sleep(3)
"""


def test_what_outlives_the_program_has_a_row(tallystack, has_threads):
    found = by_thread(tallystack, PYTHON, "-c", OUTLIVED)
    rest = [row for row in found if row["thread"] == "[still running]"]
    assert len(rest) == 1 and int(rest[0]["value"]) > 0 and rest[0]["process"] == ""


def test_threads_of_hardware_events(tallystack, has_threads, fake_pmu):
    found = by_thread(tallystack, PYTHON, "-c", THREADS, events="cycles,instructions", env=fake_pmu)
    counts = sorted(int(row["value"]) for row in found if row["event"] == "instructions" and
                    row["process"] != row["thread"])
    assert counts == [pytest.approx(pages, abs=50) for pages in (1000, 2000, 3000, 4000)]


def test_threads_need_the_kernel(tallystack, deny_perf):
    done = run(deny_perf, "EACCES", tallystack, "stat", "--per-thread", "-e", "task-clock", "true")
    assert done.returncode == 125
    assert done.stderr.splitlines()[-1].endswith(".")


def test_output_goes_to_a_file(tallystack, tmp_path):
    output = tmp_path / "totals.csv"
    done = run(tallystack, "stat", "--csv", "-o", str(output), "true")
    assert not any(line.startswith("event,") for line in done.stderr.splitlines())
    assert "elapsed" in table(output.read_text())


def test_time_by_mode_is_not_the_whole(tallystack):
    spin = "import os\nfor i in range(2000000): pass\nfor i in range(100000): os.getppid()"
    done = run(tallystack, "stat", "--csv", "-e", "task-clock:u,task-clock:k,task-clock", PYTHON,
               "-c", spin)
    found = table(done.stderr)
    user, kernel = int(found["task-clock:u"]["value"]), int(found["task-clock:k"]["value"])
    assert found["task-clock:u"]["source"] == "clock"
    assert user == pytest.approx(int(found["user"]["value"]), rel=0.01)
    assert user + kernel == pytest.approx(int(found["task-clock"]["value"]), rel=0.1, abs=5e6)


def test_screen(tallystack):
    done = run(tallystack, "stat", "-r", "2", "true")
    assert "Counted for true, mean of 2 runs" in done.stderr
    assert re.search(r"[\d,]+ +page-faults +(software|clock)", done.stderr)
    assert re.search(r"\d+\.\d+ s +elapsed +clock", done.stderr)


def test_interrupt_reaches_the_program(tallystack):
    command = subprocess.Popen([tallystack, "stat", "--csv", "-r", "3", "sleep", "20"],
                               stderr=subprocess.PIPE, text=True, start_new_session=True)
    time.sleep(0.5)
    os.killpg(command.pid, signal.SIGINT)
    assert command.wait(timeout=10) == 130
    assert table(command.stderr.read())["elapsed"]["runs"] == "1"
    command.stderr.close()


def test_no_pmu_is_a_sentence(tallystack, has_pmu):
    done = run(tallystack, "stat", "-e", "cache-misses", "true")
    if has_pmu:
        assert done.returncode == 0
        return
    assert done.returncode == 125
    assert "PMU" in done.stderr or "may not be counted" in done.stderr
    one_sentence(done.stderr)


def test_hardware_events_with_a_pmu(tallystack, has_perf, fake_pmu):
    done = run(tallystack, "stat", "--csv", "-e", "cycles,instructions:u,PAPI_TOT_INS", PYTHON,
               "-c", TOUCH, env=fake_pmu)
    assert done.returncode == 0, done.stderr
    found = table(done.stderr)
    for event in ("cycles", "instructions:u", "PAPI_TOT_INS"):
        assert found[event]["source"] == "hardware" and found[event]["running"] == "1"
        assert int(found[event]["value"]) >= 4000
    assert "cycles" in table(run(tallystack, "stat", "--csv", "true", env=fake_pmu).stderr)


def test_a_pmu_that_stays_0_is_not_available(tallystack, has_perf, fake_pmu):
    dead = dict(fake_pmu, FAKE_PMU="dead")
    found = {row["name"]: row for row in
             rows(run(tallystack, "list", "--csv", env=dead).stdout)}
    for name in ("branches", "branch-misses", "L1-dcache-load-misses"):
        assert found[name]["available"] == "no" and "stays 0" in found[name]["reason"]
    assert found["cache-misses"]["available"] == "unproven"
    done = run(tallystack, "stat", "-e", "cycles", "true", env=dead)
    assert done.returncode == 125
    one_sentence(done.stderr)
    done = run(tallystack, "stat", "--csv", "-e", "cache-misses", "true", env=dead)
    row = table(done.stderr)["cache-misses"]
    assert row["value"] == "0" and row["metric"] == "unproven"
    done = run(tallystack, "stat", "--csv", "-e", "page-faults,branches", "true", env=dead)
    assert done.returncode == 0
    assert int(table(done.stderr)["page-faults"]["value"]) > 0
    assert table(done.stderr)["branches"]["value"] == ""
    assert "instructions" not in table(run(tallystack, "stat", "--csv", "true", env=dead).stderr)


def test_what_stays_0_beside_others_is_missing(tallystack, has_perf, fake_pmu):
    dead = dict(fake_pmu, FAKE_PMU="dead")
    for options in ([], ["-I", "1000"]):
        done = run(tallystack, "stat", "--csv", *options, "-e", "branches,page-faults", "true",
                   env=dead)
        assert done.returncode == 0
        found = {row["event"]: row for row in rows(done.stderr)}
        assert found["branches"]["value"] == found["branches"]["running"] == ""
        assert found["branches"]["runs"] == "0"
        assert int(found["page-faults"]["value"]) > 0
    on_screen = run(tallystack, "stat", "-e", "branches,page-faults", "true", env=dead).stderr
    assert re.search(r" - +branches +hardware +.*stays 0 while it must move", on_screen)


FIVE = "cycles,instructions,branches,cache-references,cache-misses"


def test_more_events_than_counters(tallystack, has_perf, fake_pmu):
    three = dict(fake_pmu, FAKE_COUNTERS="3")
    done = run(tallystack, "stat", "-e", "page-faults," + FIVE, "true", env=three)
    assert done.returncode == 125
    assert "5 events" in done.stderr and "the first 3" in done.stderr
    assert "--multiplex" in done.stderr
    one_sentence(done.stderr)
    assert run(tallystack, "stat", "-e", "cycles,instructions,branches", "true",
               env=three).returncode == 0
    done = run(tallystack, "stat", "--csv", "true", env=three)
    assert done.returncode == 0 and "no counter for it" in done.stderr
    assert "branches" in table(done.stderr) and "cache-misses" not in table(done.stderr)


def test_events_take_turns(tallystack, has_perf, fake_pmu):
    """Two of the processor's five have a counter at a time, so that each runs 40 % of the time."""
    two = dict(fake_pmu, FAKE_COUNTERS="2")
    spin = "import time\nend = time.process_time() + 0.6\nwhile time.process_time() < end: pass"
    done = run(tallystack, "stat", "--csv", "--multiplex", "-e", "task-clock," + FIVE, PYTHON, "-c",
               spin, env=two)
    assert done.returncode == 0, done.stderr
    found = table(done.stderr)
    cycles, clock = found["cycles"], int(found["task-clock"]["value"])
    assert float(cycles["running"]) == pytest.approx(0.4, abs=0.001)
    assert cycles["runs"] == "1" and float(cycles["deviation"]) >= 0
    assert abs(int(cycles["value"]) - clock) < 3 * float(cycles["deviation"]) + 1e6
    assert found["task-clock"]["running"] == "1" and found["task-clock"]["deviation"] == ""
    done = run(tallystack, "stat", "--csv", "--multiplex", "-e", FIVE, "true", env=two)
    row = table(done.stderr)["cycles"]
    assert "too little for its deviation" in row["metric"] and row["deviation"] == ""
    series = rows(run(tallystack, "stat", "--csv", "--multiplex", "-I", "100", "-e", FIVE, PYTHON,
                      "-c", spin, env=two).stderr)
    assert sum(int(row["value"]) for row in series if row["event"] == "cycles") > 5e8
    assert all(row["running"] == "0.4" for row in series)


def test_user_and_kernel_side_by_side(tallystack, has_perf, fake_pmu):
    done = run(tallystack, "stat", "--csv", "-e",
               "page-faults,page-faults:u,page-faults:k,instructions:u,cycles:u", PYTHON, "-c",
               TOUCH, env=fake_pmu)
    found = table(done.stderr)
    user, kernel = int(found["page-faults:u"]["value"]), int(found["page-faults:k"]["value"])
    assert user > 4000 and user + kernel == int(found["page-faults"]["value"])
    assert re.search(r"\d % of both", found["page-faults:k"]["metric"])
    assert "per cycle" in found["instructions:u"]["metric"]


def test_other_components_of_papi(tallystack, fake_papi):
    """meter:::package has exactly one watt."""
    done = run(tallystack, "stat", "--csv", "-e", "meter:::package,task-clock", "sleep", "0.3",
               env=fake_papi)
    assert done.returncode == 0, done.stderr
    found = table(done.stderr)
    energy, elapsed = found["meter:::package"], int(found["elapsed"]["value"])
    assert (energy["unit"], energy["source"]) == ("nJ", "hardware")
    assert elapsed <= int(energy["value"]) < elapsed + 5e7
    assert re.fullmatch(r"1\.[01]\d\d W; machine-wide", energy["metric"])
    series = rows(run(tallystack, "stat", "--csv", "-I", "100", "-e", "meter:::package", "sleep",
                      "0.45", env=fake_papi).stderr)
    assert len(series) == 5
    assert sum(int(row["value"]) for row in series) == pytest.approx(4.5e8, rel=0.2)
    listed = rows(run(tallystack, "list", "--csv", ":::", env=fake_papi).stdout)
    found = {row["name"]: row for row in listed}
    assert found["meter:::package"]["available"] == "yes"
    assert "machine-wide" in found["meter:::package"]["description"]
    assert found["io:::rchar"]["available"] == "no"


@pytest.mark.parametrize("command, words", [
    (["stat", "-e", "io:::rchar"], "of tallystack itself"),
    (["stat", "-e", "broken:::package"], "no meter is plugged in"),
    (["stat", "-e", "meter:::pakage"], "tallystack list meter"),
    (["stat", "-e", "nothing:::at:all"], "without such a component"),
    (["stat", "--per-thread", "-e", "meter:::package"], "thread by thread"),
    (["record", "-e", "broken:::package"], "no meter is plugged in"),
])
def test_components_that_cannot_count(tallystack, fake_papi, tmp_path, command, words):
    done = run(tallystack, *command, "true", env=fake_papi, cwd=tmp_path)
    assert done.returncode == 125
    assert words in done.stderr
    one_sentence(done.stderr)


def test_precision_falls_aloud(tallystack, has_perf, fake_pmu):
    one = dict(fake_pmu, FAKE_PRECISE="1")
    done = run(tallystack, "stat", "--csv", "-e", "cycles:ppp", "true", env=one)
    assert done.returncode == 0
    assert '"cycles:ppp"' in done.stderr.splitlines()[0]
    assert int(table(done.stderr)["cycles:ppp"]["value"]) > 0


# where the kernel says no


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "ENOSYS"])
def test_denied(tallystack, deny_perf, error):
    done = run(deny_perf, error, tallystack, "stat", "--csv", "sh", "-c", "exit 3")
    assert done.returncode == 3
    message = done.stderr.splitlines()[0]
    assert message.startswith("tallystack stat: ") and message.endswith("allows more.")
    found = table(done.stderr)
    assert found["task-clock"]["source"] == found["page-faults"]["source"] == "clock"
    assert int(found["page-faults"]["value"]) > 0
    assert found["cpu-migrations"]["value"] == found["cpu-migrations"]["running"] == ""
    assert found["cpu-migrations"]["runs"] == "0"
    on_screen = run(deny_perf, error, tallystack, "stat", "true").stderr
    assert re.search(r" - +cpu-migrations +clock +the process's own accounts do not have it",
                     on_screen)


@pytest.mark.parametrize("error", ["EACCES", "EPERM", "ENOSYS"])
def test_denied_by_name(tallystack, deny_perf, error):
    done = run(deny_perf, error, tallystack, "stat", "-e", "page-faults", "true")
    assert done.returncode == 125
    assert "allows it" in done.stderr
    one_sentence(done.stderr)
    done = run(deny_perf, error, tallystack, "stat", "--csv", "-e", "task-clock", PYTHON, "-c",
               "for i in range(3000000): pass")
    assert done.returncode == 0
    assert "the process's own accounts" in done.stderr.splitlines()[0]
    row = table(done.stderr)["task-clock"]
    assert row["source"] == "clock" and int(row["value"]) > 1e7


def test_denied_intervals(tallystack, deny_perf):
    done = run(deny_perf, "EPERM", tallystack, "stat", "--csv", "-I", "50", PYTHON, "-c",
               TOUCH + "\nimport time; time.sleep(0.2)")
    text = done.stderr[done.stderr.index("time_s,"):]
    faults = [row for row in rows(text) if row["event"] == "page-faults"]
    switches = [row for row in rows(text) if row["event"] == "context-switches"]
    assert len(faults) >= 3
    assert 4000 < sum(int(row["value"]) for row in faults) < 8000
    assert all(row["value"] == "" for row in switches)


def test_unprivileged(tallystack, as_nobody):
    folder = tempfile.mkdtemp()
    os.chmod(folder, 0o755)
    command = shutil.copy(tallystack, folder)
    try:
        done = run(*as_nobody, command, "stat", "--csv", "sh", "-c", "exit 3", cwd="/")
        level = int(open("/proc/sys/kernel/perf_event_paranoid").read())
        doctor = rows(run(*as_nobody, command, "doctor", "--csv", cwd="/").stdout)
        named = run(*as_nobody, command, "stat", "-e", "context-switches", "true", cwd="/")
    finally:
        shutil.rmtree(folder)
    assert done.returncode == 3
    assert int(table(done.stderr)["page-faults"]["value"]) > 0
    if level > 1:
        assert f"perf_event_paranoid is {level}" in done.stderr.splitlines()[0]
        assert "sudo sysctl kernel.perf_event_paranoid=1" in done.stderr.splitlines()[0]
        assert named.returncode == 125
        one_sentence(named.stderr)
        states = {row["check"]: row for row in doctor}
        assert states["perf_event_open"]["state"] in ("limited", "no")
        assert states["perf_event_open"]["fix"] == "sudo sysctl kernel.perf_event_paranoid=1"
        assert "setcap cap_perfmon+ep" in states["perf_event_paranoid"]["fix"]


# list


def test_list_columns_and_values(tallystack):
    done = run(tallystack, "list", "--csv")
    assert done.returncode == 0 and done.stderr == ""
    found = rows(done.stdout)
    assert list(found[0]) == LIST_COLUMNS
    by_name = {row["name"]: row for row in found}
    for name in ("cycles", "L1-dcache-load-misses", "page-faults", "cs", "task-clock"):
        row = by_name[name]
        assert row["available"] in ("yes", "no", "unproven")
        assert (row["reason"] != "") == (row["available"] == "no") or "user code only" in row["reason"]
        assert row["description"]
    assert by_name["task-clock"]["unit"] == "ns"
    assert by_name["PAPI_TOT_CYC"]["available"] == ""


def test_list_pattern(tallystack):
    names = [row["name"] for row in rows(run(tallystack, "list", "--csv", "FAULTS").stdout)]
    assert "page-faults" in names and "perf::PAGE-FAULTS" in names
    assert all("faults" in name.lower() for name in names)
    names = [row["name"] for row in rows(run(tallystack, "list", "--csv", "PAPI_L1_*").stdout)]
    assert names and all(name.startswith("PAPI_L1_") for name in names)
    presets = rows(run(tallystack, "list", "--csv", "PAPI_TOT_CYC").stdout)
    assert presets[0]["available"] in ("yes", "no", "unproven")


def test_list_of_nothing(tallystack):
    done = run(tallystack, "list", "chache")
    assert done.returncode == 125 and done.stdout == ""
    assert "cache-misses" in done.stderr
    one_sentence(done.stderr)


def test_list_names_can_be_counted(tallystack, has_perf):
    usable = [row["name"] for row in rows(run(tallystack, "list", "--csv", "perf::*").stdout)
              if row["available"] == "yes"]
    assert usable
    for name in usable:
        done = run(tallystack, "stat", "--csv", "-e", name, "true")
        assert done.returncode == 0, done.stderr
        assert int(table(done.stderr)[name]["value"]) >= 0


# doctor


def test_doctor(tallystack, tmp_path):
    done = run(tallystack, "doctor", "--csv", cwd=tmp_path)
    assert done.returncode == 0 and done.stderr == ""
    found = rows(done.stdout)
    assert list(found[0]) == DOCTOR_COLUMNS
    assert all(row["state"] in ("ok", "limited", "no") for row in found)
    checks = [row["check"] for row in found]
    for check in ("kernel", "perf_event_open", "perf_event_paranoid", "sigtrap", "pmu", "papi",
                  "libpfm4", "python", "gnuplot", "file_system"):
        assert check in checks
    for check in ("container", "seccomp", "cores"):
        assert check in checks
    assert list(tmp_path.iterdir()) == []


def test_doctor_explains_components(tallystack, fake_papi):
    found = {row["check"]: row for row in rows(run(tallystack, "doctor", "--csv",
                                                   env=fake_papi).stdout)}
    assert found["papi_meter"]["state"] == "ok"
    assert found["papi_broken"]["state"] == "no"
    assert found["papi_broken"]["detail"] == "no meter is plugged in"


def test_doctor_behind_a_filter(tallystack, deny_perf):
    found = {row["check"]: row for row in rows(run(deny_perf, "EPERM", tallystack, "doctor",
                                                   "--csv").stdout)}
    assert found["seccomp"]["state"] == "no"
    assert "docker run" in found["seccomp"]["fix"]


def test_doctor_judges_pythons(tallystack, tmp_path):
    answers = {
        "python3": ("3.12.4", "cpython", "-", 0), "python3.8": ("3.8.1", "cpython", "-", 0),
        "python3.13t": ("3.13.0", "cpython", "t", 0), "python3.14": ("3.14.0", "cpython", "-", 1),
        "python3.10": ("3.10.9", "pypy", "-", 0),
    }
    for name, answer in answers.items():
        program = tmp_path / name
        line = "\t".join(str(part) for part in (program,) + answer)
        program.write_text(f"#!/bin/sh\necho '{line}'\n")
        program.chmod(0o755)
    (tmp_path / "python3-config").write_text("#!/bin/sh\nexit 1\n")
    environment = {"PATH": f"{tmp_path}:/nonexistent", "HOME": str(tmp_path)}
    done = run(tallystack, "doctor", "--csv", env=environment)
    details = {row["detail"].split()[0]: row for row in rows(done.stdout)
               if row["check"] == "python"}
    assert details["3.12.4"]["state"] == "ok"
    assert "3.11 to 3.15 are supported" in details["3.8.1"]["detail"]
    assert "free-threaded" in details["3.13.0"]["detail"]
    assert "trace-refs" in details["3.14.0"]["detail"]
    assert "not CPython" in details["3.10.9"]["detail"]
    assert len(details) == len(answers)


def test_full_disk_is_noticed(tallystack):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([tallystack, "list", "--csv", "cycles"], stdout=full,
                              stderr=subprocess.PIPE, text=True)
    assert done.returncode == 125 and "cannot write" in done.stderr
    done = run(tallystack, "stat", "-o", "/dev/full", "true")
    assert done.returncode == 125 and "cannot write" in done.stderr


@pytest.mark.parametrize("beside", ["--models", "--simulate", "faults"])
def test_groups_are_listed_alone(run_cli, beside):
    done = run_cli(["list", "--groups", beside])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (125, "", 1)


def test_a_program_without_a_cpu_is_starved(run_cli, python):
    """The kernel tells how long the main thread was ready to run, and stat whether that is most."""
    cpu = min(os.sched_getaffinity(0))
    loop = ["taskset", "-c", str(cpu), python, "-c"]
    rivals = [subprocess.Popen([*loop, "while True: pass"]) for _ in range(2)]
    try:
        done = run_cli(["stat", "-e", "task-clock", *loop, "sum(range(10_000_000))"])
    finally:
        for rival in rivals:
            rival.kill()
            rival.wait()
    assert "\nstarved (no CPU to run on): " in done.stderr, done.stderr
    asleep = run_cli(["stat", "-e", "task-clock", "sleep", "0.3"]).stderr
    assert "\nWaiting: " in asleep and "ready without a CPU: " in asleep, asleep
