"""What an ordinary user may count under each perf_event_paranoid: it works, or one sentence tells
what to do."""

import contextlib
import os
import pathlib

from guest import HERE, check, read_csv, run, stat

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
LEVEL = pathlib.Path("/proc/sys/kernel/perf_event_paranoid")
MEND = "sudo sysctl kernel.perf_event_paranoid="
ROUNDS = 5
PYTHON = ("python3", str(HERE / "load.py"), str(ROUNDS))
PERIOD = 1_000_000


@contextlib.contextmanager
def paranoid(level):
    LEVEL.write_text(f"{level}\n")
    try:
        yield
    finally:
        LEVEL.write_text("-1\n")


def as_nobody(*words, status=0):
    return run(*NOBODY, *words, status=status)


def counted(events):
    done = as_nobody("tallystack", "stat", "--csv", "-o", "stat.csv", "-e", events, "--", *PYTHON)
    rows = read_csv(pathlib.Path("stat.csv").read_text())
    os.unlink("stat.csv")
    return done.stderr, {row["event"]: row["value"] for row in rows}


def cycles_of_three():
    """What user code has in ROUNDS calls of three(), half of the work of as many more rounds."""
    rounds = [stat("cycles:u", *PYTHON[:2], n * ROUNDS)["cycles:u"] for n in (1, 2)]
    return (rounds[1] - rounds[0]) / 2


def test_level_1_counts_all():
    with paranoid(1):
        said, values = counted("cycles,PAPI_TOT_INS")
        check(said == "" and all(int(value) > 0 for value in values.values()), said + str(values))
        as_nobody("tallystack", "record", "-q", "-e", "cycles", "--", *PYTHON)
        return str(values)


def test_level_2_counts_user_code_and_says_so():
    with paranoid(2):
        said, values = counted("cycles,PAPI_TOT_INS")
        check(int(values["cycles"]) > 0 and int(values["PAPI_TOT_INS"]) > 0, str(values))
        check("only user code" in said and MEND in said and said.count("\n") == 1, said)
        silent, user = counted("cycles:u,PAPI_TOT_INS:u")
        check(silent == "" and int(user["cycles:u"]) > 0, silent + str(user))
        done = as_nobody("tallystack", "record", "-e", "cycles:1M", "--", *PYTHON)
        check("user code only" in done.stderr and MEND in done.stderr, done.stderr)
        report = run("tallystack", "report", "--csv").stdout
        rows = [row for row in read_csv(report) if row["function"] == "three"]
        # Each call is in one piece, and loses less than a period at its end to what comes next.
        least = cycles_of_three() / PERIOD - ROUNDS
        samples = int(rows[0]["samples"]) if rows else 0
        figures = f"{samples} samples in three(), at least {least:.1f}"
        check(least > 0 and samples >= least, figures + "\n" + report)
        return said + done.stderr.splitlines()[0] + "\n" + figures


def test_level_2_refuses_kernel_code():
    with paranoid(2):
        done = as_nobody("tallystack", "stat", "-e", "cycles:k", "true", status=125)
        check(MEND in done.stderr and done.stderr.count("\n") == 1, done.stderr)
        return done.stderr


def test_level_3_refuses_all_events_and_counts_time():
    with paranoid(3):
        said = []
        for command in ("stat", "record"):
            for event in ("cycles", "PAPI_TOT_CYC", "cycles:u", "PAPI_L2_LDM"):
                done = as_nobody("tallystack", command, "-e", event, "--", *PYTHON, status=125)
                check(MEND in done.stderr and done.stderr.count("\n") == 1, done.stderr)
                said.append(done.stderr.strip())
        done = as_nobody("tallystack", "record", "--", *PYTHON)
        check(MEND in done.stderr and "three" in done.stderr, done.stderr)
        done = as_nobody("tallystack", "stat", "--", *PYTHON)
        check(MEND in done.stderr and "task-clock" in done.stderr, done.stderr)
        return "\n".join(said)


def test_level_3_is_nothing_to_root():
    """PAPI heeds the level even so; what it would count is counted through the kernel."""
    with paranoid(3):
        run("tallystack", "stat", "--csv", "-o", "stat.csv", "-e", "cycles,PAPI_TOT_INS", "true")
        rows = read_csv(pathlib.Path("stat.csv").read_text())
        values = {row["event"]: row["value"] for row in rows}
        check(int(values["cycles"]) > 0 and int(values["PAPI_TOT_INS"]) > 0, str(values))
        run("tallystack", "record", "-q", "-e", "PAPI_TOT_CYC:1M", "--", *PYTHON)
        return str(values)


def test_doctor_tells_the_level():
    said = []
    for level, state in ((3, "no"), (2, "limited"), (-1, "ok")):
        with paranoid(level):
            rows = {row["check"]: row for row in
                    read_csv(as_nobody("tallystack", "doctor", "--csv", status=None).stdout)}
            row = rows["perf_event_open"]
            said.append(f"{level}: {row['state']}; {row['detail']}; {row['fix']}")
            check((MEND in row["fix"]) == (level > 1), said[-1])
    return "\n".join(said)
