"""interrupted_calls.py COUNT [--alarm]: how often the system calls that wait return EINTR.

Calls libc itself, since Python's own functions try again. Prints a JSON object from the name of a
call to its number of EINTR. With --alarm a timer interrupts them, which shows that they can be.
"""

import ctypes
import errno
import json
import os
import signal
import socket
import sys

COUNT = int(sys.argv[1])

libc = ctypes.CDLL(None, use_errno=True)
interrupted = {}


class Moment(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class Polled(ctypes.Structure):
    _fields_ = [("fd", ctypes.c_int), ("events", ctypes.c_short), ("revents", ctypes.c_short)]


def call(name, *arguments):
    """Calls it until it is not interrupted."""
    interrupted.setdefault(name, 0)
    while True:
        result = getattr(libc, name)(*arguments)
        if result >= 0:
            return result
        error = ctypes.get_errno()
        if error != errno.EINTR:
            raise OSError(error, name)
        interrupted[name] += 1


def in_child(work, *arguments):
    child = os.fork()
    if child == 0:
        signal.setitimer(signal.ITIMER_REAL, 0)
        work(*arguments)
        os._exit(0)
    return child


def echo(fd):
    while data := os.read(fd, 1):
        os.write(fd, data)


def echo_pipe(questions, answers):
    while data := os.read(questions, 1):
        os.write(answers, data)


def stop_again_and_again():
    for _ in range(COUNT):
        os.kill(os.getpid(), signal.SIGSTOP)


def sleep():
    moment = Moment(0, 50000)
    for _ in range(COUNT):
        call("nanosleep", ctypes.byref(moment), None)


def read_and_poll():
    questions, ask = os.pipe()
    hear, answers = os.pipe()
    child = in_child(lambda: (os.close(ask), echo_pipe(questions, answers)))
    polled = Polled(hear, 1, 0)
    byte = ctypes.create_string_buffer(1)
    for _ in range(COUNT):
        os.write(ask, b"x")
        call("poll", ctypes.byref(polled), 1, -1)
        call("read", hear, byte, 1)
        os.write(ask, b"x")
        call("read", hear, byte, 1)
    os.close(ask)
    os.waitpid(child, 0)


def receive():
    ours, theirs = socket.socketpair()
    child = in_child(lambda: (ours.close(), echo(theirs.fileno())))
    theirs.close()
    byte = ctypes.create_string_buffer(1)
    for _ in range(COUNT):
        ours.send(b"x")
        call("recv", ours.fileno(), byte, 1, 0)
    ours.close()
    os.waitpid(child, 0)


def wait():
    child = in_child(stop_again_and_again)
    status = ctypes.c_int()
    for _ in range(COUNT):
        call("waitpid", child, ctypes.byref(status), os.WUNTRACED)
        os.kill(child, signal.SIGCONT)
    os.waitpid(child, 0)


if "--alarm" in sys.argv:
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
for part in (sleep, read_and_poll, receive, wait):
    part()
signal.setitimer(signal.ITIMER_REAL, 0)
print(json.dumps(interrupted))
