"""signals.py: uses the signals that others might want for themselves, SIGTRAP among them, and timers.

Prints as JSON how often each handler ran where that is known beforehand, and whether the timers'
ran at all. Touches 2000 fresh pages meanwhile.
"""

import json
import os
import signal
import time

from pages import fresh, touch

seen = {}


def handler(number, frame):
    name = signal.Signals(number).name
    seen[name] = seen.get(name, 0) + 1


def send(number, times):
    for _ in range(times):
        signal.raise_signal(number)
        os.kill(os.getpid(), number)


def spend(seconds):
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        sum(range(1000))


def main():
    previous = signal.signal(signal.SIGTRAP, handler)
    seen["default"] = previous == signal.SIG_DFL
    for number in (signal.SIGUSR1, signal.SIGIO, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF):
        signal.signal(number, handler)
    send(signal.SIGTRAP, 50)
    send(signal.SIGUSR1, 50)
    seen["same"] = signal.getsignal(signal.SIGTRAP) is handler
    signal.setitimer(signal.ITIMER_REAL, 0.002, 0.002)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.005, 0.005)
    signal.setitimer(signal.ITIMER_PROF, 0.005, 0.005)
    touch(fresh(2000))
    spend(0.3)
    for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
        signal.setitimer(timer, 0)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTRAP, signal.SIGUSR2})
    touch(fresh(1000))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTRAP, signal.SIGUSR2})
    seen["timers"] = all(seen.pop(name, 0) > 0 for name in ("SIGALRM", "SIGVTALRM", "SIGPROF"))
    print(json.dumps(seen))


main()
