"""What threads wait for, and what bounds a program, on programs that are known by construction."""

import concurrent.futures
import json
import os
import re
import subprocess

import pytest

WAITING = {
    "sleep": "sleeping",
    "gil": "GIL-bound",
    "http": "I/O-bound (network)",
    "pipe": "I/O-bound (pipe)",
    "child": "child-bound",
    "child_read": "child-bound",
    "pool": "child-bound",
    "callback": "sleeping",
    "thread_pool": "I/O-bound (pipe)",
    "executor": "child-bound",
    "joined": "child-bound",
    "lock": "lock-bound",
    "workers": "sleeping",
    "coroutines": "sleeping",
    "streams": "I/O-bound (network)",
    "timeouts": "I/O-bound (network)",
    "keeps": "sleeping",
    "idle": "sleeping",
    "awaits_thread": "I/O-bound (pipe)",
    "awaits_child": "child-bound",
    "awaits_signal": "balanced",
}
BUSY = {
    "cpu": "CPU-bound (interpreter)",
    "faults": "page-fault-bound",
    "calls": "system-call-bound",
}
DISK = "I/O-bound (disk)"
STARVED = "starved (no CPU to run on)"
TRIES = 4
LEAVING = 0.1  # seconds that a program may take to end, at most


@pytest.fixture
def diagnose(run_cli, workloads, tmp_path, read_csv):
    """diagnose(python, kind): the rows of the diagnosis by scope, and the recording's path."""
    def run(python, kind, *seconds, number=0):
        path = tmp_path / f"{python.version}-{kind}-{number}.rec"
        recorded = run_cli(["record", "-q", "-o", path, "--", python, "-B",
                            workloads / "waits.py", kind, *seconds])
        assert recorded.returncode == 0, recorded.stderr
        told = run_cli(["diagnose", "-i", path, "--csv"])
        assert told.returncode == 0 and told.stderr == ""
        rows = read_csv(told.stdout)
        assert [row["scope"] for row in rows].count("program") == 1
        assert rows[0]["scope"] == "program"
        return rows, path, recorded.stdout
    return run


def accounts_of(run_cli, read_csv, path, by="function"):
    """(thing, account): the row of the accounts, numbers in seconds."""
    told = run_cli(["report", "-i", path, "-e", "waits", "--by", by, "--csv"])
    assert told.returncode == 0, told.stderr
    rows = {}
    for row in read_csv(told.stdout):
        numbers = {name: float(row[name] or "nan") / 1e9
                   for name in ("self", "self_low", "self_high")}
        rows[row[by], row["event"]] = {**row, **numbers}
    return rows


def row_on_a_cpu(diagnose, python, kind, *seconds):
    """The program's row. Where the machine is busy with other things, starved is true; it may be
    quieter soon."""
    for number in range(1, TRIES):
        rows, _, _ = diagnose(python, kind, *seconds, number=number)
        if rows[0]["verdict"] != STARVED:
            return rows[0]
    if os.getloadavg()[0] <= len(os.sched_getaffinity(0)):
        return rows[0]
    pytest.skip("other programs have this machine's CPUs")


def test_what_it_waits_for(any_python, diagnose, run_cli, read_csv):
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        told = dict(zip(WAITING, pool.map(lambda kind: diagnose(any_python, kind), WAITING)))
    program = {kind: rows[0] for kind, (rows, _, _) in told.items()}
    for kind in WAITING:  # once more without the others beside it, which had its CPU or disk
        if program[kind]["verdict"] in {STARVED, DISK, "balanced"} - {WAITING[kind]}:
            program[kind] = row_on_a_cpu(diagnose, any_python, kind)
    wrong = {kind: row for kind, row in program.items() if row["verdict"] != WAITING[kind]}
    assert not wrong

    # Of 1.5 s the one's event loop waits for sockets alone, the other's never.
    polls = {}
    for kind in ("timeouts", "keeps"):
        rows = accounts_of(run_cli, read_csv, told[kind][1], "process")
        polls[kind] = sum(row["self"] for (_, name), row in rows.items() if name == "poll")
    assert polls["timeouts"] < 0.1 and polls["keeps"] > 1.4, polls


@pytest.mark.parametrize("kind", BUSY)
def test_what_it_runs(any_python, diagnose, kind):
    row = row_on_a_cpu(diagnose, any_python, kind, 0.75)
    assert row["verdict"] == BUSY[kind], row


def test_native_code(any_python, diagnose, native_work):
    row = row_on_a_cpu(diagnose, any_python, native_work(any_python))
    assert row["verdict"] == "CPU-bound (compute)", row


def test_disk(any_python, diagnose, need, lacks_direct_io):
    need("direct I/O", not lacks_direct_io, lacks_direct_io)
    row = row_on_a_cpu(diagnose, any_python, "disk", 0.75)
    assert row["verdict"] == DISK, row


def test_starved(any_python, diagnose):
    rows, _, _ = diagnose(any_python, "starved")
    assert rows[0]["verdict"] == STARVED


def test_who_holds_the_gil(any_python, diagnose, run_cli):
    _, path, _ = diagnose(any_python, "turns")
    told = run_cli(["diagnose", "-i", path]).stdout
    pairs = {}
    for seconds, waiter, holder in re.findall(r"^ +([\d.]+) s  (\S+) waited for (.*)$", told, re.M):
        pairs[waiter.rpartition(".")[2], holder.rpartition(".")[2]] = float(seconds)
    crossed = pairs["left", "right"] + pairs["right", "left"]
    assert crossed > 0.8 * sum(pairs.values()), pairs
    assert pairs.get(("left", "left"), 0) + pairs.get(("right", "right"), 0) < 0.1 * crossed


def test_without_rights(python, tallystack, workloads, tmp_path, run_cli, read_csv):
    """What others may not look into: on a CPU against waiting stays right, and a note says so."""
    path = tmp_path / "unseen.rec"
    without = ["setpriv", "--bounding-set=-sys_ptrace", "--inh-caps=-sys_ptrace"]
    made = subprocess.run([*(without if os.geteuid() == 0 else []), tallystack, "record", "-q", "-o",
                           path, "--", python, "-B", workloads / "waits_walls.py", "unseen"],
                          check=True, stdout=subprocess.PIPE)
    [(_, lived, cpu)] = json.loads(made.stdout).values()
    rows = accounts_of(run_cli, read_csv, path, "process")
    seconds = {account: row["self"] for (_, account), row in rows.items()}
    waited = seconds["other-wait"] + seconds.get("not-looked-at", 0)
    assert 0.98 <= waited <= 1.02 * (lived - cpu) + LEAVING, (waited, lived, cpu)
    assert 0.99 * cpu <= seconds["on-cpu"] <= cpu + LEAVING
    assert not {"sleep", "lock", "gil"} & set(seconds)
    told = run_cli(["diagnose", "-i", path])
    assert "its system calls may not be read" in told.stdout


def test_shares(python, diagnose, run_cli, read_csv):
    runs, enough = 8, 5  # fewer inside intervals of 95 % have a chance of 1 in 2000
    inside = {"asleep": 0, "ask": 0}
    off, square = {"asleep": 0, "ask": 0}, {"asleep": 0, "ask": 0}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        done = list(pool.map(lambda number: diagnose(python, "shares", number=number), range(runs)))
    for _, path, stdout in done:
        measured = json.loads(stdout)
        rows = accounts_of(run_cli, read_csv, path)
        for function, event, least in (("asleep", "sleep", 15 * 0.06), ("ask", "socket", 15 * 0.01)):
            row = rows[f"shares.<locals>.{function}", event]
            # Between what was asked for and what passed, readiness without a CPU included.
            inside[function] += row["self_low"] <= measured[function] and row["self_high"] >= least
            off[function] += row["self"] - min(max(row["self"], least), measured[function])
            square[function] += ((row["self_high"] - row["self_low"]) / 2) ** 2
        on_cpu = rows["burn", "on-cpu"]
        assert on_cpu["self_low"] <= 15 * 0.03 * 1.05 and on_cpu["self_high"] >= 15 * 0.03 * 0.95
    assert min(inside.values()) >= enough, inside
    # All runs together, nothing of the one's time went to the other: within 3 standard errors.
    for function in off:
        assert abs(off[function]) <= 3 / 1.96 * square[function] ** 0.5, off


def test_many_threads(python, diagnose, run_cli, read_csv):
    """The accounts close, no wait is interrupted, and the watcher keeps to its bound."""
    rows, path, stdout = diagnose(python, "many")
    said = json.loads(stdout)
    assert said["interrupted"] == 0
    threads = {}
    for (name, _), row in accounts_of(run_cli, read_csv, path, "thread").items():
        threads[name] = threads.get(name, 0) + row["self"]
    walls = sorted(said["walls"])
    accounts = sorted(threads.values())[:len(walls)]
    assert len(threads) == len(walls) + 1  # and the main thread
    for account, wall in zip(accounts, walls):
        assert account == pytest.approx(wall, rel=0.01, abs=0.005)
    session = json.loads((path / "session.json").read_text())
    assert session["watch_ns"] <= 0.011 * session["wall_ns"] + 20e6
