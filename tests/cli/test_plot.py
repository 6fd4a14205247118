"""Each kind of plot in each format, drawn again from what --keep leaves, refused in a sentence."""

import os
import re
import shutil
import signal
import subprocess
import time

import pytest

PROGRAM = '''
import time

def fresh_pages(count):
    block = bytearray(4096 * count)
    for i in range(0, len(block), 4096):
        block[i] = 1

def spin(seconds):
    end = time.process_time() + seconds
    while time.process_time() < end:
        sum(i * i for i in range(100))

class Größe_of_x:
    def lambda_method(self):
        return sorted(range(20000), key=lambda x: -x)

def rename(name):
    code = spin.__code__.replace(co_name=name, co_qualname=name)
    return type(spin)(code, globals())

names = ["it's {/*2 \\\\alpha}_2^3 `date` $x @y #z", 'say "a, b"', "長い名前の関数" * 12,
         "|cat", "%s%n"]
for name in names:
    rename(name)(0.05)
fresh_pages(300)
spin(0.1)
Größe_of_x().lambda_method()
'''
FORMATS = {"svg": b"</svg>", "png": b"\x89PNG", "pdf": b"%PDF", "txt": b"tallystack"}


@pytest.fixture(scope="module")
def recordings(tallystack, python, tmp_path_factory):
    """A folder with one.rec, two.rec (each with an interval series) and plain.rec (without)."""
    if not shutil.which("gnuplot"):
        pytest.skip("gnuplot is not installed")
    folder = tmp_path_factory.mktemp("it's a \"folder\" of Größe")
    program = folder / "my program.py"
    program.write_text(PROGRAM, encoding="utf-8")
    for name, extra in (("one", ["-I", "20"]), ("two", ["-I", "20"]), ("plain", [])):
        subprocess.run([tallystack, "record", "-q", *extra, "-o", folder / f"{name}.rec", "--",
                        python, program], check=True, timeout=60, stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL)
    return folder


def words_of(kind, folder):
    if kind == "trend":
        return ["trend", folder / "one.rec", folder / "two.rec"]
    return [kind, "-i", folder / "one.rec"]


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("kind", ["functions", "lines", "timeline", "trend", "waits"])
def test_each_kind_in_each_format(run_cli, recordings, tmp_path, kind, ending):
    done = run_cli(["plot", *words_of(kind, recordings), "-o", f"picture.{ending}"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert FORMATS[ending] in (tmp_path / f"picture.{ending}").read_bytes()
    assert [path.name for path in tmp_path.iterdir()] == [f"picture.{ending}"]


def test_the_name_of_the_picture_follows_the_kind(run_cli, recordings, tmp_path):
    assert run_cli(["plot", "functions", "-i", recordings / "one.rec"]).returncode == 0
    assert [path.name for path in tmp_path.iterdir()] == ["tallystack-functions.svg"]


@pytest.mark.parametrize("kind", ["functions", "lines", "timeline", "trend", "waits"])
def test_what_is_kept_draws_the_same_again(run_cli, recordings, tmp_path, kind):
    stem = "it's a \"picture\" of Größe | x.y"
    folder = tmp_path / "sub folder"
    folder.mkdir()
    done = run_cli(["plot", *words_of(kind, recordings), "--keep", "-o", folder / f"{stem}.svg"])
    assert (done.returncode, done.stderr) == (0, "")
    assert {path.name for path in folder.iterdir()} == {f"{stem}{end}"
                                                        for end in (".svg", ".gp", ".csv")}
    first = (folder / f"{stem}.svg").read_bytes()
    for here, script in ((folder, f"{stem}.gp"), (tmp_path, f"{folder.name}/{stem}.gp")):
        (folder / f"{stem}.svg").unlink()
        subprocess.run(["gnuplot", script], cwd=here, check=True, timeout=60)
        assert (folder / f"{stem}.svg").read_bytes() == first


def test_names_are_drawn_as_they_are(run_cli, recordings, tmp_path):
    done = run_cli(["plot", "functions", "-i", recordings / "one.rec", "--limit", "0",
                    "-o", "all.svg"])
    assert done.returncode == 0
    picture = (tmp_path / "all.svg").read_text(encoding="utf-8")
    for name in ("__main__.it's {/*2 \\alpha}_2^3 `date` $x @y #z", '__main__.say "a, b"',
                 "__main__.|cat", "__main__.%s%n", "[start-up and exit]",
                 "__main__.spin.<locals>.<genexpr>"):
        assert f">{name}</text>" in picture.replace("&lt;", "<"), name
    assert re.search("__main__.長い.*….*名前の関数</text>", picture)


def test_the_picture_says_where_its_numbers_come_from(run_cli, recordings):
    done = run_cli(["plot", "functions", "-i", recordings / "one.rec", "-o", "-", "--size",
                    "300x40"])
    assert (done.returncode, done.stderr) == (0, "")
    for words in ("by function", "my program.py", "Python 3.", " samples", "tallystack ",
                  "[start-up and exit]", "█"):
        assert words in done.stdout
    assert re.search(r"counted by the|from the kernel's clocks", done.stdout)


def test_the_data_are_those_of_the_report(run_cli, recordings, read_csv, tmp_path):
    assert run_cli(["plot", "functions", "-i", recordings / "one.rec", "--limit", "0", "--keep",
                    "-o", "f.svg"]).returncode == 0
    drawn = read_csv((tmp_path / "f.csv").read_text(encoding="utf-8"))
    report = read_csv(run_cli(["report", "--csv", "-i", recordings / "one.rec"]).stdout)
    columns = ("module", "function", "file", "line", "self", "inclusive", "self_low", "self_high",
               "samples", "unit", "source")
    event = drawn[0]["event"]
    expected = [[row[name] for name in columns] for row in report
                if row["event"] == event and float(row["self"]) > 0]
    assert [[row[name] for name in columns] for row in drawn] == expected
    assert sum(float(row["share"]) for row in drawn) == pytest.approx(100, abs=0.1)


def test_the_timeline_adds_up_to_the_series(run_cli, recordings, read_csv, tmp_path):
    assert run_cli(["plot", "timeline", "-i", recordings / "one.rec", "--keep",
                    "-o", "t.svg"]).returncode == 0
    rows = read_csv((tmp_path / "t.csv").read_text(encoding="utf-8"))
    series = read_csv((recordings / "one.rec" / "series.csv").read_text(encoding="utf-8"))
    for event in {row["event"] for row in series}:
        mine = [row for row in rows if row["event"] == event]
        total = sum(float(row["rate"]) * (float(after["time_s"]) - float(row["time_s"]))
                    for row, after in zip(mine, mine[1:]))
        last = [row["value"] for row in series if row["event"] == event][-1]
        assert total == pytest.approx(float(last), rel=1e-4, abs=0.1)


def test_the_bars_of_waits_are_those_of_the_report(run_cli, recordings, read_csv, tmp_path):
    assert run_cli(["plot", "waits", "-i", recordings / "one.rec", "--limit", "0", "--keep",
                    "-o", "w.svg"]).returncode == 0
    drawn = read_csv((tmp_path / "w.csv").read_text(encoding="utf-8"))
    report = read_csv(run_cli(["report", "-e", "waits", "--by", "thread", "--csv", "-i",
                               recordings / "one.rec"]).stdout)
    expected = {(row["thread"], row["event"]): float(row["self"]) for row in report
                if float(row["self"]) > 0}
    parts = {(row["thread"], row["account"]): float(row["end"]) - float(row["begin"])
             for row in drawn}
    assert parts == pytest.approx(expected, rel=1e-9, abs=1)
    for thread in {row["thread"] for row in drawn}:
        mine = [row for row in drawn if row["thread"] == thread]
        assert [row["begin"] for row in mine] == ["0"] + [row["end"] for row in mine][:-1]
        assert sum(float(row["share"]) for row in mine) == pytest.approx(100, abs=0.01)


def test_waits_name_threads_and_causes(run_cli, tallystack, python, tmp_path):
    program = tmp_path / "program.py"
    program.write_text("import threading, time\n"
                       "thread = threading.Thread(target=time.sleep, args=(0.3,))\n"
                       "thread.start()\nthread.join()\n")
    subprocess.run([tallystack, "record", "-q", "-o", "r", "--", python, program], check=True,
                   cwd=tmp_path, timeout=60)
    picture = run_cli(["plot", "waits", "-i", "r", "-o", "-"]).stdout
    bars = [line for line in picture.splitlines() if re.search(r" (m?s) \S*z{10}|l{10}", line)]
    assert len(bars) == 2, picture
    assert "z sleep" in picture and "l lock" in picture


THREADS = '''
import socket, threading, time
left, right = socket.socketpair()
def spin(seconds):
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        sum(range(100))
jobs = [(time.sleep, 0.6), (right.recv, 1), (spin, 0.2), (spin, 0.2)]
threads = [threading.Thread(target=job, args=(amount,)) for job, amount in jobs]
for thread in threads:
    thread.start()
time.sleep(0.5)
left.send(b"x")
for thread in threads:
    thread.join()
'''


def bands_of(rows):
    bands = {}
    for row in rows:
        if row["panel"] == "0":
            bands.setdefault(row["thread"], []).append(row)
    return bands


def test_the_bands_of_a_timeline_sum_to_the_wall_time(run_cli, tallystack, python, read_csv,
                                                      tmp_path):
    if not shutil.which("gnuplot"):
        pytest.skip("gnuplot is not installed")
    (tmp_path / "program.py").write_text(THREADS)
    subprocess.run([tallystack, "record", "-q", "-I", "50", "-o", "r", "--", python, "program.py"],
                   check=True, cwd=tmp_path, timeout=60)
    assert run_cli(["plot", "timeline", "-i", "r", "--keep", "-o", "t.svg"]).returncode == 0
    rows = read_csv((tmp_path / "t.csv").read_text(encoding="utf-8"))
    report = read_csv(run_cli(["report", "-e", "waits", "--by", "thread", "--csv", "-i",
                               "r"]).stdout)
    bands = bands_of(rows)
    assert len(bands) == 5
    for thread, parts in bands.items():
        wall = sum(float(row["self"]) for row in report if row["thread"] == thread)
        assert sum(float(part["value"]) for part in parts) == pytest.approx(wall, rel=1e-3)
        for part in parts:
            area = ((float(part["end_s"]) - float(part["time_s"])) *
                    (float(part["high"]) - float(part["low"])) * 1e9)
            assert area == pytest.approx(float(part["value"]), rel=0.01, abs=3000)
    running = {"on-cpu", "ready"}  # which may be the longest where others have the CPUs
    longest = {thread: max({part["event"] for part in parts} - running, default="",
                           key=lambda state: sum(float(part["value"]) for part in parts
                                                 if part["event"] == state))
               for thread, parts in bands.items()}
    assert sorted(longest.values())[-3:] == ["sleep", "sleep", "socket"]
    socket = next(thread for thread, state in longest.items() if state == "socket")
    received = [part for part in bands[socket] if part["event"] == "socket"]
    slept = float(received[-1]["end_s"]) - float(received[0]["time_s"])
    assert slept > 0.4


def test_a_timeline_says_how_many_threads_it_leaves_out(run_cli, tallystack, python, tmp_path):
    if not shutil.which("gnuplot"):
        pytest.skip("gnuplot is not installed")
    (tmp_path / "program.py").write_text(THREADS)
    subprocess.run([tallystack, "record", "-q", "-I", "50", "-o", "r", "--", python, "program.py"],
                   check=True, cwd=tmp_path, timeout=60)
    all_of_them = run_cli(["plot", "timeline", "-i", "r", "-o", "-"]).stdout
    two = run_cli(["plot", "timeline", "-i", "r", "-o", "-", "--limit", "2"]).stdout
    assert re.search("seen by looking on *\n", all_of_them)
    assert "seen by looking on: the longest 2 of 5" in two
    assert re.search("z{10}", two) and "z sleep" in two


def test_no_series_is_refused_with_what_to_do(run_cli, recordings, tmp_path):
    done = run_cli(["plot", "timeline", "-i", recordings / "plain.rec"])
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr == ("tallystack plot: the recording has no interval series; record with "
                           "-I MS, such as -I 100, to have one.\n")
    assert not list(tmp_path.iterdir())


def test_a_damaged_recording_is_drawn_and_says_so(run_cli, recordings, tmp_path):
    damaged = tmp_path / "damaged.rec"
    shutil.copytree(recordings / "one.rec", damaged)
    with open(damaged / "series.csv", "a", encoding="utf-8") as series:
        series.write("1e9,")
    done = run_cli(["plot", "functions", "-i", damaged, "-o", "picture.txt"])
    assert done.returncode == 125
    assert "changed" in done.stderr
    assert "Parts of the recording are damaged" in (tmp_path / "picture.txt").read_text()


def test_a_missing_gnuplot_is_named_with_its_package(run_cli, recordings, tmp_path):
    done = run_cli(["plot", "functions", "-i", recordings / "one.rec"],
                   env={"PATH": str(tmp_path)})
    assert done.returncode == 125
    assert re.fullmatch(r"tallystack plot: gnuplot.* package gnuplot-nox .*\.\n", done.stderr)
    assert not list(tmp_path.iterdir())


def fake_gnuplot(folder, script):
    folder.mkdir()
    (folder / "gnuplot").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "gnuplot").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("script, said", [
    ("echo 'no such terminal' >&2; exit 3", "status 3: no such terminal"),
    ("printf '<svg>half' >picture.svg", "did not write the whole picture"),
    ("exit 0", "did not write the whole picture"),
])
def test_a_failing_gnuplot_leaves_the_old_picture(run_cli, recordings, tmp_path, script, said):
    environment = fake_gnuplot(tmp_path / "bin", script)
    (tmp_path / "picture.svg").write_text("old")
    done = run_cli(["plot", "functions", "-i", recordings / "one.rec", "-o", "picture.svg",
                    "--keep"], env=environment)
    assert done.returncode == 125
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert (tmp_path / "picture.svg").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"bin", "picture.svg"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_leaves_nothing_behind(tallystack, recordings, tmp_path, number):
    environment = fake_gnuplot(tmp_path / "bin", "exec sleep 30")
    process = subprocess.Popen([tallystack, "plot", "functions", "-i", recordings / "one.rec"],
                               cwd=tmp_path, env=dict(os.environ, **environment))
    deadline = time.monotonic() + 20
    while not list(tmp_path.glob(".tallystack-plot-*/.messages")) and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=20) == -number
    assert [path.name for path in tmp_path.iterdir()] == ["bin"]


@pytest.mark.parametrize("arguments, said", [
    ([], "what to plot is missing"),
    (["pie"], 'no plot of "pie"'),
    (["functions", "x.rec"], "named with -i"),
    (["trend", "x.rec"], "two recordings or more"),
    (["timeline", "-e", "task-clock"], "leave -e out"),
    (["functions", "--size", "10"], "is not WIDTHxHEIGHT"),
    (["functions", "-i", "nowhere.rec"], "nowhere.rec"),
])
def test_wrong_arguments_are_refused_in_a_sentence(run_cli, tmp_path, arguments, said):
    done = run_cli(["plot", *arguments])
    assert (done.returncode, done.stdout) == (125, "")
    assert said in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("arguments, said", [
    (["-o", "picture.bmp"], "must end in .svg"),
    (["-o", ".svg"], "no name for a picture"),
    (["-o", "nowhere/picture.svg"], "cannot write into the folder"),
    (["-o", "-", "--keep"], "name the picture"),
    (["-e", "no-such-event"], 'no event "no-such-event"'),
])
def test_wrong_pictures_are_refused_in_a_sentence(run_cli, recordings, tmp_path, arguments, said):
    done = run_cli(["plot", "functions", "-i", recordings / "one.rec", *arguments])
    assert (done.returncode, done.stdout) == (125, "")
    assert said in done.stderr and done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
