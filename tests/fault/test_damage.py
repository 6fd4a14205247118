"""Damaged recordings: never a crash, and never a number that changed without a word.

TALLYSTACK_ASAN may name a command built with AddressSanitizer to read them with.
"""

import concurrent.futures
import os
import random
import shutil
import subprocess

import pytest

PARTS, CORRUPTIONS, SEED = 50, 1000, 20
VIEWS = (["--csv"], ["--csv", "--by", "line"], ["--csv", "--by", "thread"], ["--tree", "--csv"],
         ["--csv", "--by", "native"], [], ["--tree"])


class Reader:
    """Reads damaged copies of one recording."""

    def __init__(self, path, folder):
        self.command = os.environ.get("TALLYSTACK_ASAN") or os.environ["TALLYSTACK"]
        self.path, self.folder = path, folder
        self.whole = {tuple(view): self.report(path, view) for view in VIEWS}

    def report(self, path, view):
        return subprocess.run([self.command, "report", "-i", path, *view], timeout=60, text=True,
                              errors="replace", stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def check(self, name, damage, number, view=("--csv",), sealed=True):
        """Damages the file of that name in a copy, and reads it; returns whether it was noticed."""
        copy = self.folder / f"damaged{number}.rec"
        shutil.copytree(self.path, copy)
        if not sealed:
            (copy / "seal").unlink()
        (copy / name).write_bytes(damage((copy / name).read_bytes()))
        done = self.report(copy, view)
        shutil.rmtree(copy)
        whole = self.whole[tuple(view)]
        assert done.returncode in (0, 125), (name, number, done.returncode, done.stderr)
        said = done.stderr.endswith(".\n")
        if sealed:
            assert said or done.stdout == whole.stdout, (name, number)
        else:
            assert said, (name, number)
        if done.returncode == 125:
            assert said, (name, number)
        return said


@pytest.fixture(scope="module")
def recording(tmp_path_factory, tallystack, python, workloads):
    """A small one, with everything in it that there is: threads, children, a series."""
    path = tmp_path_factory.mktemp("damage") / "whole.rec"
    program = path.parent / "program.py"
    program.write_text("import subprocess, sys, threading\n"
                       "def spin(rounds):\n"
                       "    return sum(number * number for number in range(rounds))\n"
                       "threads = [threading.Thread(target=spin, args=(400000,)) for _ in range(3)]\n"
                       "for thread in threads: thread.start()\n"
                       "for thread in threads: thread.join()\n"
                       "if len(sys.argv) == 1:\n"
                       "    subprocess.run([sys.executable, __file__, 'again'], check=True)\n")
    subprocess.run([tallystack, "record", "-q", "-I", "10", "-o", path, "--", python, program],
                   check=True)
    return path


@pytest.fixture(scope="module")
def reader(recording, tmp_path_factory, tallystack):
    os.environ.setdefault("TALLYSTACK", tallystack)
    reader = Reader(recording, tmp_path_factory.mktemp("copies"))
    for view in VIEWS:
        assert (reader.whole[tuple(view)].returncode, reader.whole[tuple(view)].stderr) == (0, "")
    return reader


def in_parallel(work, items):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(work, items))


def names_of(recording):
    names = sorted(path.name for path in recording.iterdir())
    assert {"seal", "session.json", "series.csv", "sources"} < set(names)
    return names


def assert_noticed(cases, noticed):
    """In the files that a report's numbers come from, and in the seal, everything is noticed."""
    missed = {case[:2] for case, said in zip(cases, noticed) if not said}
    assert {name for name, _ in missed} <= {"sources", "series.csv"}, missed


def test_truncated(reader, recording):
    cases = [(name, (recording / name).stat().st_size * part // PARTS)
             for name in names_of(recording) for part in range(PARTS)]
    noticed = in_parallel(lambda case: reader.check(
        cases[case][0], lambda data: data[:cases[case][1]], case), range(len(cases)))
    assert_noticed(cases, noticed)


def flip(chance, size):
    at, mask = chance.randrange(size), chance.randrange(1, 256)

    def damage(data):
        return data[:at] + bytes([data[at] ^ mask]) + data[at + 1:]
    return damage


def test_corrupted(reader, recording):
    """Each file gets its share of the corruptions, however small it is, and each view."""
    chance = random.Random(SEED)
    names = names_of(recording)
    cases = [(name, flip(chance, (recording / name).stat().st_size), VIEWS[number % len(VIEWS)])
             for number, name in enumerate(names[n % len(names)] for n in range(CORRUPTIONS))]
    noticed = in_parallel(lambda case: reader.check(cases[case][0], cases[case][1], case,
                                                    cases[case][2]), range(len(cases)))
    assert_noticed(cases, noticed)


def test_corrupted_without_a_seal(reader, recording):
    """As if the recorder had been killed. Nothing tells that a byte is wrong, but it must not crash,
    and that there is no seal is said."""
    chance = random.Random(SEED + 1)
    names = [name for name in names_of(recording) if name != "seal"]
    images = [name for name in names if name.endswith(".image")]
    cases = [(name, flip(chance, data_end(recording / name)), VIEWS[number % len(VIEWS)])
             for number, name in enumerate(chance.choice(names if n % 4 == 0 else images)
                                           for n in range(CORRUPTIONS))]
    in_parallel(lambda case: reader.check(cases[case][0], cases[case][1], case, cases[case][2],
                                          sealed=False), range(len(cases)))


def data_end(path):
    """Most of an image is empty room: up to where something is."""
    return max(1, len(path.read_bytes().rstrip(b"\0")))


FILES = ["seal", "session.json", "000001.image", "000001.waits", "sources", "series.csv"]


@pytest.mark.parametrize("name", FILES)
def test_missing_files(reader, recording, tmp_path, name):
    copy = tmp_path / "copy.rec"
    shutil.copytree(recording, copy)
    (copy / name).unlink()
    done = reader.report(copy, ["--csv"])
    assert done.returncode in (0, 125)
    assert done.stderr.endswith(".\n")


GARBAGE = {"empty": b"", "zeros": b"\0" * 100000, "object": b"{}", "list": b"[1]",
           "ones": b"\xff" * 5000}


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("name", FILES)
def test_files_of_garbage(reader, recording, tmp_path, name, garbage):
    copy = tmp_path / "copy.rec"
    shutil.copytree(recording, copy)
    (copy / name).write_bytes(GARBAGE[garbage])
    for sealed in (True, False):
        if not sealed:
            (copy / "seal").unlink()
        for view in VIEWS:
            done = reader.report(copy, view)
            assert done.returncode in (0, 125)
            assert done.stderr.endswith(".\n") or done.stdout == reader.whole[tuple(view)].stdout
            if name not in ("sources", "series.csv"):
                assert done.stderr.endswith(".\n")


def test_another_file_that_is_no_file(reader, recording, tmp_path):
    copy = tmp_path / "copy.rec"
    shutil.copytree(recording, copy)
    (copy / "000001.image").unlink()
    (copy / "000001.image").mkdir()
    (copy / "000009.image").symlink_to("/dev/zero")
    done = reader.report(copy, ["--csv"])
    assert done.returncode in (0, 125)
    assert done.stderr.endswith(".\n")
