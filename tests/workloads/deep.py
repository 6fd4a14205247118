"""deep.py DEPTH: calls itself so deep, touches 1000 fresh pages there, and comes back."""

import sys

from pages import fresh, touch


def descend(depth, memory):
    if depth:
        descend(depth - 1, memory)
    else:
        touch(memory)


depth = int(sys.argv[1])
sys.setrecursionlimit(depth + 100)
descend(depth, fresh(1000))
