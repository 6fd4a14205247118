"""Page faults are counted one by one, on the very line, on each interpreter; the sums close."""

import csv
import io

import pytest

pytestmark = pytest.mark.usefixtures("kernel_events")
COUNT = 10000
TOLERANCE = 0.002


def line_of(path, text):
    lines = path.read_text().splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def test_pages_on_their_lines(any_python, record, workloads):
    program = workloads / "fresh_pages.py"
    done = record(any_python, "-B", program, COUNT)
    rows = {(row["function"], row["file"], row["line"]): row for row in done.rows("line")}
    for function, text, pages in (("once", "# N page", COUNT), ("three_times", "# 3 N", 3 * COUNT)):
        row = rows[function, str(program), line_of(program, text)]
        assert row["self"] == pytest.approx(pages, rel=TOLERANCE)
        assert (row["self_low"], row["self_high"]) == (row["self"], row["self"])
        assert (row["module"], row["unit"], row["source"]) == ("__main__", "count", "software")
        # Nothing of it went to another line of the function.
        others = sum(r["self"] for r in done.rows("line") if r["function"] == function) - row["self"]
        assert others <= pages * TOLERANCE
    done.assert_sums_close()


def test_default_events_close_too(any_python, record, workloads):
    """Page faults that are only read along go to where the clock's samples fell."""
    done = record(any_python, "-B", workloads / "fresh_pages.py", 3000, options=())
    done.assert_sums_close()
    for row in done.rows("function", "page-faults"):
        assert (row["self_low"], row["self_high"]) == ("", "")


@pytest.mark.parametrize("period", [1, 7, 100])
def test_periods(python, record, workloads, period):
    done = record(python, "-B", workloads / "fresh_pages.py", 7000,
                  options=("-e", f"page-faults:{period}"))
    counts = done.self_of()
    assert counts["once"] == pytest.approx(7000, abs=0.002 * 7000 + 2 * period)
    assert counts["three_times"] == pytest.approx(21000, abs=0.002 * 21000 + 2 * period)
    done.assert_sums_close()


def test_several_events_at_once(python, record, workloads):
    done = record(python, "-B", workloads / "fresh_pages.py", COUNT,
                  options=("-e", "task-clock,page-faults:1,context-switches"))
    counts = done.self_of(event="page-faults")
    assert counts["once"] == pytest.approx(COUNT, rel=TOLERANCE)
    assert counts["three_times"] == pytest.approx(3 * COUNT, rel=TOLERANCE)
    done.assert_sums_close()


def test_frames_of_every_kind(any_python, record, workloads):
    done = record(any_python, "-B", workloads / "flow.py")
    rows = done.rows()
    known = {row["function"]: row["self"] for row in rows
             if row["function"].rpartition("_")[2].isdigit()}
    assert len(known) == 8
    for function, count in known.items():
        # The allocator may need a page here and there, too.
        assert int(function.rpartition("_")[2]) <= count <= int(function.rpartition("_")[2]) + 12
    # Inclusive counts go through generators, coroutines and callbacks to who called.
    inclusive = {row["function"]: row["inclusive"] for row in rows}
    for caller, count in (("through_generator", 400), ("sort_by_key", 700), ("by_map", 300)):
        assert inclusive[caller] >= count
    done.assert_sums_close()


def test_classes_call_their_init(any_python, record, write):
    """Nothing is between the caller of a class and its __init__, or is shown to call it."""
    program = write("""
        import mmap

        class Page:
            def __init__(self):
                self.memory = mmap.mmap(-1, mmap.PAGESIZE)
                self.memory[0] = 1

        def make():
            return [Page() for _ in range(1000)]

        pages = make()
    """)
    done = record(any_python, "-B", program)
    rows = {row["function"]: row for row in done.rows()}
    assert "__init__" not in rows
    assert rows["Page.__init__"]["self"] == pytest.approx(1000, abs=50)
    tree = list(csv.DictReader(io.StringIO(done.report("--tree", "--csv"))))
    names = {row["node"]: row["function"] for row in tree}
    callers = {names[row["parent"]] for row in tree if row["function"] == "Page.__init__"}
    assert callers == {"make.<locals>.<listcomp>" if "make.<locals>.<listcomp>" in rows else "make"}
    done.assert_sums_close()


def test_code_where_other_code_was(any_python, record, write):
    """What eval() made has gone when the next comes, which has its addresses, to the last text's."""
    program = write("""
        import mmap

        def touch(pages):
            memory = mmap.mmap(-1, pages * mmap.PAGESIZE)
            for page in range(pages):
                memory[page * mmap.PAGESIZE] = 1

        def rule(name, text):
            eval(compile(text, "<%s>" % name, "eval"))

        for _ in range(500):
            rule("less", "touch(1)")
            rule("more", "touch(3)")
    """)
    done = record(any_python, "-B", program)
    pages = {row["file"]: row["inclusive"] for row in done.rows()}
    assert pages["<less>"] == pytest.approx(500, abs=30)
    assert pages["<more>"] == pytest.approx(1500, abs=30)


def test_deep_recursion(any_python, record, workloads):
    program = workloads / "deep.py"
    done = record(any_python, "-B", program, 20000)
    rows = done.rows()
    inclusive = {row["function"]: row["inclusive"] for row in rows if row["file"] == str(program)}
    assert done.self_of()["touch"] == pytest.approx(1000, abs=2)
    assert inclusive["descend"] >= 1000
    assert inclusive["<module>"] >= inclusive["descend"]
    assert done.self_of().get("[lost]", 0) == 0
    depth = {"0": 0}
    for row in csv.DictReader(io.StringIO(done.report("--tree", "--csv"))):
        depth[row["node"]] = depth[row["parent"]] + 1
    assert max(depth.values()) >= 20000
    done.assert_sums_close()
