# SPDX-License-Identifier: MIT
"""What the runs came to: a table for people, JUnit XML for machines, one last line for both."""
import os
import re
import xml.etree.ElementTree as ET

HEAD = ("port", "configuration", "passed", "failed", "skipped", "race", "first test", "time")
NOT_XML = re.compile(r"[^\t\n\x20-\uD7FF\uE000-\uFFFD]")


class Case:
    """One verdict: "passed", "failed" or "skipped"."""

    def __init__(self, name, verdict, text=""):
        self.name, self.verdict, self.text = name, verdict, text


class Row:
    """One run and its cases."""

    def __init__(self, port, name):
        self.port, self.name = port, name
        self.cases, self.race = [], ""
        self.seconds = self.first_test = 0.0
        self.log = ""

    def add(self, name, verdict, text=""):
        self.cases.append(Case(name, verdict, text))

    def count(self, verdict):
        return sum(case.verdict == verdict for case in self.cases)

    def failed(self):
        return [case for case in self.cases if case.verdict == "failed"]

    def cells(self):
        first = f"{self.first_test:.1f} s" if self.first_test else ""
        return (self.port, self.name, str(self.count("passed")), str(self.count("failed")),
                str(self.count("skipped")), self.race, first, f"{self.seconds:.1f} s")


def table(rows):
    lines = [HEAD] + [row.cells() for row in rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    out = []
    for line in lines:
        cells = [cell.ljust(width) if i in (0, 1, 5) else cell.rjust(width)
                 for i, (cell, width) in enumerate(zip(line, widths))]
        out.append("  ".join(cells).rstrip())
    out.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(out)


def junit(rows, path):
    root = ET.Element("testsuites")
    for row in rows:
        suite = ET.SubElement(root, "testsuite", name=f"{row.port}.{row.name}",
                              tests=str(len(row.cases)), failures=str(row.count("failed")),
                              skipped=str(row.count("skipped")), time=f"{row.seconds:.3f}")
        for case in row.cases:
            element = ET.SubElement(suite, "testcase", name=case.name,
                                    classname=f"{row.port}.{row.name}")
            text = NOT_XML.sub("?", case.text)
            if case.verdict == "failed":
                ET.SubElement(element, "failure", message=text.split("\n")[0]).text = text
            elif case.verdict == "skipped":
                ET.SubElement(element, "skipped", message=text)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    ET.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def totals(rows):
    passed, failed, skipped = (sum(row.count(verdict) for row in rows)
                               for verdict in ("passed", "failed", "skipped"))
    return passed, failed, skipped
