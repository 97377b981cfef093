#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make lint: the rules of style that a script can check, over every source file of the tree.

Sizes, blanks, SPDX lines; no architecture conditional outside arch/; both ends of an ordering pair
exist and name each other.
"""
import os
import re
import sys

LINE_MAX = 100
FILE_MAX = 600
FUNCTION_MAX = 80
MAKEFILE_MAX = 200
SKIP = {".git", "build", "__pycache__"}
CODE = (".c", ".h", ".S", ".py")
ARCH_IF = re.compile(r"\s*#\s*(?:if|ifdef|ifndef|elif)\b.*"
                     r"(?:__x86_64|__i386|__aarch64|__arm|__riscv|X86|ARM64|RISCV)")
PAIRS = re.compile(r"Pairs with\s+((?:\w+\(\)(?:, and\s+|,\s+|\s+and\s+)?)+)"
                   r"(?:\s*in\s+([\w./]+\.[chS]))?")


def sources(root="."):
    found = []
    for where, dirs, files in os.walk(root):
        dirs[:] = sorted(d for d in dirs if d not in SKIP)
        for name in sorted(files):
            path = os.path.relpath(os.path.join(where, name), root)
            if name.endswith(CODE) or path in ("Makefile", "scripts/setup", ".ci/run"):
                found.append(path)
    return found


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


def pairs_in(text):
    """(names of functions, file name or None) of each "Pairs with" in a source text."""
    flat = re.sub(r"\s*\n\s*(?:\*(?!/)|//)?\s*", " ", text)
    return [(re.findall(r"(\w+)\(\)", m[1]), m[2]) for m in PAIRS.finditer(flat)]


def resolve(name, path, texts):
    """The file that a comment in path means by name: the nearest one that is called so."""
    if name is None:
        return path
    found = [p for p in texts if p == name or p.endswith("/" + name)]
    here = os.path.dirname(path)
    found.sort(key=lambda p: (os.path.dirname(p) != here, p.split("/")[:2] != path.split("/")[:2]))
    return found[0] if found else None


def check_pairs(texts):
    """Each ordering comment's partner exists, and its file names this one in turn."""
    faults = []
    pairs = {path: pairs_in(text) for path, text in texts.items()}
    for path, found in pairs.items():
        for names, file_name in found:
            other = resolve(file_name, path, texts)
            if other is None:
                faults.append(f"{path}: pairs with something in {file_name}, which is not there")
                continue
            for name in names:
                if not re.search(rf"\b{name}\b", texts[other].replace(f"Pairs with {name}()", "")):
                    faults.append(f"{path}: pairs with {name}(), which is not in {other}")
            back = [resolve(f, other, texts) for _, f in pairs[other]]
            if other != path and path not in back and \
                    os.path.basename(path) not in [os.path.basename(b or "") for b in back]:
                faults.append(f"{path}: pairs with {', '.join(names)} in {other}, "
                              "which has no pair here")
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
        faults += check_lines(path, lines) + check_file(path, lines)
        if path.endswith((".c", ".h", ".S")):
            texts[path] = text
    return faults + check_pairs(texts)


def main():
    faults = check_tree()
    print("\n".join(faults) if faults else "no faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
