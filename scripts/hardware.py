# SPDX-License-Identifier: MIT
"""docs/hardware.md against the code: each place is there, and cites what the table cites.

A row: | `file`: `symbol` | what is done | who asks for it |. The symbol's definition, with the
comment above it, must name the manual and, if the row has one, the section; what the row says of
it in words need not be the same.
"""
import os
import re

TABLE = "docs/hardware.md"
ROW = re.compile(r"\| `([^`]+)`: `(\w+)` \| ([^|]+) \| ([^|]+) \|")
MANUALS = ("DDI 0487", "IHI 0069", "SDM vol. 3", "SDM vol. 2", "MP specification", "PLIC",
           "unprivileged", "privileged", "rrata notice")
SECTION = re.compile(r"\b(?:[A-Z]\d+|[A-Z]\.\d+|\d+(?:\.\d+)+|\d{6})\b")
ABOVE, BELOW = 22, 45  # lines around a label or a definition of the preprocessor


def definition(lines, symbol):
    """The line that defines it: a function, a label, a macro; None if nothing does."""
    forms = (rf"^{symbol}:", rf"^\s*#define {symbol}\b", rf"^\.macro {symbol}\b",
             rf"^(?!\s|#|/|\*).*\b{symbol}\(.*\)$", rf"^(?!\s|#|/|\*).*\b{symbol}\([^;]*,$")
    for form in forms:
        for number, line in enumerate(lines):
            if re.match(form, line):
                return number
    return None


def region(lines, number):
    """The comment above a definition, and its body."""
    begin = end = number
    while begin > 0 and number - begin < ABOVE and lines[begin - 1].strip() and \
            not lines[begin - 1].startswith("}"):
        begin -= 1
    while end + 1 < len(lines) and end - number < BELOW and not lines[end].startswith("}"):
        end += 1
    return re.sub(r"\s*\n\s*\*?\s*", " ", "\n".join(lines[begin:end + 1]))


def check_row(root, path, symbol, asks):
    """What is wrong with one row, as a list of texts."""
    where = f"{TABLE}: {symbol} in {path}"
    try:
        with open(os.path.join(root, path), encoding="utf-8") as source:
            lines = source.read().split("\n")
    except OSError:
        return [f"{where}: there is no such file"]
    number = definition(lines, symbol)
    if number is None:
        return [f"{where}: is not defined there"]
    manuals = [manual for manual in MANUALS if re.search(rf"(?<!n){re.escape(manual)}", asks)]
    if not manuals:
        return [f"{where}: cites no manual"]
    text = region(lines, number)
    wanted = manuals + [s for s in SECTION.findall(asks) if s not in ("0487", "0069")]
    return [f"{where}: the code does not cite {word!r}" for word in wanted if word not in text]


def check_tree(root="."):
    with open(os.path.join(root, TABLE), encoding="utf-8") as table:
        lines = table.read().split("\n")
    faults, rows = [], 0
    for line in lines:
        match = ROW.fullmatch(line)
        if match:
            rows += 1
            faults += check_row(root, match[1], match[2], match[4])
        elif line.startswith("| `"):
            faults.append(f"{TABLE}: not a row that can be checked: {line[:60]}")
    return faults if rows else faults + [f"{TABLE}: no rows"]
