"""execs.py: touches 1000 fresh pages, then becomes another program that touches 2000."""

import os
import sys

from pages import fresh, touch


def before():
    touch(fresh(1000))


def after():
    touch(fresh(2000))


if "again" in sys.argv:
    after()
else:
    before()
    print(os.getpid(), flush=True)
    os.execv(sys.executable, [sys.executable, __file__, "again"])
