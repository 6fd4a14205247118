"""Two threads at once: one compresses and hashes in C without holding the GIL, the other loops.

Prints as JSON how much CPU time each of the three had, in seconds."""

import hashlib
import json
import threading
import time
import zlib

spent = {}
DATA = bytes(range(256)) * 8192


def timed(function, seconds):
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        function()
    spent[function.__name__] = time.thread_time() - start


def compress():
    zlib.compress(DATA, 6)


def hash():
    hashlib.sha512(DATA).digest()


def loop():
    total = 0
    for number in range(20000):
        total += number * number


def in_c():
    timed(compress, 0.3)
    timed(hash, 0.3)


thread = threading.Thread(target=in_c)
thread.start()
timed(loop, 0.3)
thread.join()
print(json.dumps(spent))
