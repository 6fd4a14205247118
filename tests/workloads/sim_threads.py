"""Threads that take turns, hand each other work, and end while others run."""

import queue
import threading


def step(n):
    return n ^ 1


def work(n):
    for i in range(n):
        step(i)


def produce(items, n):
    for i in range(n):
        items.put(i)
    items.put(None)


def consume(items):
    while (item := items.get()) is not None:
        step(item)


def main():
    items = queue.Queue(3)
    threads = [threading.Thread(target=work, args=(2000 * i,)) for i in range(1, 4)]
    threads += [threading.Thread(target=produce, args=(items, 50)),
                threading.Thread(target=consume, args=(items,))]
    for thread in threads:
        thread.start()
    work(1000)
    for thread in threads:
        thread.join()


main()
