"""Wall-clock accounts against the times that programs measure of themselves."""

import concurrent.futures
import json
import os
import shutil
import subprocess

import pytest

# The programs of known verdicts, but for what waits for the GIL, which has a test of its own.
ASLEEP = ("sleep", "disk", "http", "pipe", "child", "lock", "workers", "coroutines", "streams")
BUSY = ("cpu", "calls", "faults", "starved")
TICK = 0.01  # seconds; of the kernel's word on when a process started
FULL_ROUND = 0.3  # seconds between looks at most, for what nobody told the end of


@pytest.fixture
def account(record, read_csv, workloads):
    """account(python, program, *args): its accounts by thread in seconds, and the Recording."""
    def run(python, program, *args, **kw):
        made = record(python, "-B", workloads / program, *args, options=(), **kw)
        return by_thread(made, read_csv), made
    return run


def by_thread(made, read_csv):
    threads = {}
    for row in read_csv(made.report("-e", "waits", "--by", "thread", "--csv", "--limit", "0")):
        key = int(row["process"].split()[0]), int(row["thread"].split()[0])
        threads.setdefault(key, {})[row["event"]] = float(row["self"]) / 1e9
    return threads


def assert_closed(threads, made):
    said = json.loads(made.stdout.splitlines()[-1])
    pid = max(int(process) for process, tid in threads if str(tid) in said and process == tid)
    session = made.run()["wall_ns"] / 1e9
    after = session - said[str(pid)][1]  # what the process lived on for after it had spoken
    for tid, (least, most, cpu) in said.items():
        accounts = threads[pid, int(tid)]
        wall = sum(accounts.values())
        assert wall >= 0.99 * least, (tid, accounts)
        goes_on = cpu is None or int(tid) == pid
        longest = most + (after if goes_on else 0) + TICK
        assert wall <= 1.01 * longest, (tid, accounts)
    return said, pid


def at_once(count, run, kinds):
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, kinds))


def test_the_accounts_close(any_python, account, native_work, lacks_direct_io):
    def run(kind):
        return account(any_python, "waits_walls.py", kind, 0.75)

    asleep = [kind for kind in ASLEEP if kind != "disk" or not lacks_direct_io]
    busy = [*BUSY, native_work(any_python)]
    for threads, made in at_once(len(asleep), run, asleep) + at_once(2, run, busy):
        assert_closed(threads, made)


def test_the_gil(any_python, account):
    """What each of four threads that compute does not compute, it waits for the GIL or a CPU."""
    threads, made = account(any_python, "waits_walls.py", "gil")
    said, pid = assert_closed(threads, made)
    for tid, (_, most, cpu) in said.items():
        if int(tid) == pid:
            continue
        accounts = threads[pid, int(tid)]
        assert accounts["on-cpu"] == pytest.approx(cpu, rel=0.02, abs=0.005)
        waited = sum(accounts.get(name, 0) for name in ("gil", "ready", "not-looked-at"))
        assert waited == pytest.approx(most - cpu, rel=0.03), accounts
        assert accounts["gil"] > 0.5 * most


def test_by_line(any_python, account, read_csv, workloads):
    """Each function of known shares waits in one line, which has all of its account."""
    _, made = account(any_python, "waits.py", "shares", "0.5")
    source = (workloads / "waits.py").read_text().splitlines()
    functions = {(row["function"], row["event"]): row["self"]
                 for row in read_csv(made.report("-e", "waits", "--csv", "--limit", "0"))}
    lines = {(row["function"], row["event"], row["line"]): row["self"] for row in read_csv(
        made.report("-e", "waits", "--by", "line", "--csv", "--limit", "0"))}
    for name, event, text in (("asleep", "sleep", "time.sleep(0.06)"),
                              ("ask", "socket", "near.recv(1)")):
        name = f"shares.<locals>.{name}"
        line = str(1 + [row.strip() for row in source].index(text))
        assert float(functions[name, event]) > 0
        assert lines[name, event, line] == functions[name, event]


def test_brief_threads(python, account):
    """Thousands of threads cost the recorder no descriptor and no memory that stays."""
    threads, made = account(python, "waits_lives.py", "brief")
    said = json.loads(made.stdout)
    short = [sum(accounts.values()) for (pid, tid), accounts in threads.items() if pid != tid]
    assert len(short) == 3000
    assert 0.99 * said["least"] <= sum(short) <= 1.01 * said["most"]
    early, _, end = said["states"]
    assert end["descriptors"] <= early["descriptors"] + 4  # of threads just looked at
    assert end["resident"] <= early["resident"] + 1024


ONE_CPU = """
import hashlib, os, threading
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
work = lambda: hashlib.pbkdf2_hmac("sha256", b"", b"", 400_000)  # without the GIL
threads = [threading.Thread(target=work) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
"""


def test_threads_that_share_a_cpu(python, record, run_cli):
    """What the main thread waits for is a quarter running, and for the rest ready to run."""
    made = record(python, "-c", ONE_CPU, options=())
    lines = run_cli(["diagnose", "-i", made.path]).stdout.splitlines()
    ran, ready = (next(float(line.split()[0]) for line in lines if f" %  {name}" in line)
                  for name in ("on-cpu", "ready"))
    assert ready > 2 * ran, lines


CROWD = """
import threading
end = threading.Event()
threads = [threading.Thread(target=end.wait) for _ in range(30)]
for thread in threads:
    thread.start()
sum(range(2_000_000))
end.set()
"""


PARTS = """
import hashlib, time

def for_a_while(work):
    begin = time.thread_time()
    while time.thread_time() - begin < 0.25:
        work()

def in_the_kernel():
    zeroes, room = open("/dev/zero", "rb", buffering=0), bytearray(1 << 20)
    for_a_while(lambda: zeroes.readinto(room))

def in_python():
    for_a_while(lambda: sum([i for i in range(1000)]))

def in_native_code():
    begin, text, fresh = time.thread_time(), bytes(1 << 20), []
    for i in range(50_000):
        fresh.append(str(i))  # page faults of the interpreter
    while time.thread_time() - begin < 0.25:
        hashlib.sha256(text).digest()

in_the_kernel(), in_python(), in_native_code()
"""


@pytest.mark.parametrize("events", ["task-clock:u,task-clock:k", "page-faults:1,task-clock"])
def test_functions_are_judged_by_the_clocks(python, record, run_cli, read_csv, events):
    """Wherever among the events these are; one of each side tells what is the kernel's."""
    made = record(python, "-c", PARTS, options=("-e", events))
    on_cpu = {row["function"]: float(row["inclusive"]) for row in
              read_csv(made.report("-e", "waits", "--csv")) if row["event"] == "on-cpu"}
    told = {row["name"].partition(".")[0]: row["verdict"] for row in read_csv(
        run_cli(["diagnose", "-i", made.path, "--csv", "--limit", 5]).stdout)}
    for function in ("in_the_kernel", "in_python", "in_native_code"):
        # Five deviations of a third of 750 samples
        assert on_cpu[function] == pytest.approx(0.25e9, rel=0.25), on_cpu
    assert told["in_native_code"] == "CPU-bound (compute)"
    assert told["in_python"] == "CPU-bound (interpreter)"
    assert told["in_the_kernel"] == "system-call-bound" or ":k" not in events


def test_tables_of_many_threads_are_short(python, record, run_cli, read_csv):
    """The longest come first, and the tables say how many threads they leave out."""
    made = record(python, "-c", CROWD, options=())
    threads = [row["name"] for row in read_csv(run_cli(["diagnose", "-i", made.path, "--csv"]).stdout)
               if row["scope"] == "thread"]
    assert len(threads) == 31
    for limit, shown in (((), 10), (("--limit", 4), 4), (("--limit", 0), 31)):
        text = run_cli(["diagnose", "-i", made.path, *limit]).stdout
        listed = text.partition("\nthreads\n")[2].partition("functions, self")[0].splitlines()
        more = f"({31 - shown} more; --limit 0 shows all)"
        assert [line for line in listed if " thread " not in line] == [more][:shown < 31]
        walls = [float(line.split()[0]) for line in listed if " thread " in line]
        assert len(walls) == shown and walls == sorted(walls, reverse=True)


def test_waits_that_are_equal_are_sorted_by_what_ran(python, record, read_csv):
    """Where threads waited most is in few rows: those with none of it follow by CPU time."""
    made = record(python, "-c", "import time; sum(range(3_000_000)); time.sleep(0.5)", options=())
    rows = read_csv(made.report("-e", "waits", "--csv"))
    order = list(dict.fromkeys((row["function"], row["file"], row["line"]) for row in rows))
    found = {(row["function"], row["file"], row["line"], row["event"]): float(row["self"])
             for row in rows}
    asleep = [found[(*key, "sleep")] for key in order]
    ran = [found[(*key, "on-cpu")] for key, zero in zip(order, asleep) if not zero]
    assert asleep == sorted(asleep, reverse=True) and asleep[0] > 0
    assert ran == sorted(ran, reverse=True)


SUBINTERPRETERS = """
import time
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
INSIDE = "import time\\ndef inside(): time.sleep(0.4)\\ninside()"
kept = [interpreters.create() for _ in range(2)]
for interpreter in kept:
    interpreters.run_string(interpreter, INSIDE)

def rest():
    time.sleep(0.8)

rest()
for interpreter in kept:
    interpreters.destroy(interpreter)
"""


def test_waits_in_subinterpreters(any_python, record, read_csv):
    """The thread has a state in each of them; in all but one it is idle, or runs what runs that."""
    made = record(any_python, "-c", SUBINTERPRETERS, options=())
    asleep = {row["function"]: float(row["self"]) for row in read_csv(made.report("-e", "waits", "--csv"))
              if row["event"] == "sleep"}
    for function in ("inside", "rest"):
        assert asleep[function] == pytest.approx(0.8e9, rel=0.1), asleep


def test_the_budget(python, account):
    """The kernel's word on the recorder's whole CPU time, beside 200 busy threads: 1 % of a CPU."""
    _, made = account(python, "waits_lives.py", "crowd")
    share = float(made.stdout)
    assert 0.001 < share <= 0.011


def test_what_ends_otherwise(any_python, account, read_csv):
    """Forked children; an exec; killed, so that nobody told the end: known up to the last look."""
    def run(way):
        return account(any_python, "waits_lives.py", way, status=137 if way == "killed" else 0)

    (forked, forks), (_, execed), (killed, _) = at_once(3, run, ("forks", "execs", "killed"))
    # The rest that the budget asks for after a dear round may last as long as the shortest life.
    if any(accounts.get("not-looked-at", 0) > 0.01 for accounts in forked.values()):
        forked, forks = run("forks")
    for child, seconds in json.loads(forks.stdout).items():
        accounts = forked[int(child), int(child)]
        assert accounts["sleep"] == pytest.approx(seconds, rel=0.05), accounts
        assert seconds * 0.99 <= sum(accounts.values()) <= seconds + 0.2

    slept = sum(float(row["self"]) for row in read_csv(
        execed.report("-e", "waits", "--by", "process", "--csv")) if row["event"] == "sleep")
    assert slept / 1e9 == pytest.approx(1, rel=0.05)

    assert len(killed) == 2
    for accounts in killed.values():
        assert 1 - FULL_ROUND <= sum(accounts.values()) <= 1.3
        assert accounts["sleep"] >= 1 - FULL_ROUND


def assert_split(threads):
    """A second asleep and half a one on a CPU, by whatever name."""
    (accounts,) = threads.values()
    assert 0.5 <= accounts["on-cpu"] < 0.8  # start-up included
    rest = sum(s for name, s in accounts.items() if name not in ("on-cpu", "ready"))
    assert rest == pytest.approx(1, rel=0.03), accounts
    return accounts


IN_TURNS = """
import os, time
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
child = os.fork()
while time.process_time() < 0.2: pass
if child:
    os.wait()
"""


@pytest.mark.parametrize("more", [[], ["--user", "--map-root-user"]])
def test_another_pid_namespace(python, record, read_csv, need, more):
    """Two processes that number themselves otherwise share a CPU: neither is told twice."""
    words = ["unshare", "--pid", "--fork", *more]
    need("unshare", shutil.which("unshare") and not subprocess.run(
        [*words, "true"], stderr=subprocess.DEVNULL).returncode, "there are no PID namespaces here")
    made = record(*words, python, "-c", IN_TURNS, options=())
    threads = by_thread(made, read_csv)
    assert len(threads) == 3
    for accounts in threads.values():
        assert sum(accounts.values()) <= made.run()["wall_ns"] / 1e9
    computing = [accounts for accounts in threads.values() if accounts.get("on-cpu", 0) > 0.1]
    assert len(computing) == 2
    for accounts in computing:
        assert accounts["on-cpu"] == pytest.approx(0.2, abs=0.05)
        assert accounts["ready"] > 0.05


def test_dropped_privileges(python, account, workloads):
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    # Once before, so that start-up need not wait for files.
    imports = f"import runpy; runpy.run_path({str(workloads / 'waits_lives.py')!r})"
    subprocess.run([python, "-B", "-c", imports], check=True)
    threads, _ = account(python, "waits_lives.py", "drops")
    assert_split(threads)


def test_hidden_system_calls(python, account, build_c, workloads):
    """The kernel's function that a thread sleeps in tells most causes still, and a note says so."""
    hides = build_c(workloads.parent / "fault/deny_syscall_file.c", "-shared", "-fPIC")
    environment = dict(os.environ, LD_PRELOAD=hides, ASAN_OPTIONS="verify_asan_link_order=0")
    causes = {"sleep": "sleep", "pipe": "pipe", "lock": "other-wait"}
    done = at_once(len(causes), lambda kind: account(python, "waits_walls.py", kind,
                                                     env=environment), causes)
    for (threads, made), cause in zip(done, causes.values()):
        said, pid = assert_closed(threads, made)
        assert threads[pid, pid][cause] >= 0.9 * 1.4, threads
        # After the end of its pipe the child's own end is waited for, if that takes a moment.
        assert threads[pid, pid].get("child", 0) <= (0.1 if cause == "pipe" else 0)
        assert any("its system calls may not be read" in note for note in made.run()["notes"])
