"""Time of simulated runs against Valgrind's own cachegrind with branch simulation.

The same program in the same sizes of caches, legs interleaved, ratios of medians.
"""

import os
import random
import shutil
import statistics

import cost
from tables import Table, number, verdict

PROGRAMS = {
    "fib": """
import sys
def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
for _ in range(int(sys.argv[1])):
    fib(18)
""",
    "json": """
import json, sys
record = {"name": "tally", "values": list(range(50)), "nested": [{"key": str(i)} for i in range(50)]}
for _ in range(int(sys.argv[1])):
    json.loads(json.dumps(record, indent=1))
""",
    "numpy": """
import sys
import numpy
matrix = numpy.arange(40000.0).reshape(200, 200)
for _ in range(int(sys.argv[1])):
    numpy.sort(matrix.T.copy(), axis=1).cumsum(axis=0).sum()
    matrix = matrix * 1.0001 + 1
""",
}
CACHEGRIND = ["valgrind", "-q", "--tool=cachegrind", "--cache-sim=yes", "--branch-sim=yes",
              "--I1=32768,8,64", "--D1=32768,8,64", "--LL=8388608,16,64",
              "--cachegrind-out-file=/dev/null"]
PEER = "cachegrind, caches and branches"
# name: options, the most that it may take of cachegrind's time
LEGS = {
    "instructions only": (["--simulate", "-e", "PAPI_TOT_INS"], 0.75),
    "two-level": (["--simulate=two-level"], 1.0),
    "all levels (generic)": (["--simulate=generic"], 1.25),
}


def commands(tallystack, python, script, times):
    yield PEER, [*CACHEGRIND, python, script, times]
    for name, (options, _) in LEGS.items():
        yield name, [tallystack, "record", "-q", *options, "-o", "simulated.rec", "--",
                     python, script, times]


def run(bench, words):
    shutil.rmtree(bench.folder / "simulated.rec", ignore_errors=True)
    return cost.run(words, bench.folder, {"PYTHONHASHSEED": "1"}).cpu


def size(bench, python, script, seconds):
    """How often the program has to do its work for cachegrind to take so long, or a little longer:
    what is translated once makes the first steps the slow ones."""
    def spent(times):
        return run(bench, [*CACHEGRIND, python, script, times])
    empty, times = spent(0), 1
    while (taken := spent(times) - empty) < seconds / 5:
        times *= 3
    return max(1, round(1.2 * times * seconds / taken))


def measure_program(bench, name, python, rounds, seconds):
    script = bench.folder / f"simulated_{name}.py"  # no module's name
    script.write_text(PROGRAMS[name])
    bench.progress(f"simulator: {name}, how long it takes")
    legs = list(commands(bench.tallystack, python, script, size(bench, python, script, seconds)))
    times = {leg: [] for leg, _ in legs}
    for turn in range(rounds):
        for leg, words in random.sample(legs, len(legs)):
            bench.progress(f"simulator: {name}, round {turn + 1} of {rounds}, {leg}")
            times[leg].append(run(bench, words))
    bench.progress("")
    return times


def measure(bench, python, version):
    rounds, seconds = (1, 3) if bench.options.quick else (3, 30)
    rounds = min(rounds, bench.options.rounds)
    table = Table(f"Simulated runs, CPU s, medians of {rounds} rounds, CPython {version}",
                  [("", True), ("", True), ("CPU s", False), ("ratio", False), ("bound", True)])
    results = bench.results.setdefault("simulator", {})
    for name in PROGRAMS:
        own = "/usr/bin/python3" if name == "numpy" else python  # the distribution's numpy
        try:
            times = measure_program(bench, name, own, rounds, seconds)
        except (cost.Failed, OSError) as error:
            table.note(f"{name}: - because: {error}")
            continue
        results[name] = times
        medians = {leg: statistics.median(spent) for leg, spent in times.items()}
        table.add(name, PEER, number(medians[PEER], 1), None, "")
        for leg, (_, most) in LEGS.items():
            ratio = medians[leg] / medians[PEER]
            table.add(name, leg, number(medians[leg], 1), number(ratio, 2), verdict(ratio, most, 2))
    table.note(f"numpy: with {os.path.realpath('/usr/bin/python3')}, the distribution's")
    bench.show(table)
