"""The summary, for people."""

import sys


def write_summary(survey, file):
    """Prints what was found; the same sources give the same words."""
    kinds = survey.census["kinds"]
    sizes = survey.packer.sizes.values()
    packed = sum(after for _, after in sizes)
    hardest = sorted(survey.functions, key=lambda f: (-f.complexity, -f.depth, f.module, f.line))
    version = "%d.%d" % sys.version_info[:2]

    def write(label, value):
        print(f"{label + ':':16}{value}", file=file)

    print(f"Survey of the standard library of Python {version}", file=file)
    write("sources", f"{len(survey.paths)} files, {survey.size:,} bytes, "
                     f"{packed / max(survey.size, 1):.1%} when packed")
    write("lines", ", ".join(f"{kinds[kind]:,} {kind}" for kind in sorted(kinds)))
    write("tokens", f"{survey.token_count:,}, {len(survey.names.uses):,} different names")
    write("common names", " ".join(survey.names.common(8)))
    write("functions", f"{len(survey.functions):,}")
    for function in hardest[:3]:
        write("  most ways", f"{function.complexity} through {function.module}.{function.name}")
    for likeness, one, other in survey.alike:
        write("  look alike", f"{likeness:.0%} {one}, {other}")
    write("digest", survey.packer.digest_of_all()[:16])
