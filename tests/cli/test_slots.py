"""Intel's PERF_METRICS, which count only in a group that the slots lead."""

import csv
import io
import subprocess

import pytest

PARTS = {"topdown-retiring": 0x80, "topdown-bad-spec": 0x81, "topdown-fe-bound": 0x82,
         "topdown-be-bound": 0x83}
CPU = {"cpu/type": "4", "cpu/format/event": "config:0-7", "cpu/format/umask": "config:8-15",
       "cpu/events/slots": "event=0x00,umask=0x4",
       **{f"cpu/events/{name}": f"event=0x00,umask=0x{mask:x}" for name, mask in PARTS.items()}}
SLOTS = "4 400"


def in_group(*masks):
    return sorted(f"4 {mask << 8:x} {SLOTS}" for mask in masks)


@pytest.fixture
def count(tallystack, fake_devices, kernel_events, tmp_path):
    """count(options): runs stat; rows by event, and what was opened for the program."""
    log = tmp_path / "log"
    environment = fake_devices(CPU, FAKE_LOG=str(log))

    def run(*options, command="stat", status=0):
        done = subprocess.run([tallystack, command, *options, "--", "true"], text=True, timeout=60,
                              stderr=subprocess.PIPE, env=environment, cwd=tmp_path)
        assert done.returncode == status, done.stderr
        rows = {row["event"]: row for row in csv.DictReader(io.StringIO(done.stderr))}
        opened = sorted(log.read_text().splitlines()) if log.exists() else []
        return (rows, opened) if status == 0 and command == "stat" else done.stderr
    return run


def test_the_group_topdown(count):
    rows, opened = count("--csv", "-g", "topdown")
    assert opened == [SLOTS] + in_group(*PARTS.values())
    for name in ("slots", *PARTS):
        assert float(rows[f"cpu/{name}/"]["value"]) > 0
    # That processor counts the same for all.
    assert float(rows["retiring"]["value"]) == pytest.approx(100, rel=1e-3)


@pytest.mark.parametrize("events", ["cpu/topdown-retiring/,cpu/slots/",
                                    "cycles,cpu/topdown-retiring/,page-faults,cpu/slots/"])
def test_slots_lead_wherever_they_stand(count, events):
    rows, opened = count("--csv", "-e", events)
    assert [line for line in opened if not line.startswith("0 ")] == [SLOTS] + in_group(0x80)
    assert all(float(rows[name]["value"]) > 0 for name in events.split(","))


def test_slots_are_opened_where_nobody_asks_for_them(count):
    rows, opened = count("--csv", "-e", "cpu/topdown-be-bound/")
    assert opened == [SLOTS] + in_group(0x83)
    assert float(rows["cpu/topdown-be-bound/"]["value"]) > 0 and "cpu/slots/" not in rows


def test_user_and_kernel_code_have_slots_of_their_own(count):
    opened = count("--csv", "-e", "cpu/topdown-retiring/:u,cpu/topdown-retiring/:k")[1]
    assert opened == [SLOTS, SLOTS] + in_group(0x80, 0x80)


def test_of_each_thread(count):
    rows, opened = count("--csv", "--per-thread", "-g", "topdown")
    assert opened == [SLOTS] + in_group(*PARTS.values())
    assert float(rows["retiring"]["value"]) == pytest.approx(100, rel=1e-3)


def test_parts_are_not_sampled(count):
    failed = count("-e", "cpu/topdown-retiring/", command="record", status=125)
    assert "cannot sample" in failed and failed.count("\n") == 1


def test_the_same_numbers_elsewhere_are_other_events(tallystack, fake_devices, kernel_events,
                                                     tmp_path):
    """Without slots in the kernel's description event 0x8000 is opened as any other."""
    log = tmp_path / "log"
    environment = fake_devices({"cpu/type": "4", "cpu/format/event": "config:0-7",
                                "cpu/format/umask": "config:8-15",
                                "cpu/events/other": "event=0x00,umask=0x4"}, FAKE_LOG=str(log))
    subprocess.run([tallystack, "stat", "-e", "cpu/other/", "--", "true"], check=True, timeout=60,
                   env=environment, stderr=subprocess.DEVNULL)
    assert log.read_text() == f"{SLOTS}\n"
