"""Coroutines whose waits are known: waits_tasks.py KIND. They time themselves, and print what they saw."""

import asyncio
import contextlib
import json
import os
import select
import sys
import threading
import time

spans = []  # name, begin, end of what a coroutine awaited itself


@contextlib.contextmanager
def awaiting(name):
    begin = time.monotonic()
    yield
    spans.append((name, begin, time.monotonic()))


def divided():
    """Seconds by name: at each moment the time is divided by how many were awaiting."""
    seconds = {}
    moments = sorted({moment for _, *span in spans for moment in span})
    for begin, end in zip(moments, moments[1:]):
        names = [name for name, first, last in spans if first <= begin and end <= last]
        for name in names:
            seconds[name] = seconds.get(name, 0) + (end - begin) / len(names)
    return seconds


def later(seconds):
    """A future that is done after a while: what awaits it is the innermost coroutine."""
    loop = asyncio.get_running_loop()
    future = loop.create_future()
    loop.call_later(seconds, future.set_result, None)
    return future


async def left(times, seconds):
    for _ in range(times):
        with awaiting("left"):
            await later(seconds)


async def right(times, seconds):
    for _ in range(times):
        with awaiting("right"):
            await later(seconds)


def shares():
    """Two coroutines await different things, now one and now both of them; one of them by a task."""
    async def main():
        await left(3, 0.1)
        await asyncio.gather(left(3, 0.1), right(5, 0.1))
        async with asyncio.TaskGroup() as group:
            group.create_task(right(2, 0.1))
            await left(1, 0.1)

    asyncio.run(main())
    print(json.dumps(divided()))


def ways():
    """What a task waits for by another is the other's; each way takes 0.15 s."""
    async def child():
        with awaiting("child"):
            await later(0.15)

    async def by_await():
        await asyncio.create_task(child())

    async def by_gather():
        await asyncio.gather(child(), child())

    async def by_group():
        async with asyncio.TaskGroup() as group:
            group.create_task(child())
            group.create_task(child())

    async def by_wait():
        await asyncio.wait([asyncio.create_task(child()), asyncio.create_task(child())])

    async def by_completion():
        for done in asyncio.as_completed([child(), child()]):
            await done

    async def by_timeout():
        await asyncio.wait_for(child(), 10)

    async def numbers():
        await child()
        yield 1

    async def by_generator():
        async for _ in numbers():
            pass

    async def by_queue():
        queue = asyncio.Queue()
        asyncio.get_running_loop().call_later(0.15, queue.put_nowait, 1)
        await queue.get()

    async def by_thread():
        await asyncio.gather(asyncio.get_running_loop().run_in_executor(None, time.sleep, 0.15))

    async def main():
        for way in (by_await, by_gather, by_group, by_wait, by_completion, by_timeout, by_generator,
                    by_queue, by_thread):
            await way()

    asyncio.run(main())


def threads():
    """A loop in each of two threads; one sleeps in a callback, which is no wait of its tasks."""
    async def calls_back():
        asyncio.get_running_loop().call_soon(select.select, [], [], [], 0.5)
        await later(1)

    async def plain():
        await later(1)

    thread = threading.Thread(target=lambda: asyncio.run(calls_back()))
    thread.start()
    asyncio.run(plain())
    thread.join()


def crowd():
    """Thousands of tasks, a quarter of which await one thing and the rest another."""
    async def few():
        await done

    async def most():
        await done

    async def main():
        global done
        done = asyncio.get_running_loop().create_future()
        tasks = [asyncio.create_task(few() if i % 4 == 0 else most()) for i in range(4000)]
        for _ in range(100):
            await later(0.01)
        done.set_result(None)
        await asyncio.gather(*tasks)

    asyncio.run(main())


def foreign():
    """A loop that is not asyncio's own: it waits, and says only that it is a loop."""
    asyncio._set_running_loop(asyncio.new_event_loop())
    near, far = os.pipe()
    for _ in range(10):
        select.select([near, far], [], [], 0.05)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
