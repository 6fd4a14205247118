"""calls.py COUNT: fib(20) and as many calls of small methods, COUNT times over."""

import sys


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


class Counter:
    def __init__(self):
        self.value = 0

    def step(self):
        return 1

    def add(self, amount):
        self.value += amount

    def advance(self):
        self.add(self.step())


def advance_often(counter):
    for _ in range(7000):
        counter.advance()


def main():
    counter = Counter()
    for _ in range(int(sys.argv[1])):
        fib(20)
        advance_often(counter)


main()
