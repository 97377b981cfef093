#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make rules: takes each rule away on each port and transport, and wants to hear of it.

    rules.py PORT...    with SEEDS, RULE, TLB, CPUS, JOBS, DRY of `make help` from make

A cell is one rule on one port with one transport. What the kernel says of itself (`rules table`)
decides whether it is run; a cell that is run must be reported by the one that the rule's entry
names, for each seed. Then a control with all rules on, ten times as long as the slowest catch.
"""
import fnmatch
import json
import math
import os
import re
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor, as_completed

import fixed
import guest
import ktap
import qemu
import rulebook
import test

LOGS = "build/rules"
RESULTS = "build/rules.json"
TRANSPORTS = ("ipi", "unmaskable")
BEGINS = r"boot: \d+ of \d+ CPUs running"
REPORT = re.compile(r"RULE (\S+) (\S+) broken, says the (\w+):")
NOT_OK = re.compile(r"not ok \d+ (\S+)")
TABLE_LINE = re.compile(r"rule\|(\w+)\|(\w+)\|([^|]*)\|?(.*)")
CONTROL_LEAST = 10  # seconds
TRIES = 4
BOOT_LIMIT = 40     # seconds until a run counts as hung, besides what its commands take


class Cell:
    """A rule on a port and transport, and what became of each seed's run."""

    def __init__(self, rule, arch, transport):
        self.rule, self.arch, self.transport = rule, arch, transport
        self.verdict, self.why = "", ""
        self.seconds, self.logs = [], []

    def column(self):
        return f"{self.arch} {self.transport}"

    def failed(self):
        return self.verdict not in rulebook.VERDICTS

    def note(self, verdict, why, seconds, log):
        """One seed's run; the cell is as good as the worst of them."""
        if verdict == "caught":
            self.seconds.append(seconds)
        if not self.verdict or (verdict != "caught" and not self.failed()):
            self.verdict, self.why = verdict, why
        if verdict != "caught":
            self.logs.append(log)

    def text(self):
        if self.verdict == "caught":
            slowest = max(self.seconds)
            middle = statistics.median(self.seconds)
            return f"{middle:.1f} s" + (f" ({slowest:.1f})" if len(self.seconds) > 1 else "")
        return self.verdict


# ---- One run -------------------------------------------------------------------------------------

def machine(arch, append):
    wanted = qemu.from_environment(arch=arch, append=append, accel="tcg", build="debug",
                                   rules="switch", mem="256M", cpus=test.asked("CPUS") or 4)
    return qemu.check(wanted)


def boot(arch, append, log, limit, watch=()):
    w = machine(arch, append)
    return guest.Guest(qemu.command(w), int(w["cpus"]), f"{LOGS}/{log}.log", limit, watch).run()


def seconds_of(commands):
    """How long the races among some commands last."""
    return sum(int(n) for n in re.findall(r"\bstress[= ](\d+)", commands))


def with_seed(commands, seed):
    return re.sub(r"\bstress[= ](\d+)", rf"stress \1 {seed}", commands)


def judge(rule, outcome):
    """(verdict, why) of a run with the rule knocked out."""
    for line in outcome.lines():
        report, failure = REPORT.search(line), NOT_OK.match(line)
        who = report[3] if report else failure[1] if failure else None
        if who == rule.by:
            return "caught", line
        if report:
            return f"by {who}", f"reported by {who}, and not by {rule.by}: {line}"
    if outcome.trouble:
        return "HANG", outcome.trouble
    if outcome.said is None:
        return "RESET", f"QEMU ended with code {outcome.code}, and the kernel never said its status"
    if outcome.said >= 2:
        told = [line for line in outcome.lines() if "PANIC: " in line] or outcome.tail(2)
        return "PANIC", told[0]
    raced = [f"race {verdict} {text}" for verdict, text in ktap.stress_verdicts(outcome.text)]
    return "SURVIVED", "; ".join(["no report", *raced, f"status {outcome.said}"])


def knock_out(cell, seed):
    """
    Runs the cell with one seed; returns what Cell.note() takes.

    What a busy host kept from meeting gets another try with another seed: a rule has survived when
    it survives TRIES of them. The time is that of all tries together.
    """
    spent = 0.0
    for again in range(TRIES):
        verdict, why, took, log = knock_out_once(cell, seed + 100 * again)
        spent += took
        if verdict != "SURVIVED":
            break
    return verdict, why, spent, log


def knock_out_once(cell, seed):
    rule = cell.rule
    commands = with_seed(rule.steps()[1], seed)
    # A selftest has found it with its first failed check, though it tidies up before "not ok".
    ends = (rf"^# \S+\.c:\d+: |^not ok \d+ {re.escape(rule.by)}\b" if "." in rule.by
            else rf"says the {rule.by}:")
    log = f"{cell.arch}-{cell.transport}-{rule.name}-{seed}"
    outcome = boot(cell.arch, rule.append(cell.transport, commands), log,
                   BOOT_LIMIT + 3 * seconds_of(commands), (BEGINS, ends))
    verdict, why = judge(rule, outcome)
    took = outcome.seen.get(ends, outcome.seconds) - outcome.seen.get(BEGINS, 0)
    return verdict, why, took, f"{LOGS}/{log}.log"


def tables(arch, transport):
    """What the machine says of each rule: {name: (verdict, why)}."""
    outcome = boot(arch, f'tlb={transport} run="rules table;poweroff"', f"{arch}-{transport}-table",
                   BOOT_LIMIT)
    found = [TABLE_LINE.fullmatch(line) for line in outcome.lines()]
    return {m[2]: (m[3], m[4]) for m in found if m}


class Control:
    """All rules on: nothing is reported, and the race was there."""

    def __init__(self, arch, transport, slowest, faults):
        self.arch, self.transport, self.faults = arch, transport, faults
        self.seconds = max(CONTROL_LEAST, math.ceil(10 * slowest))
        self.name = f"{arch} {transport}" + (" with faults" if faults else "")
        self.why = ""

    def run(self):
        options = f"fault={self.faults} " if self.faults else ""
        outcome = boot(self.arch, f'tlb={self.transport} {options}'
                       f'run="stress={self.seconds};poweroff"',
                       self.name.replace(" ", "-") + "-control", BOOT_LIMIT + 5 * self.seconds)
        reports = [line for line in outcome.lines() if REPORT.search(line)]
        verdicts = [verdict for verdict, _ in ktap.stress_verdicts(outcome.text)]
        if reports:
            self.why = reports[0]
        elif outcome.trouble:
            self.why = outcome.trouble
        elif verdicts != ["SUCCESS"] or outcome.said != 0:
            self.why = f"race {' '.join(verdicts) or 'without verdict'}, status {outcome.said}"
        return self


# ---- All of them ---------------------------------------------------------------------------------

def wanted_rules(book):
    glob = test.asked("RULE").upper()
    return [rule for rule in book.rules
            if not glob or fnmatch.fnmatch(rule.name, glob) or fnmatch.fnmatch(rule.id, glob)]


def columns(ports):
    glob = test.asked("TLB") or "*"
    return [(arch, transport) for arch in ports for transport in TRANSPORTS
            if fnmatch.fnmatch(transport, glob)]


def last_results():
    try:
        with open(RESULTS, encoding="utf-8") as results:
            return json.load(results)["cells"]
    except (OSError, ValueError, KeyError):
        return {}


def cost(cell, last):
    """What an order of running goes by: failures of the last time first, then the quick ones."""
    old = last.get(f"{cell.rule.name} {cell.column()}")
    if old and old["failed"]:
        return (0, 0)
    if old and old["seconds"]:
        return (1, max(old["seconds"]))
    return (1, seconds_of(cell.rule.run) / 3)


class Matrix:
    def __init__(self, book, ports):
        self.book, self.start = book, time.monotonic()
        self.columns = columns(ports)
        self.cells, self.controls, self.troubles = [], [], []
        self.seeds = range(1, 1 + int(test.asked("SEEDS") or 2))
        self.jobs = int(test.asked("JOBS") or len(os.sched_getaffinity(0)))

    def say(self, text):
        test.say(f"{time.monotonic() - self.start:6.1f} s  {text}")

    def ask(self, pool):
        """Makes the cells, with verdicts where the machine says that there is nothing to run."""
        asked = {column: pool.submit(tables, *column) for column in self.columns}
        for (arch, transport), future in asked.items():
            said = future.result()
            for rule in wanted_rules(self.book):
                cell = Cell(rule, arch, transport)
                verdict, why = said.get(rule.name, ("SILENT", "not in `rules table`"))
                if verdict != "run":
                    cell.verdict, cell.why = verdict, why
                self.cells.append(cell)

    def run_cells(self, pool):
        last = last_results()
        todo = sorted((c for c in self.cells if not c.verdict), key=lambda c: cost(c, last))
        self.say(f"{len(todo)} of {len(self.cells)} cells to run, {len(self.seeds)} seeds, "
                 f"{self.jobs} at a time: about {self.estimate(todo, last):.0f} min")
        futures = {pool.submit(knock_out, cell, seed): cell
                   for cell in todo for seed in self.seeds}
        for done in as_completed(futures):
            cell, result = futures[done], done.result()
            cell.note(*result)
            verdict, why, took, log = result
            self.say(f"{cell.column():19} {cell.rule.id:3} {cell.rule.name:20} "
                     + (f"caught in {took:.1f} s" if verdict == "caught"
                        else f"{verdict}: {why} ({log})"))

    def estimate(self, todo, last):
        """Minutes: a boot and its end, the catch, and the controls."""
        each = sum(1.5 + cost(cell, last)[1] for cell in todo) * len(self.seeds)
        return (each + 2.5 * CONTROL_LEAST * len(self.columns)) / self.jobs / 60

    def slowest(self, column):
        return max((max(c.seconds) for c in self.cells if c.column() == column and c.seconds),
                   default=0)

    def faults(self, column):
        """Every fault that a run of the column asked for, as one list."""
        found = {}
        for cell in self.cells:
            for word in cell.rule.steps()[0].split():
                if word.startswith("fault=") and cell.column() == column and cell.seconds:
                    found.update({f.split(":")[0]: f for f in word[6:].split(",")})
        return ",".join(found[name] for name in sorted(found))

    def run_controls(self, pool):
        for arch, transport in self.columns:
            column = f"{arch} {transport}"
            slowest = self.slowest(column)
            self.controls.append(Control(arch, transport, slowest, ""))
            if self.faults(column):
                self.controls.append(Control(arch, transport, slowest, self.faults(column)))
        for done in as_completed([pool.submit(control.run) for control in self.controls]):
            control = done.result()
            self.say(f"control {control.name}, {control.seconds} s: "
                     + (control.why or "nothing reported, the race was there"))

    def failed(self):
        return [cell for cell in self.cells if cell.failed()]

    def run(self):
        os.makedirs(LOGS, exist_ok=True)
        with ThreadPoolExecutor(self.jobs) as pool:
            self.ask(pool)
            self.run_cells(pool)
            self.run_controls(pool)


# ---- What came of it -----------------------------------------------------------------------------

def table(matrix):
    """Rows of cells: rules against columns."""
    heads = [f"{arch} {transport}" for arch, transport in matrix.columns]
    by_rule = {}
    for cell in matrix.cells:
        by_rule.setdefault(cell.rule.name, {})[cell.column()] = cell
    rows = [["", "rule", "by"] + heads]
    for cells in by_rule.values():
        rule = next(iter(cells.values())).rule
        rows.append([rule.id, rule.name, rule.by.split("_")[0]] + [cells[h].text() for h in heads])
    return rows


def aligned(rows):
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths)).rstrip() for row in rows)


def summary(matrix):
    counts = {}
    for cell in matrix.cells:
        counts[cell.verdict] = counts.get(cell.verdict, 0) + 1
    slow = max((max(c.seconds) for c in matrix.cells if c.seconds), default=0)
    bad = len(matrix.failed()) + sum(bool(control.why) for control in matrix.controls)
    return (f"{len(matrix.cells)} cells: {counts.get('caught', 0)} caught (slowest {slow:.1f} s), "
            f"{counts.get('explored', 0)} found by the explorer, "
            f"{counts.get('redundant', 0)} shown redundant by it, "
            f"{counts.get('n.a.', 0)} not applicable, "
            f"{len(matrix.failed())} failed; {len(matrix.controls)} controls; "
            f"{bad + len(matrix.troubles)} failures")


def save(matrix):
    rows = table(matrix)
    rows.insert(1, ["---"] * len(rows[0]))
    with open("build/rules.md", "w", encoding="utf-8") as out:
        out.writelines("| " + " | ".join(row) + " |\n" for row in rows)
        out.write(f"\nSeconds until the report: median (slowest). {summary(matrix)}.\n")
    cells = last_results()
    for cell in matrix.cells:
        cells[f"{cell.rule.name} {cell.column()}"] = {
            "id": cell.rule.id, "verdict": cell.verdict, "why": cell.why, "by": cell.rule.by,
            "failed": cell.failed(), "seconds": [round(s, 3) for s in sorted(cell.seconds)]}
    controls = {c.name: {"seconds": c.seconds, "trouble": c.why} for c in matrix.controls}
    with open(RESULTS, "w", encoding="utf-8") as out:
        json.dump({"cells": cells, "controls": controls}, out, indent=1)


def compare(matrix, book):
    """
    Holds the run against the verdicts that the documents are made from, and keeps these true.

    A machine of another QEMU may have what ours lacks: then there is a note, and no failure.
    """
    known = {rule.name: rulebook.load_matrix().get(rule.name, {}) for rule in book.rules}
    for cell in matrix.cells:
        old = known[cell.rule.name].get(cell.column(), "blank")
        if old == cell.verdict:
            continue
        text = f"{cell.column()} {cell.rule.name}: {cell.verdict}; {rulebook.MATRIX} says {old}"
        if "n.a." in (old, cell.verdict) and old != "blank":
            matrix.say(f"note: {text}")
            continue
        matrix.troubles.append(text)
        known[cell.rule.name][cell.column()] = cell.verdict
    whole = {name: {c: cells[c] for c in rulebook.COLUMNS if c in cells}
             for name, cells in known.items()}
    if matrix.troubles and not rulebook.check_matrix(book, whole):
        rulebook.save_matrix(whole)
        matrix.troubles.append(f"{rulebook.MATRIX} was rewritten: `make docs`, and commit it")


def build(ports, builder):
    """What failed to build, or to be free of charge when fixed."""
    troubles = []
    for arch in ports:
        for settings in ({"build": "debug", "rules": "switch"},
                         {"build": "release", "rules": "fixed"}):
            w = qemu.check(qemu.from_environment(arch=arch, cpus="", mem="", append="", **settings))
            failure = builder.failure(w)
            if failure is not None:
                troubles.append(f"{qemu.output_dir(w)} does not build\n{failure}")
    return troubles


def main():
    ports = sys.argv[1:] or list(qemu.PORTS)
    book = rulebook.Book()
    matrix = Matrix(book, ports)
    if not wanted_rules(book) or not matrix.columns:
        print(f"make: RULE={test.asked('RULE')} TLB={test.asked('TLB')}: no such rule or transport",
              file=sys.stderr)
        return qemu.STATUS_USAGE
    if test.asked("DRY"):
        for arch, transport in matrix.columns:
            for rule in wanted_rules(book):
                test.say(qemu.show(qemu.command(machine(arch, rule.append(transport)))))
        return 0
    matrix.troubles = build(ports, test.Builder()) + \
        rulebook.check_explored(book, rulebook.load_matrix())
    if not matrix.troubles:
        for arch in ports:
            faults, text = fixed.check(arch)
            test.say(text)
            matrix.troubles += faults
        matrix.run()
        save(matrix)
        if not matrix.failed():
            compare(matrix, book)
        test.say("\n" + aligned(table(matrix)) + "\n")
    for cell in matrix.failed():
        test.say(f"{cell.column()} {cell.rule.id} {cell.rule.name}: {cell.verdict}: {cell.why}")
        test.say("  " + " ".join(cell.logs))
    for control in matrix.controls:
        if control.why:
            test.say(f"control {control.name}: {control.why}")
    for trouble in matrix.troubles:
        test.say(trouble)
    test.say(summary(matrix))
    bad = matrix.failed() or matrix.troubles or any(c.why for c in matrix.controls)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
