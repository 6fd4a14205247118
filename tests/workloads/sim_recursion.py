"""Calls itself, and runs generators and a sort with a key function; imports nothing."""


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def numbers(n):
    for i in range(n):
        got = yield i
        if got:
            yield got


def squares(n):
    return sum(x * x for x in numbers(n))


def key(x):
    return x * 7919 % 1000


class Node:
    def __init__(self, value):
        self.value = value
        self.name = f"node {value}"


def main():
    fib(15)
    squares(2000)
    nodes = {value: Node(value) for value in sorted(range(2000), key=key)}
    return sum(len(node.name) + hash(node) % 2 for node in nodes.values())


main()
