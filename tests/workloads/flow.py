"""Touches fresh pages in every kind of Python frame: generators, coroutines, exception handlers,
comprehensions, methods, callbacks from C. The name of the function says how many."""

import asyncio
import functools

from pages import PAGE, fresh


def generator_400(memory):
    for at in range(0, len(memory), PAGE):
        memory[at] = 1
        yield at


def through_generator():
    for _ in generator_400(fresh(400)):
        pass


async def coroutine_500(memory):
    for at in range(0, len(memory), PAGE):
        memory[at] = 1
        if at % (100 * PAGE) == 0:
            await asyncio.sleep(0)


async def two_at_once():
    await asyncio.gather(coroutine_500(fresh(250)), coroutine_500(fresh(250)))


def thrower(at):
    raise KeyError(at)


def handler_600(memory):
    for at in range(0, len(memory), PAGE):
        try:
            thrower(at)
        except KeyError:
            memory[at] = 1


def key_700(item):
    memory, at = item
    memory[at] = 1
    return -at


def sort_by_key():
    memory = fresh(700)
    items = [(memory, at) for at in range(0, len(memory), PAGE)]
    items.sort(key=key_700)


class Toucher:
    def __init__(self, memory):
        self.memory = memory

    def method_800(self):
        for at in range(0, len(self.memory), PAGE):
            self.memory[at] = 1

    @property
    def property_900(self):
        for at in range(0, len(self.memory), PAGE):
            self.memory[at] = 1
        return None

    def __del__(self):
        self.memory[0] = 1


def partial_300(memory, at, _):
    memory[at] = 1


def by_map():
    memory = fresh(300)
    call = functools.partial(partial_300, memory)
    for _ in map(call, range(0, len(memory), PAGE), range(len(memory) // PAGE)):
        pass


def finally_200(memory):
    for at in range(0, len(memory), PAGE):
        try:
            continue
        finally:
            memory[at] = 1


through_generator()
asyncio.run(two_at_once())
handler_600(fresh(600))
sort_by_key()
Toucher(fresh(800)).method_800()
Toucher(fresh(900)).property_900
by_map()
finally_200(fresh(200))
