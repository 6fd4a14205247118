"""many_threads.py TOTAL AT_ONCE: starts so many threads, each of which touches 3 fresh pages.

Prints as JSON the numbers of descriptors and of mappings and the resident memory (KiB), each after
the first of ten parts of the threads and at the end.
"""

import json
import os
import sys
import threading
import time

from pages import fresh, touch


def run(memory, all_there):
    all_there.wait()
    touch(memory)


def start_together(count):
    all_there = threading.Barrier(count)
    memories = [fresh(3) for _ in range(count)]
    threads = [threading.Thread(target=run, args=(memory, all_there)) for memory in memories]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def state():
    while len(os.listdir("/proc/self/task")) > 1:
        time.sleep(0.001)  # a thread that was joined may still be on its way out
    with open("/proc/self/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    with open("/proc/self/maps") as maps:
        mappings = sum(1 for _ in maps)
    return {"descriptors": len(os.listdir("/proc/self/fd")), "mappings": mappings,
            "resident": resident}


def main():
    total, at_once = map(int, sys.argv[1:])
    states = []
    for _ in range(total // at_once):
        start_together(at_once)
        states.append(state())
    print(json.dumps({"early": states[0], "end": states[-1]}))


main()
