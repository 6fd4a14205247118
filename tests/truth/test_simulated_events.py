"""Each simulated event counts what its name says, and nothing else.

tests/workloads/accesses.c does N of one thing; what 2 N are more than N is that thing alone.
"""

import pathlib
import shutil

import pytest

N = 20000
MISSES = ["PAPI_L1_LDM", "PAPI_L1_STM", "PAPI_L2_LDM", "PAPI_L2_STM", "PAPI_L3_LDM", "PAPI_L3_STM",
          "PAPI_L2_DCR", "PAPI_L2_DCW", "PAPI_L3_TCA",
          "dTLB-load-misses", "dTLB-store-misses", "PAPI_TLB_DM", "PAPI_TLB_IM",
          "conditional-branch-misses", "indirect-branch-misses", "PAPI_BR_MSP"]


@pytest.fixture
def more(need, tallystack, run_cli, read_csv, build_c, workloads, tmp_path):
    """more(what): how much more of each event 2 N steps are than N."""
    tool = pathlib.Path(tallystack).parent.parent / "lib/tallystack/valgrind"
    need("simulator", shutil.which("valgrind") and tool.exists(), "there is no valgrind here")
    program = build_c(workloads / "accesses.c")

    def counted(what, steps):
        done = run_cli(["stat", "--simulate", "-e", ",".join(MISSES), "--csv", "-o", "counts.csv",
                        "--", program, what, steps], timeout=300)
        assert done.returncode == 0, done.stderr
        rows = read_csv((tmp_path / "counts.csv").read_text())
        return {row["event"]: int(row["value"]) for row in rows if row["event"] in MISSES}

    def difference(what):
        few, many = counted(what, N), counted(what, 2 * N)
        return {event: many[event] - few[event] for event in MISSES}
    return difference


@pytest.mark.parametrize("what, missed", [
    ("loads", ["PAPI_L1_LDM", "PAPI_L2_LDM", "PAPI_L3_LDM", "PAPI_L2_DCR", "PAPI_L3_TCA",
               "dTLB-load-misses", "PAPI_TLB_DM"]),
    ("stores", ["PAPI_L1_STM", "PAPI_L2_STM", "PAPI_L3_STM", "PAPI_L2_DCW", "PAPI_L3_TCA",
                "dTLB-store-misses", "PAPI_TLB_DM"]),
    # Each page is called at from where another one was called before.
    ("pages", ["PAPI_TLB_IM", "indirect-branch-misses", "PAPI_BR_MSP"]),
    ("nothing", []),
])
def test_misses_are_those_made(more, what, missed):
    assert more(what) == {event: N if event in missed else 0 for event in MISSES}


@pytest.mark.parametrize("what, event, share", [
    ("conditional", "conditional-branch-misses", 1 / 2),
    ("indirect", "indirect-branch-misses", 7 / 8),
])
def test_noise_is_predicted_as_chance_has_it(more, what, event, share):
    found = more(what)
    deviation = (N * share * (1 - share)) ** 0.5
    assert found[event] == pytest.approx(N * share, abs=4 * deviation)
    assert found["PAPI_BR_MSP"] == found[event]
    assert all(found[other] == 0 for other in MISSES if other not in (event, "PAPI_BR_MSP"))
