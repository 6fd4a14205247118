"""Processes and threads that come and go: waits_lives.py KIND. Each prints what it knows as JSON."""

import json
import os
import signal
import sys
import threading
import time


def recorder():
    """Open descriptors and resident memory (KiB) of the process that started this one."""
    pid = os.getppid()
    with open(f"/proc/{pid}/status") as status:
        resident = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return {"descriptors": len(os.listdir(f"/proc/{pid}/fd")), "resident": resident}


def brief():
    """3000 threads, one after the other, that live about 1 ms: join() does not wait for their end."""
    least, most, states = [], [], []

    def live():
        begin = time.monotonic()
        time.sleep(0.001)
        least.append(time.monotonic() - begin)

    for number in range(3000):
        begin = time.monotonic()
        thread = threading.Thread(target=live)
        thread.start()
        thread.join()
        while os.path.exists(f"/proc/self/task/{thread.native_id}"):
            os.sched_yield()
        most.append(time.monotonic() - begin)
        if number % 1000 == 999:
            states.append(recorder())
    print(json.dumps({"least": sum(least), "most": sum(most), "states": states}))


def recorder_cpu():
    """Seconds that the recorder's threads were on a CPU."""
    folder = f"/proc/{os.getppid()}/task"
    nanoseconds = 0
    for tid in os.listdir(folder):
        with open(f"{folder}/{tid}/schedstat") as schedstat:
            nanoseconds += int(schedstat.read().split()[0])
    return nanoseconds / 1e9


def after_a_round():
    """When the recorder has just looked at all threads, and its CPU time then."""
    before = recorder_cpu()
    while (now := recorder_cpu()) == before:
        time.sleep(0.005)
    while (later := recorder_cpu()) != now:
        now = later
        time.sleep(0.01)
    return time.monotonic(), now


def crowd():
    """200 threads that wake up often; prints what share of a CPU the recorder takes meanwhile.

    A round costs some 4 ms, two a second: whole ones are measured, and so many that one more or less
    is 5 % of them.
    """
    end = time.monotonic() + 10

    def wake():
        while time.monotonic() < end:
            time.sleep(0.02)

    threads = [threading.Thread(target=wake) for _ in range(200)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    begin, before = after_a_round()
    time.sleep(8)
    now, after = after_a_round()
    share = (after - before) / (now - begin)
    for thread in threads:
        thread.join()
    print(share)


def forks():
    """Four children that sleep for 0.2 to 0.8 s."""
    seconds = {}
    for number in range(1, 5):
        child = os.fork()
        if child == 0:
            time.sleep(0.2 * number)
            sys.exit(0)
        seconds[child] = 0.2 * number
    for child in seconds:
        os.waitpid(child, 0)
    print(json.dumps(seconds))


def execs():
    """0.4 s asleep before it becomes another program, and 0.6 s after."""
    if "again" in sys.argv:
        time.sleep(0.6)
    else:
        time.sleep(0.4)
        os.execv(sys.executable, [sys.executable, *sys.argv, "again"])


def killed():
    """Two threads asleep when the process is killed after a second."""
    threading.Thread(target=time.sleep, args=(60,)).start()
    time.sleep(1)
    os.kill(os.getpid(), signal.SIGKILL)


def drops():
    """A second asleep, then half a one on a CPU, after becoming another user for good."""
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    time.sleep(1)
    end = time.thread_time() + 0.5
    while time.thread_time() < end:
        pass


if __name__ == "__main__":
    globals()[sys.argv[1]]()
