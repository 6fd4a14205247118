"""Runs a command and tells what it and all its descendants took."""

import collections
import ctypes
import os
import select
import signal
import subprocess
import time

PR_SET_CHILD_SUBREAPER = 36
LONGEST = 300  # seconds

# cpu is user + system time of all processes, tool that of the first one alone (in whole ticks).
Cost = collections.namedtuple("Cost", "cpu tool wall")


class Failed(Exception):
    """A command ended badly; the text says how, in one line."""


def become_subreaper():
    """Whatever a tool leaves behind becomes a child of ours, so that its time is seen."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ticks_of(pid):
    with open(f"/proc/{pid}/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    return int(fields[11]) + int(fields[12])


def wait_for_zombie(pid):
    poll = select.poll()
    descriptor = os.pidfd_open(pid)
    poll.register(descriptor, select.POLLIN)
    ended = poll.poll(LONGEST * 1000)
    os.close(descriptor)
    if not ended:
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def reap_orphans():
    cpu = 0
    while True:
        try:
            usage = os.wait4(-1, 0)[2]
        except ChildProcessError:
            return cpu
        cpu += usage.ru_utime + usage.ru_stime


def last_words(file):
    file.seek(0)
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    said = [line for line in lines if line]
    errors = [line for line in said if "error" in line.lower()]
    return (errors[:1] or said[-1:] or ["it said nothing"])[0]


def run(words, folder, env=None, stdout=None):
    """The Cost of a command, run in a folder; Failed if its status is not 0."""
    with open(os.path.join(folder, "stderr"), "w+b") as errors:
        start = time.monotonic()
        process = subprocess.Popen(
            list(map(str, words)), cwd=folder, env=dict(os.environ, **(env or {})),
            stdin=subprocess.DEVNULL, stdout=stdout or subprocess.DEVNULL, stderr=errors)
        wait_for_zombie(process.pid)
        wall = time.monotonic() - start
        tool = ticks_of(process.pid) / os.sysconf("SC_CLK_TCK")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime + reap_orphans()
        if process.returncode:
            raise Failed(f"status {process.returncode}: {last_words(errors)}")
    return Cost(cpu, tool, wall)


def output_of(words, folder, env=None):
    """What a command prints; Failed as above."""
    with open(os.path.join(folder, "stdout"), "w+b") as out:
        run(words, folder, env, stdout=out)
        out.seek(0)
        return out.read().decode(errors="replace")
