#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make model: the protocol as Promela models, searched to the end by spin, each rule on and off.

A cell is a scenario (a model and what it is compiled with), a rule that is off, and a transport.
What each must come to stands in tests/model/expected.json, and the run fails where one disagrees:
  holds      all rules on: every state looked at, nothing reported
  found      the rule is off: reported, by the assertion that is named there, or a deadlock
  redundant  the rule is off, and every state looked at all the same: nothing is reported
Each rule's cell is also held against what the explorer says of that rule on the machines of that
transport (tests/sim/golden); a difference has its reason in tests/sim/differences.txt, or it fails.
With RULE=GLOB only those rules, and the shortest trail of each that is found.
"""
import concurrent.futures
import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
import textwrap
import time

import golden
import rulebook

HERE = os.path.dirname(os.path.abspath(__file__))
MODELS = os.path.join(os.path.dirname(HERE), "tests", "model")
EXPECTED = os.path.join(MODELS, "expected.json")
TRANSPORTS = {"ipi": ["-DMASKABLE"], "unmaskable": [], "any": []}
DEADLOCK = "deadlock"
EXPLORERS = {"found": "found", "redundant": "exhausted"}  # what the explorer calls a verdict
TIME_LIMIT = 120  # seconds for one cell
# Breadth first: the first report is the shortest. Processes that an interrupt stops allow no
# reduction. Compiling takes longer than searching: so without optimisation.
COMPILE = ["gcc", "-O0", "-w", "-DSAFETY", "-DBFS", "-DNOREDUCE", "-o", "pan", "pan.c"]
INCOMPLETE = re.compile(r"search depth too small|out of memory|VECTORSZ|resource limit|"
                        r"Search not completed|hash-?compact|Bit statespace", re.I)
ROW = re.compile(r"\s*([A-Za-z][\w ]*): (.*)")
WIDTH = 34  # of a column of a trail


class Cell:
    """One run; rule is None where all are on. wanted: (verdict, by whom or why)."""

    def __init__(self, scenario, model, rule, transport, wanted):
        self.scenario, self.model, self.rule = scenario, model, rule
        self.transport, self.wanted = transport, wanted
        self.verdict, self.by, self.states, self.seconds = "not run", "", 0, 0.0
        self.detail, self.trail = "", ""

    def name(self):
        return f"{self.scenario} {self.rule or 'all on'} {self.transport}"

    def defines(self):
        knocked = [f"-DKO_{self.rule}"] if self.rule else []
        return TRANSPORTS[self.transport] + ["-D" + d for d in self.model["defines"]] + knocked

    def agrees(self):
        return self.verdict == self.wanted[0] and (self.verdict != "found" or
                                                   self.by == self.wanted[1])

    def shown(self):
        return self.verdict + (f": {self.by}" if self.verdict == "found" else "")


def load(path=EXPECTED):
    with open(path, encoding="utf-8") as table:
        return json.load(table)


def cells(table):
    """Every cell of the table: for each scenario all rules on, then each rule off."""
    made = []
    for scenario, model in table.items():
        for rule, says in [(None, {})] + list(model["rules"].items()):
            for transport in model.get("transports", ("ipi", "unmaskable")):
                wanted = ("found", says.get("by"))
                if rule is None:
                    wanted = ("holds", "")
                elif transport in says:
                    wanted = ("redundant", says[transport])
                made.append(Cell(scenario, model, rule, transport, wanted))
    return made


def judge(text, rule):
    """(verdict, by, states) from what a search printed."""
    errors = re.search(r"errors: (\d+)", text)
    stored = re.search(r"(\d+) states, stored", text)
    if not errors or not stored:
        return "broken", "", 0
    states = int(stored[1])
    if int(errors[1]):
        broken = re.search(r"assertion violated (.*) \(at depth", text)
        if broken:
            return "found", re.findall(r"[A-Za-z_]\w*", broken[1])[-1], states
        return "found", DEADLOCK if "invalid end state" in text else "?", states
    if INCOMPLETE.search(text):
        return "truncated", "", states
    return "redundant" if rule else "holds", "", states


def call(words, folder):
    """What a command printed; its status does not count, since a search that finds ends with 0."""
    try:
        done = subprocess.run(["nice", "-n", "10"] + words, cwd=folder, timeout=TIME_LIMIT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, check=False)
    except subprocess.TimeoutExpired:
        return f"{words[0]}: not done after {TIME_LIMIT} s"
    return done.stdout.decode("utf-8", "replace")


def run(cell, folder):
    """Builds and searches one cell in an empty folder."""
    source = os.path.join(MODELS, cell.model["file"])
    begin = time.monotonic()
    text = call(["spin", "-a"] + cell.defines() + [source], folder)
    if os.path.exists(os.path.join(folder, "pan.c")) and "Error" not in text:
        text += call(COMPILE, folder)
    if os.path.exists(os.path.join(folder, "pan")):
        text = call(["./pan"], folder)
    cell.verdict, cell.by, cell.states = judge(text, cell.rule)
    cell.detail = text
    trail = cell.model["file"] + ".trail"
    if os.path.exists(os.path.join(folder, trail)):
        cell.trail = call(["spin", "-t", "-k", trail] + cell.defines() + [source], folder)
    cell.seconds = time.monotonic() - begin


def run_in_place(cell):
    with tempfile.TemporaryDirectory(prefix="grace-model-") as folder:
        run(cell, folder)
    return cell


# ---- Printing ------------------------------------------------------------------------------------

def steps(trail):
    """(who, what) of each step of a trail."""
    found = []
    for line in trail.splitlines():
        if line.startswith("spin:") or line.startswith("#"):
            if found:
                break
            continue
        match = ROW.fullmatch(line)
        if match:
            found.append(match.groups())
    return found


def columns(cell):
    """The trail with a column for each CPU, time going down, and the report below it."""
    rows = steps(cell.trail)
    who = sorted({name for name, _ in rows}, key=lambda name: (not name.startswith("CPU"), name))
    lines = ["".join(name.ljust(WIDTH) for name in who).rstrip()]
    for name, what in rows:
        for part in textwrap.wrap(what, WIDTH - 2):
            lines.append((" " * WIDTH * who.index(name) + part).rstrip())
    last = "nobody can go on" if cell.by == DEADLOCK else cell.by.replace("_", " ")
    return "\n".join("  " + line for line in lines + [f"** {last} **"])


def report(done, ids):
    """The table: a line for each scenario and rule, with both transports side by side."""
    lines = [f"{'scenario':13} {'':4}{'rule':24}" +
             "".join(f"{t:35}{'states':>8} {'s':>5}  " for t in ("ipi", "unmaskable"))]
    rows = {}
    for cell in done:
        rows.setdefault((cell.scenario, cell.rule), []).append(cell)
    for (scenario, rule), row in rows.items():
        line = f"{scenario:13} {ids.get(rule, ''):4}{rule or '(all on)':24}"
        for cell in row:
            mark = "" if cell.agrees() else "!! "
            line += f"{mark + cell.shown():35}{cell.states:8} {cell.seconds:5.1f}  "
        lines.append(line.rstrip())
    return "\n".join(lines)


def disagreement(cell):
    verdict, by = cell.wanted
    text = f"{cell.name()}: {cell.shown()}, expected {verdict}" + (f": {by}" if by else "")
    if cell.trail:
        return text + "\n" + columns(cell)
    return text + ("\n" + cell.detail if cell.verdict not in ("holds", "redundant") else "")


def machines(transport):
    """The explorer's machines of a transport."""
    of = {"ipi": [f"{port}/ipi" for port in golden.UNMASKABLE],
          "unmaskable": [f"{port}/{name}" for port, name in golden.UNMASKABLE.items()]}
    return of.get(transport) or of["ipi"] + of["unmaskable"]


def explored(rule_id, transport, root):
    """What the explorer says there, in a word: "found", "exhausted"; two where machines differ."""
    said = golden.verdicts(rule_id, root)
    return ",".join(sorted({golden.kind(said.get(m, ("", ""))[1]) for m in machines(transport)}))


def compare(done, ids, root):
    """Cells in which the explorer says something else, for no reason that is known."""
    faults, differences = [], golden.Differences(root)
    for cell in done:
        if cell.rule not in ids or cell.verdict not in EXPLORERS:
            continue  # all on, an ordering that is no rule, or a search that failed anyway
        said = explored(ids[cell.rule], cell.transport, root)
        if said != EXPLORERS[cell.verdict] and not differences.explain(
                f"model:{cell.scenario}", ids[cell.rule], cell.transport, cell.verdict, said):
            faults.append(f"model:{cell.scenario} {ids[cell.rule]} {cell.transport}: "
                          f"{cell.verdict} | {said}")
    needless = [] if len(done) < len(cells(load())) else differences.needless("model:*")
    return faults + needless


def chosen(every, glob, ids):
    if not glob:
        return every
    glob = glob.upper()
    return [c for c in every if c.rule and (fnmatch.fnmatchcase(c.rule, glob) or
                                            fnmatch.fnmatchcase(ids.get(c.rule, ""), glob))]


def main():
    root = os.path.dirname(HERE)
    ids = {rule.name: rule.id for rule in rulebook.Book(root).rules}
    glob = os.environ.get("RULE", "")
    every = chosen(cells(load()), glob, ids)
    if not every:
        names = sorted({c.rule for c in cells(load()) if c.rule})
        print(f"model: no rule here is called {glob}: there are {', '.join(names)}",
              file=sys.stderr)
        return 2
    begin = time.monotonic()
    jobs = int(os.environ.get("JOBS") or os.cpu_count() or 1)
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        done = list(pool.map(run_in_place, every))
    print(report(done, ids))
    for cell in done if glob else ():
        if cell.verdict == "found":
            print(f"\n{cell.name()}: {len(steps(cell.trail))} steps\n{columns(cell)}")
        elif cell.verdict == "redundant":
            print(f"\n{cell.name()}: redundant: {cell.wanted[1]}")
    wrong = [cell for cell in done if not cell.agrees()]
    for cell in wrong:
        print("\nDISAGREES: " + disagreement(cell))
    faults = compare(done, ids, root)
    for fault in faults:
        print(f"\nEXPLORER: {fault}")
    rules = sum(cell.rule in ids for cell in done)
    states = sum(cell.states for cell in done)
    print(f"\nmodel: {len(done)} cells, {states} states, {time.monotonic() - begin:.0f} s: " +
          (f"{len(wrong)} DISAGREE" if wrong else "all as expected") +
          f"; {rules} of rules, " + (f"{len(faults)} NOT as the explorer says" if faults else
                                     "as the explorer says"))
    return 1 if wrong or faults else 0


if __name__ == "__main__":
    sys.exit(main())
