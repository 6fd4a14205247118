"""closes_descriptors.py range|each|daemon: closes all descriptors but the standard ones, opens new
files in their place, and then touches 2000 fresh pages.

What it wrote to the files is read back: nobody else may have written to them, or read from them.
"""

import ctypes
import os
import sys
import tempfile

from pages import fresh, touch


def close_all(how):
    if how == "range":
        os.closerange(3, 65536)
    elif how == "each":
        for fd in map(int, os.listdir("/proc/self/fd")):
            if fd > 2:
                try:
                    os.close(fd)
                except OSError:
                    pass
    else:  # behind libc's back
        syscall = ctypes.CDLL(None).syscall
        close_range = 436
        assert syscall(close_range, 3, 65535, 0) == 0


def main():
    memory = fresh(2000)
    close_all(sys.argv[1])
    files = [tempfile.TemporaryFile() for _ in range(40)]
    for number, file in enumerate(files):
        os.dup2(file.fileno(), 1000 + number)
        os.write(1000 + number, b"%d" % number)
    touch(memory)
    for number, file in enumerate(files):
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == len(str(number))
        assert os.pread(file.fileno(), 100, 0) == b"%d" % number
    print("kept", flush=True)


main()
