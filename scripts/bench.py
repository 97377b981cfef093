#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make bench: what operations cost, beside Linux and beside the limits that the tree sets itself.

    bench.py PORT...    with LANE, BASE, CHECK, ACCEPT, DRY, V of `make help` from make

Lane insn counts instructions on one emulated CPU, two for what takes two, and repeats to the digit.
CHECK=1 runs it twice, wants the same figures, and none above tests/bench/instructions.json by more
than SLACK; ACCEPT=1 writes that file and the tables of docs/performance.md. Lane smp is in
bench_smp.py, and CHECK=1 without LANE checks both; lanes host and time are in
bench_host.py and bench_time.py.
"""
import os
import re
import subprocess
import sys

import bench_host
import bench_plot
import bench_rows
import bench_run
import bench_smp
import bench_time
import doctor
import qemu
import test
from bench_run import BOX, DOCUMENT, OUT, Failed, load, not_equal, run, save, say, show

ACCEPTED = os.path.join(bench_run.HERE, "../tests/bench/instructions.json")
SLACK = 0.02
# name, CPUs, memory. Without expedited on riscv64: tests/bench/bench_pair.c says why.
INSN = (("insn", 1, "256M"), ("period", 2, "256M"), ("ipi", 2, "256M"), ("expedited", 2, "256M"))
SWEEP = (("sweep", 1, "1G"),)


# A line of the map of a link: what a file brings to the image, if that is not zeroed memory.
BROUGHT = re.compile(r"^ \.(?!bss)\S+\s+0x(\w+)\s+0x(\w+) (\S+)$", re.M)
PARTS = {"tests": "tests", "syms.o": "symbols"}  # all else is the kernel


def measure_size(arch):
    """Bytes of text and data in the image of the release build, and a list by object."""
    folder = qemu.output_dir({"arch": arch, **BOX})
    with open(f"{folder}/grace.map", encoding="utf-8") as file:
        brought = BROUGHT.findall(file.read())
    sizes, figures = {}, {}
    for address, size, path in brought:
        inside = path.startswith(folder)
        name = os.path.relpath(path, folder) if inside else "kernel, compiled as one"
        if int(address, 16) >> 63 and int(size, 16):
            sizes[name] = sizes.get(name, 0) + int(size, 16)
    os.makedirs(OUT, exist_ok=True)
    with open(f"{OUT}/{arch}-size.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{sizes[name]:7} {name}\n" for name in
                        sorted(sizes, key=sizes.get, reverse=True))
    for name, size in sizes.items():
        row = "size-" + PARTS.get(name.split("/", maxsplit=1)[0], "kernel")
        figures[row] = [figures.get(row, [0])[0] + size, 1]
    return figures


def measure(arch, sets):
    figures = measure_size(arch)
    for name, cpus, mem in sets:
        if name == "expedited" and arch == "riscv64":
            say("riscv64: row gp-expedited SKIPPED: QEMU lets no other CPU run while one waits in "
                "PAUSE under -icount")
            continue
        figures.update(run(bench_run.counted(arch, name, cpus, mem), cpus, name,
                           f"{OUT}/{arch}-{name}.log"))
    return figures


# ---- Tables --------------------------------------------------------------------------------------

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


def say_changes(arch, base, now):
    for name, before, after in changes(base, now):
        part = f" {(after / before - 1) * 100:+.1f} %" if before and after is not None else ""
        say(f"{arch}: {name}: {show(before)} -> {show(after)}{part}")


# ---- The lanes -----------------------------------------------------------------------------------

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
    for arch, rows in figures.items():
        bench_run.write_between(DOCUMENT, arch, bench_run.markdown(
            table_cells(arch, bench_rows.per_op(rows))))


def lane_insn(ports):
    figures = {}
    for arch in ports:
        figures[arch] = measure(arch, INSN + SWEEP)
        say(f"\n{arch}: instructions an operation\n" +
            bench_run.plain(table_cells(arch, bench_rows.per_op(figures[arch]))))
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


def insn_commands(arch):
    return [bench_run.counted(arch, *one) for one in INSN + SWEEP]


# name: (builds, command lines for a port, what measures, what checks)
LANES = {"insn": ((BOX,), insn_commands, lane_insn, lane_check),
         "smp": ((bench_smp.BOX,), bench_smp.commands, bench_smp.lane, bench_smp.check),
         "host": ((), lambda arch: [], bench_host.lane, bench_host.check),
         "time": ((BOX,), bench_time.commands, bench_time.lane, bench_time.check)}


def wanted():
    """The lanes asked for: without LANE the instructions, or with CHECK=1 all that is held."""
    if test.asked("LANE"):
        return [test.asked("LANE")]
    return ["insn", "smp"] if test.asked("CHECK") else ["insn"]


def run_lane(name, ports):
    boxes, commands, measure_lane, check_lane = LANES[name]
    if test.asked("DRY"):
        for arch in ports:
            say("\n".join(map(qemu.show, commands(arch))))
        return 0
    for arch in ports:
        for box in boxes:
            failure = test.build({"arch": arch, **box})
            if failure is not None:
                say(failure)
                return 1
    try:
        return (check_lane if test.asked("CHECK") else measure_lane)(ports)
    except Failed as error:
        say(str(error))
        return 1


def main():
    ports = sys.argv[1:] or list(qemu.PORTS)
    for lane in wanted():
        if lane not in LANES:
            print(f"make: LANE={lane}: accepted are {', '.join(LANES)}", file=sys.stderr)
            return qemu.STATUS_USAGE
    return max(run_lane(lane, ports) for lane in wanted())


if __name__ == "__main__":
    sys.exit(main())
