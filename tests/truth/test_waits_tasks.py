"""Which coroutines an event loop waits for, on programs that time their own awaits."""

import json
import re

import pytest

telling = pytest.mark.parametrize("any_python", ("3.14", "3.15"), indirect=True)
silent = pytest.mark.parametrize("any_python", ("3.11", "3.12", "3.13"), indirect=True)
LOOP = "EpollSelector.select"
SHUTDOWN = "BaseEventLoop.shutdown_default_executor"  # waits, at the end, for a moment
COLUMNS = ("self", "self_low", "self_high", "inclusive")


@pytest.fixture
def waits(record, workloads, read_csv):
    """waits(python, kind): what functions wait in event loops, in seconds, and the Recording."""
    def run(python, kind):
        made = record(python, "-B", workloads / "waits_tasks.py", kind, options=())
        rows = {}
        for row in read_csv(made.report("-e", "waits", "--csv", "--limit", "0")):
            if row["event"] == "poll":
                name = row["function"].replace(f"{kind}.<locals>.", "")
                sums = rows.setdefault(name, dict.fromkeys(COLUMNS, 0))
                for column in COLUMNS:
                    sums[column] += float(row[column] or "nan") / 1e9
        return rows, made
    return run


def is_near(row, seconds):
    """Within twice the interval of 95 %: by chance not once in 10 000 times."""
    return 2 * (row["self_low"] - row["self"]) <= seconds - row["self"] <= 2 * (
        row["self_high"] - row["self"])


def notes_of(made):
    return " ".join(made.run()["notes"])


@telling
def test_shares(any_python, waits):
    """What two coroutines await together is divided between them; who awaits both has none."""
    rows, made = waits(any_python, "shares")
    measured = json.loads(made.stdout)
    assert set(measured) == {"left", "right"}
    for name, seconds in measured.items():
        assert is_near(rows[name], seconds), (name, seconds, rows)
    assert rows["main"]["self"] == 0 and rows["main"]["inclusive"] > 0.6
    assert not made.run()["notes"]


@telling
def test_ways_to_await(any_python, waits):
    rows, _ = waits(any_python, "ways")
    ways = {name: row["inclusive"] for name, row in rows.items() if name.startswith("by_")}
    assert len(ways) == 9 and min(ways.values()) > 0.05, ways  # of 0.15 s each
    waiters = {name for name, row in rows.items() if row["self"] > 0}
    assert waiters - {LOOP, SHUTDOWN} == {"child", "Queue.get", "by_thread"}
    assert rows[LOOP]["self"] < 0.2 * rows[LOOP]["inclusive"]


@telling
def test_loops_of_several_threads(any_python, waits):
    """A callback that blocks is on no task's account."""
    rows, made = waits(any_python, "threads")
    assert rows["plain"]["self"] == pytest.approx(1, rel=0.2)
    assert rows["calls_back"]["self"] == pytest.approx(0.5, rel=0.4)
    assert not made.run()["notes"]


@telling
def test_thousands_of_tasks(any_python, waits):
    rows, made = waits(any_python, "crowd")
    both = rows["few"]["self"] + rows["most"]["self"]
    assert is_near(rows["few"], both / 4), rows
    assert is_near(rows["most"], both * 3 / 4), rows
    assert "more than 1024 tasks" in notes_of(made)
    run = made.run()
    assert run["watch_ns"] <= 0.011 * run["wall_ns"] + 20e6


@telling
def test_a_loop_of_another_kind(any_python, waits):
    _, made = waits(any_python, "foreign")
    assert "the loop is not asyncio's own" in notes_of(made)


@telling
def test_the_place(any_python, record, workloads, run_cli):
    """The first line names the coroutine, and how many tasks wait in it."""
    made = record(any_python, "-B", workloads / "waits.py", "coroutines", options=())
    first = run_cli(["diagnose", "-i", made.path]).stdout.splitlines()[0]
    source = (workloads / "waits.py").read_text().splitlines()
    line = 1 + [text.strip() for text in source].index("await asyncio.sleep(0.1)")
    place = re.escape(f"coroutines.<locals>.sleeper waits.py:{line} (awaited by up to about ")
    assert re.search(place + r"(4\d|5[01]) tasks\)", first), first


@silent
def test_interpreters_that_do_not_tell(any_python, waits, run_cli):
    rows, made = waits(any_python, "ways")
    assert {name for name, row in rows.items() if row["self"] > 0} == {LOOP}
    assert "its interpreter does not tell" in notes_of(made)
    assert "which of its tasks awaited is not known" in run_cli(["diagnose", "-i", made.path]).stdout
