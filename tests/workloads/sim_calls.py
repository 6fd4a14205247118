"""Calls in every way that Python has: of functions, generators, coroutines, classes and from C.

No call depends on an address or the time, and what is called is the same under a profile function,
so that each function's calls can be counted twice and compared.
"""

import asyncio
import contextlib
import functools
import re
import sys


def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)


def even(n):
    return n == 0 or odd(n - 1)


def odd(n):
    return n != 0 and even(n - 1)


def deep(n):
    """Raises through n frames."""
    if n == 0:
        raise KeyError(n)
    deep(n - 1)


def through_handlers(n):
    """Raises through n frames, each of which looks at it and raises it again."""
    try:
        if n == 0:
            raise KeyError(n)
        through_handlers(n - 1)
    except KeyError:
        raise
    finally:
        fib(1)


# ---- generators --------------------------------------------------------------------------------

def numbers(n):
    for i in range(n):
        try:
            yield i
        except ValueError:
            pass


def outer(n):
    got = yield from numbers(n)
    yield got


def ends_by_throw():
    yield 1
    yield 2


def cleaned_up():
    try:
        yield 1
    finally:
        fib(2)


def never_started():
    yield 1


@contextlib.contextmanager
def managed():
    try:
        yield fib(3)
    except ValueError:
        fib(1)


def generators():
    made = numbers(9)
    next(made)
    made.throw(ValueError)
    total = sum(made) + sum(x * x for x in range(20))
    made = outer(5)
    next(made)
    made.send(None)
    made.throw(ValueError)
    list(made)
    made = ends_by_throw()
    next(made)
    with contextlib.suppress(KeyError):
        made.throw(KeyError)
    made = ends_by_throw()
    with contextlib.suppress(KeyError):
        made.throw(KeyError)  # before it ever ran
    made = cleaned_up()
    next(made)
    made.close()
    made = cleaned_up()
    next(made)
    del made
    never_started()
    with managed():
        pass
    with managed():
        raise ValueError
    first, *rest = numbers(4)
    return total + first + len(rest)


# ---- coroutines --------------------------------------------------------------------------------

async def answer(n):
    await asyncio.sleep(0)
    return n


async def ticks(n):
    for i in range(n):
        yield i
        await asyncio.sleep(0)


async def waits_for_ever():
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        fib(2)
        raise


class Managed:
    async def __aenter__(self):
        return await answer(1)

    async def __aexit__(self, *what):
        await answer(2)
        return True


async def coroutines():
    total = sum(await asyncio.gather(*[answer(i) for i in range(5)]))
    total += sum([i async for i in ticks(4)])
    task = asyncio.ensure_future(waits_for_ever())
    await asyncio.sleep(0)
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    async with Managed():
        raise ValueError
    by_hand = answer(7)
    by_hand.send(None)
    with contextlib.suppress(KeyError):
        by_hand.throw(KeyError)
    answer(8).close()
    return total


# ---- called from C -----------------------------------------------------------------------------

def key(x):
    return -x


def add(x, y):
    return x + y


def upper(match):
    return match.group().upper()


class Item:
    limit = 3

    def __init_subclass__(cls):
        cls.limit = 4

    def __new__(cls, *arguments):
        return super().__new__(cls)

    def __init__(self, value):
        self.value = value

    def __lt__(self, other):
        return self.value < other.value

    def __eq__(self, other):
        return self.value == other.value

    def __hash__(self):
        return self.value

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return len(name)

    def __len__(self):
        return 2

    def __getitem__(self, index):
        if index >= self.limit:
            raise IndexError
        return index

    def __call__(self, x):
        return x

    def __repr__(self):
        return "item"

    def __add__(self, other):
        return self.value + other.value

    def __enter__(self):
        return self

    def __exit__(self, *what):
        return True

    def __del__(self):
        fib(1)

    @property
    def twice(self):
        return 2 * self.value

    @classmethod
    def made(cls, value):
        return cls(value)

    @staticmethod
    def plain():
        return 1


class Sub(Item):
    def __init__(self, value):
        super().__init__(value)


def from_c():
    sorted(range(100), key=key)
    functools.reduce(add, range(10))
    list(map(add, range(5), range(5)))
    list(filter(key, range(5)))
    re.sub("b+", upper, "abbcbdb")
    functools.partial(add, 1)(2)
    max([3, 1, 2], key=key)
    items = [Item(3), Item.made(1), Sub(2)]
    sorted(items)
    {item: 1 for item in items}
    items[0].missing, items[0].twice, items[0](1)
    len(items[0]), list(items[0]), repr(items), items[0] + items[1], Item.plain()
    items[0] in items[1:]
    with items[0]:
        raise KeyError
    with contextlib.suppress(AttributeError):
        items[0].__missing__
    eval("fib(2)")
    exec("def inner():\n    return fib(1)\ninner()")
    [call(1) for call in [lambda x: x, items[2]]]
    print(items[0], file=Writer())
    type("Made", (Item,), {"__init__": lambda self: None})()


class Writer:
    def write(self, text):
        return len(text)


def main():
    fib(10)
    generators()
    asyncio.run(coroutines())
    sys.setrecursionlimit(5000)
    for raises in (deep, through_handlers):
        try:
            raises(2000)
        except KeyError:
            pass
    even(50)
    from_c()


main()
