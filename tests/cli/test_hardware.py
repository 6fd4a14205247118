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
    assert "branches is not counted" in notes_of(recording)
    assert "stays 0" in notes_of(recording)
    failed = record_with("branches", status=125, FAKE_PMU="dead")
    assert "stays 0" in failed.stderr
