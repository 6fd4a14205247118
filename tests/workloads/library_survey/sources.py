"""Finding and reading source files."""

import os
import sysconfig

LEFT_OUT = {"__pycache__", "dist-packages", "idlelib", "lib2to3", "pydoc_data", "site-packages",
            "test", "tests", "turtledemo"}


def library_folder():
    """The folder that this interpreter imports its standard library from."""
    return sysconfig.get_paths()["stdlib"]


def find_sources(folder, limit):
    """The paths of up to `limit` modules below folder, in an order that does not change."""
    found = []
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        found += (os.path.join(path, name) for name in sorted(files) if name.endswith(".py"))
        if len(found) >= limit:
            break
    return found[:limit]


def read_source(path):
    """The text of one module as bytes."""
    with open(path, "rb") as file:
        return file.read()


def module_name(path, folder):
    """json/decoder.py is json.decoder, json/__init__.py is json."""
    parts = os.path.relpath(path, folder)[:-len(".py")].split(os.sep)
    if parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)
