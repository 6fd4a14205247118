"""drops_privileges.py USER: becomes that user for good, then touches 1000 fresh pages in a new
thread, and 2000 in a child process. Prints the PIDs of both processes."""

import os
import sys
import threading

from pages import fresh, touch


def in_thread():
    touch(fresh(1000))


def in_child():
    touch(fresh(2000))


def main():
    user = int(sys.argv[1])
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    thread = threading.Thread(target=in_thread)
    thread.start()
    thread.join()
    child = os.fork()
    if child == 0:
        in_child()
        sys.exit(0)
    assert os.waitpid(child, 0)[1] == 0
    print(os.getpid(), child)


main()
