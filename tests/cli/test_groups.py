"""Groups of metrics: list --groups, stat -g, files of one's own, an installation."""

import csv
import io
import subprocess

import pytest


def run(command, status=0):
    done = subprocess.run([str(word) for word in command], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == status, done.stderr
    return done


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def own(tmp_path):
    def write(metrics):
        path = tmp_path / "own.group"
        path.write_text("SHORT one of our own\nEVENTS\n busy = task-clock [ns]\n"
                        " faults = page-faults\n moves = cpu-migrations\nMETRICS\n"
                        f"{metrics}LONG\nmore is worse\n")
        return path
    return write


def test_list_tries_every_group(tallystack):
    rows = {row["group"]: row for row in rows_of(run([tallystack, "list", "--groups",
                                                      "--csv"]).stdout)}
    assert {"ipc", "cache", "tlb", "branches", "memory", "flops", "energy", "topdown", "software",
            "simulated"} <= set(rows)
    for row in rows.values():
        assert row["available"] in ("yes", "partly", "no")
        assert (row["available"] == "yes") == (row["reason"] == "")


def test_metrics_are_their_formulas(tallystack, own, kernel_events):
    path = own(" faults per CPU second [count/s] = faults / busy\n"
               " share [%] = busy / elapsed\n"
               " moves per fault [1] = moves / faults\n")
    rows = {row["event"]: row for row in rows_of(
        run([tallystack, "stat", "--csv", "-g", path, "--", "true"]).stderr)}
    counts = {name: float(rows[name]["value"]) for name in ("task-clock", "page-faults", "elapsed")}
    rate = rows["faults per CPU second"]
    assert rate["unit"] == "count/s" and rate["metric"] == "page-faults / task-clock"
    # A value has six digits.
    assert float(rate["value"]) == pytest.approx(
        counts["page-faults"] / counts["task-clock"] * 1e9, rel=1e-5)
    assert float(rows["share"]["value"]) == pytest.approx(
        100 * counts["task-clock"] / counts["elapsed"], rel=1e-5)


def test_division_by_zero_is_missing(tallystack, own, kernel_events):
    path = own(" none [1] = moves / (faults - faults)\n busy [s] = busy\n")
    done = run([tallystack, "stat", "--csv", "-g", path, "--", "true"])
    row = [row for row in rows_of(done.stderr) if row["event"] == "none"][0]
    assert row["value"] == "" and row["runs"] == "0"
    done = run([tallystack, "stat", "-g", path, "--", "true"])
    assert "its divisor, (faults - faults), is 0." in done.stderr


def test_error_names_file_and_line(tallystack, own):
    path = own(" a [s] = faults\n")
    done = run([tallystack, "stat", "-g", path, "--", "true"], 125)
    assert f"{path}:7: the formula of \"a\" is in count, which is not its unit, s." in done.stderr


def test_unknown_group(tallystack):
    done = run([tallystack, "stat", "-g", "nonsense", "--", "true"], 125)
    assert 'no metric group "nonsense"; there are branches, cache' in done.stderr


def test_report_carries_intervals(tallystack, own, kernel_events, tmp_path):
    path = own(" faults per CPU second [count/s] = faults / busy\n moves [count] = moves\n")
    program = tmp_path / "program.py"
    program.write_text("def touch():\n    for _ in range(300): bytearray(1000000)\ntouch()\n")
    recording = tmp_path / "rec"
    run([tallystack, "record", "-q", "-g", path, "-o", recording, "--", "/usr/bin/python3",
         program])
    counts = {(row["function"], row["event"]): row for row in rows_of(
        run([tallystack, "report", "--csv", "-i", recording]).stdout)}
    metrics = {(row["function"], row["metric"]): row for row in rows_of(
        run([tallystack, "report", "--csv", "-g", path, "-i", recording]).stdout)}
    rate = metrics["touch", "faults per CPU second"]
    busy, faults = counts["touch", "task-clock"], counts["touch", "page-faults"]
    assert float(rate["self"]) == pytest.approx(
        float(faults["self"]) / float(busy["self"]) * 1e9, rel=1e-5)
    # Single faults are exact, so the time's interval alone is carried.
    assert float(rate["self_low"]) == pytest.approx(
        float(faults["self"]) / float(busy["self_high"]) * 1e9, rel=1e-4)
    assert float(rate["self_high"]) == pytest.approx(
        float(faults["self"]) / float(busy["self_low"]) * 1e9, rel=1e-4)


METRICS = (" faults per CPU second [count/s] = faults / busy\n share [%] = busy / elapsed\n"
           " moves [count] = moves\n")
PROGRAM = ("import threading\n"
           "def touch():\n"
           "    for _ in range(300): bytearray(1000000)\n"
           "threads = [threading.Thread(target=touch) for _ in range(2)]\n"
           "for thread in threads: thread.start(); thread.join()\n")


def check_rate(rows):
    """The metric is that of the counts beside it."""
    rate = rows["faults per CPU second"]
    if float(rows["task-clock"]["value"]) == 0:
        assert rate["value"] == "" and rate["runs"] == "0"
    else:
        assert float(rate["value"]) == pytest.approx(
            1e9 * float(rows["page-faults"]["value"]) / float(rows["task-clock"]["value"]),
            rel=1e-5)
    assert rate["metric"] == "page-faults / task-clock" and rate["source"] == "software"


def parts(rows, *keys):
    """Rows by event, for each combination of the keys, in their order."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[key] for key in keys), {})[row["event"]] = row
    return found


def test_metrics_of_each_interval(tallystack, own, kernel_events):
    done = run([tallystack, "stat", "--csv", "-I", "20", "-g", own(METRICS), "--",
                "/usr/bin/python3", "-c", PROGRAM])
    rows = rows_of(done.stderr)
    assert list(rows[0]) == ["time_s", "event", "unit", "source", "value", "deviation", "runs",
                             "running", "metric"]
    before = 0
    for (time_s,), interval in parts(rows, "time_s").items():
        check_rate(interval)
        # Both ends are rounded to the microsecond, and the last interval may be a short one.
        length_ns, rounding_ns = 1e9 * (float(time_s) - before), 1e3
        share, busy_ns = (float(interval[name]["value"]) for name in ("share", "task-clock"))
        assert share >= 100 * busy_ns / (length_ns + rounding_ns) * (1 - 1e-5)
        assert share * max(length_ns - rounding_ns, 0) <= 100 * busy_ns * (1 + 1e-5)
        before = float(time_s)


def test_metrics_of_each_thread(tallystack, own, kernel_events):
    command = [tallystack, "stat", "--csv", "--per-thread", "-g", own(METRICS), "--",
               "/usr/bin/python3", "-c", PROGRAM]
    done = subprocess.run(command, text=True, timeout=60, stderr=subprocess.PIPE)
    if "does not report" in done.stderr:
        pytest.skip("this kernel does not report what threads count")
    assert done.returncode == 0, done.stderr
    rows = rows_of(done.stderr)
    assert list(rows[0])[:3] == ["process", "thread", "event"]
    threads = parts([row for row in rows if row["thread"]], "process", "thread")
    assert len(threads) == 3
    elapsed = next(float(row["value"]) for row in rows if row["event"] == "elapsed")
    for counts in threads.values():
        check_rate(counts)
        assert float(counts["share"]["value"]) == pytest.approx(
            100 * float(counts["task-clock"]["value"]) / elapsed, rel=1e-3, abs=1e-3)


def test_metrics_of_a_recording(tallystack, own, kernel_events, tmp_path):
    recording = tmp_path / "rec"
    run([tallystack, "record", "-q", "-e", "task-clock,page-faults", "-o", recording, "--",
         "/usr/bin/python3", "-c", PROGRAM])
    show = [tallystack, "stat", "-i", recording, "-g", own(METRICS)]
    rows = {row["event"]: row for row in rows_of(run(show + ["--csv"]).stdout)}
    check_rate(rows)
    assert float(rows["share"]["value"]) > 0
    # What the recording lacks is missing, and says why.
    assert rows["cpu-migrations"]["value"] == rows["moves"]["value"] == ""
    assert run(show).stdout.count('"cpu-migrations" is not in the recording') == 2


def test_a_recording_that_was_refused_an_event_tells_why(tallystack, own, fake_pmu,
                                                         kernel_events, tmp_path):
    path = tmp_path / "refused.group"
    path.write_text("SHORT x\nEVENTS\n busy = task-clock [ns]\n jumps = branches\nMETRICS\n"
                    " jumps per second [count/s] = jumps / busy\nLONG\ny\n")
    recording = tmp_path / "rec"
    subprocess.run([tallystack, "record", "-q", "-g", path, "-o", recording, "--",
                    "/usr/bin/python3", "-c", "pass"], check=True, timeout=60,
                   env=dict(fake_pmu, FAKE_PMU="dead"))
    shown = run([tallystack, "stat", "-i", recording, "-g", path]).stdout
    assert shown.count('"branches" opens here but stays 0') == 2


@pytest.mark.parametrize("option", [("-e", "task-clock"), ("-I", "10"), ("-r", "2"),
                                    ("--per-thread",), ("--multiplex",), ("--simulate",)])
def test_a_recording_is_not_counted_anew(tallystack, option, tmp_path):
    done = run([tallystack, "stat", "-i", tmp_path, *option], 125)
    assert "-i goes with -g, -o and --csv only" in done.stderr and done.stderr.count("\n") == 1


def test_an_event_of_a_group_that_is_unknown_is_a_missing_row(tallystack, tmp_path,
                                                              kernel_events):
    path = tmp_path / "partly.group"
    path.write_text("SHORT x\nEVENTS\n busy = task-clock [ns]\n heat = nonsense:::heat [nJ]\n"
                    "METRICS\n power [W] = heat / busy\nLONG\ny\n")
    rows = {row["event"]: row for row in rows_of(
        run([tallystack, "stat", "--csv", "-g", path, "--", "true"]).stderr)}
    assert rows["task-clock"]["value"]
    for name in ("nonsense:::heat", "power"):
        assert rows[name]["value"] == "" and rows[name]["runs"] == "0"
    assert rows["nonsense:::heat"]["unit"] == "nJ"
