"""The unit tests, compiled for this machine; its PMU must be there for the contract of sources."""

import os
import re

from guest import UNIT, check, run

# Pure functions, which take long here
LEFT_OUT = {"test_interval", "test_losses", "test_profile", "test_walk"}


def test_all_but_the_slow():
    failed, counts, figures = [], [], []
    environment = dict(os.environ, TALLYSTACK_TEST_REQUIRE="pmu")
    programs = [path for path in sorted(UNIT.glob("test_*"))
                if path.is_file() and path.name not in LEFT_OUT]
    for program in programs:
        done = run(program, status=None, env=environment)
        said = done.stdout + done.stderr
        counts += re.findall(r"\[  PASSED  \] (\d+) test", said)
        if done.returncode not in (0, 77) or "FAILED" in said:
            failed.append(program.name)
            figures += [line for line in said.splitlines()
                        if not line.startswith(("[ RUN", "[       OK"))]
    figures.append(f"{len(programs)} programs, {sum(map(int, counts))} tests passed")
    check(not failed and len(programs) > 10, "\n".join(failed + figures))
    return "\n".join(figures)
