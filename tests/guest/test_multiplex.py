"""More events than counters: an error that says how many fit, or turns with --multiplex."""

import pathlib

from guest import HERE, check, read_csv, run, stat

TEN = ["cycles", "instructions", "cycles:u", "instructions:u", "cycles:k", "instructions:k",
       "arm_ac57::CPU_CYCLES", "arm_ac57::INST_RETIRED", "arm_ac57::CPU_CYCLES:u",
       "arm_ac57::INST_RETIRED:u"]
PROGRAM = ("python3", HERE / "load.py", "40")


def test_too_many():
    done = run("tallystack", "stat", "-e", ",".join(TEN), "true", status=125)
    check("at once" in done.stderr and "--multiplex" in done.stderr, done.stderr)
    return done.stderr


def truth_of(event):
    """The count of it without turns, by the name that it shares with others."""
    name = event.replace("arm_ac57::CPU_CYCLES", "cycles")
    return name.replace("arm_ac57::INST_RETIRED", "instructions")


def test_ten_take_turns():
    """What user code does is the same each time; turns themselves are the kernel's work, so what it
    does may only be more."""
    exact = {}
    for mode in ("", ":u", ":k"):
        exact.update(stat(f"cycles{mode},instructions{mode}", *PROGRAM))
    run("tallystack", "stat", "--csv", "--multiplex", "-o", "stat.csv", "-e", ",".join(TEN), "--",
        *PROGRAM)
    rows = {row["event"]: row for row in read_csv(pathlib.Path("stat.csv").read_text())}
    figures, fine = [], True
    for name in TEN:
        value, deviation = float(rows[name]["value"]), float(rows[name]["deviation"])
        away = (value - exact[truth_of(name)]) / deviation
        figures.append(f"{name}: {value:,.0f} of {exact[truth_of(name)]:,} ± {deviation:,.0f}: "
                       f"{away:+.1f} deviations, running {rows[name]['running']}")
        fine = fine and away >= -2 and (away <= 2 or not name.endswith(":u"))
        fine = fine and deviation < 0.01 * exact["cycles"] and 0 < float(rows[name]["running"]) < 1
    check(fine, "\n".join(figures))
    return "\n".join(figures)
