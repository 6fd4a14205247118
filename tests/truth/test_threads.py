"""Thousands of threads: all counted, and nothing of them stays behind."""

import json
import subprocess

import pytest

pytestmark = pytest.mark.usefixtures("kernel_events")
TOTAL, AT_ONCE, PAGES = 2000, 200, 3


def test_thousands_of_threads(any_python, record, workloads):
    done = record(any_python, "-B", workloads / "many_threads.py", TOTAL, AT_ONCE)
    states = json.loads(done.stdout)
    early, end = states["early"], states["end"]
    # 200 threads' worth of counters is there after the first part; it must do for all the others.
    assert end["descriptors"] <= early["descriptors"] + 2
    assert end["mappings"] <= early["mappings"] + 20
    plain = subprocess.run([any_python, "-B", workloads / "many_threads.py", str(TOTAL),
                            str(AT_ONCE)], check=True, text=True, stdout=subprocess.PIPE)
    without = json.loads(plain.stdout)
    growth = end["resident"] - early["resident"]
    assert growth <= without["end"]["resident"] - without["early"]["resident"] + 2048
    assert end["descriptors"] <= without["end"]["descriptors"] + 2

    # Every thread has its row. Where a number was given twice, rows are one.
    rows = done.rows("thread")
    assert len(rows) >= 0.9 * TOTAL
    touched = done.self_of()["touch"]
    assert touched == pytest.approx(TOTAL * PAGES, rel=0.002)
    counts = done.self_of()
    assert counts.get("[lost]", 0) + counts.get("[no agent]", 0) == 0
    done.assert_sums_close()


def test_clock_of_short_threads(python, record, workloads):
    """A thread that ends before its first period is over is counted, too."""
    done = record(python, "-B", workloads / "many_threads.py", TOTAL, AT_ONCE, options=())
    done.assert_sums_close()
    counts = done.self_of(event="task-clock")
    total = done.total("task-clock")
    assert counts.get("[lost]", 0) + counts.get("[no agent]", 0) < 0.05 * total
