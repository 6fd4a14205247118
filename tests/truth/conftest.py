"""What the tests of simulated counts share, and those of what a program waits for."""

import os
import pathlib
import shutil
import subprocess
import textwrap
import typing

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Simulated(typing.NamedTuple):
    """A simulated run: the rows of its report, and the program's totals by event."""

    rows: list
    totals: dict

    def sums(self):
        """The self of all rows, by event."""
        sums = {}
        for row in self.rows:
            assert row["self_low"] == row["self"] == row["self_high"]
            assert row["source"] == "simulated"
            sums[row["event"]] = sums.get(row["event"], 0) + int(row["self"])
        return sums

    def self_of(self, event, function, line=None):
        return sum(int(row["self"]) for row in self.rows
                   if row["event"] == event and row["function"] == function
                   and (line is None or row["line"] == str(line)))


@pytest.fixture
def simulate(need, tallystack, run_cli, read_csv):
    """simulate(command, *options, by="line"): the Simulated run of a command."""
    tool = pathlib.Path(tallystack).parent.parent / "lib/tallystack/valgrind"
    need("simulator", shutil.which("valgrind") and tool.exists(), "there is no valgrind here")

    def run(command, *options, by="line", output="rec", **more):
        done = run_cli(["record", "--simulate", "-q", "-o", output, *options, "--", *command],
                       timeout=600, **more)
        assert done.returncode == 0, done.stderr
        report = run_cli(["report", "-i", output, "--csv", "--limit", 0, "--by", by])
        totals = read_csv(run_cli(["stat", "-i", output, "--csv"]).stdout)
        return Simulated(read_csv(report.stdout),
                         {row["event"]: int(row["value"]) for row in totals})
    return run


@pytest.fixture(scope="session")
def numpy_python(need):
    """The system's interpreter, with the distribution's numpy."""
    path = "/usr/bin/python3"
    done = subprocess.run([path, "-c", "import numpy"], stderr=subprocess.DEVNULL)
    need("numpy", done.returncode == 0, f"{path} has no numpy; scripts/setup installs it")
    return path


@pytest.fixture
def write(tmp_path):
    """write(text): the path of a program of this text."""
    def write_program(text, name="program.py"):
        path = tmp_path / name
        path.write_text(textwrap.dedent(text))
        return path
    return write_program


@pytest.fixture(scope="session")
def native_work(need):
    """native_work(python): the kind of waits.py that computes in C without the GIL.

    numpy's, where the interpreter is the distribution's or came by scripts/pythons. One that was
    there otherwise (pyenv's) has no numpy that it could get from the archive.
    """
    def kind_for(python):
        lacks_numpy = subprocess.run([python, "-c", "import numpy"], stderr=subprocess.DEVNULL
                                     ).returncode
        if lacks_numpy and not python.startswith(("/usr/bin/", str(ROOT / "build/pythons"))):
            return "digest"
        need("numpy", not lacks_numpy, f"{python} has no numpy; scripts/pythons brings those that do")
        return "product"
    return kind_for


@pytest.fixture
def lacks_direct_io(tmp_path):
    """Why files of the test's folder cannot be read past the page cache; "" where they can."""
    path = tmp_path / "read past the cache"
    try:
        os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_DIRECT))
    except OSError as error:
        return f"no direct I/O in {tmp_path}: {error.strerror}"
    path.unlink()
    return ""
