"""Machines that refuse, for the tests of the command line."""

import os
import pathlib
import shutil
import subprocess

import pytest

FAULT = pathlib.Path(__file__).resolve().parent.parent / "fault"


@pytest.fixture(scope="session")
def deny_perf(tmp_path_factory):
    """A program that runs another one to which the kernel refuses perf_event_open."""
    program = tmp_path_factory.mktemp("deny") / "deny_perf"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-Wall", "-Werror", "-o", program,
                    FAULT / "deny_perf.c"], check=True)
    program.parent.chmod(0o755)
    return str(program)


@pytest.fixture(scope="session")
def fake_pmu(tmp_path_factory):
    """An environment in which the processor seems to have a PMU."""
    library = tmp_path_factory.mktemp("pmu") / "fake_pmu.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library,
                    FAULT / "fake_pmu.c", "-ldl"], check=True)
    return dict(os.environ, LD_PRELOAD=str(library), ASAN_OPTIONS="verify_asan_link_order=0")


@pytest.fixture
def as_nobody():
    """Words to put before a command so that it runs as the user nobody."""
    if os.getuid() != 0:
        pytest.skip("only root can become another user")
    if not shutil.which("setpriv"):
        pytest.skip("setpriv is not installed")
    return ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]
