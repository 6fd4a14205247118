"""Programs that are known to be bound by one thing: waits.py KIND [SECONDS].

Each takes a second or two, where nothing else is said.
"""

import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

SECONDS = 1.5


def burn(seconds):
    end = time.thread_time() + seconds
    number = 0
    while time.thread_time() < end:
        for _ in range(1000):
            number += 1


def run_threads(count, function, *args):
    threads = [threading.Thread(target=function, args=args) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def sleep():
    time.sleep(SECONDS)


def cpu():
    burn(SECONDS)


def gil():
    run_threads(4, burn, SECONDS / 4)


def turns():
    """Two threads, each of which has the GIL while the other waits for it."""
    def left():
        end = time.thread_time() + 0.6
        while time.thread_time() < end:
            for _ in range(1000):
                pass

    def right():
        end = time.thread_time() + 0.6
        while time.thread_time() < end:
            for _ in range(1000):
                pass

    threads = [threading.Thread(target=function) for function in (left, right)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def disk():
    """Past the page cache, so that each read waits for the device."""
    with tempfile.TemporaryFile(dir=".") as file:
        file.write(bytes(32 << 20))
        file.flush()
        os.fsync(file.fileno())
        direct = os.open(f"/proc/self/fd/{file.fileno()}", os.O_RDONLY | os.O_DIRECT)
        room = mmap.mmap(-1, 4 << 20)
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            os.lseek(direct, 0, os.SEEK_SET)
            while os.readv(direct, [room]) > 0:
                pass


def http():
    import http.server
    import urllib.request

    class Slow(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            time.sleep(0.2)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = http.server.HTTPServer(("127.0.0.1", 0), Slow)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for _ in range(7):
        urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/").read()


def pipe():
    script = "for i in 1 2 3 4 5 6 7; do sleep 0.2; echo line; done"
    with subprocess.Popen(["sh", "-c", script], stdout=subprocess.PIPE) as child:
        for _ in child.stdout:
            pass


def piped():
    with subprocess.Popen(["sleep", str(SECONDS / 2)], stdout=subprocess.PIPE) as child:
        child.stdout.read()


def child():
    subprocess.run(["sleep", str(SECONDS)], check=True)


def child_read():
    subprocess.run(["sleep", str(SECONDS)], check=True, capture_output=True)


def pool():
    import multiprocessing
    with multiprocessing.Pool(2) as workers:
        workers.map(time.sleep, [SECONDS] * 2)


def callback():
    import multiprocessing
    with multiprocessing.Pool(1) as workers:
        workers.apply_async(abs, (1,), callback=lambda _: time.sleep(SECONDS / 2))
        workers.close()
        workers.join()


def thread_pool():
    import multiprocessing.pool
    with multiprocessing.pool.ThreadPool(1) as workers:
        workers.map(lambda _: piped(), [1])


def executor():
    import concurrent.futures
    with concurrent.futures.ProcessPoolExecutor(2) as workers:
        list(workers.map(time.sleep, [SECONDS] * 2))


def joined():
    import multiprocessing
    process = multiprocessing.Process(target=time.sleep, args=(SECONDS,))
    process.start()
    process.join(timeout=60)


def lock():
    one = threading.Lock()

    def hold():
        for _ in range(8):
            with one:
                time.sleep(0.05)

    run_threads(4, hold)


def workers():
    import queue
    jobs = queue.Queue()

    def work():
        while jobs.get() is not None:
            time.sleep(0.05)

    for _ in range(100):
        jobs.put(1)
    for _ in range(4):
        jobs.put(None)
    run_threads(4, work)


def coroutines():
    import asyncio

    async def sleeper():
        for _ in range(10):
            await asyncio.sleep(0.1)

    async def blocking():
        time.sleep(0.4)

    async def main():
        await asyncio.gather(*[sleeper() for _ in range(50)], blocking())

    asyncio.run(main())


def streams():
    """An event loop that waits for nothing but a slow server."""
    import asyncio
    server = socket.create_server(("127.0.0.1", 0))

    def serve():
        peer, _ = server.accept()
        for _ in range(6):
            time.sleep(0.25)
            peer.send(b"line\n")
        peer.close()

    threading.Thread(target=serve, daemon=True).start()

    async def main():
        reader, writer = await asyncio.open_connection(*server.getsockname())
        while await reader.readline():
            pass
        writer.close()

    asyncio.run(main())


def serve_lines(delays):
    """The address of a child process that sends a line after each of some delays."""
    server = socket.create_server(("127.0.0.1", 0))
    if os.fork() == 0:
        peer, _ = server.accept()
        for delay in delays:
            time.sleep(delay)
            peer.send(b"line\n")
        peer.recv(1)  # until the other end closes
        os._exit(0)
    return server.getsockname()


def timeouts():
    """An event loop that waits for a slow server, each time for so long at most."""
    import asyncio
    address = serve_lines([0.05] * 8 + [1.1])

    async def main():
        reader, writer = await asyncio.open_connection(*address)
        for _ in range(9):
            await asyncio.wait_for(reader.readline(), 10)
        writer.close()

    asyncio.run(main())


def keeps():
    """An event loop whose tasks sleep, or compute in a thread, beside a connection kept open."""
    import asyncio
    address = serve_lines([])

    async def main():
        _, writer = await asyncio.open_connection(*address)
        asyncio.get_running_loop().call_later(60, print)
        for _ in range(3):
            await asyncio.sleep(0.25)
            await asyncio.to_thread(time.sleep, 0.25)
        writer.close()

    asyncio.run(main())


def idle():
    """A server that nobody asks anything, and that looks after itself now and then."""
    import asyncio

    async def main():
        await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
        for _ in range(6):
            await asyncio.sleep(0.25)

    asyncio.run(main())


def awaits_thread():
    import asyncio

    async def main():
        await asyncio.to_thread(piped)

    asyncio.run(main())


def awaits_child():
    import asyncio

    async def main():
        child = await asyncio.create_subprocess_exec("sleep", str(SECONDS / 2))
        await asyncio.wait_for(child.wait(), 60)

    asyncio.run(main())


def awaits_signal():
    import asyncio
    import signal

    async def main():
        told = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGALRM, told.set)
        signal.setitimer(signal.ITIMER_REAL, SECONDS / 2)
        await told.wait()

    asyncio.run(main())


def unseen():
    """A second asleep and half a one on a CPU, in a process that others may not look into."""
    import ctypes
    set_dumpable = 4
    ctypes.CDLL(None).prctl(set_dumpable, 0)
    time.sleep(1)
    burn(0.5)


def product():
    import numpy
    matrix = numpy.ones((400, 400))
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        matrix @ matrix


def digest():
    """Without the GIL, as product(), and without more than the standard library."""
    import hashlib
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        hashlib.pbkdf2_hmac("sha256", b"", b"", 20_000)


def faults():
    size = 16 << 20
    end = time.thread_time() + SECONDS
    while time.thread_time() < end:
        room = mmap.mmap(-1, size)
        for at in range(0, size, mmap.PAGESIZE):
            room[at] = 1
        room.close()


def calls():
    end = time.thread_time() + SECONDS
    call = os.getpid
    while time.thread_time() < end:
        for _ in range(1000):
            call()


def starved():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    other = os.fork()
    burn(SECONDS / 2)
    if other == 0:
        os._exit(0)
    os.waitpid(other, 0)


def shares():
    """60 % asleep, 30 % on a CPU, 10 % in a socket; prints the seconds of each, measured."""
    near, far = socket.socketpair()

    def answer():
        while far.recv(1):
            time.sleep(0.01)
            far.send(b"a")

    def asleep():
        time.sleep(0.06)

    def busy():
        burn(0.03)

    def ask():
        near.send(b"q")
        near.recv(1)

    threading.Thread(target=answer, daemon=True).start()
    seconds = {}
    for _ in range(15):
        for function in (asleep, busy, ask):
            start = time.monotonic()
            function()
            seconds[function.__name__] = (seconds.get(function.__name__, 0)
                                          + time.monotonic() - start)
    print(json.dumps(seconds))


def many():
    """200 threads that wake up often; prints each one's wall time and interrupted waits."""
    walls, interrupted = [], []

    def wake():
        import select
        start = time.monotonic()
        while time.monotonic() < start + 2:
            before = time.monotonic()
            select.select([], [], [], 0.02)
            if time.monotonic() < before + 0.019:
                interrupted.append(1)
        walls.append(time.monotonic() - start)

    run_threads(200, wake)
    print(json.dumps({"walls": walls, "interrupted": len(interrupted)}))


if __name__ == "__main__":
    if sys.argv[2:]:
        SECONDS = float(sys.argv[2])
    globals()[sys.argv[1]]()
