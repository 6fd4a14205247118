"""pool.py fork|spawn|forkserver: 4 workers, the n-th of which touches n x 500 fresh pages.

Prints a JSON object from each worker's PID to its number of pages.
"""

import json
import multiprocessing
import os
import sys

from pages import fresh, touch

WORKERS = 4


def work(number, meeting):
    meeting.wait()  # so that no worker takes two of them
    touch(fresh(500 * number))
    return os.getpid(), 500 * number


def start(meeting_of_all):
    global meeting
    meeting = meeting_of_all


def task(number):
    return work(number, meeting)


def main():
    context = multiprocessing.get_context(sys.argv[1])
    with context.Pool(WORKERS, start, [context.Barrier(WORKERS)]) as pool:
        pages = dict(pool.map(task, range(1, WORKERS + 1), chunksize=1))
        pool.close()
        pool.join()
    print(json.dumps(pages))


if __name__ == "__main__":
    main()
