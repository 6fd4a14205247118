"""depth.py DEPTH SECONDS: is busy for so long with a stack of DEPTH frames, calls included."""

import sys
import time


def step(value):
    return value + 1


def work(seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = 0
        for _ in range(10000):
            value = step(value)


def descend(depth, seconds):
    if depth:
        descend(depth - 1, seconds)
    else:
        work(seconds)


depth = int(sys.argv[1])
sys.setrecursionlimit(depth + 100)
descend(depth - 4, float(sys.argv[2]))  # the module, descend(0), work() and step() are four
