"""Writes line tables of real functions, and what Python itself says of them, for test_lines.c.

    pythonX.Y -I -S tests/unit/line_tables.py
    pythonX.Y -I -S -X no_debug_ranges tests/unit/line_tables.py

A line per function: its name, its first line, the table in hexadecimal, and the lines of its code
units as COUNTxLINE. Where Python knows no line, that of the instruction before holds.
"""

import itertools
import pathlib
import sys
import types


def jumps_about(items):
    total = 0
    for item in items:
        try:
            if item > 3 and \
                    total < 100:
                total += max(
                    item,


                    min(item, 1),
                )
            else: continue
        finally:
            total -= 1
    with open(total) as first, open(
            items) as second:
        return lambda: [
            first for first in second
            if first]


async def waits(thing):
    async for each in thing:
        async with each as that:
            await that
            yield that


class Body:
    """A class body."""
    value = 1

    def method(self, *, named: int = 3) -> "list[int]":
        match named:
            case 1 | 2:
                return super().method()
            case [first, *_]:
                del self.value
            case _:
                assert self
        nonlocal_value = 0

        def nested():
            nonlocal nonlocal_value
            nonlocal_value += 1
            return f"{nonlocal_value!r:>{named}} {self}"
        return nested


# Steps that take several bytes, forwards and back
FAR = "def far_apart(value):\n  value += ({}(lambda: 1)() + max(1,{}value))\n  return value\n".format(
    "\n" * 40, "\n" * 5000)


def codes_of(code):
    yield code
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from codes_of(constant)


def lines_of(code):
    line = code.co_firstlineno
    for found, *_ in code.co_positions():
        line = line if found is None else found
        yield line


def write(code):
    runs = (f"{len(list(run))}x{line}" for line, run in itertools.groupby(lines_of(code)))
    print(code.co_qualname, code.co_firstlineno, code.co_linetable.hex(), ",".join(runs))


def main():
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    print("# Python", sys.version.split()[0])
    for text in (source, FAR):
        for code in codes_of(compile(text, "line_tables.py", "exec")):
            write(code)


main()
