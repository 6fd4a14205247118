"""`record` on cycles: where they are is known by construction, how many by `stat`."""

import json
import pathlib

from guest import HERE, ROOT, check, near, read_csv, record, run, stat

LOAD = HERE / "load.py"
ROUNDS = 20
PERIOD = 1_000_000
SHARES = {"one": 1, "two": 2, "three": 3}


def number(row, name):
    return float(row[name])


def rows_of(recording, by, event="cycles"):
    done = run("tallystack", "report", "-i", recording, "--csv", "--limit", "0", "--by", by)
    return [row for row in read_csv(done.stdout) if row["event"] == event]


def total_of(recording, event="cycles"):
    session = json.loads(pathlib.Path(recording, "session.json").read_text())
    return next(e["total"] for e in session["events"] if e["name"] == event)


def test_shares_lie_in_the_printed_intervals():
    """Each interval holds the truth with 95 %: of nine, fewer than six with less than 0.1 %."""
    inside, figures = 0, []
    for _ in range(3):
        recording = record(f"cycles:{PERIOD}", "python3", LOAD, ROUNDS)
        rows = {row["function"]: row for row in rows_of(recording, "function")}
        whole = sum(number(rows[name], "self") for name in SHARES)
        for name, share in SHARES.items():
            truth = whole * share / sum(SHARES.values())
            low, high = number(rows[name], "self_low"), number(rows[name], "self_high")
            inside += low <= truth <= high
            figures.append(f"{name}: {number(rows[name], 'self') / whole:.4f} of "
                           f"{share / 6:.4f}, interval {low / whole:.4f} to {high / whole:.4f}, "
                           f"{rows[name]['samples']} samples")
    check(inside >= 6, "\n".join(figures))
    return "\n".join(figures + [f"{inside} of 9 inside"])


def test_samples_and_totals():
    """Samples x period is the recording's total, and that is stat's but for what sampling costs."""
    period = 5 * PERIOD
    recording = record(f"cycles:{period}", "python3", LOAD, 3 * ROUNDS)
    rows, total = rows_of(recording, "function"), total_of(recording)
    counted = stat("cycles", "python3", LOAD, 3 * ROUNDS)["cycles"]
    sampled = period * sum(int(row["samples"]) for row in rows if row["samples"])
    figures = (f"samples x period {sampled:,}; total {total:,}; stat {counted:,}; rows "
               f"{sum(int(row['self']) for row in rows):,}")
    check(near(sampled, total, 0.01) and near(sampled, counted, 0.01), figures)
    check(sum(int(row["self"]) for row in rows) == total, figures)
    return figures


def test_threads():
    """Three threads, of which the second and third do as much as, and twice as much as, the first.

    A thread's first samples take longer than the period, and some of them stand for several.
    """
    recording = record(f"cycles:{PERIOD}", "python3", LOAD, 2 * ROUNDS, 2)
    rows = sorted(rows_of(recording, "thread"), key=lambda row: row["thread"])
    figures = "\n".join(f"{row['thread']}: {int(row['self']):,} cycles, {row['samples']} samples"
                        for row in rows if row["samples"])
    workers = [row for row in rows if row["samples"]][1:]
    check(len(workers) == 2, figures)
    for row in workers:
        check(near(PERIOD * int(row["samples"]), int(row["self"]), 0.01), figures)
    first, second = workers
    check(2 * number(first, "self_low") <= number(second, "self_high") and
          2 * number(first, "self_high") >= number(second, "self_low"), figures)
    return figures


def test_lines():
    """All but all of it lies in the two lines of each loop."""
    recording = record(f"cycles:{PERIOD}", "python3", LOAD, ROUNDS)
    text = LOAD.read_text().splitlines()
    loops = {number for number, line in enumerate(text, 1)
             if line.endswith("UNIT):") or line.endswith("not odd")}
    rows = [row for row in rows_of(recording, "line") if row["function"] in SHARES]
    there = sum(number(row, "self") for row in rows if int(row["line"]) in loops)
    whole = sum(number(row, "self") for row in rows)
    figures = f"{100 * there / whole:.2f} % in lines {sorted(loops)}"
    check(there >= 0.99 * whole and all(any(int(row["line"]) == line for row in rows)
                                        for line in loops), figures)
    return figures


def test_native_symbols():
    recording = record(f"cycles:{PERIOD}", "python3", LOAD, ROUNDS)
    rows = rows_of(recording, "native")
    whole = sum(number(row, "self") for row in rows)
    named = sum(number(row, "self") for row in rows if "_PyEval_EvalFrameDefault" in str(row))
    figures = f"{100 * named / whole:.1f} % in _PyEval_EvalFrameDefault; {list(rows[0].values())}"
    check(named > whole / 2, figures)
    return figures


def test_without_events_it_samples_cycles():
    recording = record(None, "python3", LOAD, ROUNDS)
    session = json.loads(pathlib.Path(recording, "session.json").read_text())
    names = [event["name"] for event in session["events"]]
    rows = rows_of(recording, "function")
    samples = sum(int(row["samples"]) for row in rows if row["samples"])
    figures = f"{', '.join(names)}; {samples} samples of cycles"
    check(names[0] == "cycles" and samples > 100, figures)
    return figures


def test_few_samples_interrupt_a_call():
    """This kernel, 6.1, ends a sleep or poll that a sample of kernel code falls into, and seldom one
    that a sample of user code comes just before."""
    calls = ROOT / "tests/workloads/interrupted_calls.py"
    counts = {}
    for event in ("cycles:u:100k", "context-switches", "cycles:100k"):
        done = run("tallystack", "record", "-q", "-e", event, "-o", "run.rec", "--", "python3", calls,
                   "2000")
        counts[event] = json.loads(done.stdout)
    figures = "\n".join(f"{event}: {count}" for event, count in counts.items())
    for event, count in counts.items():
        check(all(number == 0 for call, number in count.items()
                  if event == "context-switches" or call not in ("nanosleep", "poll")), figures)
    check(sum(counts["cycles:u:100k"].values()) < sum(counts["cycles:100k"].values()), figures)
    check(sum(int(row["samples"]) for row in rows_of("run.rec", "function", "cycles")) > 1000, figures)
    return figures
