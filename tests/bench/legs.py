"""The ways to run a Python program that are measured beside each other: legs.

To add one, write a function that returns a Leg, and name it in all_legs().
"""

import os
import pathlib
import shutil
import subprocess
import sys

import cost

SEVERAL, FEW = None, 5  # rounds: as many as there are, or at most so many of what is slow


class Leg:
    """words(python, program) is the command, or reason tells why there is none.

    clean(folder) removes what the last run left; it is called before each run, and at the end.
    """

    def __init__(self, name, words, env=None, most_rounds=SEVERAL, is_ours=False, reason=None,
                 remark=None, clean=None):
        self.name, self.words, self.env, self.remark = name, words, env, remark
        self.most_rounds, self.is_ours, self.reason = most_rounds, is_ours, reason
        self.clean = clean or (lambda folder: None)

    def run(self, python, program, folder):
        self.clean(folder)
        return cost.run(self.words(python, program), folder, self.env)


PLAIN, AGAIN, OURS = "plain", "plain again (A/A)", "tallystack record"


def plain(name):
    return Leg(name, lambda python, program: [python, *program])


def ours(tallystack, name, *options):
    recording = name.replace(" ", "-") + ".rec"

    def words(python, program):
        return [tallystack, "record", "-q", *options, "-o", recording, "--", python, *program]

    def clean(folder):  # else it would be moved aside
        shutil.rmtree(pathlib.Path(folder) / recording, ignore_errors=True)
    leg = Leg(name, words, is_ours=True, clean=clean)
    leg.recording = recording
    return leg


# ---- perf --------------------------------------------------------------------------------------

def perf_event(folder):
    """The event perf samples by default where it can be counted, else the clock of the CPU."""
    done = subprocess.run(["perf", "stat", "-x,", "-e", "cycles", "true"], cwd=folder, text=True,
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return "cycles" if done.returncode == 0 and done.stderr[:1].isdigit() else "task-clock"


def remove_perf_map(folder):
    """What -X perf leaves in /tmp, of the process that was run."""
    pid = pathlib.Path(folder) / "python.pid"
    if pid.exists():
        pathlib.Path(f"/tmp/perf-{pid.read_text().strip()}.map").unlink(missing_ok=True)
        pid.unlink()


def perf(version, folder):
    name = "perf -F 1000 -g, -X perf"
    if version < (3, 12):
        return Leg(name, None, reason="Python has -X perf from 3.12 on")
    if not shutil.which("perf"):
        return Leg(name, None, reason="perf is not installed (linux-perf, linux-tools-generic)")
    event = perf_event(folder)

    def words(python, program):  # the shell becomes Python, so that its number is known
        return ["perf", "record", "-q", "-N", "-F", "1000", "-g", "-e", event, "-o", "perf.data",
                "--", "sh", "-c", 'echo $$ >python.pid; exec "$@"', "sh",
                python, "-X", "perf", *program]
    return Leg(name, words, clean=remove_perf_map, remark=f"samples {event}")


# ---- from PyPI ---------------------------------------------------------------------------------

class Peers:
    """Python packages in a throw-away virtual environment, fetched when they are first needed."""

    def __init__(self, folder):
        self.venv = pathlib.Path(folder) / "venv"
        self.reason = None
        if not (self.venv / "bin/pip").exists():
            self.reason = self.attempt([sys.executable, "-m", "venv", self.venv])

    @staticmethod
    def attempt(words):
        done = subprocess.run(list(map(str, words)), text=True, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = [line for line in done.stdout.splitlines() if not line.startswith("WARNING")]
        return None if done.returncode == 0 else (lines or ["it failed"])[-1].strip()

    def pip(self, *words):
        if self.reason:
            return f"no virtual environment: {self.reason}"
        return self.attempt([self.venv / "bin/pip", "install", "--quiet",
                             "--disable-pip-version-check", *words])

    def py_spy(self):
        path = self.venv / "bin/py-spy"
        reason = None if path.exists() else self.pip("py-spy")
        return path, reason

    def pyinstrument(self, version):
        """A folder that holds it for a version of Python, which need not have a pip of its own."""
        folder = self.venv / f"for-{version}"
        if (folder / "pyinstrument").exists():
            return folder, None
        return folder, self.pip("--target", folder, "--python-version", version, "--no-deps",
                                "--only-binary=:all:", "pyinstrument>=5")


def py_spy(peers, rate, remark):
    path, reason = peers.py_spy()
    return Leg(f"py-spy -r {rate}{remark}", lambda python, program: [
        path, "record", "-r", rate, "-f", "raw", "-o", "py-spy.txt", "--", python, *program],
        reason=reason)


def pyinstrument(peers, version):
    folder, reason = peers.pyinstrument("%d.%d" % version)
    return Leg("pyinstrument", lambda python, program: [
        python, "-m", "pyinstrument", "-o", "pyinstrument.txt", *program],
        env={"PYTHONPATH": os.fspath(folder)}, most_rounds=FEW, reason=reason)


def cprofile():
    return Leg("cProfile", lambda python, program: [
        python, "-m", "cProfile", "-o", "cprofile.out", *program], most_rounds=FEW)


# ---- all of them -------------------------------------------------------------------------------

def all_legs(tallystack, version, folder, peers):
    return [
        plain(PLAIN),
        plain(AGAIN),
        ours(tallystack, OURS),
        ours(tallystack, "record -e page-faults:1", "-e", "page-faults:1"),
        ours(tallystack, "record -F 10000", "-F", "10000"),
        perf(version, folder),
        py_spy(peers, 100, " (default)"),
        py_spy(peers, 1000, ""),
        pyinstrument(peers, version),
        cprofile(),
    ]


def try_out(legs, python, program, folder):
    """Runs each leg once, so that those that do not work here say why."""
    for leg in legs:
        try:
            if not leg.reason:
                leg.run(python, program, folder)
        except (cost.Failed, OSError) as error:
            leg.reason = str(error)
        leg.clean(folder)
