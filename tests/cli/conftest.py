"""Machines that refuse, for the tests of the command line."""

import os
import pathlib
import subprocess

import pytest

FAULT = pathlib.Path(__file__).resolve().parent.parent / "fault"


@pytest.fixture(scope="session")
def fake_pmu(tmp_path_factory):
    """An environment in which the processor seems to have a PMU."""
    library = tmp_path_factory.mktemp("pmu") / "fake_pmu.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library,
                    FAULT / "fake_pmu.c", "-ldl"], check=True)
    return dict(os.environ, LD_PRELOAD=str(library), ASAN_OPTIONS="verify_asan_link_order=0")
