"""`stat --per-thread`: each thread's counts, which together are the program's, where the kernel reports
them; Debian 12's, 6.1, does not."""

import pathlib

from guest import LOOP, check, near, read_csv, run, stat

ITERATIONS, THREADS, CHILDREN = 1_000_000, 2, 3
EVENTS = ("PAPI_TOT_INS:u", "PAPI_TOT_CYC:u", "page-faults")


def test_threads_of_known_length():
    command = (LOOP, ITERATIONS, THREADS, CHILDREN)
    done = run("tallystack", "stat", "--csv", "--per-thread", "-o", "stat.csv", "-e",
               ",".join(EVENTS), "--", *command, status=None)
    if done.returncode == 125:
        check("does not report" in done.stderr and "report --by thread" in done.stderr, done.stderr)
        return done.stderr
    rows = [row for row in read_csv(pathlib.Path("stat.csv").read_text())
            if row["event"] in EVENTS]
    own = [int(row["value"]) for row in rows
           if row["event"] == EVENTS[0] and row["process"] != row["thread"]]
    figures = [f"started threads have {sorted(own)}"]
    fine = len(own) == THREADS * (1 + CHILDREN)
    fine = fine and all(near(value, 4 * ITERATIONS, 0.001) for value in own)
    total = stat(",".join(EVENTS), *command)
    for event in EVENTS:
        counted = sum(int(row["value"]) for row in rows if row["event"] == event)
        figures.append(f"{event}: {counted:,} beside {total[event]:,}")
        fine = fine and near(counted, total[event], 0.001 if event == EVENTS[0] else 0.02)
    check(fine, "\n".join(figures))
    return "\n".join(figures)
