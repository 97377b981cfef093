# SPDX-License-Identifier: MIT
"""The counterexamples that are known: a file for each rule under tests/sim/golden.

Its lines "machine: scenario: verdict" say what becomes of the rule's knock-out on each machine;
below them stands the shortest counterexample. explore.py writes and compares them; rulebook.py and
model.py take the explorer's word from here.
"""
import os
import re

FOLDER = "tests/sim/golden"
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


def machine(column):
    """The machine of a column of the matrix, "arm64 unmaskable"."""
    port, transport = column.split()
    return f"{port}/{transport if transport == 'ipi' else UNMASKABLE[port]}"
