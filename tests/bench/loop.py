"""loop.py COUNT: a loop of arithmetic that calls nothing, COUNT times 100 000 steps."""

import sys


def loop(count):
    value = 1
    for step in range(100000 * count):
        value = (value * 5 + step) & 0xffff
    return value


loop(int(sys.argv[1]))
