#!/usr/bin/env python3
"""Records the memory of a real interpreter for test_walk.c and test_layout.c; see data/README.md.

    tests/unit/capture.py CAPTURE PYTHON >tests/unit/data/walk-X.Y.txt

CAPTURE is the program built from capture.c; PYTHON the interpreter.
"""

import pathlib
import struct
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
# Before 3.13 _PyRuntime does not say where these are: runtime.interp_head, interp.threads_head.
HEADS = {0x030b: (40, 16), 0x030c: (40, 72)}
RUNTIME_SIZE = 512  # as much of _PyRuntime as there are offsets in it
# Run under a name that says nothing of the folder it is in
START = "exec(compile(open({!r}, encoding='utf-8').read(), 'captured.py', 'exec'))"


def objects_of(pid):
    """The files mapped into the process, with the address of their first byte."""
    found = {}
    for line in pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines():
        start, *_, path = line.split(maxsplit=5)
        if path.startswith("/") and path not in found:
            found[path] = int(start.split("-")[0], 16)
    return found


def first_load_address(path):
    """Where the first segment of an ELF file wants to be: not 0 in executables at a fixed place."""
    table = subprocess.run(["readelf", "-lW", path], check=True, text=True, stdout=subprocess.PIPE)
    loads = [line.split() for line in table.stdout.splitlines() if line.split()[:1] == ["LOAD"]]
    return int(loads[0][2], 16)


def symbols_of(pid):
    for path, base in objects_of(pid).items():
        table = subprocess.run(["nm", "-D", "--defined-only", path], text=True,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        rows = [line.split() for line in table.stdout.splitlines()]
        found = {row[-1]: int(row[0], 16) for row in rows if len(row) == 3}
        if "_PyRuntime" in found:
            bias = base - first_load_address(path)
            return {name: bias + value for name, value in found.items()}
    sys.exit(f"capture: process {pid} has no _PyRuntime")


class Memory:
    def __init__(self, pid):
        self.file = open(f"/proc/{pid}/mem", "rb", buffering=0)

    def read(self, address, size):
        self.file.seek(address)
        return self.file.read(size)

    def word(self, address):
        return struct.unpack("<Q", self.read(address, 8))[0]


def capture(tool, process, frames):
    symbols, memory = symbols_of(process.pid), Memory(process.pid)
    version, = struct.unpack("<I", memory.read(symbols["Py_Version"], 4))
    runtime = symbols["_PyRuntime"]
    if version >> 16 in HEADS:
        interp_head, threads_head = HEADS[version >> 16]
    else:
        interp_head, threads_head = memory.word(runtime + 5 * 8), memory.word(runtime + 9 * 8)
    tstate = memory.word(memory.word(runtime + interp_head) + threads_head)
    views = subprocess.run([tool, str(process.pid), f"{version:x}", f"{tstate:x}"], check=True,
                           text=True, stdout=subprocess.PIPE)
    print(f"version {version:08x}\ntstate {tstate:x}\ncode_type {symbols['PyCode_Type']:x}")
    if version >> 16 not in HEADS:
        print("runtime", memory.read(runtime, RUNTIME_SIZE).hex())
    print("".join(frames) + views.stdout, end="")


def main():
    tool, python = sys.argv[1:]
    process = subprocess.Popen(
        [python, "-I", "-S", "-X", "utf8", "-c", START.format(str(HERE / "captured.py"))],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", cwd="/")
    frames = []
    while not frames or "<string>" not in frames[-1]:
        frames.append(process.stdout.readline())
    capture(tool, process, frames)
    process.communicate("\n")


main()
