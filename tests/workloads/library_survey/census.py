"""A census of lines, taken in a process of its own: paths come on stdin, one JSON line goes out."""

import collections
import json
import os
import subprocess
import sys

from library_survey.sources import read_source


def kind_of(line):
    text = line.strip()
    if not text:
        return "blank"
    return "comment" if text.startswith(b"#") else "code"


def take_census(paths):
    """Lines by kind and by indentation."""
    kinds = collections.Counter()
    indents = collections.Counter()
    longest = 0
    for path in paths:
        for line in read_source(path).splitlines():
            kinds[kind_of(line)] += 1
            indents[len(line) - len(line.lstrip(b" "))] += 1
            longest = max(longest, len(line))
    return {"kinds": dict(kinds), "indents": dict(indents), "longest": longest}


class CensusTaker:
    """The parent's end of the child process."""

    def __init__(self, paths):
        parent = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        environment = dict(os.environ, PYTHONPATH=parent)
        self.child = subprocess.Popen([sys.executable, "-m", "library_survey.census"],
                                      env=environment, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.child.stdin.write("\n".join(paths))
        self.child.stdin.close()

    def result(self):
        answer = self.child.stdout.read()
        self.child.stdout.close()
        if self.child.wait() != 0:
            raise RuntimeError("the census was not taken")
        return json.loads(answer)


if __name__ == "__main__":
    print(json.dumps(take_census(sys.stdin.read().splitlines())))
