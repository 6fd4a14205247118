"""Every process of a run has its row with what it did, however it was started and however it ends."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
import time

import pytest

pytestmark = pytest.mark.usefixtures("kernel_events")


def pages_by_pid(recording):
    """Pages touched at touch(), by PID: what is known exactly."""
    counts = {}
    for row in recording.rows("process"):
        pid, _, name = row["process"].partition(" ")
        assert name
        counts[pid] = counts.get(pid, 0) + row["self"]
    return counts


def assert_has(recording, pages):
    """Each process has at least these pages, and start-up beside them."""
    counts = pages_by_pid(recording)
    for pid, count in pages.items():
        assert count <= counts[str(pid)] <= count + 3500, (pid, count, counts)


def touched(recording):
    return recording.self_of()["touch"]


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pool(any_python, record, workloads, method):
    done = record(any_python, "-B", workloads / "pool.py", method)
    pages = json.loads(done.stdout)
    assert len(pages) == 4
    assert_has(done, pages)
    assert touched(done) == pytest.approx(5000, abs=10)
    # The program's own file is __main__ in its workers, too.
    assert {row["module"] for row in done.rows() if row["function"] == "work"} == {"__main__"}
    done.assert_sums_close()


@pytest.mark.parametrize("options", [[], ["--bare"]])
def test_nested_children(any_python, record, workloads, options):
    done = record(any_python, "-B", workloads / "nested.py", 2, *options)
    pages = dict(map(int, line.split()) for line in done.stdout.splitlines())
    assert len(pages) == 3
    assert_has(done, pages)
    assert len(done.rows("process")) == 3
    assert touched(done) == pytest.approx(6000, abs=10)
    done.assert_sums_close()


def test_exec_has_a_row_per_image(any_python, record, workloads):
    done = record(any_python, "-B", workloads / "execs.py")
    inclusive = {row["function"]: row["inclusive"] for row in done.rows()}
    assert inclusive["before"] == pytest.approx(1000, abs=5)
    assert inclusive["after"] == pytest.approx(2000, abs=5)
    assert_has(done, {int(done.stdout): 3000})
    done.assert_sums_close()


@pytest.mark.parametrize("how, status", [("return", 0), ("exit", 7), ("_exit", 7), ("kill", 137),
                                         ("abort", 134), ("raise", 1), ("fork_exit", 0)])
def test_nothing_is_lost_at_the_end(any_python, record, workloads, how, status):
    done = record(any_python, "-B", workloads / "ends.py", how, status=status)
    assert done.stdout == "3000\n"
    # In the child of a fork, the first writes to pages that it shares with its parent count, too.
    assert 3000 <= touched(done) <= (3020 if how == "fork_exit" else 3003)
    done.assert_sums_close()


def test_killed_from_outside(tallystack, tmp_path, python):
    """SIGKILL in mid-run, of a program that tells how far it came."""
    program = tmp_path / "endless.py"
    program.write_text("import mmap, os, sys\n"
                       "def touch(memory):\n"
                       "    for at in range(0, len(memory), 4096):\n"
                       "        memory[at] = 1\n"
                       "for number in range(1, 1000000):\n"
                       "    memory = mmap.mmap(-1, 100 * 4096, flags=mmap.MAP_PRIVATE)\n"
                       "    memory.madvise(mmap.MADV_NOHUGEPAGE)\n"
                       "    touch(memory)\n"
                       "    os.write(1, b'%d %d\\n' % (os.getpid(), number))\n")
    with subprocess.Popen([tallystack, "record", "-q", "-e", "page-faults", "-o", "r", "--", python,
                           program], cwd=tmp_path, text=True, stdout=subprocess.PIPE) as recorder:
        for line in recorder.stdout:
            pid, number = map(int, line.split())
            if number == 300:
                os.kill(pid, 9)
                break
        last = [line for line in recorder.stdout if line.endswith("\n")]
        number = int(last[-1].split()[1]) if last else number
    assert recorder.returncode == 137
    report = subprocess.run([tallystack, "report", "-i", "r", "--csv"], cwd=tmp_path, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert (report.returncode, report.stderr) == (0, "")
    touched_pages = int(re.search(r",touch,.*?,software,(\d+),", report.stdout).group(1))
    # After the last line that was written it may have touched those of one more turn.
    assert 100 * number <= touched_pages <= 100 * number + 110


def test_killed_recorder(tallystack, tmp_path, python, workloads):
    """Without its recorder the program goes on; what it left is read, and said to be unsealed."""
    program = tmp_path / "goes_on.py"
    program.write_text("import os, sys\n"
                       f"sys.path.insert(0, {str(workloads)!r})\n"
                       "from pages import fresh, touch\n"
                       "touch(fresh(1000))\n"
                       "print('there', flush=True)\n"
                       "sys.stdin.read()\n"
                       "touch(fresh(1000))\n"
                       "open('end', 'w').close()\n")
    recorder = subprocess.Popen([tallystack, "record", "-q", "-e", "page-faults", "-o", "r", "--",
                                 python, program], cwd=tmp_path, text=True, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE)
    assert recorder.stdout.readline() == "there\n"
    recorder.kill()
    recorder.wait()
    recorder.stdin.close()
    assert recorder.stdout.read() == ""
    assert (tmp_path / "end").exists()
    report = subprocess.run([tallystack, "report", "-i", "r", "--csv"], cwd=tmp_path, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert report.returncode in (0, 125)
    assert report.stderr.endswith(".\n")
    touched_pages = int(re.search(r",touch,.*?,software,(\d+),", report.stdout).group(1))
    assert touched_pages >= 1000


def test_child_that_outlives_the_run(python, record, tmp_path, workloads):
    """What a process does after the program ended is not of the run, and does not damage it."""
    (tmp_path / "daemon.py").write_text(
        f"import os, sys, time; sys.path.insert(0, {str(workloads)!r})\n"
        "from pages import fresh, touch\n"
        "if os.fork():\n"
        "    sys.exit(0)\n"
        "os.setsid()\n"
        "time.sleep(0.3)\n"
        "for fd in (1, 2): os.close(fd)\n"
        "for number in range(20): touch(fresh(100)); time.sleep(0.01)\n"
        "open('end', 'w').close()\n")
    done = record(python, "-B", "daemon.py", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    before = done.report("--csv")
    done.assert_sums_close()
    assert any(note.startswith("processes that outlived the program: 1; ") for note in done.run()["notes"])
    for _ in range(100):
        if (tmp_path / "end").exists():
            break
        time.sleep(0.1)
    time.sleep(0.2)
    assert done.report("--csv") == before


def test_closed_descriptors(any_python, record, workloads):
    for how in ("range", "each", "daemon"):
        done = record(any_python, "-B", workloads / "closes_descriptors.py", how)
        assert done.stdout == "kept\n"
        # Closed behind libc's back, the kernel's counter is gone; that must show.
        if how != "daemon":
            assert touched(done) == pytest.approx(2000, abs=3)
        done.assert_sums_close()


CROWDED = """
import os, resource, threading
end = threading.Event()
threads = [threading.Thread(target=end.wait) for _ in range(40)]
for thread in threads:
    thread.start()
opened = []
try:
    while True:
        opened.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for fd in opened[:8]:
    os.close(fd)
end.set()
print(len(opened), opened[-1], resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_numbers_of_descriptors_are_the_programs(any_python, record):
    """However many threads there are, their counters take none of what a program may open."""
    limited = ["sh", "-c", 'ulimit -Sn 64; exec "$@"', "sh", any_python, "-c", CROWDED]
    plain = subprocess.run(limited, check=True, text=True, stdout=subprocess.PIPE)
    for options in (("-e", "page-faults"), ()):
        assert record(*limited, options=options).stdout == plain.stdout


UNSAMPLED = """
import sys, threading
sys.path.insert(0, sys.argv[1])
from pages import fresh, touch
all_there = threading.Barrier(60)
def run(memory):
    all_there.wait()
    touch(memory)
threads = [threading.Thread(target=run, args=(fresh(50),)) for _ in range(60)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_without_a_counter_are_lost(any_python, record, workloads):
    """Where the hard limit leaves no descriptor for a thread's counter, its row is [lost]."""
    done = record("sh", "-c", 'ulimit -n 40; exec "$@"', "sh", any_python, "-B", "-c", UNSAMPLED,
                  workloads, options=("-e", "page-faults"))
    counts = done.self_of()
    assert 0 < counts["touch"] < 3000
    assert counts["[lost]"] >= 3000 - counts["touch"]
    done.assert_sums_close()


def test_brief_processes_take_little_room(python, record, need, tmp_path):
    """What a process claimed of the disk and did not write is given back when the run ends."""
    (tmp_path / "probe").write_bytes(bytes(1 << 16))
    punch = subprocess.run(["fallocate", "-p", "-l", "65536", tmp_path / "probe"],
                           stderr=subprocess.DEVNULL)
    need("holes in files", punch.returncode == 0, "the file system here has no holes in files")
    done = record(python, "-c", "import os\nfor _ in range(30):\n"
                  "    if not os.fork(): os._exit(0)\n    os.wait()", options=())
    stats = [path.stat() for path in done.path.iterdir()]
    assert len(stats) > 30
    assert sum(stat.st_blocks * 512 for stat in stats) < sum(stat.st_size for stat in stats) / 2
    done.assert_sums_close()


def test_signals_are_the_programs(any_python, record, workloads):
    plain = subprocess.run([any_python, "-B", workloads / "signals.py"], check=True, text=True,
                           stdout=subprocess.PIPE)
    done = record(any_python, "-B", workloads / "signals.py",
                  options=("-e", "page-faults,task-clock"))
    assert json.loads(done.stdout) == json.loads(plain.stdout)
    assert touched(done) == pytest.approx(3000, abs=5)
    done.assert_sums_close()


def test_default_action_of_sigtrap(python, record):
    done = record(python, "-c", "import signal; signal.raise_signal(signal.SIGTRAP)", status=133)
    done.assert_sums_close()


def test_dropped_privileges(any_python, record, workloads_copy, tmp_path):
    if os.getuid() != 0:
        pytest.skip("only root can drop privileges")
    for folder in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        folder.chmod(0o755)
    done = record(any_python, "-B", workloads_copy / "drops_privileges.py", 65534)
    parent, child = done.stdout.split()
    inclusive = {row["function"]: row["inclusive"] for row in done.rows()}
    assert inclusive["in_thread"] == pytest.approx(1000, abs=20)
    # and the pages of its parent that it is the first to write to
    assert 2000 <= inclusive["in_child"] <= 2050
    assert_has(done, {parent: 1000, child: 2000})
    done.assert_sums_close()


def test_another_root_folder(python, record, tmp_path, workloads):
    """A program that sees nothing of the file system any more goes on being counted."""
    if os.getuid() != 0:
        pytest.skip("only root can change the root folder")
    (tmp_path / "jail").mkdir()
    (tmp_path / "goes.py").write_text(
        f"import os, sys, threading; sys.path.insert(0, {str(workloads)!r})\n"
        "from pages import fresh, touch\n"
        "os.chroot('jail'); os.chdir('/')\n"
        "thread = threading.Thread(target=lambda: touch(fresh(1000)))\n"
        "thread.start(); thread.join()\n"
        "if os.fork() == 0:\n"
        "    touch(fresh(2000)); os._exit(0)\n"
        "os.wait()\n")
    done = record(python, "-B", "goes.py")
    assert touched(done) == pytest.approx(3000, abs=20)
    done.assert_sums_close()


def test_another_pid_namespace(python, record, workloads, need):
    """Processes that number themselves otherwise keep the numbers that the recorder sees."""
    words = ["unshare", "--pid", "--fork"]
    need("unshare", shutil.which("unshare") and not subprocess.run(
        [*words, "true"], stderr=subprocess.DEVNULL).returncode, "there are no PID namespaces here")
    done = record(*words, python, "-B", workloads / "nested.py", 1)
    assert touched(done) == pytest.approx(3000, abs=5)
    assert all(int(row["process"].split()[0]) > 2 for row in done.rows("process"))
    done.assert_sums_close()


def test_each_process_has_its_own_time(python, record, tmp_path):
    """What no sample says of a process is not put down to another one."""
    (tmp_path / "brief.py").write_text(
        "import os, time\n"
        "def spend(seconds):\n"
        "    while time.process_time() < seconds: pass\n"
        "for number in range(60):\n"
        "    if os.fork() == 0:\n"
        "        spend(0.0007)\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
        "spend(time.process_time() + 0.1)\n"
        "print(os.getpid(), time.process_time())\n")
    done = record(python, "-B", "brief.py", options=("-e", "task-clock"))
    pid, seconds = done.stdout.split()
    rows = {row["process"].split()[0]: row for row in done.rows("process")}
    assert len(rows) == 61
    assert rows[pid]["self"] == pytest.approx(float(seconds) * 1e9, rel=0.1)


RENAMED = """
import ctypes, os, threading
PR_SET_NAME = 15
rename = ctypes.CDLL(None).prctl
rename(PR_SET_NAME, b"master")
thread = threading.Thread(target=bytes, args=(1 << 20,))
thread.start()
thread.join()
if not os.fork():
    rename(PR_SET_NAME, b"worker")
    raise SystemExit
os.wait()
"""


def test_processes_have_their_last_names(python, record):
    """As prefork servers give them, with other threads' records behind the first one's."""
    done = record(python, "-W", "ignore", "-c", RENAMED)
    for view in ("process", "thread"):
        names = {row["process"].split()[1] for row in done.rows(view)}
        assert names == {"master", "worker"}
    firsts = {row["thread"].split()[1] for row in done.rows("thread")
              if row["thread"] == row["process"]}
    assert firsts == {"master", "worker"}


def test_names_beyond_ascii(any_python, record, tmp_path, workloads):
    folder = tmp_path / "Maß und Zahl – 計測"
    folder.mkdir()
    shutil.copy(workloads / "pages.py", folder)
    program = folder / "zähle, \"so\".py"
    program.write_text("from pages import fresh, PAGE\n"
                       "class Größe:\n"
                       "    def 計る(self, memory):\n"
                       "        for at in range(0, len(memory), PAGE):\n"
                       "            memory[at] = 1\n"
                       "Größe().計る(fresh(1000))\n", encoding="utf-8")
    done = record(any_python, "-B", program)
    row = next(row for row in done.rows("line") if row["function"] == "Größe.計る" and row["self"])
    assert row["self"] == pytest.approx(1000, abs=3)
    assert (row["file"], row["line"], row["module"]) == (str(program), 5, "__main__")
    done.assert_sums_close()


def test_relative_script_that_changes_folder(any_python, record, tmp_path, workloads):
    (tmp_path / "inner").mkdir()
    shutil.copy(workloads / "pages.py", tmp_path)
    (tmp_path / "helper.py").write_text("from pages import fresh, touch\n"
                                        "def late():\n"
                                        "    touch(fresh(1000))\n")
    (tmp_path / "moves.py").write_text("import os\n"
                                       "os.chdir('inner')\n"
                                       "from helper import late\n"
                                       "late()\n")
    done = record(any_python, "-B", "./moves.py")
    files = {row["function"]: row["file"] for row in done.rows() if row["module"] in
             ("helper", "__main__", "pages")}
    assert files["late"] == str(tmp_path / "helper.py")
    assert files["<module>"] in (str(tmp_path / "moves.py"), str(tmp_path / "helper.py"),
                                 str(tmp_path / "pages.py"))
    assert touched(done) == pytest.approx(1000, abs=3)
    assert "__main__" in {row["module"] for row in done.rows()}


def test_module_shebang_and_virtual_environment(any_python, record, tmp_path, workloads):
    shutil.copy(workloads / "pages.py", tmp_path)
    package = tmp_path / "package"
    package.mkdir()
    text = "from pages import fresh, touch\ntouch(fresh(1000))\n"
    (package / "__main__.py").write_text(text)
    done = record(any_python, "-B", "-m", "package")
    assert touched(done) == pytest.approx(1000, abs=3)
    main = [row for row in done.rows() if row["file"] == str(package / "__main__.py")]
    assert {row["module"] for row in main} == {"__main__"}

    if " " not in any_python and len(any_python) < 120:
        script = tmp_path / "script"
        script.write_text(f"#!{any_python} -B\n{text}")
        script.chmod(0o755)
        done = record("./script")
        assert touched(done) == pytest.approx(1000, abs=3)
        done.assert_sums_close()

    environment = tmp_path / "venv"
    subprocess.run([any_python, "-m", "venv", "--without-pip", environment], check=True)
    (tmp_path / "run.py").write_text(text)
    done = record(environment / "bin/python", "-B", "run.py")
    assert touched(done) == pytest.approx(1000, abs=3)
    done.assert_sums_close()


def test_static_child_has_no_agent(python, record, tmp_path, workloads, build_c, need):
    try:
        program = build_c(workloads / "static_child.c", "-static")
    except subprocess.CalledProcessError:
        need("static libc", False, "there is no libc to link statically")
    (tmp_path / "runs.py").write_text("import subprocess, sys\n"
                                      "subprocess.run([sys.argv[1], '5000'], check=True)\n")
    done = record(python, "-B", "runs.py", program)
    # Its own start is some 25 more.
    assert 5015 <= done.self_of()["[no agent]"] <= 5100
    done.assert_sums_close()
    # As the program that is asked for, it is all there is.
    alone = record(program, 5000)
    assert 5015 <= alone.self_of()["[no agent]"] <= 5100
    alone.assert_sums_close()


def test_native_program(record, tmp_path, build_c, workloads):
    program = build_c(workloads / "static_child.c")
    done = record(program, 5000)
    counts = done.self_of()
    assert 5000 <= sum(counts.values()) <= 5600
    assert not {"[no agent]", "[lost]"} & {name for name, count in counts.items() if count > 1000}
    assert done.self_of("native")
    done.assert_sums_close()


def libpython():
    """A libpython of a supported version to load late, and the home it belongs to."""
    folder, name = sysconfig.get_config_var("LIBDIR"), sysconfig.get_config_var("INSTSONAME")
    for path in (f"{folder}/{name}", f"{folder}/{sysconfig.get_config_var('MULTIARCH')}/{name}"):
        if name and ".so" in name and os.path.exists(path):
            return path
    found = subprocess.run("ldconfig -p | sed -n 's/.*=> //p' | grep -E '/libpython3.1[1-5].so'",
                           shell=True, text=True, stdout=subprocess.PIPE).stdout.splitlines()
    return found[0] if found else None


def test_interpreter_loaded_late(record, tmp_path, workloads, build_c, need):
    library = libpython()
    need("libpython", library, "there is no shared libpython of a supported version")
    program = build_c(workloads / "embeds_python.c", "-ldl")
    (tmp_path / "inside.py").write_text(
        f"import sys; sys.path.insert(0, {str(workloads)!r}); sys.dont_write_bytecode = True\n"
        "from pages import fresh, touch\n"
        "def inside(): touch(fresh(2000))\n"
        "inside()\n")
    done = record(program, library, "inside.py")
    inclusive = {row["function"]: row["inclusive"] for row in done.rows()}
    assert touched(done) == pytest.approx(2000, abs=3)
    assert inclusive["inside"] >= 2000
    done.assert_sums_close()
