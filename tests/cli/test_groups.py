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
