"""The manual, --help and the completion say the same, and what the manual shows really runs.

In a page, a line `.\\" test` marks the example (.EX to .EE) that follows as one to run; what it needs
may stand behind: perf for perf_event_open, gnuplot. It runs in a folder that has program.py, a
Python program, and tallystack.rec, a recording of it.
"""

import os
import re
import shutil
import subprocess

import pytest

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PAGES = sorted((ROOT / "tools/man").glob("*.1"))
COMMAND_PAGES = [page for page in PAGES if page.stem != "tallystack"]
COMPLETION = ROOT / "tools/completion.bash"

PROGRAM = """\
import collections
import subprocess
import sys
import threading


def churn(rounds):
    total = 0
    for step in range(rounds):
        block = bytearray(1 << 20)
        total += len(block) + sum(range(2000))
    return total


def count(text):
    return collections.Counter(text.split()).most_common(1)


worker = threading.Thread(target=churn, args=(100,))
worker.start()
churn(200)
count("a b c a " * 50000)
worker.join()
subprocess.run([sys.executable, "-c", "import json; json.dumps(list(range(50000)))"], check=True)
"""


def name_of(page):
    """The command that a page is of."""
    return page.stem.removeprefix("tallystack-")


def run(command, **options):
    return subprocess.run(command, check=True, text=True, encoding="utf-8", timeout=60,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, **options)


def commands_of(tallystack):
    help_text = run([tallystack, "--help"]).stdout
    return re.findall(r"^  ([a-z]+) +\S", help_text, re.M)


def options_of(text, indent):
    """{"-o": "REC", "--output": "REC", "--csv": ""} of a text that has options in its margin."""
    found = {}
    # A description starts after two blanks, or after one with a capital letter.
    for line in re.findall(rf"^ {{{indent}}}(-\S.*?)(?:  | (?=[A-Z][a-z])|$)", text, re.M):
        parts = [re.fullmatch(r"(--?[A-Za-z][\w-]*)(?:\[?[ =](.*))?", part)
                 for part in line.split(", ")]
        assert all(parts), f"cannot tell the options in {line!r}"
        value = max((part[2] or "" for part in parts), key=len)
        for part in parts:
            assert part[1] not in found, f"{part[1]} is there twice"
            found[part[1]] = value
    return found


def section(text, name):
    match = re.search(rf"^{name}$\n(.*?)(?=^\S|\Z)", text, re.M | re.S)
    return match[1] if match else ""


@pytest.fixture
def groff(need):
    need("groff", shutil.which("groff"), "groff is not installed; scripts/setup installs it")


def test_each_command_has_a_page_and_a_completion(tallystack):
    commands = commands_of(tallystack)
    assert "record" in commands
    assert sorted(commands) == sorted(map(name_of, COMMAND_PAGES))
    listed = run(["bash", "-c", f'source "{COMPLETION}"; echo $_tallystack_commands']).stdout
    assert listed.split() == commands


def test_main_page_lists_the_commands(tallystack):
    text = (ROOT / "tools/man/tallystack.1").read_text()
    listed = re.findall(r"^\.TP\n\.BR tallystack\\-(\w+) \(1\)", text, re.M)
    assert listed == commands_of(tallystack)


@pytest.mark.parametrize("page", COMMAND_PAGES, ids=name_of)
def test_options(tallystack, groff, page):
    name = name_of(page)
    helped = options_of(run([tallystack, name, "--help"]).stdout, "2,6")
    text = run(["groff", "-man", "-Tascii", "-P-cbou", page]).stdout
    described = options_of(section(text, "OPTIONS"), "7")
    assert described == helped
    words = run(["bash", "-c", f'source "{COMPLETION}"; _tallystack_options {name}']).stdout.split()
    completed = {word.rstrip("="): word.endswith("=") for word in words}
    assert completed == {option: value != "" for option, value in helped.items()}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_renders_without_warnings(groff, page):
    done = run(["groff", "-man", "-ww", "-Tutf8", "-P-cbou", page])
    assert done.stderr == ""
    assert "NAME" in done.stdout and "EXIT STATUS" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_refers_to_pages_that_exist(page):
    for name in re.findall(r"tallystack(?:\\-\w+)?(?= ?\(1\))", page.read_text()):
        assert (page.parent / f"{name}.1".replace("\\", "")).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_page_is_of_what_it_says(page):
    heading = page.read_text().splitlines()[0]
    assert heading.split()[1].replace("\\", "").lower() == page.stem


# Examples and columns


def examples():
    for page in PAGES:
        blocks = re.findall(r'^\.\\" test([^\n]*)\n\.EX\n(.*?)^\.EE$', page.read_text(), re.M | re.S)
        assert blocks, f"{page.name} has no example to run"
        for number, (needs, block) in enumerate(blocks, 1):
            script = block.replace("\\-", "-").replace("\\(aq", "'").replace("\\\\", "\\")
            yield pytest.param(needs.split(), script, id=f"{name_of(page)}-{number}")


@pytest.fixture(scope="session")
def environment(tallystack, python, tmp_path_factory):
    """One in which the command and an interpreter can be called as the manual calls them."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "tallystack").symlink_to(tallystack)
    launcher = folder / "python3"
    launcher.write_text(f'#!/bin/sh\nexec "{python}" "$@"\n')
    launcher.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.fixture(scope="session")
def recorded(tmp_path_factory, environment):
    folder = tmp_path_factory.mktemp("recorded")
    (folder / "program.py").write_text(PROGRAM)
    run(["tallystack", "record", "-q", "--", "python3", "program.py"], cwd=folder, env=environment)
    return folder


@pytest.fixture
def at_hand(recorded, tmp_path):
    """A folder with what the examples need. The program stays where it was recorded."""
    folder = tmp_path / "examples"
    shutil.copytree(recorded, folder)
    return folder


@pytest.mark.parametrize("needs,script", examples())
def test_example(tallystack, need, environment, at_hand, needs, script):
    if "perf" in needs:
        listed = run([tallystack, "list", "--csv", "context-switches"]).stdout
        need("perf_event_open", "\ncontext-switches,software,count,yes," in listed,
             "the kernel refuses to count all events")
    if "gnuplot" in needs:
        need("gnuplot", shutil.which("gnuplot"), "gnuplot is not installed")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=at_hand, env=environment,
                          text=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


def columns_of(page):
    text = re.search(r'^\.SH "CSV COLUMNS"\n(.*?)^\.SH', page.read_text(), re.M | re.S)[1]
    tags = re.findall(r"^\.TP\n\.BR? (.*)$", text, re.M)
    return {word for tag in tags for word in re.findall(r"\w+", tag)}


def header_of(text):
    return set(text.partition("\n")[0].split(","))


@pytest.mark.parametrize("name,calls", [
    ("doctor", [""]),
    ("list", ["faults"]),
    ("report", [f"--by {view}" for view in
                ("function", "line", "module", "thread", "process", "native")]),
    ("annotate", [""]),
    ("diagnose", [""]),
    ("stat", ["-o /dev/stdout true", "-I 1000 -o /dev/stdout true", "-i tallystack.rec",
              "--per-thread -e page-faults -o /dev/stdout true"]),
])
def test_csv_columns(environment, recorded, name, calls):
    headers = []
    for call in calls:
        try:
            headers.append(header_of(run(["tallystack", name, "--csv", *call.split()], cwd=recorded,
                                         env=environment).stdout))
        except subprocess.CalledProcessError as error:  # an older kernel
            assert "--per-thread" in call and "does not report" in error.stderr
            headers.append({"process", "thread"})
    assert columns_of(ROOT / f"tools/man/tallystack-{name}.1") == set().union(*headers)


def test_csv_columns_of_the_tree(environment, recorded):
    header = header_of(run(["tallystack", "report", "--tree", "--csv"], cwd=recorded,
                           env=environment).stdout)
    page = (ROOT / "tools/man/tallystack-report.1").read_text()
    text = re.search(r"^With\n\.B \\-\\-tree\nthe columns.*?^as above", page, re.M | re.S)[0]
    assert header <= set(re.findall(r"\w+", text))


# Completion


@pytest.fixture
def complete(tallystack, recorded):
    """complete(line): what is offered for its last word, after what bash keeps of this."""
    script = (f'source "{COMPLETION}"; COMP_LINE=$1 COMP_POINT=${{#1}}; _tallystack "$2"; '
              'printf "%s\\n" "${COMPREPLY[@]}"')

    def offer(line):
        done = run(["bash", "-c", script, "bash", line, tallystack], cwd=recorded)
        assert done.stderr == ""
        return done.stdout.split("\n")[:-1] if done.stdout.strip() else []
    return offer


def test_completion_of_commands_and_options(complete):
    assert complete("tallystack re") == ["record", "report"]
    assert "--version" in complete("tallystack --")
    assert complete("tallystack record --so") == ["--source="]
    assert complete("tallystack report --tr") == ["--tree"]
    assert complete("tallystack report -i tallystack.rec --c") == ["--csv"]
    assert complete("tallystack plot functions --ke") == ["--keep"]
    assert complete("tallystack nothing -x") == []


def test_completion_of_values(complete):
    assert complete("tallystack report --by n") == ["native"]
    assert complete("tallystack report --by=l") == ["line"]
    assert complete("tallystack export --format=") == ["folded", "speedscope"]
    assert complete("tallystack record -F ") == []
    assert complete("tallystack plot --keep ti") == ["timeline"]
    assert complete("tallystack plot trend tal") == ["tallystack.rec"]


def test_completion_of_events(complete):
    assert complete("tallystack stat -e task-c") == ["task-clock"]
    assert complete("tallystack stat --event=task-c") == ["task-clock"]
    # bash takes what is before a colon for a word of its own.
    assert complete("tallystack record -e page-faults:1,task-c") == ["1,task-clock"]
    assert complete("tallystack report --sort pa") == ["page-faults"]


def test_completion_of_recordings(complete, recorded):
    (recorded / "other folder").mkdir(exist_ok=True)
    assert complete("tallystack report -i ") == ["other\\ folder/", "tallystack.rec"]
    assert complete("tallystack stat --input=tal") == ["tallystack.rec"]


def test_completion_of_the_program(complete):
    assert "python3" in complete("tallystack record -F 100 -- python")
    assert complete("tallystack record -q python3 prog") == ["program.py"]
    # The program's options are none of ours.
    assert complete("tallystack record python3 --vers") == []
