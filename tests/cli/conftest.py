"""Machines that refuse, for the tests of the command line."""

import os
import pathlib
import subprocess

import pytest

FAULT = pathlib.Path(__file__).resolve().parent.parent / "fault"


def preloaded(folder, name):
    """An environment in which all programs are preloaded with tests/fault/NAME.c."""
    library = folder / f"{name}.so"
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-Wall", "-Werror", "-o", library,
                    FAULT / f"{name}.c", "-ldl"], check=True)
    return dict(os.environ, LD_PRELOAD=str(library), ASAN_OPTIONS="verify_asan_link_order=0")


@pytest.fixture(scope="session")
def fake_pmu(tmp_path_factory):
    """An environment in which the processor seems to have a PMU."""
    return preloaded(tmp_path_factory.mktemp("pmu"), "fake_pmu")


@pytest.fixture(scope="session")
def fake_papi(tmp_path_factory):
    """An environment in which PAPI has a meter of energy."""
    return preloaded(tmp_path_factory.mktemp("papi"), "fake_papi")


@pytest.fixture
def fake_devices(tmp_path, fake_pmu):
    """fake_devices({"cpu/type": "4", ...}, variable=value, ...): an environment in which the kernel
    describes these PMUs."""
    def make(files, **variables):
        folder = tmp_path / "devices"
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{text}\n")
        return dict(fake_pmu, FAKE_DEVICES=str(folder), **variables)
    return make


@pytest.fixture
def small_disk(tmp_path, need):
    """small_disk(size): a folder on a disk of that size."""
    mounted = []

    def mount(size):
        folder = tmp_path / f"disk{len(mounted)}"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder],
                              stderr=subprocess.PIPE)
        need("mount", done.returncode == 0, "a small disk cannot be mounted here")
        mounted.append(folder)
        return folder
    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)
