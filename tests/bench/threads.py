"""threads.py COUNT: starts and joins COUNT threads one after the other.

Prints what each one took, as JSON: microseconds of wall and of CPU time.
"""

import json
import sys
import threading
import time


def nothing():
    pass


def start_and_join(count):
    for _ in range(count):
        thread = threading.Thread(target=nothing)
        thread.start()
        thread.join()


count = int(sys.argv[1])
start_and_join(10)
wall, cpu = time.perf_counter(), time.process_time()
start_and_join(count)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
print(json.dumps({"wall_us": 1e6 * wall / count, "cpu_us": 1e6 * cpu / count}))
