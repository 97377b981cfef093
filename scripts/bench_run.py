# SPDX-License-Identifier: MIT
"""What the lanes of `make bench` share: one run of a guest, its figures, and files of figures."""
import json
import os
import re

import guest
import qemu
import test

OUT = "build/bench"
HERE = os.path.dirname(os.path.abspath(__file__))
DOCUMENT = os.path.join(HERE, "../docs/performance.md")
# What is measured. Not from the environment: of a figure it must be known what it is of.
BOX = {"build": "release", "rules": "fixed", "page_size": "4K", "boot": "", "accel": "tcg",
       "gic": "", "machine": ""}
CPU = {"x86_64": "max,-erms,-fsrm,-rdrand,-rdseed"}  # rep stos: one count a turn, so not by bytes
# A flush request without the firmware's part: there interrupts go from CPU to CPU.
MACHINE = {("riscv64", "ipi"): "virt,aia=aplic-imsic"}
# One tick of the clock for each instruction, and nothing in the machine that is not the same twice.
COUNTED = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm"]
TIME_LIMIT = 300
LINE = re.compile(r"^BENCH (\S+) (\d+) (\d+)$")


class Failed(Exception):
    """A run that gave no figures; the text says why and where its log is."""


def say(text=""):
    print(text, flush=True)


def counted(arch, name, cpus, mem, box=None):
    """The command line of a machine that counts instructions, running that set of benchmarks."""
    box, command = (box, "bench-") if box else (BOX, "bench ")
    box = {**box, "machine": MACHINE.get((arch, name), box["machine"])}
    w = qemu.from_environment(**box, arch=arch, cpus=cpus, mem=mem, cpu=CPU.get(arch, ""),
                              append=f'run="{command}{name};poweroff"')
    words = qemu.command(w)
    words[words.index("-accel") + 1] = "tcg,thread=single"
    return words + COUNTED


def parse(text):
    """{row: [total, operations]}, in the order of the run."""
    return {m[1]: [int(m[2]), int(m[3])] for m in map(LINE.match, text) if m}


def run(words, cpus, name, log):
    """The figures of one boot with that command line; name: the set that it says the end of."""
    if test.asked("V"):
        say(qemu.show(words))
    outcome = guest.Guest(words, cpus, log, TIME_LIMIT).run()
    lines = outcome.lines()
    if outcome.trouble or outcome.said != 0 or f"BENCH-END {name} 0" not in lines:
        said = [line for line in lines if line.startswith("BENCH-FAILED")]
        why = "; ".join(said) or outcome.trouble or f"it ended with status {outcome.said}"
        raise Failed(f"bench {name}: {why}; log: {log}")
    return parse(lines)


def show(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}".removesuffix(".0")


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"\[\s+([^][]*?),\s+([^][]*?)\s+\]", r"[\1, \2]",
                          json.dumps(data, indent=1)) + "\n")


def not_equal(arch, first, second):
    faults = [f"{arch}: {name}: {first.get(name)} in one run, {second.get(name)} in the next"
              for name in sorted(set(first) | set(second)) if first.get(name) != second.get(name)]
    say(f"{arch}: {len(first)} figures, " + ("not the same twice" if faults else
                                             "the same twice, to the digit"))
    return faults


def markdown(lines):
    """lines: the cells of each, the head first; the first and the last column are text."""
    lines = [list(line) for line in lines]
    lines.insert(1, ["---"] + ["--:"] * (len(lines[0]) - 2) + ["---"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain(lines):
    """The same for a terminal."""
    last = len(lines[0]) - 1
    widths = [max(len(line[i]) for line in lines) for i in range(last + 1)]
    return "\n".join("  ".join(c.rjust(w) if 0 < i < last else c.ljust(w) for i, (c, w) in
                               enumerate(zip(line, widths))).rstrip() for line in lines)


def write_between(path, mark, text):
    """Puts text between the marks of that name in a document."""
    with open(path, encoding="utf-8") as file:
        old = file.read()
    new = re.sub(f"(<!-- {mark}: begin -->\n).*?(<!-- {mark}: end -->)",
                 lambda m: m[1] + text + "\n" + m[2], old, flags=re.S)
    with open(path, "w", encoding="utf-8") as file:
        file.write(new)
