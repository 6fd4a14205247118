"""nested.py DEPTH [--bare]: runs itself as a child process, DEPTH times nested; each touches
1000 x (DEPTH + 1) fresh pages. With --bare children start with an empty environment.

Each process prints a line: its PID and its number of pages.
"""

import os
import subprocess
import sys

from pages import fresh, touch


def main():
    depth = int(sys.argv[1])
    touch(fresh(1000 * (depth + 1)))
    print(os.getpid(), 1000 * (depth + 1), flush=True)
    if depth:
        environment = {} if "--bare" in sys.argv else None
        subprocess.run([sys.executable, __file__, str(depth - 1), *sys.argv[2:]], check=True,
                       env=environment)


main()
