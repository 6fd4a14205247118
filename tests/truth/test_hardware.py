"""The processor's own counters, wherever there are some: totals and shares known by construction."""

import csv
import pathlib

import pytest

pytestmark = pytest.mark.usefixtures("pmu")
GUEST = pathlib.Path(__file__).resolve().parent.parent / "guest"
PERIOD = 1_000_000


@pytest.fixture(scope="session")
def loop(build_c):
    """A program of known length."""
    return build_c(GUEST / "loop.c", "-lpapi", "-pthread")


@pytest.fixture
def count(run_cli, tmp_path):
    """count(event, *command): what `stat` counts of a command."""
    def run(event, *command):
        done = run_cli(["stat", "--csv", "-o", "stat.csv", "-e", event, "--", *command])
        assert done.returncode == 0, done.stderr
        with open(tmp_path / "stat.csv", newline="") as file:
            rows = {row["event"]: row for row in csv.DictReader(file)}
        assert rows[event]["source"] == "hardware" and rows[event]["running"] == "1"
        return int(rows[event]["value"])
    return run


@pytest.mark.parametrize("event", ["PAPI_TOT_INS:u", "instructions:u"])
def test_a_loop_has_its_length(loop, count, event):
    """Some processors count an instruction more for each interrupt."""
    more = 10_000_000
    short, long = (count(event, loop, iterations) for iterations in (more, 2 * more))
    assert long - short == pytest.approx(4 * more, rel=0.001)


def test_threads_and_children_are_counted(loop, count):
    more, loops = 10_000_000, 3 * 3
    short, long = (count("PAPI_TOT_INS:u", loop, iterations, 2, 3)
                   for iterations in (more, 2 * more))
    assert long - short == pytest.approx(loops * 4 * more, rel=0.001)


def test_nothing_before_the_program_is_counted(count):
    """Starting `true` takes some 100,000 instructions; launching it takes millions of cycles."""
    assert 10_000 < count("PAPI_TOT_INS:u", "/bin/true") < 1_000_000


def test_shares_of_cycles(record, python):
    """Functions whose work is as 1 : 2 : 3; three runs, nine intervals of 95 %."""
    inside = 0
    for _ in range(3):
        done = record(python, "-B", GUEST / "load.py", 40, options=("-e", f"cycles:u:{PERIOD}"))
        done.assert_sums_close()
        rows = {row["function"]: row for row in done.rows()}
        whole = sum(rows[name]["self"] for name in ("one", "two", "three"))
        for share, name in enumerate(("one", "two", "three"), 1):
            assert rows[name]["self"] == pytest.approx(rows[name]["samples"] * PERIOD, rel=0.01)
            inside += rows[name]["self_low"] <= whole * share / 6 <= rows[name]["self_high"]
    assert inside >= 6
