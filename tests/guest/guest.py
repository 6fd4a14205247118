"""What the tests in the emulated machine share."""

import csv
import io
import os
import pathlib
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = ROOT / "build/aarch64"
LOOP = BUILD / "tests/guest/loop"
UNIT = BUILD / "tests/unit"

# So that a Python program counts the same each time
os.environ.update(PYTHONHASHSEED="0", LC_ALL="C.UTF-8")


def check(condition, figures):
    if not condition:
        raise AssertionError(figures)


def near(value, expected, share):
    return abs(value - expected) <= share * expected


def run(*words, status=0, **options):
    """Runs a command, with its output captured as text.

    It has no limit of time: that is virtual here, and runs ahead whenever the machine waits for a
    disk. scripts/guest limits the whole.
    """
    settings = dict(stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                    text=True)
    settings.update(options)
    done = subprocess.run([str(word) for word in words], **settings)
    if status is not None and done.returncode != status:
        shown = " ".join(str(word) for word in words)
        raise AssertionError(f"{shown}: status {done.returncode}\n{done.stdout}{done.stderr}")
    return done


def read_csv(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def stat(events, *command, options=(), env=None):
    """The values that `tallystack stat` counts, by event; None where one is missing."""
    run("tallystack", "stat", "--csv", "-o", "stat.csv", "-e", events, *options, "--", *command,
        env=env)
    rows = read_csv(pathlib.Path("stat.csv").read_text())
    return {row["event"]: int(row["value"]) if row["value"] else None for row in rows}


def perf_stat(events, *command):
    """What the kernel's own tool counts, by event."""
    run("perf", "stat", "-x,", "-o", "perf.csv", "-e", events, "--", *command)
    lines = [line.split(",") for line in pathlib.Path("perf.csv").read_text().splitlines()]
    return {line[2]: int(line[0]) for line in lines if len(line) > 2 and line[0].isdigit()}


def perf_environment():
    """The environment that perf gives its programs: a longer PATH changes what starting costs."""
    run("perf", "stat", "-o", "perf.txt", "--", "sh", "-c", "env -0 >environment")
    variables = pathlib.Path("environment").read_text().split("\0")
    return dict(variable.split("=", 1) for variable in variables if variable)


def record(events, *command):
    """Records a command; returns where."""
    options = ("-e", events) if events else ()
    run("tallystack", "record", "-q", *options, "-o", "run.rec", "--", *command)
    return "run.rec"
