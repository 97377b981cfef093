#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make bench: what operations cost, beside Linux and beside the limits that the tree sets itself.

    bench.py PORT...    with LANE, BASE, CHECK, ACCEPT, DRY, V of `make help` from make

Lane insn counts instructions on one emulated CPU, two for what takes two, and repeats to the digit.
CHECK=1 runs it twice, wants the same figures, and none above tests/bench/instructions.json by more
than SLACK; ACCEPT=1 writes that file and the tables of docs/performance.md.
"""
import json
import os
import re
import subprocess
import sys

import bench_plot
import bench_rows
import doctor
import guest
import qemu
import test

OUT = "build/bench"
HERE = os.path.dirname(os.path.abspath(__file__))
ACCEPTED = os.path.join(HERE, "../tests/bench/instructions.json")
DOCUMENT = os.path.join(HERE, "../docs/performance.md")
SLACK = 0.02
TIME_LIMIT = 300
BOX = {"build": "release", "rules": "fixed", "page_size": "4K", "boot": "", "accel": "tcg",
       "gic": "", "machine": ""}
# One tick of the clock for each instruction, and nothing in the machine that is not the same twice.
COUNTED = ["-icount", "shift=0,sleep=off", "-rtc", "base=2024-01-01,clock=vm"]
CPU = {"x86_64": "max,-erms,-fsrm,-rdrand,-rdseed"}  # rep stos: one count a turn, so not by bytes
# name, CPUs, memory. Without ipi on riscv64: tests/bench/bench_pair.c says why.
INSN = (("insn", 1, "256M"), ("period", 2, "256M"), ("ipi", 2, "256M"))
SWEEP = (("sweep", 1, "1G"),)
LINE = re.compile(r"^BENCH (\S+) (\d+) (\d+)$")


class Failed(Exception):
    """A run that gave no figures; the text says why and where its log is."""


def say(text=""):
    print(text, flush=True)


def command(arch, name, cpus, mem):
    w = qemu.from_environment(**BOX, arch=arch, cpus=cpus, mem=mem, cpu=CPU.get(arch, ""),
                              append=f'run="bench {name};poweroff"')
    words = qemu.command(w)
    words[words.index("-accel") + 1] = "tcg,thread=single"
    return words + COUNTED


def parse(text):
    """{row: [total, operations]}, in the order of the run."""
    return {m[1]: [int(m[2]), int(m[3])] for m in map(LINE.match, text) if m}


def run(arch, name, cpus, mem):
    """The figures of one boot."""
    log = f"{OUT}/{arch}-{name}.log"
    words = command(arch, name, cpus, mem)
    if test.asked("V"):
        say(qemu.show(words))
    outcome = guest.Guest(words, cpus, log, TIME_LIMIT).run()
    lines = outcome.lines()
    if outcome.trouble or outcome.said != 0 or f"BENCH-END {name} 0" not in lines:
        said = [line for line in lines if line.startswith("BENCH-FAILED")]
        why = "; ".join(said) or outcome.trouble or f"it ended with status {outcome.said}"
        raise Failed(f"{arch}: bench {name}: {why}; log: {log}")
    return parse(lines)


SIZES = {"arch": "kernel", "drivers": "kernel", "kernel": "kernel", "mm": "kernel",
         "tests": "tests", "syms.o": "symbols"}


def measure_size(arch):
    """Bytes of text and data that the objects of the release build bring, and a list by object."""
    folder = qemu.output_dir({"arch": arch, **BOX})
    objects = sorted(os.path.join(path, name) for path, _, names in os.walk(folder)
                     for name in names if name.endswith(".o") and name != "syms0.o"
                     and "shim" not in path)
    done = subprocess.run(["size", *objects], stdout=subprocess.PIPE, text=True, check=True)
    rows = [line.split() for line in done.stdout.splitlines()[1:]]
    sizes = sorted(((int(r[0]) + int(r[1]), os.path.relpath(r[5], folder)) for r in rows),
                   reverse=True)
    os.makedirs(OUT, exist_ok=True)
    with open(f"{OUT}/{arch}-size.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{size:7} {name}\n" for size, name in sizes)
    figures = {}
    for size, name in sizes:
        row = "size-" + SIZES[name.split("/")[0]]
        figures[row] = [figures.get(row, [0])[0] + size, 1]
    return figures


def measure(arch, sets):
    figures = measure_size(arch)
    for name, cpus, mem in sets:
        if name == "ipi" and arch == "riscv64":
            say("riscv64: row ipi SKIPPED: QEMU lets no other CPU run while one waits in PAUSE "
                "under -icount")
            continue
        figures.update(run(arch, name, cpus, mem))
    return figures


# ---- Tables --------------------------------------------------------------------------------------

def show(value):
    if value is None:
        return "-"
    if value >= 1000:
        return f"{value:,.0f}"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}".removesuffix(".0")


def cells(row, arch, ours):
    """The cells of a row of the table."""
    linux, limit = row.linux_less_entry(arch), row.limit[arch]
    verdict = "" if limit is None else "holds" if ours <= limit else "LOSES"
    return (row.name, show(row.linux[arch]), show(linux), show(limit), show(ours),
            show(linux / ours if linux else None), show(ours / limit if limit else None), verdict)


HEAD = ("row", "Linux 6.1", "less entry", "ours at most", "ours", "Linux / ours", "ours / limit",
        "limit")


def table_cells(arch, cost):
    return [HEAD] + [cells(row, arch, cost[row.name]) for row in bench_rows.ROWS
                     if row.name in cost]


def text_table(arch, cost):
    lines = table_cells(arch, cost)
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    return "\n".join("  ".join(c.rjust(w) if 0 < i < 7 else c.ljust(w) for i, (c, w) in
                               enumerate(zip(line, widths))).rstrip() for line in lines)


def markdown(arch, cost):
    lines = table_cells(arch, cost)
    lines.insert(1, ["---"] + ["--:"] * 6 + ["---"])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


# ---- Comparing -----------------------------------------------------------------------------------

def tools():
    """What the figures depend on beside the tree: the compilers and the emulators."""
    names = {"x86_64": ("gcc", "qemu-system-x86_64"),
             "arm64": ("aarch64-linux-gnu-gcc", "qemu-system-aarch64"),
             "riscv64": ("riscv64-linux-gnu-gcc", "qemu-system-riscv64")}
    found = {}
    for arch, (compiler, emulator) in names.items():
        flags = f"{qemu.output_dir({'arch': arch, **BOX})}/flags"
        if os.path.exists(flags):
            with open(flags, encoding="utf-8") as file:
                compiler = file.read().split()[0]
        found[arch] = [version_of(compiler), version_of(os.environ.get("QEMU") or emulator)]
    return found


def version_of(program):
    try:
        done = subprocess.run([program, "--version"], stdout=subprocess.PIPE, text=True,
                              stderr=subprocess.DEVNULL, check=False)
    except FileNotFoundError:
        return "none"
    return ".".join(map(str, doctor.version(done.stdout)))


def changes(base, now, slack=SLACK):
    """[(row, before, after)] of the costs that differ by more than slack, or are new or gone."""
    before, after = bench_rows.per_op(base), bench_rows.per_op(now)
    found = []
    for name in list(before) + [n for n in after if n not in before]:
        a, b = before.get(name), after.get(name)
        if a is None or b is None or abs(b - a) > slack * a:
            found.append((name, a, b))
    return found


def load(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file)


def save(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(re.sub(r"\[\s+([^][]*?),\s+([^][]*?)\s+\]", r"[\1, \2]",
                          json.dumps(data, indent=1)) + "\n")


def say_changes(arch, base, now):
    for name, before, after in changes(base, now):
        part = f" {(after / before - 1) * 100:+.1f} %" if before and after is not None else ""
        say(f"{arch}: {name}: {show(before)} -> {show(after)}{part}")


# ---- The lanes -----------------------------------------------------------------------------------

def not_equal(arch, first, second):
    faults = [f"{arch}: {name}: {first.get(name)} in one run, {second.get(name)} in the next"
              for name in sorted(set(first) | set(second)) if first.get(name) != second.get(name)]
    say(f"{arch}: {len(first)} figures, " + ("not the same twice" if faults else
                                             "the same twice, to the digit"))
    return faults


def grown(arch, base, now):
    """Rows above what is accepted, or gone, or not accepted yet. Sweeps are not held."""
    faults = []
    for name, before, after in changes({n: v for n, v in base.items() if "/" not in n}, now):
        if before is None or after is None or after > before:
            faults.append(f"{arch}: {name}: {show(after)}, accepted are {show(before)}: find out "
                          "why it grew, or say in the commit why it must (make bench ACCEPT=1)")
        else:
            say(f"{arch}: {name}: {show(before)} -> {show(after)}: better than what is accepted")
    return faults


def check(arch, accepted):
    """What is wrong with the figures of a port: not the same twice, or grown."""
    first = measure(arch, INSN)
    faults = not_equal(arch, first, measure(arch, INSN))
    if tools()[arch] != accepted["tools"].get(arch):
        say(f"{arch}: SKIPPED: the accepted figures are those of compiler and QEMU "
            f"{accepted['tools'].get(arch)}, not of {tools()[arch]}")
        return faults
    return faults + grown(arch, accepted["figures"].get(arch, {}), first)


def plots(figures):
    for sweep, title in bench_rows.SWEEPS.items():
        lines = {}
        for arch, rows in figures.items():
            points = [(int(name.split("/")[1]), total / ops) for name, (total, ops) in
                      rows.items() if name.startswith(sweep + "/")]
            if points:
                lines[arch] = points
        if lines:
            bench_plot.write(f"{OUT}/{sweep}.svg", title, lines)


def write_document(figures):
    with open(DOCUMENT, encoding="utf-8") as file:
        text = file.read()
    for arch, rows in figures.items():
        text = re.sub(f"(<!-- {arch}: begin -->\n).*?(<!-- {arch}: end -->)",
                      lambda m, a=arch, r=rows: m[1] + markdown(a, bench_rows.per_op(r)) + "\n" +
                      m[2], text, flags=re.S)
    with open(DOCUMENT, "w", encoding="utf-8") as file:
        file.write(text)


def lane_insn(ports):
    figures = {}
    for arch in ports:
        figures[arch] = measure(arch, INSN + SWEEP)
        say(f"\n{arch}: instructions an operation\n" +
            text_table(arch, bench_rows.per_op(figures[arch])))
    plots(figures)
    result = {"tools": {a: v for a, v in tools().items() if a in figures}, "figures": figures}
    save(f"{OUT}/instructions.json", result)
    say(f"\n{OUT}/instructions.json; plots: " +
        ", ".join(f"{OUT}/{sweep}.svg" for sweep in bench_rows.SWEEPS))
    if test.asked("BASE"):
        base = load(test.asked("BASE"))["figures"]
        for arch in figures:
            say_changes(arch, base.get(arch, {}), figures[arch])
    if test.asked("ACCEPT"):
        accepted = load(ACCEPTED) if os.path.exists(ACCEPTED) else {"tools": {}, "figures": {}}
        for key, value in result.items():
            accepted[key].update(value)
        save(ACCEPTED, accepted)
        write_document(accepted["figures"])
    return 0


def lane_check(ports):
    accepted = load(ACCEPTED)
    faults = [fault for arch in ports for fault in check(arch, accepted)]
    say("\n".join(faults))
    return 1 if faults else 0


LANES = {"insn": lane_insn}


def main():
    ports, lane = sys.argv[1:] or list(qemu.PORTS), test.asked("LANE") or "insn"
    if lane not in LANES:
        print(f"make: LANE={lane}: accepted are {', '.join(LANES)}", file=sys.stderr)
        return qemu.STATUS_USAGE
    if test.asked("DRY"):
        for arch in ports:
            for name, cpus, mem in INSN + SWEEP:
                say(qemu.show(command(arch, name, cpus, mem)))
        return 0
    for arch in ports:
        failure = test.build({"arch": arch, **BOX})
        if failure is not None:
            say(failure)
            return 1
    try:
        return (lane_check if test.asked("CHECK") else LANES[lane])(ports)
    except Failed as error:
        say(str(error))
        return 1


if __name__ == "__main__":
    sys.exit(main())
