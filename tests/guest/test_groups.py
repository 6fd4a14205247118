"""The groups of metrics, where libpfm4 knows Arm's processors: their names, and our table of them."""

from guest import BUILD, ROOT, check, run


def test_names_for_arm():
    done = run(BUILD / "tests/lint/lint_groups", ROOT / "counters/events/groups", status=None)
    unchecked = {line.split(" are not checked")[0].split()[-1]
                 for line in done.stdout.splitlines() if "are not checked" in line}
    check(done.returncode == 0, done.stdout)
    check(not any(name.startswith("arm") for name in unchecked), done.stdout)
    return f"{done.stdout.splitlines()[-1]}; names not checked: {len(unchecked)} processors of x86-64"
