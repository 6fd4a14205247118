"""Command line: python3 tests/workloads/library_survey [--files N]."""

import argparse
import os
import sys

if not __package__:  # started by the folder's path: let the package be found by its name
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

from library_survey.survey import Survey
from library_survey.summary import write_summary


def main():
    parser = argparse.ArgumentParser(prog="library_survey", description=__doc__)
    parser.add_argument("--files", type=int, default=450, metavar="N",
                        help="how many source files to read (default: %(default)s)")
    options = parser.parse_args()
    if options.files < 1:
        parser.error("--files must be 1 or more")
    survey = Survey(options.files)
    survey.run()
    write_summary(survey, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
