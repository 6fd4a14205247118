"""record with PAPI's other components, which count for the whole machine: a preloaded library plays
a meter of something that takes one watt."""

import csv
import io
import shutil
import subprocess
import time

import pytest

METER = "meter:::package"
PROGRAM = ("import time\n"
           "def work():\n"
           "    until = time.monotonic() + 0.2\n"
           "    while time.monotonic() < until: bytearray(100000)\n"
           "work()\n")


@pytest.fixture
def metered(record, fake_papi, python, kernel_events):
    def run(*options, status=0):
        return record(python, "-c", PROGRAM, options=options, status=status, env=fake_papi)
    return run


def show(tallystack, *words, status=0):
    done = subprocess.run([tallystack, *map(str, words)], text=True, timeout=60,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert done.returncode == status, done.stderr
    return done


def test_the_total_is_of_the_machine(metered, tallystack):
    begun = time.monotonic()
    recording = metered("-e", f"page-faults,{METER}")
    elapsed_nj = 1e9 * (time.monotonic() - begun)
    run = recording.run()
    assert [event["name"] for event in run["events"]] == ["page-faults"]
    assert run["wall_ns"] <= run["machine_wide"][0]["total"] <= elapsed_nj
    assert any(METER in note and "no function has a share" in note for note in run["notes"])
    rows = {row["event"]: row for row in csv.DictReader(
        io.StringIO(show(tallystack, "stat", "--csv", "-i", recording.path).stdout))}
    assert int(rows[METER]["value"]) == run["machine_wide"][0]["total"]
    assert rows[METER]["unit"] == "nJ" and rows[METER]["source"] == "hardware"
    watts = run["machine_wide"][0]["total"] / run["wall_ns"]
    assert rows[METER]["metric"] == f"{watts:.3f} W; machine-wide"


def test_no_function_has_a_share(metered, tallystack):
    recording = metered("-e", f"page-faults,{METER}")
    assert METER not in {row["event"] for row in csv.DictReader(
        io.StringIO(show(tallystack, "report", "--csv", "-i", recording.path).stdout))}
    recording.assert_sums_close()
    failed = show(tallystack, "report", "--sort", METER, "-i", recording.path, status=125)
    assert "counts for the whole machine and has no rows" in failed.stderr
    assert failed.stderr.count("\n") == 1


def test_the_series(metered, tallystack, tmp_path):
    recording = metered("-I", "20", "-e", f"page-faults,{METER}")
    text = (recording.path / "series.csv").read_text()
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["event"] == METER]
    assert len(rows) >= 2 and {row["unit"] for row in rows} == {"nJ"}
    values = [int(row["value"]) for row in rows]
    times = [float(row["time_s"]) for row in rows]
    assert values == sorted(values) and times == sorted(times)
    assert 0 < values[0] < values[-1] and times[0] < times[-1]
    # The last is the total.
    assert values[-1] == recording.run()["machine_wide"][0]["total"]
    if shutil.which("gnuplot"):
        picture = tmp_path / "timeline.txt"
        show(tallystack, "plot", "timeline", "-i", recording.path, "-o", picture)
        assert f"{METER}, watts · of the whole machine" in picture.read_text()


def test_alone_it_is_beside_time(metered):
    recording = metered("-e", METER)
    assert [event["name"] for event in recording.run()["events"]] == ["task-clock"]
    assert recording.run()["machine_wide"][0]["name"] == METER


def test_metrics_of_it(metered, tallystack, tmp_path):
    path = tmp_path / "power.group"
    path.write_text(f"SHORT x\nEVENTS\n energy = {METER} [nJ]\n busy = task-clock [ns]\nMETRICS\n"
                    " power [W] = energy / elapsed\n busy [s] = busy\nLONG\ny\n")
    recording = metered("-g", path)
    run = recording.run()
    rows = {row["event"]: row for row in csv.DictReader(io.StringIO(
        show(tallystack, "stat", "--csv", "-i", recording.path, "-g", path).stdout))}
    assert float(rows["power"]["value"]) == pytest.approx(
        run["machine_wide"][0]["total"] / run["wall_ns"], rel=1e-5)


def test_what_is_not_there(metered):
    failed = metered("-e", "page-faults,broken:::package", status=125)
    assert "no meter is plugged in" in failed.stderr and failed.stderr.count("\n") == 1
