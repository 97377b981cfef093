#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make lint: the rules of style that a script can check, over every source file of the tree.

Sizes, blanks, SPDX lines; no architecture conditional outside arch/; both ends of an ordering pair
exist and name each other. And what rulebook.py checks: rules against guards, drawings, documents;
and hardware.py: docs/hardware.md against the places that it lists.
"""
import os
import re
import sys

import hardware
import rulebook

LINE_MAX = 100
FILE_MAX = 600
FUNCTION_MAX = 80
MAKEFILE_MAX = 200
SKIP = {".git", "build", "__pycache__"}
CODE = (".c", ".h", ".S", ".py")
ARCH_IF = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b.*"
                     r"(?:__x86_64|__i386|__aarch64|__arm|__riscv|X86|ARM64|RISCV)")
# One sentence: names of functions, and then maybe the file that they are in.
PAIRS = re.compile(r"Pairs with\b((?:[^.:;]|\.(?=[chS]\b))*?\(\)(?:[^.:;]|\.(?=[chS]\b))*)", re.I)
PARTNER_FILE = re.compile(r"\b([\w/]+\.[chS])\b")
ORDERING = re.compile(r"(?:^|[.:] )(?:Orders|Full barrier|Acquire|Release)\b")


def sources(root="."):
    found = []
    for where, dirs, files in os.walk(root):
        dirs[:] = sorted(d for d in dirs if d not in SKIP)
        for name in sorted(files):
            path = os.path.relpath(os.path.join(where, name), root)
            if name.endswith(CODE) or path in ("Makefile", "scripts/setup", ".ci/run"):
                found.append(path)
    return found


def documents(root):
    """README and the guide: no line of theirs is measured."""
    return ["README.md"] + sorted(os.path.join("docs", name)
                                  for name in os.listdir(os.path.join(root, "docs"))
                                  if name.endswith(".md"))


def check_lines(path, lines):
    """Length, blanks and indentation of each line."""
    faults = []
    for number, line in enumerate(lines, 1):
        where = f"{path}:{number}: "
        if len(line.expandtabs(8)) > LINE_MAX:
            faults.append(where + f"{len(line.expandtabs(8))} columns, {LINE_MAX} at most")
        if line != line.rstrip():
            faults.append(where + "blanks at the end")
        if path.endswith((".c", ".h", ".S")):
            if re.match(r"\t* {8}", line):
                faults.append(where + "blanks where a tab was due")
            if not path.startswith("arch/") and ARCH_IF.match(line):
                faults.append(where + "architecture conditional outside arch/")
        elif path.endswith(".py") and "\t" in line:
            faults.append(where + "a tab in Python")
    return faults


MERGE = re.compile(r"(<{7} |>{7} |={7}$)")


def check_merged(path, lines):
    """What a merge could not decide must not stay in any file, documents included."""
    return [f"{path}:{number}: a mark of an unfinished merge"
            for number, line in enumerate(lines, 1) if MERGE.match(line)]


def check_file(path, lines):
    """What holds for a file as a whole."""
    faults = []
    limit = MAKEFILE_MAX if path == "Makefile" else FILE_MAX
    if len(lines) > limit:
        faults.append(f"{path}: {len(lines)} lines, {limit} at most")
    if not any("SPDX-License-Identifier: MIT" in line for line in lines[:2]):
        faults.append(f"{path}: no SPDX line at the top")
    if path.endswith(".c"):
        begin = 0
        for number, line in enumerate(lines, 1):
            if line == "{":
                begin = number
            elif line == "}" and begin:
                if number - begin - 1 > FUNCTION_MAX:
                    faults.append(f"{path}:{begin}: a function of {number - begin - 1} lines, "
                                  f"{FUNCTION_MAX} at most")
                begin = 0
    return faults


def flatten(comment):
    """A comment's text in one line."""
    inner = re.sub(r"^/\*|^//|\*/$", "", comment)
    return re.sub(r"\s*\n\s*\*?\s*", " ", inner).strip()


def functions(text):
    """(begin of what stands above it, its "{", its end, name) of each function in a C source."""
    found = []
    for match in re.finditer(r"^\{", text, re.M):
        gaps = ((text.rfind(gap, 0, match.start()), len(gap)) for gap in ("\n\n", "\n}\n"))
        above = max([at + length for at, length in gaps if at >= 0], default=0)
        head = re.sub(r"/\*.*?\*/|//[^\n]*", "", text[above:match.start()], flags=re.S)
        name = re.search(r"(\w+)\(", head)
        if name:
            # TEST(suite, name) is found by its name.
            test = re.match(r"TEST\(\w+, (\w+)\)", head.strip())
            found.append((above, match.start(), text.find("\n}", match.start()),
                          (test or name)[1]))
    return found


def owner(spans, at):
    """The function that a comment at this place belongs to: it is in it, or right above it."""
    return next((name for above, _, end, name in spans if above <= at <= end), None)


class Pair:
    """One "Pairs with" sentence: the function it stands in, those it names, and their file."""

    def __init__(self, function, sentence):
        self.function = function
        sentence = re.split(r",? as in ", sentence)[0]
        self.names = re.findall(r"(\w+)\(\)", sentence)
        match = PARTNER_FILE.search(sentence)
        self.file = match[1] if match else None


def pairs_in(text):
    """The pairs of a source text, and its ordering comments that name no partner."""
    found, lonely, spans = [], [], functions(text)
    for match in re.finditer(r"/\*.*?\*/|//[^\n]*", text, re.S):
        flat = flatten(match[0])
        found += [Pair(owner(spans, match.start()), m[1]) for m in PAIRS.finditer(flat)]
        if ORDERING.search(flat) and "airs with" not in flat:
            lonely.append(text.count("\n", 0, match.start()) + 1)
    return found, lonely


def resolve(name, path, texts):
    """The file that a comment in path means by name: the nearest one that is called so."""
    if name is None:
        return path
    found = [p for p in texts if p == name or p.endswith("/" + name)]
    here = os.path.dirname(path)
    found.sort(key=lambda p: (os.path.dirname(p) != here, p.split("/")[:2] != path.split("/")[:2]))
    return found[0] if found else None


def names_back(pair, name, path, other, pairs, texts):
    """
    Whether function `name` of file `other` has a pair that leads back to this one's function.

    What is not defined there is an operation ("the xchg() in f()"), and has no comment of its own.
    """
    if name not in {f[3] for f in functions(texts[other])} and len(pair.names) > 1:
        return True
    for back in pairs[other]:
        there = resolve(back.file, other, texts)
        same = there == path or os.path.basename(there or "") == os.path.basename(path)
        if same and (pair.function is None or pair.function in back.names) and \
                back.function in (name, None):
            return True
    return False


def check_pairs(texts):
    """Each ordering comment's partner exists, and names this end in turn."""
    faults, pairs = [], {}
    for path, text in texts.items():
        pairs[path], lonely = pairs_in(text)
        if path.endswith(".c"):  # a header's contract promises an order to whoever relies on it
            faults += [f"{path}:{line}: orders something, and pairs with nothing"
                       for line in lonely]
    for path, found in pairs.items():
        for pair in found:
            other = resolve(pair.file, path, texts)
            if other is None:
                faults.append(f"{path}: pairs with something in {pair.file}, which is not there")
                continue
            for name in pair.names:
                if not re.search(rf"\b{name}\b", re.sub(r"[Pp]airs with [^.]*", "", texts[other])):
                    faults.append(f"{path}: pairs with {name}(), which is not in {other}")
                elif not names_back(pair, name, path, other, pairs, texts):
                    faults.append(f"{path}: {pair.function}() pairs with {name}() in {other}, "
                                  "which does not name it in turn")
    return faults


def check_tree(root="."):
    """All faults, as lines of text."""
    faults, texts = [], {}
    for path in sources(root):
        with open(os.path.join(root, path), encoding="utf-8") as source:
            text = source.read()
        lines = text.split("\n")
        if lines[-1]:
            faults.append(f"{path}: no newline at the end")
        else:
            lines.pop()
        faults += check_lines(path, lines) + check_merged(path, lines) + check_file(path, lines)
        if path.endswith((".c", ".h", ".S")):
            texts[path] = text
    for path in documents(root):
        with open(os.path.join(root, path), encoding="utf-8") as document:
            faults += check_merged(path, document.read().split("\n"))
    return faults + check_pairs(texts)


def main():
    faults = check_tree() + rulebook.check_tree() + hardware.check_tree()
    print("\n".join(faults) if faults else "no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
