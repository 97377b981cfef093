# SPDX-License-Identifier: MIT
"""Reads what a kernel said on its serial line, and believes none of it without its plan.

Every departure from KTAP is an error: a result that is not numbered in turn, a plan that does not
match, a line that looks like a result but is none.
"""
import re

ANSI = re.compile(r"\x1b(?:\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|c)")
VERSION = "KTAP version 1"
PLAN = re.compile(r"1\.\.(\d+)")
RESULT = re.compile(r"(ok|not ok) (\d+) ([A-Za-z0-9_]+\.[A-Za-z0-9_]+)(?: # (.+))?")
LOOKS_LIKE = re.compile(r"(?:not )?ok\b")
STRESS = re.compile(r"stress: (SUCCESS|FAILURE|INVALID)\b *(.*)")


class Result:
    """One numbered line: passed, failed or skipped, with what was said about it."""

    def __init__(self, number, name, verdict, text=""):
        self.number, self.name, self.verdict, self.text = number, name, verdict, text


class Document:
    """From one version line to the next, or to the end."""

    def __init__(self):
        self.plan, self.results, self.errors = None, [], []
        self.notes = []

    def add_result(self, match):
        number, directive = int(match[2]), match[4] or ""
        verdict = "passed" if match[1] == "ok" else "failed"
        if directive.startswith("SKIP"):
            if verdict == "failed":
                self.errors.append(f"result {number} is both failed and skipped")
            else:
                verdict, directive = "skipped", directive[4:].strip()
        if self.plan is None:
            self.errors.append(f"result {number} comes before the plan")
        elif number > self.plan:
            self.errors.append(f"result {number} is beyond the plan of {self.plan}")
        if number != len(self.results) + 1:
            self.errors.append(f"result {number} where {len(self.results) + 1} was due")
        if any(old.name == match[3] for old in self.results):
            self.errors.append(f"{match[3]} reported twice")
        if verdict == "failed":
            directive = "; ".join(self.notes) or directive
        self.results.append(Result(number, match[3], verdict, directive))
        self.notes = []

    def add(self, line):
        plan, result = PLAN.fullmatch(line), RESULT.fullmatch(line)
        if plan:
            if self.plan is not None:
                self.errors.append("a second plan")
            self.plan = int(plan[1])
        elif result:
            self.add_result(result)
        elif LOOKS_LIKE.match(line):
            self.errors.append(f"not a result: {line!r}")
        elif line.startswith("#"):
            self.notes.append(line.lstrip("# "))

    def close(self):
        if self.plan is None:
            self.errors.append("no plan")
        elif self.plan == 0:
            self.errors.append("the plan has no test")
        elif self.plan > len(self.results):
            self.errors.append(f"{len(self.results)} results of {self.plan} planned")


def clean(line):
    return ANSI.sub("", line).strip("\r\n\0 ")


def parse(text):
    """All KTAP documents of a log, and errors that belong to none of them."""
    documents, errors = [], []
    for line in map(clean, text.splitlines()):
        if line == VERSION:
            documents.append(Document())
        elif line.startswith("KTAP"):
            errors.append(f"not a version this runner knows: {line!r}")
        elif documents:
            documents[-1].add(line)
        elif PLAN.fullmatch(line) or RESULT.fullmatch(line):
            errors.append(f"{line!r} comes before the version line")
    for document in documents:
        document.close()
    return documents, errors


def stress_verdicts(text):
    """(verdict, rest of the line) of each race in a log."""
    found = []
    for line in map(clean, text.splitlines()):
        match = STRESS.match(line)
        if match:
            found.append((match[1], match[2]))
    return found
