"""cpu_load.py functions|steps|threads SHARES SECONDS SEED: a load of CPU time in known shares.

SHARES is like 5:3:1. The functions of these shares take turns at random, or in step with each
millisecond of CPU time, in one thread or each in a thread of its own, until together they had so
many seconds of CPU time. What the kernel says each
function (or thread) had of it, in seconds, is printed as JSON.
"""

import json
import random
import sys
import threading
import time


def work(rounds):
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def first(rounds):
    total = 0
    for number in range(rounds):
        total += number * number
    return total


def second(rounds):
    total = 0
    for number in range(rounds):
        total ^= number * 3
    return total


def third(rounds):
    total = 1
    for number in range(rounds):
        total = (total + number) % 65537
    return total


FUNCTIONS = (first, second, third)
STEP = 0.001  # seconds


def rounds_per_second():
    start, rounds = time.thread_time(), 20000
    work(rounds)
    return rounds / max(time.thread_time() - start, 1e-6)


def in_turn(shares, seconds, chance):
    """Short turns, so that each function has about its share, and a random order."""
    spent = dict.fromkeys((function.__name__ for function in FUNCTIONS[:len(shares)]), 0.0)
    speed = rounds_per_second()
    while sum(spent.values()) < seconds:
        function, = chance.choices(FUNCTIONS[:len(shares)], shares)
        rounds = int(speed * chance.uniform(0.0005, 0.0035))
        start = time.thread_time()
        function(rounds)
        spent[function.__name__] += time.thread_time() - start
    return spent


def before(end):
    while (now := time.thread_time()) < end:
        pass
    return now


def after(end):
    while (now := time.thread_time()) < end:
        pass
    return now


def in_step(shares, seconds, chance):
    part = shares[0] / sum(shares) * STEP
    last = step = time.thread_time()
    end = step + seconds
    spent = {"before": 0.0, "after": 0.0}
    while step < end:
        for function, until in ((before, step + part), (after, step + STEP)):
            now = function(until)
            spent[function.__name__] += now - last
            last = now
        step += STEP
    return spent


def in_threads(shares, seconds, chance):
    """The name of a thread is its number in the kernel."""
    spent = {}

    def run(function, share):
        while time.thread_time() < share:
            function(chance.randrange(500, 2000))
        spent[threading.get_native_id()] = time.thread_time()

    threads = [threading.Thread(target=run, args=(function, seconds * share / sum(shares)))
               for function, share in zip(FUNCTIONS, shares)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return spent


def main():
    how, shares, seconds, seed = sys.argv[1:]
    load = {"functions": in_turn, "steps": in_step, "threads": in_threads}[how]
    spent = load([int(share) for share in shares.split(":")], float(seconds), random.Random(seed))
    print(json.dumps(spent))


main()
