# SPDX-License-Identifier: MIT
"""The counterexamples that are known: a file for each rule under tests/sim/golden.

Its lines "machine: scenario: verdict" say what becomes of the rule's knock-out on each machine;
below them stands the shortest counterexample. explore.py writes and compares them; rulebook.py and
model.py take the explorer's word from here.

Where another judge says something else, that is a fault unless tests/sim/differences.txt explains
it. An entry there:

  JUDGE ID[,ID...] CELL[,CELL...]: its verdict | the explorer's
      why, in lines that are indented

The judge is "matrix" (docs/rules-matrix.json; a cell is a machine) or a scenario of "model"
(tests/model/expected.json, "model:page"; a cell is a transport); cells may be globs.
"""
import fnmatch
import os
import re

FOLDER = "tests/sim/golden"
DIFFERENCES = "tests/sim/differences.txt"
FOUND, EXHAUSTED = "found by", "nothing, exhausted"
UNMASKABLE = {"x86_64": "nmi", "arm64": "broadcast", "riscv64": "sbi"}
LINE = re.compile(r"^(\S+/\S+): (?:(\S+): )?(.*)$", re.M)


def path(rule_id, root="."):
    return os.path.join(root, FOLDER, rule_id + ".txt")


def verdicts(rule_id, root="."):
    """machine -> (scenario, verdict); empty without a file."""
    if not os.path.exists(path(rule_id, root)):
        return {}
    with open(path(rule_id, root), encoding="utf-8") as golden:
        return {m[1]: (m[2], m[3]) for m in LINE.finditer(golden.read())}


def kind(verdict):
    """What a verdict comes to, in a word."""
    for start, word in ((FOUND, "found"), (EXHAUSTED, "exhausted"), ("nothing,", "unfinished")):
        if verdict.startswith(start):
            return word
    return "no word"


class Differences:
    """What is explained, and which of it was needed."""

    HEAD = re.compile(r"(\S+) (\S+) (\S+): (.*?) \| (.*)")

    def __init__(self, root="."):
        self.entries, self.faults, self.used = [], [], set()
        name, lines = os.path.join(root, DIFFERENCES), []
        if os.path.exists(name):
            with open(name, encoding="utf-8") as text:
                lines = list(text)
        for line in lines:
            head = self.HEAD.fullmatch(line.rstrip())
            if head:
                self.entries.append([*head.groups(), ""])
            elif line[0].isspace() and self.entries:
                self.entries[-1][5] += line.strip()
            elif line.strip() and not line.startswith("#"):
                self.faults.append(f"{DIFFERENCES}: not a line of an entry: {line.rstrip()}")

    def explain(self, judge, rule_id, cell, theirs, ours):
        """Whether there is a reason why theirs and ours are not the same."""
        for i, (who, ids, cells, its, mine, why) in enumerate(self.entries):
            if who == judge and (its, mine) == (theirs, ours) and rule_id in ids.split(",") and \
                    why and any(fnmatch.fnmatchcase(cell, c) for c in cells.split(",")):
                self.used.add(i)
                return True
        return False

    def needless(self, judge):
        """Entries of a judge that explain nothing."""
        return self.faults + [
            f"{DIFFERENCES}: {' '.join(e[:3])}: {e[3]} | {e[4]}: " +
            ("no such difference" if e[5] else "no reason is given")
            for i, e in enumerate(self.entries)
            if fnmatch.fnmatchcase(e[0], judge) and i not in self.used]


def machine(column):
    """The machine of a column of the matrix, "arm64 unmaskable"."""
    port, transport = column.split()
    return f"{port}/{transport if transport == 'ipi' else UNMASKABLE[port]}"
