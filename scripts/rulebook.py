#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The rules as a book: reads include/rules.h and the comments beside the code, checks, and writes.

    rulebook.py         writes docs/rules.md and the table in README.md (make docs)

A drawing is a stretch of a comment: a line "RACE id[, id...]. Title", then what is indented below
it, up to the next line that is not. What the matrix last found stands in docs/rules-matrix.json.
"""
import json
import os
import re
import sys

import golden

TABLE = "include/rules.h"
BOOK = "docs/rules.md"
MATRIX = "docs/rules-matrix.json"
README = "README.md"
BEGIN, END = "<!-- rules: begin -->\n", "<!-- rules: end -->\n"
CODE = ("mm", "kernel", "arch", "drivers", "include")
COMMENTED = CODE + ("tests",)
COLUMNS = tuple(f"{port} {transport}" for port in ("x86_64", "arm64", "riscv64")
                for transport in ("ipi", "unmaskable"))
# What a cell may say, and the letter for it.
VERDICTS = {"caught": "C", "explored": "E", "redundant": "r", "n.a.": "-"}
# What the explorer must come to where the matrix says so; and the cells that rest on its word.
EXPECTED = {"caught": ("found",), "explored": ("found",), "redundant": ("exhausted",),
            "n.a.": ("exhausted",)}
EXPLORED = ("explored", "redundant")

TOKEN = re.compile(r'\s*(?:("(?:[^"\\]|\\.)*")|(\w+)|([(),]))')
COMMENT = re.compile(r'"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)+\'|(/\*.*?\*/|//[^\n]*)', re.S)
TEST = re.compile(r"^TEST\((\w+),\s*(\w+)\)", re.M)
GUARD = re.compile(r"\brule\(([A-Z_]+)\)")
ID = re.compile(r"(?<![A-Za-z0-9_])([AFGHLRTU]\d+)(?![A-Za-z0-9])")
RACE = re.compile(r"RACE ([A-Z]\d+(?:, [A-Z]\d+)*)\. (\S.*)")


class Rule:
    """One entry of the table; its fields are those of X() there."""

    def __init__(self, fields):
        (self.name, self.id, self.sentence, self.where, self.run, self.by, self.needs,
         self.known) = fields
        match = re.fullmatch(r"(\w+)\(\) in ([\w./]+)", self.where)
        self.function, self.file = match.groups() if match else (None, None)

    def steps(self):
        """(boot options, commands)"""
        options, bar, commands = self.run.partition("|")
        return (options, commands) if bar else ("", options)

    def append(self, transport, steps=None):
        """The command line that shows what happens without it."""
        options, commands = self.steps()
        words = [f"tlb={transport}", f"knockout={self.name}", options,
                 f'run="{steps or commands};poweroff"']
        return " ".join(word for word in words if word)


class Drawing:
    def __init__(self, title, lines, path):
        self.title, self.lines, self.path = title, lines, path


# ---- Reading -------------------------------------------------------------------------------------

def x_table(text, name):
    """The entries of an X-macro table: lists of fields, pieces of a string joined."""
    body = re.search(rf"#define {name}\(X\)((?:[^\n]*\\\n)*[^\n]*)", text)[1].replace("\\\n", " ")
    found, fields, depth = [], [], 0
    for string, word, mark in TOKEN.findall(body):
        if mark == "(":
            fields, depth = [""], depth + 1
        elif mark == ")":
            found.append(fields)
            depth -= 1
        elif mark == ",":
            fields.append("")
        elif depth:
            fields[-1] += json.loads(string) if string else word
    return found


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8") as source:
        return source.read()


def files(root, folders, endings):
    for folder in folders:
        for where, dirs, names in os.walk(os.path.join(root, folder)):
            dirs.sort()
            for name in sorted(names):
                if name.endswith(endings):
                    yield os.path.relpath(os.path.join(where, name), root)


def comments(text):
    """Each comment of a C source as its lines, without what makes them a comment."""
    for match in COMMENT.finditer(text):
        if match[1]:
            inner = re.sub(r"\s*\*/\Z", "", match[1])
            yield [re.sub(r"^\s*(?:/\*|//|\*) ?", "", line) for line in inner.split("\n")]


def without_comments(text):
    return COMMENT.sub(lambda m: re.sub(r"[^\n]", " ", m[1]) if m[1] else m[0], text)


def guards(text):
    """(rule, enclosing function) of each rule(NAME) in a C source."""
    found, head, function = [], "", None
    for line in without_comments(text).split("\n"):
        if line == "{":
            match = re.search(r"(\w+)\(", head)
            function = match[1] if match else None
        elif line == "}":
            function = None
        elif not line.strip() or line.endswith(";"):
            head = ""
        elif not line[0].isspace():
            head = line if "(" not in head else head + line
        found += [(name, function) for name in GUARD.findall(line)]
    return found


def every_site(root="."):
    """(rule, file) of each guard in the tree."""
    return [(name, path) for path in files(root, CODE, (".c", ".h"))
            for name, _ in guards(read(root, path))]


def drawings_in(lines, path):
    """(ids, Drawing) of each drawing in a comment's lines."""
    found, i = [], 0
    while i < len(lines):
        match = RACE.fullmatch(lines[i])
        i += 1
        if not match:
            continue
        title, drawn = match[2], []
        while i < len(lines) and lines[i] and not lines[i].startswith("  "):
            title += " " + lines[i]
            i += 1
        while i < len(lines) and (not lines[i] or lines[i].startswith("  ")):
            drawn.append(lines[i])
            i += 1
        while drawn and not drawn[-1]:
            drawn.pop()
        while drawn and not drawn[0]:
            drawn.pop(0)
        found.append((match[1].split(", "), Drawing(title, drawn, path)))
    return found


class Book:
    """The rules and all that the tree says of them."""

    def __init__(self, root="."):
        self.root = root
        text = read(root, TABLE)
        self.rules = [Rule(fields) for fields in x_table(text, "RULE_TABLE")]
        self.needs = {name: (verdict, why) for name, verdict, why in x_table(text, "RULE_NEEDS")}
        self.oracles = {word for _, word, _ in
                        x_table(read(root, "include/oracle.h"), "ORACLE_TABLE")}
        self.tests, self.sites, self.drawings, self.ids = set(), {}, {}, []
        for path in files(root, COMMENTED, (".c", ".h", ".S")):
            self.note(path, read(root, path))
        for path in files(root, ("docs",), (".md",)):
            self.ids += [(path, i) for i in ID.findall(read(root, path))]
        self.ids += [(README, i) for i in ID.findall(read(root, README))]

    def note(self, path, text):
        for suite, name in TEST.findall(text):
            self.tests.add(f"{suite}.{name}")
            self.ids += [(path, i) for i in ID.findall(name)]
        if path.startswith(CODE):
            for name, function in guards(text):
                self.sites.setdefault(name, set()).add((function, path))
        for lines in comments(text):
            self.ids += [(path, i) for i in ID.findall("\n".join(lines))]
            for ids, drawing in drawings_in(lines, path):
                for rule_id in ids:
                    self.drawings.setdefault(rule_id, []).append(drawing)


# ---- Checking ------------------------------------------------------------------------------------

def check_rule(book, rule):
    faults = []
    sites = book.sites.get(rule.name, set())
    if rule.function is None:
        faults.append(f'"{rule.where}" is not "function() in file"')
    elif not sites:
        faults.append(f"no rule({rule.name}) enforces it")
    elif sites != {(rule.function, rule.file)}:
        there = ", ".join(sorted(f"{function}() in {path}" for function, path in sites))
        faults.append(f"enforced by {there}; the table says {rule.where}")
    if rule.by not in book.oracles and rule.by not in book.tests:
        faults.append(f'"{rule.by}" is neither an oracle nor a selftest')
    if not rule.steps()[1]:
        faults.append("nothing to run")
    if not rule.known:
        faults.append("not known by anything")
    if rule.needs not in book.needs:
        faults.append(f"needs {rule.needs}, which is not in RULE_NEEDS")
    drawn = book.drawings.get(rule.id, [])
    if len(drawn) != 1:
        where = " and ".join(d.path for d in drawn)
        faults.append(f"drawn in {where}" if drawn else "no comment draws it (RACE)")
    elif len(drawn[0].lines) < 2:
        faults.append(f"the drawing in {drawn[0].path} is empty")
    return [f"{TABLE}: {rule.id} {rule.name}: {fault}" for fault in faults]


def check_rules(book):
    """Whether table, guards, tests, drawings and ids agree."""
    faults, known = [], {rule.id for rule in book.rules}
    for what in ("id", "name"):
        seen = [getattr(rule, what) for rule in book.rules]
        faults += [f"{TABLE}: {what} {s} twice" for s in sorted(set(seen)) if seen.count(s) > 1]
    for rule in book.rules:
        faults += check_rule(book, rule)
    names = {rule.name for rule in book.rules}
    for name in sorted(set(book.sites) - names):
        faults.append(f"{TABLE}: rule({name}) is used and not in the table")
    for path, rule_id in sorted(set(book.ids)):
        if rule_id not in known:
            faults.append(f"{path}: {rule_id} is no rule of {TABLE}")
    return faults


def check_matrix(book, matrix):
    """Whether what the matrix last found is complete and speaks of these rules."""
    faults, names = [], [rule.name for rule in book.rules]
    if list(matrix) != names:
        changed = sorted(set(names).symmetric_difference(matrix)) or ["their order"]
        faults.append(f"{MATRIX}: not the rules of {TABLE}: {', '.join(changed)} (make rules)")
    for name, cells in matrix.items():
        if tuple(cells) != COLUMNS or not set(cells.values()) <= set(VERDICTS):
            faults.append(f"{MATRIX}: {name}: blank or unknown cells")
    return faults


def explored(book, rule, column):
    """(scenario, verdict) of the explorer."""
    return golden.verdicts(rule.id, book.root).get(golden.machine(column), ("", "nothing at all"))


def check_explored(book, matrix):
    """Whether matrix and explorer agree on every cell, or a difference is explained."""
    faults, differences = [], golden.Differences(book.root)
    for rule in book.rules:
        for column, verdict in matrix[rule.name].items():
            said, where = explored(book, rule, column)[1], golden.machine(column)
            kind = golden.kind(said)
            if kind not in EXPECTED[verdict] and (verdict in EXPLORED or not differences.explain(
                    "matrix", rule.id, where, verdict, kind)):
                faults.append(f"{MATRIX}: {rule.id} {rule.name}: {column}: {verdict}; "
                              f"{golden.path(rule.id)} says: {said} (make explore GOLDEN=update, "
                              f"or a reason in {golden.DIFFERENCES})")
    return faults + differences.needless("matrix")


def check_written(book, matrix):
    faults = []
    for path, due in ((BOOK, markdown(book, matrix)), (README, readme(book, matrix))):
        if not os.path.exists(os.path.join(book.root, path)) or read(book.root, path) != due:
            faults.append(f"{path}: not what the table and the comments say: run `make docs`")
    return faults


def check_tree(root="."):
    """All faults, as lines of text."""
    book = Book(root)
    faults = check_rules(book)
    matrix = load_matrix(root)
    faults += check_matrix(book, matrix) or check_explored(book, matrix)
    return faults or check_written(book, matrix)


# ---- Writing -------------------------------------------------------------------------------------

def load_matrix(root="."):
    try:
        return json.loads(read(root, MATRIX))
    except FileNotFoundError:
        return {}


def save_matrix(matrix, root="."):
    with open(os.path.join(root, MATRIX), "w", encoding="utf-8") as out:
        out.write("{\n")
        rows = [f' "{name}": {json.dumps(cells)}' for name, cells in matrix.items()]
        out.write(",\n".join(rows) + "\n}\n")


def cell_text(book, rule, column, verdict):
    if verdict == "caught":
        return f"caught by {rule.by}"
    if verdict in EXPLORED:
        scenario, said = explored(book, rule, column)
        why = book.needs[rule.needs][1] if verdict == "redundant" else "an emulator cannot show it"
        return f"{verdict}: {why}; without it the explorer comes to this: {said} (`{scenario}`)"
    return f"not applicable: {book.needs[rule.needs][1]}"


def verdict_lines(book, rule, cells):
    """The verdicts, columns that agree in one line."""
    by_text = {}
    for column, verdict in cells.items():
        by_text.setdefault(cell_text(book, rule, column, verdict), []).append(column)
    if list(by_text.values()) == [list(COLUMNS)]:
        return [f"- every port and transport: {list(by_text)[0]}"]
    return [f"- {', '.join(columns)}: {text}" for text, columns in by_text.items()]


def indented(lines):
    margin = min(len(line) - len(line.lstrip()) for line in lines if line)
    return [line[margin:] for line in lines]


def anchor(rule):
    return f"{rule.id}-{rule.name}".lower()


def capital(text):
    return text[0].upper() + text[1:]


def section(book, rule, cells):
    drawing = book.drawings[rule.id][0]
    out = [f"## {rule.id} {rule.name}", "", f"{capital(rule.sentence)}.", "",
           f"{capital(drawing.title.rstrip('.:'))}:", "", "```", *indented(drawing.lines), "```",
           "",
           f"- enforced by `{rule.function}()` in `{rule.file}`",
           f"- without it: `make run APPEND='{rule.append('ipi').replace('tlb=ipi ', '')}'`"]
    out += verdict_lines(book, rule, cells)
    return out + [f"- known by: {rule.known}", ""]


INTRO = """# The rules

Every ordering rule of the kernel: its sentence, the race that it prevents, the function that
enforces it, what takes it away, and who reports that. Each is an entry of `RULE_TABLE` in
`include/rules.h`; `rule(NAME)` stands in the one function that enforces it, and `knockout=NAME`
removes that rule alone. In the drawings time runs down, and each column is a CPU or an agent; they
stand in the code too, as comments marked RACE.

What reports a broken rule is an oracle of the debug build (`include/oracle.h`) or a selftest.
`make rules` takes each rule away on each port and with each transport, and wants the report.
*Not applicable*: the machine lacks what could be broken. *Redundant*: this transport makes the rule
unnecessary, which an emulator's silence does not prove; an exhausted exploration of the modelled
machine does (docs/explorer.md). *Explored*: an emulator cannot show it, and the explorer does.

This file is made from the table and the comments by `make docs`; `make lint` compares.
"""


def markdown(book, matrix):
    out = [INTRO, "| id | name | sentence |", "|---|---|---|"]
    for rule in book.rules:
        out.append(f"| [{rule.id}](#{anchor(rule)}) | {rule.name} | {rule.sentence} |")
    out.append("")
    for rule in book.rules:
        out += section(book, rule, matrix[rule.name])
    return "\n".join(out)


def readme_block(book, matrix):
    out = ["| id | rule | " + " | ".join(c.replace(" ", "<br>") for c in COLUMNS) + " |",
           "|---|---|" + ":-:|" * len(COLUMNS)]
    for rule in book.rules:
        letters = " | ".join(VERDICTS[v] for v in matrix[rule.name].values())
        out.append(f"| [{rule.id}]({BOOK}#{anchor(rule)}) | {rule.name} | {letters} |")
    return "\n".join(out) + "\n"


def readme(book, matrix):
    head, begin, rest = read(book.root, README).partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"{README}: no lines {BEGIN.strip()} and {END.strip()}")
    return head + begin + readme_block(book, matrix) + end + tail


def write(root="."):
    """Writes what is made from the table; returns what kept it from doing so."""
    book = Book(root)
    matrix = load_matrix(root)
    faults = check_rules(book) + (check_matrix(book, matrix) or check_explored(book, matrix))
    if not faults:
        for path, text in ((BOOK, markdown(book, matrix)), (README, readme(book, matrix))):
            with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                out.write(text)
    return faults


def main():
    faults = write()
    print("\n".join(faults) if faults else f"{BOOK} and the table in {README} are written")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
