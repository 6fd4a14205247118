"""record on the processor's events, where a preloaded library plays the processor."""

import pytest

TOUCH = ("import mmap\n"
         "def touch():\n"
         "    memory = mmap.mmap(-1, 20000 * 4096)\n"
         "    for i in range(20000): memory[i * 4096] = 1\n"
         "touch()\n")


@pytest.fixture
def record_with(record, fake_pmu, python, kernel_events):
    """record_with(events, variable=value, ...): records 20 000 page faults of touch(), which that
    processor calls instructions."""
    def run(events, status=0, **variables):
        return record(python, "-c", TOUCH, options=("-e", events), status=status,
                      env=dict(fake_pmu, **variables))
    return run


def notes_of(recording):
    return " ".join(recording.run()["notes"])


def test_each_event_has_its_own_period(record_with):
    recording = record_with("instructions:100,cycles:1M")
    assert [event["period"] for event in recording.run()["events"]] == [100, 1000000]
    row = next(row for row in recording.rows("function") if row["function"] == "touch")
    assert row["self_low"] <= 20000 <= row["self_high"] + 50
    assert row["samples"] == pytest.approx(200, abs=3)
    assert row["source"] == "hardware"
    recording.assert_sums_close()


def test_precision_that_there_is(record_with):
    assert "cycles:pp" not in notes_of(record_with("cycles:pp:1M"))
    recording = record_with("cycles:pp:1M", FAKE_PRECISE="1")
    assert '"cycles:pp" is taken with precision :p only' in notes_of(recording)
    assert recording.run()["events"][0]["terms"][0]["precise"] == 1
    assert "without precision" in notes_of(record_with("cycles:p:1M", FAKE_PRECISE="0"))


def test_more_events_than_counters(record_with):
    events = "cycles:1M,instructions:0,branches:0"
    failed = record_with(events, status=125, FAKE_COUNTERS="2")
    assert "3 events" in failed.stderr and "the first 2" in failed.stderr
    assert failed.stderr.count("\n") == 1
    assert "too few counters" in notes_of(record_with(events, FAKE_COUNTERS="5"))
    assert "too few counters" not in notes_of(record_with(events, FAKE_COUNTERS="6"))


def test_what_stays_0_is_left_out_aloud(record_with):
    recording = record_with("task-clock,branches:0", FAKE_PMU="dead")
    assert [event["name"] for event in recording.run()["events"]] == ["task-clock"]
    missing, = recording.run()["missing"]
    assert (missing["name"], missing["unit"], missing["source"]) == ("branches", "count", "hardware")
    assert "stays 0" in missing["why"]
    failed = record_with("branches", status=125, FAKE_PMU="dead")
    assert "stays 0" in failed.stderr and failed.stderr.count("\n") == 1


@pytest.fixture
def with_missing(record_with):
    """A recording of page faults, before which branches were asked for in vain."""
    return record_with("branches:100,page-faults,cache-references:0", FAKE_PMU="dead")


def values_of(row, names):
    return [row[name] for name in names]


def test_what_is_missing_is_said(run_cli, fake_pmu, kernel_events, python):
    done = run_cli(["record", "-e", "page-faults,branches:100", "--", python, "-c", "pass"],
                   env=dict(fake_pmu, FAKE_PMU="dead"))
    assert done.returncode == 0
    assert 'tallystack record: branches is not counted: "branches" opens here but stays 0' in done.stderr
    heading = next(line for line in done.stderr.splitlines() if line.startswith("page-faults"))
    assert heading.split() == ["page-faults", "branches"]
    row = next(line for line in done.stderr.splitlines() if "exact" in line)
    assert row.split().count("-") == 2


def test_nothing_is_left_to_sample_by(record_with):
    failed = record_with("branches,page-faults:0", status=125, FAKE_PMU="dead")
    assert '"branches" opens here but stays 0' in failed.stderr
    assert failed.stderr.count("\n") == 1


@pytest.mark.parametrize("by", ["function", "line", "module", "thread", "process", "native"])
def test_what_is_missing_has_rows_with_empty_fields(with_missing, read_csv, by):
    rows = read_csv(with_missing.report("--csv", "--by", by))
    assert [row["event"] for row in rows] == ["page-faults", "branches", "cache-references"] * (
        len(rows) // 3)
    names = ("self", "inclusive", "samples", "self_low", "self_high", "running")
    for row in rows:
        is_missing = row["event"] != "page-faults"
        assert all((row[name] == "") == is_missing for name in names), row
        assert row["unit"] == "count" and row["source"] == ("hardware" if is_missing else "software")


def test_what_is_missing_in_the_tree(with_missing, read_csv):
    rows = read_csv(with_missing.report("--csv", "--tree"))
    assert {row["event"] for row in rows} == {"page-faults", "branches", "cache-references"}
    for row in rows:
        is_empty = values_of(row, ("self", "inclusive", "samples")) == ["", "", ""]
        assert is_empty == (row["event"] != "page-faults"), row


def test_what_is_missing_on_the_screen(with_missing):
    text = with_missing.report()
    assert 'event: branches is missing: "branches" opens here but stays 0' in text
    row = next(line for line in text.splitlines() if line.endswith("touch  <string>:2"))
    assert row.split().count("-") == 4


def test_what_is_missing_in_stat(with_missing, run_cli, read_csv):
    rows = {row["event"]: row for row in
            read_csv(run_cli(["stat", "-i", with_missing.path, "--csv"]).stdout)}
    assert int(rows["page-faults"]["value"]) >= 20000
    assert values_of(rows["branches"], ("value", "deviation", "runs", "running", "unit", "source")) == [
        "", "", "0", "", "count", "hardware"]
    screen = run_cli(["stat", "-i", with_missing.path]).stdout
    line = next(line for line in screen.splitlines() if " branches " in line)
    assert line.split()[0] == "-" and "stays 0" in line


def test_what_is_missing_in_annotate(with_missing, run_cli, read_csv):
    done = run_cli(["annotate", "-i", with_missing.path, "--csv", "touch"])
    rows = read_csv(done.stdout)
    assert {row["event"] for row in rows} == {"page-faults", "branches", "cache-references"}
    for row in rows:
        is_empty = values_of(row, ("self", "inclusive", "samples")) == ["", "", ""]
        assert is_empty == (row["event"] != "page-faults"), row
    screen = run_cli(["annotate", "-i", with_missing.path, "touch"]).stdout
    assert "branches is missing" in screen


@pytest.mark.parametrize("command", [["export", "--format", "folded", "-e"],
                                     ["export", "--format", "speedscope", "-e"],
                                     ["report", "--sort"], ["annotate", "--sort"]])
def test_what_is_missing_cannot_be_chosen(with_missing, run_cli, command):
    done = run_cli([command[0], "-i", with_missing.path, *command[1:], "branches"])
    assert (done.returncode, done.stdout) == (125, "")
    assert "branches is missing in the recording" in done.stderr and "stays 0" in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_is_missing_is_told_by_an_export_of_all(with_missing, run_cli):
    done = run_cli(["export", "-i", with_missing.path, "--format", "speedscope"])
    assert done.returncode == 0
    assert "branches is missing" in done.stderr and "cache-references is missing" in done.stderr


@pytest.fixture
def doubtful(tmp_path):
    """A group with a count of 0 that may mean nothing, and one that is sure."""
    path = tmp_path / "doubtful.group"
    path.write_text("SHORT of a processor that counts nothing\nEVENTS\n busy = task-clock [ns]\n"
                    " misses = cache-misses\n faults = page-faults\nMETRICS\n"
                    " misses per second [count/s] = misses / busy\n"
                    " faults per second [count/s] = faults / busy\nLONG\nnone\n")
    return path


def test_a_0_of_a_group_that_is_unproven_is_marked(record, run_cli, read_csv, fake_pmu, python,
                                                   kernel_events, doubtful):
    recording = record(python, "-c", TOUCH, options=("-g", doubtful),
                       env=dict(fake_pmu, FAKE_PMU="dead"))
    for row in read_csv(recording.report("--csv", "-g", doubtful)):
        is_doubtful = row["metric"] == "misses per second" and row["self"] != ""
        assert (row["reason"] == "a count of 0 in it is unproven") == is_doubtful, row
    lines = recording.report("-g", doubtful).splitlines()
    assert all(line.endswith(" unproven") for line in lines if " misses per second" in line
               and not line.split()[0] == "-")
    assert any(line.endswith(" misses per second unproven") for line in lines)
    assert not any("faults per second unproven" in line for line in lines)
    event = next(line for line in lines if line.startswith("event: cache-misses"))
    assert event.endswith(", unproven")
    totals = read_csv(run_cli(["stat", "-i", recording.path, "--csv"]).stdout)
    assert [(row["value"], row["metric"]) for row in totals if row["event"] == "cache-misses"] == [
        ("0", "unproven")]


def test_what_counts_is_proven(record, fake_pmu, python, kernel_events, doubtful):
    recording = record(python, "-c", TOUCH, options=("-g", doubtful), env=fake_pmu)
    assert "unproven" not in recording.report("-g", doubtful)
