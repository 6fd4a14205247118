"""annotate: the text beside the counts is that of the very lines, or none."""

import csv
import io
import os
import subprocess
import zipfile

import pytest

# Fresh pages at line 5, where lines end in each of the ways that Python knows.
LINES = [b"# -*- coding: latin-1 -*- caf\xe9\r", b"import mmap\r\n", b"memory = mmap.mmap(-1, 4096000)\n",
         b"\x0cfor page in range(1000):\r", b"\tmemory[page * 4096] = 1  # \xe9 \x1b \"q\"\r\n",
         b"print()"]


@pytest.fixture
def program(tmp_path):
    path = tmp_path / "program.py"
    path.write_bytes(b"".join(LINES))
    return path


@pytest.fixture
def annotate(run_cli, read_csv):
    """annotate(recording): the rows of program.py, and what was said."""
    def run(done):
        shown = run_cli(["annotate", "-i", done.path, "--csv", "program.py"])
        assert shown.returncode == 0
        return read_csv(shown.stdout), shown.stderr
    return run


def test_lines_are_pythons(record, any_python, program, annotate, kernel_events):
    done = record(any_python, program)
    rows, said = annotate(done)
    assert said == ""
    texts = {int(row["line"]): row["text"] for row in rows}
    assert texts[5] == "\tmemory[page * 4096] = 1  # \\xe9 \\x1b \"q\""
    lines = {row["line"]: row["self"] for row in csv.DictReader(
        io.StringIO(done.report("--by", "line", "--csv"))) if row["file"] == str(program)}
    assert {row["line"]: row["self"] for row in rows} == {
        line: count for line, count in lines.items() if line}
    assert 1000 <= int(lines["5"]) <= 1002


@pytest.mark.parametrize("change, word", [
    (lambda path: path.write_bytes(b"#\n" + path.read_bytes()), "has changed"),
    (lambda path: path.unlink(), "cannot be read")])
def test_another_source_is_not_shown(record, python, program, annotate, kernel_events, change, word):
    done = record(python, program)
    change(program)
    rows, said = annotate(done)
    assert word in said and said.count("\n") == 1
    assert {row["text"] for row in rows} == {""}
    assert 1000 <= next(int(row["self"]) for row in rows if row["line"] == "5") <= 1002


def test_template_is_not_shown(record, python, program, annotate, tmp_path, kernel_events):
    """Template engines compile other text than their file's, in its name."""
    program.write_text("<p>\n")
    engine = tmp_path / "engine.py"
    engine.write_bytes(b"exec(compile(%r, %r, 'exec'))" % (b"".join(LINES), str(program)))
    rows, said = annotate(record(python, engine))
    assert "has fewer lines than the code" in said and said.count("\n") == 1
    assert {row["text"] for row in rows} == {""}
    assert 1000 <= next(int(row["self"]) for row in rows if row["line"] == "5") <= 1002


def test_sources_in_an_archive(record, python, program, annotate, tmp_path, kernel_events):
    archive = tmp_path / "program.zip"
    with zipfile.ZipFile(archive, "w") as out:
        out.write(program, "program.py")
        out.writestr("__main__.py", "import program")
    rows, said = annotate(record(python, archive))
    assert "program.zip/program.py cannot be read" in said
    assert 1000 <= next(int(row["self"]) for row in rows if row["line"] == "5") <= 1002


def test_sources_that_can_be_read_once(record, python, run_cli, tmp_path, kernel_events):
    """A program from a pipe is over when it is recorded: nobody waits for it to come again."""
    program, pipe = tmp_path / "program.py", tmp_path / "pipe.py"
    program.write_bytes(b"".join(LINES[1:4]) + b"    memory[page * 4096] = 1")
    os.mkfifo(pipe)
    with subprocess.Popen(["cp", program, pipe]):
        done = record(python, pipe, timeout=20)
    shown = run_cli(["annotate", "-i", done.path, "pipe.py"], timeout=20)
    assert (shown.returncode, "cannot be read" in shown.stderr) == (0, True)
