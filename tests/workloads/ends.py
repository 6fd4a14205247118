"""ends.py HOW: touches 3000 fresh pages, says so, and ends: return, exit, _exit, kill, abort, raise
or fork_exit (in a child, by os._exit)."""

import os
import signal
import sys

from pages import fresh, touch


def main(how):
    if how == "fork_exit" and (child := os.fork()):
        os.waitpid(child, 0)
        return
    touch(fresh(3000))
    print(3000, flush=True)
    if how == "exit":
        sys.exit(7)
    if how in ("_exit", "fork_exit"):
        os._exit(7)
    if how == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if how == "abort":
        os.abort()
    if how == "raise":
        raise ValueError("the end")


main(sys.argv[1])
