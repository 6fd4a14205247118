"""What all tests share: the command under test, the interpreters to test it on, what must be there.

TALLYSTACK              the command, build/release/bin/tallystack where it is not set
TALLYSTACK_TEST_REQUIRE names, with commas between, of what a test may not be skipped for lack of,
                        such as python3.14
"""

import csv
import io
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
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


@pytest.fixture
def need():
    """need(what, is_there, reason): skips where something is not there, fails where it must be."""
    def check(what, is_there, reason):
        if not is_there:
            lack(what, reason)
    return check


@pytest.fixture
def run_cli(tallystack, tmp_path):
    """run_cli(args, **kw): runs the command, in the test's own folder, and returns what it did.

    env holds what to add to the environment (None takes a variable away); the rest is as for
    subprocess.run(). Output is captured as text, and a minute is the limit.
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
        options.update(kw)
        return subprocess.run([tallystack, *map(str, args)], env=environment, **options)
    return run


@pytest.fixture
def read_csv():
    """read_csv(text): the rows of a CSV table as dictionaries."""
    def read(text):
        return list(csv.DictReader(io.StringIO(text, newline="")))
    return read
