"""Sampling does not interrupt system calls."""

import json
import subprocess

import pytest

COUNT = 10000
CALLS = {"nanosleep", "poll", "read", "recv", "waitpid"}


@pytest.mark.parametrize("events", ["task-clock", "context-switches,page-faults,task-clock"])
def test_none_is_interrupted(kernel_events, record, python, workloads, events):
    done = record(python, "-B", workloads / "interrupted_calls.py", COUNT, options=("-e", events))
    assert json.loads(done.stdout) == dict.fromkeys(CALLS, 0)
    # There were samples enough to interrupt them.
    samples = sum(row["samples"] for row in done.rows())
    assert samples > (300 if events == "task-clock" else 4 * COUNT)
    done.assert_sums_close()


def test_the_workload_would_notice(python, workloads):
    done = subprocess.run([python, "-B", workloads / "interrupted_calls.py", str(COUNT), "--alarm"],
                          check=True, text=True, stdout=subprocess.PIPE, timeout=60)
    interrupted = json.loads(done.stdout)
    assert set(interrupted) == CALLS
    assert min(interrupted.values()) > 0
