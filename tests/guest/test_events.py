"""Events that open here and stay 0: missing, with the reason, never 0."""

import pathlib

from guest import check, read_csv, run

# How each is known: the processor's own registers, or the probe that must move it.
SAID_SO, PROBED = "says that it does not count it", "stays 0 while it must move"
ZERO = {"PAPI_BR_MSP": SAID_SO, "PAPI_L1_ICM": SAID_SO, "PAPI_BR_INS": PROBED,
        "PAPI_L1_DCM": PROBED, "PAPI_FP_INS": PROBED}


def test_perf_finds_them_0():
    """What this is about: the kernel opens the branch event and counts none in a whole program."""
    done = run("perf", "stat", "-x,", "-e", "r010", "--", "python3", "-c", "pass")
    check(done.stderr.startswith("0,"), done.stderr)
    return done.stderr.strip()


def test_list_says_no():
    rows = {row["name"]: row for row in read_csv(run("tallystack", "list", "--csv", "PAPI_").stdout)}
    for name, reason in ZERO.items():
        check(rows[name]["available"] == "no" and reason in rows[name]["reason"], str(rows[name]))
    for name in ("PAPI_TOT_CYC", "PAPI_TOT_INS"):
        check(rows[name]["available"] == "yes", str(rows[name]))
    return "\n".join(rows[name]["reason"] for name in ZERO)


def test_stat_leaves_the_field_empty():
    run("tallystack", "stat", "--csv", "-o", "stat.csv", "-e", ",".join(["cycles", *ZERO]), "true")
    rows = {row["event"]: row for row in read_csv(pathlib.Path("stat.csv").read_text())}
    for name in ZERO:
        check(rows[name]["value"] == "" and rows[name]["running"] == "", str(rows[name]))
    check(int(rows["cycles"]["value"]) > 0, str(rows["cycles"]))
    screen = run("tallystack", "stat", "-e", ",".join(["cycles", *ZERO]), "true").stderr
    for name, reason in ZERO.items():
        line = next(line for line in screen.splitlines() if f" {name} " in line)
        check(line.split()[0] == "-" and reason in line, screen)
    return screen.strip()


def test_stat_and_record_refuse_them_alone():
    said = []
    for command in ("stat", "record"):
        for name, reason in ZERO.items():
            done = run("tallystack", command, "-e", name, "--", "python3", "-c", "pass", status=125)
            check(reason in done.stderr and done.stderr.count("\n") == 1, done.stderr)
            said.append(done.stderr.strip())
    return "\n".join(said)


def test_defaults_leave_them_out():
    screen = run("tallystack", "stat", "true").stderr
    check("branch" not in screen and "cache" not in screen and " cycles " in screen, screen)


def test_record_carries_them():
    """From the recording on, in each table: its name and reason, and no value."""
    events = ",".join(["PAPI_L1_DCM", "cycles", *(name for name in ZERO if name != "PAPI_L1_DCM")])
    said = run("tallystack", "record", "-e", events, "--", "python3", "-c", "pass").stderr
    report = read_csv(run("tallystack", "report", "--csv", "--limit", "0").stdout)
    totals = {row["event"]: row for row in read_csv(run("tallystack", "stat", "-i", "tallystack.rec",
                                                        "--csv").stdout)}
    check({row["event"] for row in report} == {"cycles", *ZERO}, str(report[:8]))
    check(int(totals["cycles"]["value"]) > 0, str(totals))
    for name, reason in ZERO.items():
        rows = [row for row in report if row["event"] == name]
        check(all(row[field] == "" for row in rows for field in ("self", "inclusive", "samples")),
              str(rows[:3]))
        check(totals[name]["value"] == "" and f"{name} is not counted" in said and reason in said, said)
    return said.splitlines()[0]
