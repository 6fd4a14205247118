"""What `cmake --install` leaves works without the build folder and the sources."""

import os
import shutil
import subprocess

import pytest

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
WORKLOAD = """\
def spin(rounds):
    total = 0
    for i in range(rounds):
        total += i * i % 7
    return total


spin(2_000_000)
print(*{line.split()[-1] for line in open("/proc/self/maps") if "tallystack-agent" in line})
"""


@pytest.fixture
def run_installed(installed, build, tmp_path):
    """run(args): runs the installed command where the build folder and the sources are hidden.

    Hiding needs root; without it the command is run all the same.
    """
    hidden = [build / "bin", build / "lib", build / "plots", ROOT / "plots", ROOT / "tools"]
    hiding = "".join(f'mount -t tmpfs none "{folder}"; ' for folder in hidden if folder.is_dir())
    can_hide = os.geteuid() == 0 and shutil.which("unshare") and subprocess.run(
        ["unshare", "-m", "sh", "-ec", hiding], stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL).returncode == 0
    before = ["unshare", "-m", "sh", "-ec", hiding + 'exec "$@"', "sh"] if can_hide else []

    def run(*args):
        return subprocess.run([*before, installed / "bin/tallystack", *args], cwd=tmp_path,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, text=True, timeout=60)
    return run


def commands_of(tallystack):
    text = subprocess.run([tallystack, "--help"], check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    return [line.split()[0] for line in text.splitlines() if line.startswith("  ")
            and line[2].isalpha()]


def test_version(run_installed, run_cli):
    done = run_installed("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == run_cli(["--version"]).stdout


def test_record_report_and_plot(installed, run_installed, run_cli, read_csv, python, tmp_path):
    (tmp_path / "workload.py").write_text(WORKLOAD)
    done = run_installed("record", "--", python, "workload.py")
    assert done.returncode == 0, done.stderr
    agents = done.stdout.split()
    assert len(agents) == 1 and Path(agents[0]).is_relative_to(installed.resolve())

    done = run_installed("report", "--csv")
    assert done.returncode == 0, done.stderr
    rows = {row["function"]: row for row in read_csv(done.stdout) if row["unit"] == "ns"}
    assert int(rows["spin"]["samples"]) > 0

    if "plot" in commands_of(installed / "bin/tallystack") and shutil.which("gnuplot"):
        done = run_installed("plot", "functions", "-o", "functions.svg")
        assert done.returncode == 0, done.stderr
        assert "</svg>" in (tmp_path / "functions.svg").read_text()


def test_manual_and_completion(installed):
    commands = commands_of(installed / "bin/tallystack")
    pages = [f"tallystack-{command}.1" for command in commands] + ["tallystack.1"]
    assert sorted(path.name for path in (installed / "share/man/man1").iterdir()) == sorted(pages)
    completion = installed / "share/bash-completion/completions/tallystack"
    subprocess.run(["bash", "-c", 'source "$1"; complete -p tallystack', "bash", completion],
                   check=True, stdout=subprocess.PIPE)


def test_licences(installed):
    texts = installed / "share/doc/tallystack"
    assert (texts / "LICENSE").read_text().startswith("MIT License")
    if list(installed.glob("lib*/**/tallystack-*-linux")):
        assert "GPL-2.0-or-later" in (texts / "simulator/LICENSE").read_text()
        assert "GNU GENERAL PUBLIC LICENSE" in (texts / "simulator/COPYING").read_text()


def test_into_the_root_of_a_package(build, tmp_path):
    """As packagers install: to the configured prefix, below DESTDIR."""
    subprocess.run(["cmake", "--install", build], check=True, timeout=60, stdout=subprocess.PIPE,
                   env={**os.environ, "DESTDIR": str(tmp_path)})
    programs = list(tmp_path.rglob("bin/tallystack"))
    assert len(programs) == 1
    done = subprocess.run([programs[0], "record", "-q", "-o", tmp_path / "rec", "--", "true"],
                          cwd="/", text=True, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
