"""fresh_pages.py N: two functions touch N and 3 N fresh pages, each at one line."""

import sys

from pages import PAGE, fresh


def once(memory):
    for at in range(0, len(memory), PAGE):
        memory[at] = 1  # N page faults


def three_times(memory):
    for at in range(0, len(memory), PAGE):
        memory[at] = 1  # 3 N page faults


def main():
    count = int(sys.argv[1])
    small, large = fresh(count), fresh(3 * count)
    once(small)
    three_times(large)


main()
