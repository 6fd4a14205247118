"""waits_walls.py KIND [SECONDS]: a program of waits.py, with each thread's own wall time.

Its last line is a JSON object from each thread's number to [least, most, cpu] seconds: it lived for
at least as long as it ran Python, and at most since its start was asked for; cpu is null if it
still runs when this is said. The main thread's are since this file began, and since the process was
forked, which the kernel tells to a tick.
"""

import time
begun = time.monotonic()

import json
import os
import sys
import threading

import waits

lives = {}


def process_age():
    with open("/proc/self/stat") as stat:
        ticks = int(stat.read().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")


class Timed(threading.Thread):
    def start(self):
        self.asked = time.monotonic()
        super().start()

    def _bootstrap(self):
        """All that a thread runs: what comes after it waits for the GIL no more."""
        begin, tid = time.monotonic(), threading.get_native_id()
        lives[tid] = begin, self.asked, None, None
        super()._bootstrap()
        lives[tid] = begin, self.asked, time.monotonic(), time.thread_time()


def main():
    threading.Thread = Timed
    waits.SECONDS = float(sys.argv[2]) if sys.argv[2:] else waits.SECONDS
    vars(waits)[sys.argv[1]]()
    cpu = time.thread_time()
    said = {}
    now = time.monotonic()
    for tid, (begin, asked, end, thread_cpu) in lives.items():
        said[tid] = (end or now) - begin, (end or now) - asked, thread_cpu
    said[os.getpid()] = now - begun, process_age(), cpu
    print(json.dumps(said))


main()
