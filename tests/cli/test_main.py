"""The command itself: help, version, and what it says to a command it does not know."""

import re


def test_version(run_cli):
    run = run_cli(["--version"])
    assert (run.returncode, run.stderr) == (0, "")
    assert re.fullmatch(r"tallystack \d+\.\d+\.\d+\n", run.stdout)


def test_help_is_the_same_by_either_name(run_cli):
    run = run_cli(["--help"])
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == run_cli(["-h"]).stdout
    assert "tallystack" in run.stdout


def test_unknown_command(run_cli):
    run = run_cli(["recrod"])
    assert run.returncode == 125
    assert run.stdout == ""
    assert "recrod" in run.stderr
    assert run.stderr.startswith("tallystack: ")
