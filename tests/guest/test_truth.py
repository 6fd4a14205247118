"""Those of tests/truth that are about the agent's ways here, and those that need a PMU."""

import os
import re

from guest import BUILD, ROOT, check, run

CHOSEN = ("hardware or periods or (3.11 and (pages_on_their_lines or nested or exec or closed or "
          "(pool and not spawn and not forkserver)))")


def test_chosen():
    environment = dict(os.environ, TALLYSTACK=str(BUILD / "bin/tallystack"),
                       TALLYSTACK_TEST_BUILT=str(BUILD / "tests/guest"),
                       TALLYSTACK_TEST_REQUIRE="pmu,python3.11")
    done = run("python3", "-m", "pytest", "-v", "--color=no", "-k", CHOSEN,
               *(f"tests/truth/test_{name}.py" for name in ("hardware", "page_faults", "processes")),
               status=None, env=environment, cwd=ROOT)
    passed = re.findall(r"^(\S+) PASSED", done.stdout, re.MULTILINE)
    check(done.returncode == 0 and len(passed) > 12, done.stdout)
    return "\n".join(passed)
