"""What all tests share: the command under test, the interpreters to test it on, what must be there.

TALLYSTACK              the command, build/release/bin/tallystack where it is not set
TALLYSTACK_TEST_REQUIRE names, with commas between, of what a test may not be skipped for lack of,
                        such as python3.14, or pmu for the processor's counters
TALLYSTACK_TEST_BUILT   a folder with the tests' C programs, where there is no compiler
"""

import csv
import io
import itertools
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORKLOADS = ROOT / "tests/workloads"
VERSIONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
REQUIRED = set(filter(None, os.environ.get("TALLYSTACK_TEST_REQUIRE", "").split(",")))


class Python(str):
    """The path of an interpreter, and its version as text: 3.11, or 3.13-dbg for a debug build."""

    version = ""


def find_pythons():
    lines = subprocess.run([ROOT / "scripts/pythons", "--list", "--all"], check=True, text=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    found = {}
    for line in lines:
        version, path = line.split(" ", 1)
        found[version] = Python(path)
        found[version].version = version
    return found


PYTHONS = find_pythons()


def lack(what, reason):
    """Skips the test for lack of something, or fails it where that must be there."""
    if what in REQUIRED:
        pytest.fail(f"{what} is required here: {reason}", pytrace=False)
    pytest.skip(reason)


def python_of(version):
    if version not in PYTHONS:
        lack(f"python{version}", f"no Python {version} here; scripts/pythons --all brings it")
    return PYTHONS[version]


def pytest_sessionfinish(session, exitstatus):
    """A run that skipped all its tests is a skip to ctest, too (status 77)."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if exitstatus == 0 and reporter and not reporter.stats.get("passed"):
        session.exitstatus = 77


@pytest.fixture(scope="session")
def tallystack():
    """The path of the command under test."""
    path = os.environ.get("TALLYSTACK", str(ROOT / "build/release/bin/tallystack"))
    if not os.access(path, os.X_OK):
        pytest.fail(f"there is no {path}; build it, or say in TALLYSTACK where it is",
                    pytrace=False)
    return path


@pytest.fixture(params=VERSIONS)
def any_python(request):
    """Each supported interpreter in turn."""
    return python_of(request.param)


@pytest.fixture(scope="session")
def python():
    """One supported interpreter, for what does not depend on its version."""
    for version in VERSIONS:
        if version in PYTHONS:
            return PYTHONS[version]
    return python_of(VERSIONS[0])


@pytest.fixture
def debug_python():
    """A debug build, which is to be refused."""
    return python_of("3.13-dbg")


@pytest.fixture(scope="session")
def need():
    """need(what, is_there, reason): skips where something is not there, fails where it must be."""
    def check(what, is_there, reason):
        if not is_there:
            lack(what, reason)
    return check


@pytest.fixture
def run_cli(tallystack, tmp_path):
    """run_cli(args, **kw): runs the command, in the test's own folder, and returns what it did.

    env holds what to add to the environment (None takes a variable away), tallystack another
    command than the one under test; the rest is as for subprocess.run(). Output is captured as
    text, and a minute is the limit.
    """
    def run(args, env=None, **kw):
        environment = dict(os.environ)
        for name, value in (env or {}).items():
            if value is None:
                environment.pop(name, None)
            else:
                environment[name] = value
        options = dict(cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                       stderr=subprocess.PIPE, timeout=60)
        if not kw.pop("binary", False):
            options.update(text=True, encoding="utf-8", errors="replace")
        command = kw.pop("tallystack", tallystack)
        options.update(kw)
        return subprocess.run([command, *map(str, args)], env=environment, **options)
    return run


@pytest.fixture(scope="session")
def build(tallystack):
    """The build folder of the command under test."""
    folder = pathlib.Path(tallystack).resolve().parent.parent
    if not (folder / "cmake_install.cmake").exists():
        pytest.skip(f"{tallystack} is in no build folder")
    return folder


@pytest.fixture(scope="session")
def installed(build):
    """What `cmake --install` leaves, in a folder that every user can read."""
    folder = pathlib.Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    subprocess.run(["cmake", "--install", build, "--prefix", folder], check=True, timeout=60,
                   stdout=subprocess.PIPE)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def read_csv():
    """read_csv(text): the rows of a CSV table as dictionaries."""
    def read(text):
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return read


@pytest.fixture(scope="session")
def kernel_events(tallystack):
    """For what needs perf_event_open: skips where the kernel refuses it."""
    done = subprocess.run([tallystack, "list", "--csv", "page-faults"], check=True, text=True,
                          stdout=subprocess.PIPE)
    found = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    if found["page-faults"]["available"] != "yes":
        lack("perf_event_open", found["page-faults"]["reason"])


@pytest.fixture(scope="session")
def pmu(tallystack):
    """For what needs the processor's own counters: skips where there are none."""
    done = subprocess.run([tallystack, "list", "--csv", "cycles"], check=True, text=True,
                          stdout=subprocess.PIPE)
    found = {row["name"]: row for row in csv.DictReader(io.StringIO(done.stdout))}
    if found["cycles"]["available"] != "yes":
        lack("pmu", found["cycles"]["reason"])


class Recording:
    """What `tallystack record` left, and how it ended."""

    def __init__(self, run, command, path):
        self.command = command
        self.path = pathlib.Path(path)
        self.returncode, self.stdout, self.stderr = run.returncode, run.stdout, run.stderr

    def run(self):
        """session.json: what was run and counted."""
        return json.loads((self.path / "session.json").read_text())

    def total(self, event):
        """The whole run's count, from the kernel's own inherited counter."""
        return next(e["total"] for e in self.run()["events"] if e["name"] == event)

    def report(self, *options):
        done = subprocess.run([self.command, "report", "-i", self.path, *options], timeout=120,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    def rows(self, by="function", event=None):
        """The report's rows of one event (the first), numbers as numbers."""
        rows = list(csv.DictReader(io.StringIO(self.report("--csv", "--by", by), newline="")))
        event = event or self.run()["events"][0]["name"]
        for row in rows:
            for name in ("self", "inclusive", "samples", "self_low", "self_high", "line"):
                if row.get(name):
                    row[name] = (int if row[name].isdigit() else float)(row[name])
        return [row for row in rows if row["event"] == event]

    def self_of(self, by="function", event=None):
        """Self counts by what the rows are named after, such as the function."""
        key = by if by != "line" else "function"
        counts = {}
        for row in self.rows(by, event):
            counts[row[key]] = counts.get(row[key], 0) + row["self"]
        return counts

    def assert_sums_close(self):
        """All rows of any view sum to the total, to the count."""
        for event in self.run()["events"]:
            for by in ("function", "line", "module", "thread", "process"):
                counted = sum(row["self"] for row in self.rows(by, event["name"]))
                assert counted == event["total"], (by, event["name"])


@pytest.fixture
def record(tallystack, tmp_path):
    """record(program, *arguments, options=..., **kw): runs it under `record` and returns a Recording.

    The program is a path or words; options are record's, page faults by default. Unless told
    otherwise by status=, the program has to end with 0; before= are words to put before all.
    record.read(done, path) gives the Recording of a run that was made otherwise.
    """
    numbers = itertools.count()  # one each, from several threads too

    def run(*command, options=("-e", "page-faults"), status=0, **kw):
        path = tmp_path / f"run{next(numbers)}.rec"
        settings = dict(cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE, timeout=100, text=True, errors="replace")
        settings.update(kw)
        before = settings.pop("before", [])
        words = [*before, tallystack, "record", "-q", *options, "-o", path, "--", *command]
        done = subprocess.run(list(map(str, words)), **settings)
        assert done.returncode == status, done.stderr
        return Recording(done, tallystack, path)

    run.read = lambda done, path: Recording(done, tallystack, path)
    return run


@pytest.fixture(scope="session")
def build_c(tmp_path_factory):
    """build_c(source, *flags): compiles a C file into a program or library; returns its path."""
    built = {}
    there = os.environ.get("TALLYSTACK_TEST_BUILT")

    def build(source, *flags):
        if there:
            return str(pathlib.Path(there, pathlib.Path(source).stem))
        key = (str(source), *flags)
        if key not in built:
            folder = tmp_path_factory.mktemp("c")
            built[key] = str(folder / pathlib.Path(source).stem)
            subprocess.run(["cc", "-O1", "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", built[key],
                            source, *flags], check=True)
        return built[key]
    return build


@pytest.fixture(scope="session")
def deny_perf(build_c):
    """A program that runs another one to which the kernel refuses perf_event_open."""
    return build_c(ROOT / "tests/fault/deny_perf.c")


@pytest.fixture
def as_nobody():
    """Words to put before a command so that it runs as the user nobody."""
    if os.getuid() != 0:
        lack("root", "only root can become another user")
    if not shutil.which("setpriv"):
        lack("setpriv", "setpriv is not installed")
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


@pytest.fixture(scope="session")
def workloads():
    """The folder of the programs to measure."""
    return WORKLOADS


@pytest.fixture
def workloads_copy(tmp_path):
    """The same in the test's own folder, which has spaces and letters beyond ASCII in its name."""
    return pathlib.Path(shutil.copytree(WORKLOADS, tmp_path / "Maß und Zahl – 計測"))
