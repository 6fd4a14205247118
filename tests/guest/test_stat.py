"""`stat` on programs of known length, beside perf stat and PAPI.

What user code does is the same each time. The kernel now and then does other work in a program's
name, so of counts that have the kernel's part the least of several runs is compared.
"""

from guest import LOOP, check, near, perf_environment, perf_stat, run, stat

ITERATIONS = 100_000_000
USER = "PAPI_TOT_CYC:u,PAPI_TOT_INS:u"
BOTH = "PAPI_TOT_CYC,PAPI_TOT_INS"
RUNS = 3


def compare(ours, theirs):
    """Two lists of (cycles, instructions), which must have the same least within 0.1 %."""
    figures, fine = [], True
    for i, name in enumerate(("cycles", "instructions")):
        a, b = min(counts[i] for counts in ours), min(counts[i] for counts in theirs)
        fine = fine and near(a, b, 0.001)
        figures.append(f"{name}: {a:,} beside {b:,}, {100 * (a / b - 1):+.4f} %")
    check(fine, "\n".join(figures))
    return "\n".join(figures)


def compare_with_perf(*command, events=BOTH, runs=RUNS):
    mode = ":u" if ":u" in events else ""
    environment = perf_environment()
    ours = [tuple(stat(events, *command, env=environment).values())[:2] for _ in range(runs)]
    theirs = [tuple(perf_stat(f"cycles{mode},instructions{mode}", *command).values())
              for _ in range(runs)]
    return compare(ours, theirs)


def test_loop_of_known_length():
    known = 4 * ITERATIONS
    counted = stat(USER, LOOP, ITERATIONS)
    longer = stat(USER, LOOP, ITERATIONS + 1_000_000)
    instructions, more = counted["PAPI_TOT_INS:u"], longer["PAPI_TOT_INS:u"]
    figures = (f"{instructions:,} instructions of {known:,} in the loop; "
               f"{more - instructions:,} more for 4,000,000 more")
    check(near(instructions, known, 0.001) and near(more - instructions, 4_000_000, 0.001), figures)
    return figures


def test_loop_as_PAPI_counts_it_in_the_program():
    ours = tuple(stat(USER, LOOP, ITERATIONS).values())[:2]
    theirs = tuple(map(int, run(LOOP, "--papi", ITERATIONS).stdout.split()))
    return compare([ours], [theirs])


def test_loop_as_perf_stat():
    return compare_with_perf(LOOP, ITERATIONS)


def test_start_of_a_program_as_perf_stat():
    """Nothing of the way to the exec is counted: `true` has no more than 81,440 instructions."""
    return compare_with_perf("true", events=USER, runs=1)


def test_python_as_perf_stat():
    return compare_with_perf("python3", "-c", "for i in range(300000): pass")


def test_threads_and_children_as_perf_stat():
    return compare_with_perf(LOOP, ITERATIONS // 20, 2, 3)


def test_threads_and_children_of_known_length():
    loops, more = 3 * 3, 1_000_000
    counted, longer = (stat(USER, LOOP, iterations, 2, 3)["PAPI_TOT_INS:u"]
                       for iterations in (more, 2 * more))
    figures = f"{longer - counted:,} instructions more for {loops} x {4 * more:,} more"
    check(near(longer - counted, loops * 4 * more, 0.001), figures)
    return figures


def test_the_same_number_each_time():
    runs = [tuple(stat(USER, LOOP, 1_000_000).values())[:2] for _ in range(5)]
    figures = ", ".join(f"{instructions:,}" for _, instructions in runs)
    check(len(set(runs)) == 1, figures)
    return figures
