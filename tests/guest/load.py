"""Three functions whose work is as 1 : 2 : 3, called in turn, ROUNDS times.

    load.py ROUNDS [THREADS]

Each of THREADS further threads does as much, the second twice, the third three times as much. The
loops allocate nothing, since what that costs depends on what the heap looks like.
"""

import sys
import threading
from itertools import repeat

UNIT = 15000


def one():
    odd = False
    for _ in repeat(None, UNIT):
        odd = not odd
    return odd


def two():
    odd = False
    for _ in repeat(None, 2 * UNIT):
        odd = not odd
    return odd


def three():
    odd = False
    for _ in repeat(None, 3 * UNIT):
        odd = not odd
    return odd


def main(rounds):
    for _ in range(rounds):
        one()
        two()
        three()


if __name__ == "__main__":
    rounds = int(sys.argv[1])
    threads = [threading.Thread(target=main, args=(rounds * (i + 1),))
               for i in range(int(sys.argv[2]) if len(sys.argv) > 2 else 0)]
    for thread in threads:
        thread.start()
    main(rounds)
    for thread in threads:
        thread.join()
