#!/usr/bin/env python3
"""Writes the inputs in corpus/: one of each kind of thing that the fuzz targets take."""

import pathlib
import struct
import zlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "unit/data"
SAMPLE, WIDE, NODE, CODE, LINES, THREAD, COUNTS, OBJECT = range(1, 9)
EVENTS = 3


def padded(data):
    return data + bytes(-len(data) % 8)


def sample(counter, node, weight, *extra):
    return struct.pack("<BBHIII", SAMPLE, counter, 0x7f00, 0x1234, node, weight) + \
        struct.pack(f"<{len(extra)}Q", *extra)


def wide(counter, node, weight, *extra):
    return struct.pack("<BBHIIIQ", WIDE, counter, 0, 0, node, 0, weight) + \
        struct.pack(f"<{len(extra)}Q", *extra)


def node(number, parent, code, instruction):
    return struct.pack("<B3xIIIII", NODE, number, parent, code, instruction, 0)


def code(number, name, file, first_line, table):
    name, file = name.encode(), file.encode()
    head = struct.pack("<BxHIIIII", CODE, len(name), number, first_line, len(file), len(table), 0)
    lines = struct.pack("<B3xIII", LINES, number, 0, len(table)) + padded(table)
    return head + padded(name + file) + lines


def thread(tid, name):
    return struct.pack("<B3xI16s", THREAD, tid, name.encode())


def counts(slot, life, tid, *values):
    return struct.pack("<BB2xIII16sQQ", COUNTS, len(values), tid, slot, life, b"name", 5, 1) + \
        struct.pack(f"<{len(values)}Q", *values)


def loaded_object(path):
    return struct.pack("<B3xIQQQ", OBJECT, len(path), 0x1000, 0x9000, 0x1000) + \
        padded(path.encode())


def tables():
    for path in sorted(DATA.glob("lines-*.txt")):
        rows = [line.split() for line in path.read_text().splitlines() if line[0] != "#"]
        _, first_line, table, _ = max(rows, key=lambda row: len(row[2]))
        yield path.stem[6:], struct.pack("<I", int(first_line)) + bytes.fromhex(table)


def records(table):
    return b"".join([
        thread(100, "python3"), code(1, "main", "/home/user/program.py", 3, table),
        code(2, "größe.<locals>.f", "./relative.py", 1, b""), loaded_object("/usr/lib/libc.so.6"),
        node(16, 0, 1, 2), node(17, 16, 2, 0xffffffff), node(18, 4, 2, 9),
        sample(0, 17, 1000, 7), sample(1, 16, 1), sample(0, 2, 1000, 0), sample(1, 999, 5),
        wide(0, 18, 1 << 40, 3), wide(1, 16, 1 << 33), thread(101, "worker"),
        sample(0, 17, 1000, 1), counts(0, 1, 100, 4000, 8, 11), counts(0, 1, 100, 5000, 9, 12)])


def image(body):
    header = bytearray(4096)
    struct.pack_into("<8s8I", header, 0, b"TALLYIM1", 1, 100, 1, 0x030b02f0, EVENTS, 0, 1, 0)
    struct.pack_into("<Q", header, 56, 2)
    chunk = struct.pack("<IIII", 0x4b4e4843, 0, 0, len(body)) + body
    return bytes(header) + chunk + bytes(65536 - len(chunk))


def write(folder, name, data):
    path = HERE / "corpus" / folder
    path.mkdir(parents=True, exist_ok=True)
    (path / name).write_bytes(data)


def main():
    table = b""
    for version, data in tables():
        write("lines", version, data)
        table = data[4:]
    body = records(table[:200])
    write("image", "records", b"\1" + body)
    write("image", "many", b"\1" + body + sample(1, 17, 1) * 6000)
    write("image", "file", b"\0" + image(body)[:4096 + 2048])
    write("image", "whole", b"\0" + image(body))
    text = b"tallystack seal 1\nsession.json 100 0123abcd\n000001.image 131072 00000000 ffffffff\n"
    write("seal", "unfinished", text)
    write("seal", "finished", text + b"end %08x\n" % zlib.crc32(text))
    empty = b"\0" * (2 * 65536 - 5)
    sums = " ".join("%08x" % zlib.crc32(part) for part in (empty[:65536], empty[65536:]))
    write("seal", "matching", b"tallystack seal 1\nname %d %s\n" % (len(empty), sums.encode()))


main()
