"""What tallystack costs, side by side with other profilers: see scripts/bench."""

import argparse
import datetime
import json
import os
import pathlib
import platform
import random
import re
import shutil
import signal
import statistics
import sys
import tempfile

import cost
import legs
import simulator
from tables import Table, number, verdict

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SURVEY = ROOT / "tests/workloads/library_survey/__main__.py"
INTERRUPTED = ROOT / "tests/workloads/interrupted_calls.py"

# DESIGN's bounds
MOST_RATIO = 1.03
MOST_HANDLER_US = {(3, 11): 5.0, (3, 12): 5.0}
MOST_HANDLER_US_LATER = 2.0
MOST_GROUP_US = 0.7
MOST_BYTES = 16.0

DEPTHS = (20, 100, 1000, 20000)


class Bench:
    """One run of the benchmark: what is asked for, where, and what came out."""

    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.tallystack = os.path.abspath(options.tallystack)
        self.results = {}

    def show(self, table):
        print(table.markdown() if self.options.markdown else table.text(), flush=True)

    def progress(self, text):
        if sys.stderr.isatty():
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)

    def record(self, python, program, *options, name="one.rec"):
        """Records a program; the recording's path."""
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        cost.run([self.tallystack, "record", "-q", *options, "-o", path, "--", python, *program],
                 self.folder)
        return path

    def heading(self, recording):
        """From a report's heading: samples, us for each in all and in the handler, % of the CPU."""
        text = cost.output_of([self.tallystack, "report", "--limit", "1", "-i", recording],
                              self.folder)
        found = re.search(r"^samples: (\d+), each about ([\d.]+) us \(([\d.]+) in the handler\)"
                          r"(?:, ([\d.]+) %)?", text, re.M)
        if not found:
            raise cost.Failed("the report's heading tells no cost of a sample")
        return {"samples": int(found[1]), "us": float(found[2]), "handler_us": float(found[3]),
                "percent": float(found[4] or 0)}


# ---- programs and start-up ---------------------------------------------------------------------

def least(costs, field):
    return min((getattr(cost, field) for cost in costs.values()), default=None)


class Comparison:
    """Legs on one program, interleaved: the costs of each leg by round."""

    def __init__(self, bench, python, program, all_legs):
        self.bench, self.python, self.program = bench, python, program
        self.legs = all_legs
        self.costs = {leg.name: {} for leg in all_legs}
        self.reasons = {leg.name: leg.reason for leg in all_legs}
        self.headings, self.failures = {}, {}

    def measure(self, rounds, what):
        try:
            self.measure_rounds(rounds, what)
        finally:
            for leg in self.legs:
                leg.clean(self.bench.folder)
        self.bench.progress("")
        return self

    def measure_rounds(self, rounds, what):
        for turn in range(rounds):
            for leg in random.sample(self.legs, len(self.legs)):
                is_enough = leg.most_rounds is not None and turn >= leg.most_rounds
                if self.reasons[leg.name] or is_enough:
                    continue
                self.bench.progress(f"{what}: round {turn + 1} of {rounds}, {leg.name}")
                self.measure_leg(leg, turn)

    def measure_leg(self, leg, turn):
        try:
            self.costs[leg.name][turn] = leg.run(self.python, self.program, self.bench.folder)
            if leg.is_ours:
                self.headings.setdefault(leg.name, []).append(
                    self.bench.heading(self.bench.folder / leg.recording))
        except (cost.Failed, OSError) as error:
            self.failures.setdefault(leg.name, []).append(str(error))

    def ratios(self, name, field="cpu"):
        plain = self.costs[legs.PLAIN]
        return [getattr(cost, field) / getattr(plain[turn], field)
                for turn, cost in self.costs[name].items() if turn in plain]

    def ratio(self, name, startup=None):
        """Of minima; with a Comparison of start-ups, without what those took."""
        own, plain = least(self.costs[name], "cpu"), least(self.costs[legs.PLAIN], "cpu")
        if own is None or plain is None:
            return None
        if startup:
            own -= least(startup.costs[name], "cpu") or 0
            plain -= least(startup.costs[legs.PLAIN], "cpu") or 0
        return own / plain if plain > 0 else None

    def heading_of(self, name):
        """The one of the least cost of all rounds."""
        return min(self.headings.get(name, []), key=lambda heading: heading["us"], default=None)

    def as_json(self, startup=None):
        return {name: {"rounds": {turn: cost._asdict() for turn, cost in costs.items()},
                       "reason": self.reasons[name], "failures": self.failures.get(name, []),
                       "ratio": self.ratio(name),
                       "ratio_without_start_up": startup and self.ratio(name, startup),
                       "sample": self.heading_of(name)}
                for name, costs in self.costs.items()}


def add_reasons(table, comparison, rounds):
    for leg in comparison.legs:
        reason, failures = comparison.reasons[leg.name], comparison.failures.get(leg.name)
        if reason:
            table.note(f"{leg.name}: - because: {reason}")
        elif failures:
            table.note(f"{leg.name}: failed {len(failures)} times of {rounds}: {failures[0]}")
        elif leg.remark:
            table.note(f"{leg.name}: {leg.remark}")


def program_table(title, comparison, startup, rounds):
    """tool: what the tool's own process took, where it has one."""
    table = Table(title, [("", True), ("CPU s", False), ("tool", False), ("wall", False),
                          ("ratio", False), ("net", False), ("median", False),
                          ("min", False), ("max", False), ("bound", True)])
    for leg in comparison.legs:
        costs = comparison.costs[leg.name]
        if not costs:
            table.add(leg.name, *[None] * 8, "")
            continue
        ratios = comparison.ratios(leg.name)
        net = comparison.ratio(leg.name, startup)
        has_process = leg.name not in (legs.PLAIN, legs.AGAIN, "pyinstrument", "cProfile")
        spread = [statistics.median(ratios), min(ratios), max(ratios)] if ratios else [None] * 3
        figures = [comparison.ratio(leg.name), net, *spread]
        table.add(leg.name, number(least(costs, "cpu"), 3),
                  number(least(costs, "tool"), 2) if has_process else None,
                  number(least(costs, "wall"), 3),
                  *(number(None if leg.name == legs.PLAIN else figure, 3) for figure in figures),
                  verdict(net, MOST_RATIO, 3) if leg.name == legs.OURS else "")
    add_peer_note(table, comparison, startup)
    add_sample_note(table, comparison, startup)
    add_reasons(table, comparison, rounds)
    return table


def add_peer_note(table, comparison, startup):
    peers = [leg.name for leg in comparison.legs
             if not leg.is_ours and leg.name not in (legs.PLAIN, legs.AGAIN)]
    for what, without in (("ratio", None), ("net", startup)):
        own = comparison.ratio(legs.OURS, without)
        ratios = {name: comparison.ratio(name, without) for name in peers}
        words = [f"{name} {'yes' if own < ratio else 'NO'}"
                 for name, ratio in ratios.items() if own is not None and ratio is not None]
        table.note(f"{what} below that of: {'; '.join(words) or 'no peer ran'}")


def add_sample_note(table, comparison, startup):
    """What a sample costs by the recording's own account, and by the difference of CPU times."""
    for leg in comparison.legs:
        heading = comparison.heading_of(leg.name)
        net = comparison.ratio(leg.name, startup)
        if not heading or not net:
            continue
        plain = least(comparison.costs[legs.PLAIN], "cpu") - least(
            startup.costs[legs.PLAIN], "cpu")
        measured = 1e6 * (net - 1) * plain / heading["samples"]
        table.note(f"{leg.name}: {heading['samples']} samples; a sample {measured:.1f} us by the "
                   f"difference, {heading['us']} by its report ({heading['handler_us']} handler)")


def startup_table(version, comparison, rounds):
    table = Table(f"Start-up and exit, CPython {version}, an empty program",
                  [("", True), ("CPU ms", False), ("above plain", False), ("wall ms", False),
                   ("above plain", False)])
    plain = {field: least(comparison.costs[legs.PLAIN], field) for field in ("cpu", "wall")}
    for name, costs in comparison.costs.items():
        cells = [name]
        for field in ("cpu", "wall"):
            value = least(costs, field)
            above = None if value is None or name == legs.PLAIN else value - plain[field]
            cells += [number(value and 1e3 * value, 1),
                      number(None if above is None else 1e3 * above, 1)]
        table.add(*cells)
    add_reasons(table, comparison, rounds)
    return table


def calibrate(bench, python, script, seconds):
    """How often the script has to do its work to take so long."""
    def spent(count):
        return min(cost.run([python, script, count], bench.folder).cpu for _ in range(2))
    empty, count = spent(0), 8
    while (taken := spent(count) - empty) < 0.2:
        count *= 4
    return max(1, round(count * seconds / taken))


def measure_programs(bench, python, version, peers):
    minor = tuple(map(int, version.split(".")[:2]))
    all_legs = legs.all_legs(bench.tallystack, minor, bench.folder, peers)
    seconds = bench.options.seconds
    counts = {name: calibrate(bench, python, HERE / f"{name}.py", seconds)
              for name in ("calls", "loop")}
    legs.try_out(all_legs, python, [HERE / "calls.py", counts["calls"] // 4], bench.folder)
    results = bench.results.setdefault(version, {})

    startup = Comparison(bench, python, [HERE / "nothing.py"], all_legs)
    startup_rounds = max(bench.options.rounds, 10)
    startup.measure(startup_rounds, f"{version} start-up")
    results["start-up"] = startup.as_json()
    bench.show(startup_table(version, startup, startup_rounds))
    programs = [
        ("calls: fib and small methods", "calls", [HERE / "calls.py", counts["calls"]]),
        ("loop: arithmetic, no calls", "loop", [HERE / "loop.py", counts["loop"]]),
        (f"library_survey --files {bench.options.files}", "survey",
         [SURVEY, "--files", bench.options.files]),
    ]
    for title, name, program in programs:
        comparison = Comparison(bench, python, program, all_legs)
        comparison.measure(bench.options.rounds, f"{version} {name}")
        results[name] = comparison.as_json(startup)
        bench.show(program_table(f"{title}, CPython {version}, {bench.options.rounds} rounds",
                                 comparison, startup, bench.options.rounds))


# ---- one sample --------------------------------------------------------------------------------

def handler_us(bench, python, depth, options):
    """The least of some runs, or None where the program cannot run so deep."""
    figures = []
    for _ in range(2 if bench.options.quick else 5):
        try:
            recording = bench.record(python, [HERE / "depth.py", depth, bench.options.seconds],
                                     *options)
            figures.append(bench.heading(recording)["handler_us"])
        except cost.Failed:
            return None
    return min(figures)


def measure_handler(bench, pythons):
    table = Table("One sample in the handler, us, by the depth of the stack",
                  [("", True), *((f"{depth} frames", False) for depth in DEPTHS),
                   ("bound at 20", True)])
    for version, python in pythons:
        minor = tuple(map(int, version.split(".")[:2]))
        bound = MOST_HANDLER_US.get(minor, MOST_HANDLER_US_LATER)
        cases = ((f"CPython {version}, task-clock", ("-e", "task-clock"), bound),
                 (f"CPython {version}, default (2 read along)", (), bound + MOST_GROUP_US))
        for name, options, most in cases:
            figures = []
            for depth in DEPTHS:
                bench.progress(f"handler: {name}, {depth} frames")
                figures.append(handler_us(bench, python, depth, options))
            bench.results.setdefault(version, {}).setdefault("handler_us", {})[name] = dict(
                zip(DEPTHS, figures))
            table.add(name, *(number(figure, 1) for figure in figures),
                      verdict(figures[0], most, 1))
    bench.progress("")
    bench.show(table)


# ---- bytes -------------------------------------------------------------------------------------

def used_bytes(recording):
    """What the agent wrote: headers and the used part of chunks (see recording/format.h)."""
    header_size, chunk_size, magic = 4096, 65536, b"CHNK"
    size = 0
    for image in recording.glob("*.image"):
        data = image.read_bytes()
        size += header_size
        for chunk in range(header_size, len(data), chunk_size):
            if data[chunk:chunk + 4] in (magic, magic[::-1]):
                size += 16 + int.from_bytes(data[chunk + 12:chunk + 16], sys.byteorder)
    return size


def measure_bytes(bench, version, python):
    table = Table(f"Bytes of a recording, task-clock at 10 kHz, CPython {version}",
                  [("", True), ("samples", False), ("file bytes", False), ("a sample", False),
                   ("each further", False), ("bound", True)])
    seconds = 2 if bench.options.quick else 15
    for script in ("loop", "calls"):
        bench.progress(f"bytes: {script}")
        count = calibrate(bench, python, HERE / f"{script}.py", seconds)
        points = []
        for times in (count // 4, count):
            recording = bench.record(python, [HERE / f"{script}.py", times], "-e", "task-clock",
                                     "-F", "10000")
            files = sum(path.stat().st_size for path in recording.iterdir())
            points.append((bench.heading(recording)["samples"], used_bytes(recording), files))
        (few, few_bytes, _), (many, many_bytes, files) = points
        slope = (many_bytes - few_bytes) / (many - few)
        table.add(script, many, files, number(files / many, 1), number(slope, 2),
                  verdict(slope, MOST_BYTES, 1) if script == "loop" else "")
        bench.results.setdefault(version, {})[f"bytes_{script}"] = {
            "samples": many, "file_bytes": files, "each_further": slope}
    table.note("calls: further samples also find further distinct stacks")
    bench.progress("")
    bench.show(table)


# ---- threads and system calls ------------------------------------------------------------------

def recorded_with(bench, *options):
    return [bench.tallystack, "record", "-q", *options, "-o", "one.rec", "--"]


def measure_threads(bench, version, python):
    cases = [("plain", []), ("tallystack record", recorded_with(bench)),
             ("record -e page-faults:1", recorded_with(bench, "-e", "page-faults:1"))]
    found = {name: [] for name, _ in cases}
    for turn in range(bench.options.rounds):
        for name, before in random.sample(cases, len(cases)):
            bench.progress(f"threads: round {turn + 1}, {name}")
            shutil.rmtree(bench.folder / "one.rec", ignore_errors=True)
            text = cost.output_of([*before, python, HERE / "threads.py", 1000], bench.folder)
            found[name].append(json.loads(text))
    bench.progress("")
    table = Table(f"1000 threads, one after the other, CPython {version}: least us a thread",
                  [("", True), ("wall", False), ("CPU", False)])
    for name, runs in found.items():
        table.add(name, *(number(min(run[key] for run in runs), 1)
                          for key in ("wall_us", "cpu_us")))
    bench.results.setdefault(version, {})["threads"] = found
    bench.show(table)


def measure_interruptions(bench, version, python):
    count = 10000
    cases = [("plain", []), ("tallystack record", recorded_with(bench)),
             ("record --source clock", recorded_with(bench, "--source", "clock"))]
    table = None
    for name, before in cases:
        bench.progress(f"interruptions: {name}")
        shutil.rmtree(bench.folder / "one.rec", ignore_errors=True)
        calls = json.loads(cost.output_of([*before, python, INTERRUPTED, count], bench.folder))
        if not table:
            table = Table(f"EINTR of {count} calls that wait, CPython {version}",
                          [("", True), *((call, False) for call in calls), ("bound", True)])
        table.add(name, *calls.values(), verdict(sum(calls.values()), 0, 0)
                  if name == "tallystack record" else "")
        bench.results.setdefault(version, {}).setdefault("eintr", {})[name] = calls
    bench.progress("")
    bench.show(table)


# ---- report ------------------------------------------------------------------------------------

def measure_report(bench):
    """bench_report has its own bounds, and says how its figures stand to them."""
    program = pathlib.Path(bench.tallystack).with_name("bench_report")
    table = Table("tallystack report --csv on a synthetic recording",
                  [("samples", False), ("seconds", False), ("CPU s", False), ("MB", False),
                   ("bound", True)])
    if not program.exists():
        table.add(*[None] * 4, "")
        table.note("- because the build has no bench_report (BUILD_TESTING)")
        return bench.show(table)
    bench.progress("report: 10 million samples")
    with open(bench.folder / "stdout", "w+", encoding="utf-8") as out:
        try:
            cost.run([program, bench.tallystack], bench.folder, stdout=out)
        except cost.Failed:
            pass  # its status tells of bounds
        out.seek(0)
        text = out.read()
    rows = re.findall(r"^ *(\d+) +([\d.]+) +([\d.]+) +([\d.]+) +[\d.]+$", text, re.M)
    verdicts = re.findall(r"^(.+) ([\d.]+), at most ([\d.]+): (holds|MISSED)$", text, re.M)
    for samples, seconds, cpu, megabytes in rows:
        bound = next((verdict(float(value), float(most), 2) for what, value, most, _ in verdicts
                      if what == "seconds" and value == f"{float(seconds):.2f}"), "")
        table.add(samples, seconds, cpu, megabytes, bound)
    for what, value, most, _ in verdicts:
        if what != "seconds":
            table.note(f"{what}: {value}, {verdict(float(value), float(most), 2)}")
    if not rows:
        table.note("- because bench_report failed")
    bench.results["report"] = {"rows": rows, "verdicts": verdicts}
    bench.progress("")
    bench.show(table)


# ---- the command -------------------------------------------------------------------------------

PARTS = ("programs", "handler", "bytes", "threads", "interruptions", "report", "simulator")


def machine():
    processor = platform.machine()
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                processor = line.split(":", 1)[1].strip()
                break
    return f"{os.cpu_count()} x {processor}, Linux {platform.release()}"


def full_version(python, folder):
    return cost.output_of([python, "-c", "import platform; print(platform.python_version())"],
                          folder).strip()


def choose_pythons(options, folder):
    """All interpreters that are found, and those to compare programs on, as (version, path)."""
    lines = cost.output_of([ROOT / "scripts/pythons", "--list"], folder).splitlines()
    found = dict(line.split(" ", 1) for line in lines)
    wanted = options.python.split(",") if options.python else [
        *list(found)[-1:], *([] if options.quick else [v for v in list(found)[:-1] if v == "3.11"])]
    chosen = []
    for word in wanted:
        path = found.get(word) or shutil.which(word)
        if not path:
            raise cost.Failed(f"there is no Python {word}; found: {', '.join(found) or 'none'}")
        chosen.append((full_version(path, folder), os.path.abspath(path)))
    known = [(full_version(path, folder), path) for path in found.values()]
    return chosen if options.python or options.quick else known, chosen


def parse_options():
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--rounds", type=int, help="rounds of the comparisons (15)")
    parser.add_argument("--quick", action="store_true",
                        help="5 rounds of short programs on one interpreter")
    parser.add_argument("--python", metavar="VERSION|PATH,...",
                        help="the interpreters; the newest that is found, and 3.11")
    parser.add_argument("--only", metavar="PART,...", default=",".join(PARTS),
                        help="some of: %(default)s")
    parser.add_argument("--seconds", type=float, help="how long calls and loop run (1.5)")
    parser.add_argument("--files", type=int, help="how much library_survey reads (120)")
    parser.add_argument("--json", metavar="FILE", help="all that was measured")
    parser.add_argument("--markdown", action="store_true", help="tables in Markdown")
    parser.add_argument("--tallystack", default=os.environ.get("TALLYSTACK"),
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.rounds = options.rounds or (5 if options.quick else 15)
    options.seconds = options.seconds or (0.5 if options.quick else 1.5)
    options.files = options.files or (30 if options.quick else 120)
    options.only = options.only.split(",")
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"there is no part {', '.join(unknown)}")
    if not options.tallystack or not os.access(options.tallystack, os.X_OK):
        parser.error("TALLYSTACK names no command")
    return options


def print_introduction(bench):
    bench.results.update(date=datetime.date.today().isoformat(), machine=machine(),
                         load=os.getloadavg()[0], rounds=bench.options.rounds)
    print(f"scripts/bench, {bench.results['date']}; {bench.results['machine']}; "
          f"load {bench.results['load']:.1f} at the start")
    if bench.results["load"] > 0.5:
        print("Something else is busy here: figures are worse than they are on a quiet machine.")
    print("""
CPU: user + system time of the program and the tool together, the least of all rounds; tool: the
part of the tool's own process. ratio: of the least, with to without; net: the same, less what an
empty program takes; median, min, max: of the ratios of the rounds. bound: what is to be held.
""", flush=True)


def measure(bench):
    everywhere, chosen = choose_pythons(bench.options, bench.folder)
    version, python = chosen[0]
    print_introduction(bench)
    if "programs" in bench.options.only:
        peers = legs.Peers(ROOT / "build/bench")
        for each_version, each_python in chosen:
            measure_programs(bench, each_python, each_version, peers)
    if "handler" in bench.options.only:
        measure_handler(bench, everywhere)
    for part, function in (("bytes", measure_bytes), ("threads", measure_threads),
                           ("interruptions", measure_interruptions)):
        if part in bench.options.only:
            function(bench, version, python)
    if "report" in bench.options.only:
        measure_report(bench)
    if "simulator" in bench.options.only:
        simulator.measure(bench, python, version)


def main():
    options = parse_options()
    cost.become_subreaper()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("bench: terminated"))  # leaves nothing behind
    os.makedirs(ROOT / "build/bench", exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="run-", dir=ROOT / "build/bench") as folder:
        bench = Bench(options, pathlib.Path(folder))
        try:
            measure(bench)
        except cost.Failed as error:
            sys.exit(f"bench: {error}")
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(bench.results, file, indent=1)


main()
