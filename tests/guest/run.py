"""Runs the tests in the emulated machine (scripts/guest): run.py [MODULE...]

A test is a function of a test_*.py whose name begins with test_. It fails by an exception, which
check() of guest.py raises; what it returns are the figures to print with its line. Each runs in a
new folder of its own. The status is 1 where one failed.
"""

import ctypes
import importlib
import os
import pathlib
import sys
import tempfile
import time
import traceback

HERE = pathlib.Path(__file__).parent


def run(test):
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        os.chmod(folder, 0o777)
        try:
            return True, test()
        except AssertionError as failure:
            return False, str(failure)
        except Exception:
            return False, traceback.format_exc()
        finally:
            os.chdir(HERE)


def fix_addresses():
    """Programs get the same addresses each time: what they do depends on them a little."""
    ADDR_NO_RANDOMIZE = 0x0040000
    ctypes.CDLL(None).personality(ADDR_NO_RANDOMIZE)


def main(names):
    fix_addresses()
    counts = {True: 0, False: 0}
    modules = names or sorted(path.stem for path in HERE.glob("test_*.py"))
    for name in modules:
        module = importlib.import_module(name.removesuffix(".py"))
        for test in [value for key, value in vars(module).items() if key.startswith("test_")]:
            began = time.monotonic()
            passed, figures = run(test)
            counts[passed] += 1
            title = f"{module.__name__[5:]}: {test.__name__[5:].replace('_', ' ')}"
            print("ok" if passed else "not ok", sum(counts.values()), "-", title,
                  f"({time.monotonic() - began:.1f} s)", flush=True)
            for line in (figures or "").splitlines():
                print("   #", line, flush=True)
    print(f"guest: {counts[True]} passed, {counts[False]} failed", flush=True)
    return 1 if counts[False] or not counts[True] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
