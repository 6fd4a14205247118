"""The program whose memory capture.py records: it waits for its standard input at the end of a call
path that has one frame of each kind, after it wrote what Python itself says of each frame.

A line for each frame, innermost first: the first line of its function, the line it executes, the
qualified name, the file.
"""

import os
import sys


def describe(frame):
    while frame:
        code = frame.f_code
        print("frame", code.co_firstlineno, frame.f_lineno, code.co_qualname, code.co_filename)
        frame = frame.f_back
    sys.stdout.flush()


def wait_here():
    for _ in range(1):
        pass
    return describe(sys._getframe()) or os.read(0, 1)


def größe():
    return wait_here()


def 計測_深さ():
    return größe()


def 𠮷野():
    return (
        len(str(
            計測_深さ()
        ))
    )


def recurse(depth):
    if depth:
        return recurse(depth - 1)
    return 𠮷野()


class Meter:
    readings = []

    @classmethod
    def read(cls):
        cls.readings.append(
            1)
        return [recurse(depth) for depth in (2,)]


def with_callback():
    return sorted([1], key=lambda _: Meter.read())


def generate():
    yield 1
    yield with_callback()


async def inner_coroutine():
    return sum(1 for _ in generate())


async def coroutine():
    try:
        raise ValueError
    except ValueError:
        await inner_coroutine()


def outer():
    def nested():
        def doubly_nested():
            try:
                coroutine().send(None)
            except StopIteration:
                pass
        return doubly_nested()
    return nested()


class Body:
    outer()
