"""What the command-line tests share: the command under test and machines that refuse."""

import os
import pathlib
import shutil
import subprocess

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def tallystack():
    """The path of the command, from the environment variable TALLYSTACK."""
    path = os.environ.get("TALLYSTACK")
    if not path:
        pytest.fail("set TALLYSTACK to the path of the command under test")
    return os.path.abspath(path)


@pytest.fixture(scope="session")
def deny_perf(tmp_path_factory):
    """A program that runs another one to which the kernel refuses perf_event_open."""
    program = tmp_path_factory.mktemp("deny") / "deny_perf"
    source = TESTS / "fault" / "deny_perf.c"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", program, source], check=True)
    program.parent.chmod(0o755)
    return str(program)


@pytest.fixture
def as_nobody():
    """Words to put before a command so that it runs as the user nobody."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
