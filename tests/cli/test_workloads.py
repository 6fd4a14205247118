"""The programs that are measured run on every interpreter, and say the same each time."""

import subprocess

from pathlib import Path

WORKLOADS = Path(__file__).resolve().parent.parent / "workloads"


def survey(python, *arguments):
    return subprocess.run([python, "-B", WORKLOADS / "library_survey", *arguments], timeout=60,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_library_survey_repeats_itself(any_python):
    first, second = (survey(any_python, "--files", "8") for _ in range(2))
    assert (first.returncode, first.stderr) == (0, "")
    assert first.stdout.startswith(f"Survey of the standard library of Python {any_python.version}")
    assert "sources:        8 files," in first.stdout
    assert first.stdout == second.stdout


def test_library_survey_refuses_nothing_to_read(python):
    assert survey(python, "--files", "0").returncode == 2
