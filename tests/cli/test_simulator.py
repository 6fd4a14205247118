"""The simulator's commands: the model machines, and the totals of whole programs.

What the counts themselves are is held to account in tests/truth.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess

import pytest

COLUMNS = ["name", "level", "size", "unit", "ways", "line", "description", "kind"]
PREDICTOR = ("outcomes", "targets")
GOOD = {"line": "line 64", "l1i": "l1i 32K 8", "l1d": "l1d 32K 8", "l2": "l2 1M 16"}


@pytest.fixture(scope="module")
def simulator(tallystack):
    """Skips where there is none; tests that every machine can do must not ask for it."""
    tool = pathlib.Path(tallystack).parent.parent / "lib/tallystack/valgrind"
    if not shutil.which("valgrind") or not tool.exists():
        pytest.skip("there is no valgrind here")


def test_models_have_all_levels_they_say(run_cli, read_csv):
    rows = read_csv(run_cli(["list", "--models", "--csv"]).stdout)
    assert list(rows[0]) == COLUMNS
    models = {row["name"] for row in rows}
    assert {"generic", "two-level", "intel-sapphire-rapids", "amd-zen4", "arm-neoverse-v2"} <= models
    levels = {(row["name"], row["level"]): row for row in rows}
    assert ("two-level", "l2") not in levels
    assert all((model, level) in levels for model in models
               for level in ("l1i", "l1d", *PREDICTOR))
    for row in rows:
        entry = int(row["line"] or 1)
        assert int(row["size"]) % (entry * int(row["ways"])) == 0
        is_table = row["level"] in PREDICTOR
        assert row["unit"] == (
            "entries" if is_table or row["level"].endswith("tlb") else "bytes")
        assert row["kind"] == ("gshare" if is_table else "lru")
    for name, level in levels:  # an outer level is the larger one
        if (name, "l3") in levels and level == "l2":
            assert int(levels[name, "l2"]["size"]) < int(levels[name, "l3"]["size"])


def test_models_on_a_screen(run_cli):
    done = run_cli(["list", "--models"])
    assert done.returncode == 0
    line = next(line for line in done.stdout.splitlines() if line.startswith("two-level"))
    assert line.split()[1:10] == ["32K/8", "32K/8", "-", "8M/16", "64/4", "64/8", "64", "gshare",
                                  "16K/4K"]


def test_host_is_this_machine(run_cli, read_csv):
    kernel = pathlib.Path("/sys/devices/system/cpu/cpu0/cache")
    rows = read_csv(run_cli(["list", "--models", "--csv"]).stdout)
    host = {row["level"]: int(row["size"]) for row in rows if row["name"] == "host"}
    if not (kernel / "index0/size").exists():
        pytest.skip("the kernel does not tell this machine's caches")
    told = {}
    for index in kernel.glob("index[0-9]*"):
        read = {name: (index / name).read_text().strip() for name in ("level", "type", "size")}
        name = {"1Data": "l1d", "1Instruction": "l1i"}.get(read["level"] + read["type"],
                                                          "l" + read["level"])
        told[name] = int(read["size"].rstrip("KM")) << (20 if read["size"].endswith("M") else 10)
    assert {level: size for level, size in host.items()
            if not level.endswith("tlb") and level not in PREDICTOR} == told


@pytest.mark.parametrize("changed, message", [
    ({"l1d": "l1d 33K 8"}, ":3: l1d must have a power of two of sets, its size by line and ways."),
    ({"l2": "l2 1M 0"}, ":4: l2 must have from 1 to 128 ways."),
    ({"l2": "l2 1000 16"}, ":4: the size of l2 must be a multiple of 1024, its ways by its line."),
    ({"l2": "tlb 63 4"}, ":4: the size of tlb must be a multiple of 4, its ways."),
    ({"l1i": ""}, ": a model needs a line of l1i, as in \"l1i 32K 8\"."),
    ({"line": "line 48"}, ":1: the line must be a power of two from 16 to 4096 bytes, as in \"line 64\"."),
    ({"l2": "l2 1M"}, ':4: a model has lines as "l2 1M 16", a level, its size and its ways.'),
    ({"l2": "l1d 32K 8"}, ":4: l1d is in line 3 already."),
    ({"l2": "l4 1M 16"}, ':4: a model has l1i, l1d, l2, l3, tlb, itlb, line and predictor, but no "l4".'),
    ({"l2": "predictor tage 16K 4K"}, ":4: a predictor is gshare or bimodal with its entries for "
     'outcomes and targets, as in "predictor gshare 16K 4K".'),
    ({"l2": "predictor gshare 16K"}, ":4: a predictor is gshare or bimodal with its entries for "
     'outcomes and targets, as in "predictor gshare 16K 4K".'),
    ({"l2": "predictor gshare 16K 3K"},
     ":4: the entries of the predictor must be powers of two from 1 to 16777216."),
])
def test_model_files_that_are_wrong(run_cli, tmp_path, changed, message):
    (tmp_path / "my.model").write_text("\n".join({**GOOD, **changed}.values()) + "\n")
    done = run_cli(["record", "--simulate=./my.model", "--", "true"])
    assert (done.returncode, done.stderr) == (125, f"tallystack record: ./my.model{message}\n")
    assert not (tmp_path / "tallystack.rec").exists()


def test_folder_as_a_model(run_cli):
    done = run_cli(["stat", "--simulate=./", "--", "true"])
    assert (done.returncode, done.stderr) == (
        125, 'tallystack stat: the model "./" cannot be read: Is a directory.\n')


def test_unknown_model(run_cli):
    done = run_cli(["stat", "--simulate=genric", "--", "true"])
    assert done.returncode == 125
    assert 'there is no model "genric"; there are amd-zen4, ' in done.stderr
    assert done.stderr.count("\n") == 1


def totals(text, read_csv):
    rows = read_csv("\n".join(line for line in text.splitlines() if "," in line and ": " not in line))
    return {row["event"]: row for row in rows}


def test_stat_counts_what_record_counts(simulator, run_cli, read_csv, tmp_path):
    """Of a program without Python, which nothing but the model touches."""
    stat = run_cli(["stat", "--simulate", "--csv", "--", "sh", "-c", "true; exit 3"])
    record = run_cli(["record", "--simulate", "-q", "--", "sh", "-c", "true; exit 3"])
    assert (stat.returncode, record.returncode) == (3, 3)
    counted = totals(stat.stderr, read_csv)
    recorded = totals(run_cli(["stat", "-i", "tallystack.rec", "--csv"]).stdout, read_csv)
    assert {name: row["value"] for name, row in counted.items()} == {
        name: row["value"] for name, row in recorded.items() if row["source"] == "simulated"}
    assert {row["source"] for row in counted.values()} == {"simulated"}
    assert int(counted["PAPI_TOT_INS"]["value"]) > 50000


@pytest.mark.parametrize("model, weights", [
    ("generic", {"PAPI_TOT_INS": 1, "PAPI_L1_TCM": 10, "PAPI_L2_TCM": 30, "PAPI_L3_TCM": 150,
                 "PAPI_BR_MSP": 15}),
    ("two-level", {"PAPI_TOT_INS": 1, "PAPI_L1_TCM": 40, "PAPI_L3_TCM": 150, "PAPI_BR_MSP": 15}),
])
def test_estimated_cycles_are_their_formula(simulator, run_cli, read_csv, model, weights):
    done = run_cli(["record", f"--simulate={model}", "-q", "-e",
                    ",".join(["estimated-cycles", *weights]), "--", "true"])
    assert done.returncode == 0, done.stderr
    rows = totals(run_cli(["stat", "-i", "tallystack.rec", "--csv"]).stdout, read_csv)
    assert int(rows["estimated-cycles"]["value"]) == sum(
        weight * int(rows[name]["value"]) for name, weight in weights.items())
    formula = " + ".join(("" if weight == 1 else f"{weight} x ") + f"simulated:{model}:{name}"
                         for name, weight in weights.items())
    told = " + ".join(f"{weight} x {name}" for name, weight in weights.items())
    assert rows["estimated-cycles"]["metric"] == told and rows["PAPI_TOT_INS"]["metric"] == ""
    report = run_cli(["report"]).stdout
    assert f"estimated-cycles, source simulated ({formula}), exact" in report
    assert f'note: simulated on the model "{model}": ' in report
    lines = read_csv(run_cli(["report", "--csv", "--limit", "0"]).stdout)
    assert sum(int(row["self"]) for row in lines if row["event"] == "estimated-cycles") == int(
        rows["estimated-cycles"]["value"])


def test_list_of_what_is_simulated(run_cli, read_csv):
    rows = read_csv(run_cli(["list", "--simulate", "--csv"]).stdout)
    assert {row["source"] for row in rows} == {"simulated"}
    assert {"PAPI_TOT_INS", "PAPI_TLB_DM", "estimated-cycles", "instructions"} <= {
        row["name"] for row in rows}
    (row,) = read_csv(run_cli(["list", "--simulate", "--csv", "L1_DCM"],
                              env={"PATH": "/nonexistent"}).stdout)
    assert (row["name"], row["available"]) == ("PAPI_L1_DCM", "no") and "valgrind" in row["reason"]
    assert "simulated" not in run_cli(["list", "--csv", "L1_DCM"]).stdout.replace("--simulate", "")
    done = run_cli(["list", "--simulate", "nosuch"])
    assert done.returncode == 125 and "no simulated event matches" in done.stderr


def test_full_disk(simulator, run_cli, small_disk):
    """The program has run, and what it counted has no room."""
    folder = small_disk("64k")
    done = run_cli(["record", "-q", "--simulate", "-e", "PAPI_TOT_INS", "-o", folder / "run.rec", "--",
                    "/usr/bin/python3", "-S", "-c", "print('ran')"])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (125, "ran\n", 1)
    assert "the disk is full" in done.stderr
    assert not list(folder.iterdir())


def test_disk_with_room_for_one_of_two(simulator, run_cli, small_disk):
    """What the child counted is kept; the parent ended by itself and is not called killed."""
    program = """if 1:
        import os
        if not os.fork():
            os._exit(0)
        os.wait()
        for i in range(1000):
            exec(f"def f{i}(): pass\\nf{i}()")
    """
    for size in range(600, 3000, 200):  # the least that the child has room on
        folder = small_disk(f"{size}k")
        done = run_cli(["record", "--simulate", "-e", "PAPI_TOT_INS", "-o", folder / "run.rec", "--",
                        "/usr/bin/python3", "-S", "-c", program])
        if done.returncode == 0:
            break
    assert done.returncode == 0
    assert "could not be written to the recording (is the disk full?)" in done.stderr
    assert "processes killed or without room to write: 1, " in done.stderr
    assert run_cli(["report", "-i", folder / "run.rec"]).returncode == 0


def test_a_simulated_recording_has_no_timeline(simulator, run_cli):
    run_cli(["record", "--simulate", "-q", "-e", "PAPI_TOT_INS", "--", "true"])
    done = run_cli(["plot", "timeline", "-o", "timeline.svg"])
    assert (done.returncode, "without --simulate" in done.stderr) == (125, True)


def test_a_line_of_nothing_is_refused(run_cli):
    done = run_cli(["record", "--simulate", "--within=program.py:", "--", "true"])
    assert (done.returncode, "behind the colon" in done.stderr) == (125, True)


@pytest.mark.parametrize("option", [("-F", 100), ("-I", 10), ("--watch", 5), ("--max-size", "10K"),
                                    ("--native",), ("--source", "hardware")])
def test_options_of_sampling_are_refused(run_cli, tmp_path, option):
    done = run_cli(["record", "--simulate", *option, "--", "true"])
    assert (done.returncode, done.stderr.count("\n")) == (125, 1)
    assert f"--simulate does not go with {option[0]}" in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("events, message", [
    ("PAPI_L1_DMC", '"PAPI_L1_DMC" is not simulated; near to it: PAPI_L1_DCM, '),
    ("page-faults", '"page-faults" is not simulated; "tallystack list --simulate" shows'),
    ("PAPI_BR_INS,instructions,PAPI_BR_INS", '"PAPI_BR_INS" is asked for twice.'),
    ("instructions,PAPI_TOT_INS", '"PAPI_TOT_INS" is asked for twice.'),
    ("instructions:1000", "write instructions for "),
    ("PAPI_TOT_CYC", "estimated-cycles is a weighted sum"),
    ("instructions,", ""),
    ("", "name the events to simulate after -e."),
])
def test_events_that_are_not_simulated(simulator, run_cli, events, message):
    done = run_cli(["record", "--simulate", "-e", events, "--", "true"])
    assert done.returncode == (125 if message else 0)
    assert message in done.stderr


def test_stat_counts_children_and_repeats(simulator, run_cli, read_csv, tmp_path):
    def instructions(*program):
        done = run_cli(["stat", "--simulate", "-r", "2", "-e", "instructions", "--csv", "--",
                        *program])
        row = totals(done.stderr, read_csv)["instructions"]
        assert (row["runs"], row["deviation"]) == ("2", "0.0")
        return float(row["value"])
    source = tmp_path / "loop.c"
    source.write_text("int main(void) { for (volatile int i = 0; i < 1000000; i++); return 0; }\n")
    subprocess.run(["cc", "-O1", "-o", tmp_path / "loop", source], check=True)
    once = instructions("sh", "-c", "./loop; :")
    twice = instructions("sh", "-c", "./loop; ./loop; :")
    assert twice - once == pytest.approx(instructions("./loop"), rel=0.05)


def test_stat_leaves_nothing(simulator, run_cli, tmp_path):
    done = run_cli(["stat", "--simulate", "-e", "instructions", "--", "true"],
                   env={"TMPDIR": str(tmp_path)})
    assert done.returncode == 0 and not list(tmp_path.iterdir())


def test_stat_of_no_program(simulator, run_cli):
    done = run_cli(["stat", "--simulate", "--", "./missing"])
    assert done.returncode == 127
    assert 'tallystack stat: cannot run "./missing": No such file or directory.' in done.stderr


@pytest.mark.parametrize("other", ["-I10", "--per-thread", "--multiplex"])
def test_stat_simulated_goes_with_no_measuring(run_cli, other):
    done = run_cli(["stat", "--simulate", other, "--", "true"])
    assert done.returncode == 125
    assert "--simulate goes with none of -I, --per-thread and --multiplex." in done.stderr


def test_what_is_shown_says_simulated_and_its_model(simulator, run_cli, python, tmp_path):
    (tmp_path / "program.py").write_text("def work():\n    return sum(range(1000))\nwork()\n")
    for model in ("generic", "two-level"):
        done = run_cli(["record", "-q", f"--simulate={model}", "-e", "PAPI_TOT_INS", "-o", model,
                        "--", python, "program.py"], timeout=300)
        assert done.returncode == 0, done.stderr
    for shown in (["report"], ["annotate", "work"]):
        text = run_cli([*shown, "-i", "generic"]).stdout
        assert 'simulated on the model "generic": ' in text and "32K/8" in text
    if not shutil.which("gnuplot"):
        return
    assert run_cli(["plot", "functions", "-i", "generic", "-o", "f.txt"]).returncode == 0
    picture = (tmp_path / "f.txt").read_text()
    assert "SIMULATED" in picture and 'model "generic"' in picture
    assert "exact counts" in picture and "samples" not in picture
    assert run_cli(["plot", "trend", "generic", "two-level", "-o", "t.txt"]).returncode == 0
    assert "exact counts on different models" in (tmp_path / "t.txt").read_text()


@pytest.mark.parametrize("command", ["record", "stat"])
@pytest.mark.parametrize("patched, message", [
    ((4, 1), "which is a program for another processor"),  # 32 bits
    ((18, 8), "which is a program for another processor"),  # MIPS
    (None, "which is set-user-ID or set-group-ID"),
])
def test_programs_that_valgrind_cannot_run(simulator, run_cli, tmp_path, command, patched, message):
    program = tmp_path / "program"
    shutil.copy("/bin/true", program)
    if patched:
        at, value = patched
        code = bytearray(program.read_bytes())
        code[at] = value
        program.write_bytes(code)
    program.chmod(0o755 if patched else 0o4755)
    done = run_cli([command, "--simulate", "--", program])
    assert done.returncode == 125
    assert done.stderr.count("\n") == 1 and message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program"]


@pytest.mark.parametrize("text, status, message", [
    (b"#!/nonexistent/python3 -E\n", 127,
     '"/nonexistent/python3", which it names as its interpreter, cannot be run.'),
    (b"\x01\x00\x02\x03", 125, "which is neither a program nor a script."),
])
def test_files_that_nothing_can_run(simulator, run_cli, tmp_path, text, status, message):
    program = tmp_path / "program"
    program.write_bytes(text)
    program.chmod(0o755)
    done = run_cli(["stat", "--simulate", "--", "./program"])
    assert (done.returncode, done.stderr.count("\n")) == (status, 1)
    assert done.stderr.startswith('tallystack stat: cannot run "') and message in done.stderr


def test_dynamic_linker_that_is_missing(simulator, run_cli, tmp_path):
    program = tmp_path / "program"
    code = pathlib.Path("/bin/true").read_bytes()
    program.write_bytes(code.replace(b"/ld-linux", b"/xx-linux", 1))
    program.chmod(0o755)
    done = run_cli(["record", "--simulate", "--", "./program"])
    assert (done.returncode, done.stderr.count("\n")) == (127, 1)
    assert "/xx-linux" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["program"]


def test_predictor_without_history_misses_what_alternates(simulator, run_cli, read_csv, tmp_path):
    """A branch that is taken each other time: by the way that led there, or by its address alone."""
    source = tmp_path / "turns.c"
    source.write_text("""
        #include <stdlib.h>
        int main(int argc, char **argv)
        {
            int steps = atoi(argv[argc - 1]);
            for (volatile int i = 0; i < steps; i++)
                if (i & 1)
                    __asm__ volatile("");
            return 0;
        }
    """)
    subprocess.run(["cc", "-O0", "-o", tmp_path / "turns", source], check=True)
    for kind, missed in (("gshare", 0), ("bimodal", 10000)):
        model = {**GOOD, "predictor": f"predictor {kind} 16K 4K"}
        (tmp_path / "my.model").write_text("\n".join(model.values()) + "\n")
        misses = []
        for steps in ("20000", "40000"):
            done = run_cli(["stat", "--simulate=./my.model", "-e", "conditional-branch-misses",
                            "--csv", "--", "./turns", steps])
            misses.append(int(totals(done.stderr, read_csv)["conditional-branch-misses"]["value"]))
        assert misses[1] - misses[0] == missed


def environment_of(run_cli, python, env):
    """What the simulated program finds in its environment, and whether addresses are fixed."""
    code = ("import ctypes, json, os; print(json.dumps([dict(os.environ), "
            "ctypes.CDLL(None).personality(0xffffffff)]))")
    done = run_cli(["record", "--simulate", "-q", "-e", "PAPI_TOT_INS", "--", python, "-S", "-c",
                    code], env=env, timeout=300)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


PINS = {"PYTHONHASHSEED": "1", "PYTHONDONTWRITEBYTECODE": "1", "LD_BIND_NOW": "1",
        "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def test_what_is_pinned_is_in_the_manual(simulator, run_cli, python):
    seen, personality = environment_of(run_cli, python, dict.fromkeys(PINS))
    assert personality & 0x0040000  # ADDR_NO_RANDOMIZE
    assert {name: seen[name] for name in PINS} == PINS
    page = pathlib.Path(__file__).parent.parent.parent / "tools/man/tallystack-record.1"
    words = set(re.findall(r"[A-Z_]+", page.read_text()))
    changed = {name for name in seen if seen[name] != os.environ.get(name)}
    assert changed - {"_", "PWD"} - words == set()


def test_what_the_user_sets_is_not_pinned(simulator, run_cli, python):
    own = {**dict.fromkeys(PINS, "3"), "GLIBC_TUNABLES": "glibc.malloc.arena_max=1"}
    seen, _ = environment_of(run_cli, python, own)
    assert {name: seen[name] for name in PINS} == dict.fromkeys(PINS, "3")
    assert seen["GLIBC_TUNABLES"].endswith(":glibc.malloc.arena_max=1")


def test_a_diagnosis_of_some_counters_alone(run_cli, read_csv, python, simulator):
    """That nothing stands out is not said where the counts that would tell are missing."""
    recorded = run_cli(["record", "-q", "--simulate", "-e", "PAPI_TOT_INS", "--", python, "-c", "1"])
    assert recorded.returncode == 0
    first, want = run_cli(["diagnose"]).stdout.splitlines()[:2]
    assert first.startswith("unknown: ")
    assert "tallystack record --simulate -- " in want
    for row in read_csv(run_cli(["diagnose", "--csv"]).stdout):
        assert (row["verdict"], row["value"]) == ("", "")
