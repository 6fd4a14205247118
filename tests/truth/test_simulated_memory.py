"""Simulated counts where the answer is known: a loop's steps, and the lines that a walk must miss.

How many instructions an interpreter needs for a step is not known, so that is only compared with
itself; which accesses miss a cache of 32 KB follows from their addresses.
"""

import pytest

STEP = 4160  # bytes: another line and another set each time
READS = 50000

# As many small integers as an interpreter keeps ready are more lines than one: begin above.
STRIDE = f"""
    big = bytearray(64 << 20)
    small = bytearray(16 << 10)
    def far(n, at=0):
        for i in range(10000, 10000 + n):
            big[at]
            at = (at + {STEP}) & 0x3ffffff
    def near(n, at=0x2000):
        for i in range(10000, 10000 + n):
            small[at]
            at = at + 64 if at < 0x2fc0 else 0x2000
    far({READS})
    near({READS})
"""


def test_loop_is_linear(simulate, any_python, write):
    # The same steps in each: no small integers, which are not allocated.
    program = write("""
        def once(first, last):
            for i in range(first, last):
                i ^ 1
        def twice(first, last):
            for i in range(first, last):
                i ^ 1
        def four_times(first, last):
            for i in range(first, last):
                i ^ 1
        once(10000, 20000)
        twice(10000, 30000)
        four_times(10000, 50000)
    """)
    run = simulate([any_python, program], "-e", "PAPI_TOT_INS")
    steps = []
    for name, line, factor in (("once", 3, 1), ("twice", 6, 2), ("four_times", 9, 4)):
        on_lines = [run.self_of("PAPI_TOT_INS", name, at) for at in (line, line + 1)]
        assert sum(on_lines) > 0.99 * run.self_of("PAPI_TOT_INS", name)
        steps.append([count / (10000 * factor) for count in on_lines])
    assert steps[1] == pytest.approx(steps[0], rel=1e-3)
    assert steps[2] == pytest.approx(steps[0], rel=1e-3)


def test_strides(simulate, any_python, write):
    """Each read of the large buffer misses, those of the small one do not. Indices from 8192 on,
    since 3.15 keeps the numbers up to 1024 in a table: every 64th of them is 2 KB from the one
    before, and so all share two sets of the cache."""
    run = simulate([any_python, write(STRIDE)], "-e", "PAPI_L1_DCM")
    assert READS <= run.self_of("PAPI_L1_DCM", "far", 6) <= 1.02 * READS
    assert run.self_of("PAPI_L1_DCM", "near") < 0.01 * READS


def test_matrix_by_rows_and_columns(simulate, numpy_python, workloads):
    """2 MB of 8-byte numbers: by rows a line is fetched once for its 8, by columns for each."""
    run = simulate([numpy_python, workloads / "sim_numpy.py"], "-e", "PAPI_L1_DCM")
    rows, columns = (run.self_of("PAPI_L1_DCM", name) for name in ("by_rows", "by_columns"))
    assert rows == pytest.approx(512 * 512 / 8, rel=0.05)
    assert columns == pytest.approx(512 * 512, rel=0.05)
    assert columns / rows == pytest.approx(8, rel=0.05)
