#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make machines: each machine that QEMU has for Grace: selftests, a short race, a table.

    machines.py PORT...     with CONFIG=GLOB, STRESS, V, DRY of `make help` from make

The machines are those among the configurations of configs.py that `make test` runs, and MACHINES
here, which take longer or differ less. What this QEMU or this host does not have is SKIPped with
the reason: QEMU is asked, by starting the machine with its CPUs stopped.
"""
import copy
import fnmatch
import os
import re
import subprocess
import sys

import configs
import qemu
import report
import test

RACE = 2    # seconds, at least, of the race on each machine
LONGER = 5  # times as long it is, once more, where it met too little to count
X86, ARM, RISCV = ("x86_64",), ("arm64",), ("riscv64",)
Machine = configs.Config


def numa(half):
    """Two nodes with memory and CPUs of their own, and a third that has CPUs only."""
    return (f"-object memory-backend-ram,id=a,size={half} -object memory-backend-ram,id=b,"
            f"size={half} -numa node,memdev=a,cpus=0-1 -numa node,memdev=b,cpus=2 "
            "-numa node,cpus=3")


# With so much memory none runs out by itself: there the fallback is asked for by fault=. Of 64 CPUs
# a host may not run some for long: watchdog= bears with that.
MACHINES = (
    Machine("1cpu", cpus=1),
    Machine("3cpus", cpus=3),
    Machine("64cpus", ports=X86 + ARM, cpus=64, mem="1G",
            options="fault=batch:3 watchdog=60", tests="arch.*"),
    # Firmware's fences wait for each hart: with few cores under 64 of them no race gets anywhere.
    Machine("64cpus", ports=RISCV, machine="virt,aclint=on", cpus=64, mem="1G",
            options="fault=batch:3 watchdog=60", tests="arch.*"),
    Machine("24M", mem="24M", cpus=2, tests="arch.*"),
    Machine("3G", mem="3G"),
    Machine("16G", mem="16G", options="fault=batch:20", tests="page.*"),
    Machine("64G", mem="64G", options="fault=batch:20", tests="arch.*"),
    Machine("numa", ports=X86 + ARM, qemu_args=numa("128M")),

    Machine("pc", ports=X86, machine="pc"),
    Machine("no-hpet", ports=X86, machine="q35,hpet=off", tests="arch.*"),
    Machine("microvm", ports=X86, machine="microvm,acpi=on"),
    Machine("microvm-no-acpi", ports=X86, machine="microvm,acpi=off", cpus=1, tests="arch.*"),
    Machine("microvm-2-ioapics", ports=X86, machine="microvm,ioapic2=on", tests="arch.*"),
    Machine("threads", ports=X86, qemu_args="-smp 4,sockets=2,cores=1,threads=2", tests="arch.*"),
    Machine("qboot", ports=X86, qemu_args="-bios /usr/share/qemu/qboot.rom", tests="arch.*"),
    Machine("pc-uboot", ports=X86, machine="pc", boot="uboot", tests="arch.*"),
    Machine("pc-grub", ports=X86, machine="pc", boot="grub", tests="arch.*"),
    Machine("max-no-la57", ports=X86, cpu="max,la57=off"),
    Machine("max-no-smap", ports=X86, cpu="max,smap=off,smep=off"),
    Machine("max-no-1g", ports=X86, cpu="max,pdpe1gb=off"),
    Machine("pcid", ports=X86, cpu="max,+pcid,+invpcid"),
    Machine("pcid-only", ports=X86, cpu="max,+pcid,-invpcid"),
    Machine("x2apic", ports=X86, cpu="max,+x2apic"),
    Machine("tsc-deadline", ports=X86, cpu="max,+tsc-deadline"),
    Machine("Nehalem", ports=X86, cpu="Nehalem"),
    Machine("EPYC", ports=X86, cpu="EPYC-v1,-pcid", tests="arch.*"),

    Machine("max-gicv2", ports=ARM, gic=2),
    Machine("cortex-a72", ports=ARM, cpu="cortex-a72"),
    Machine("cortex-a53", ports=ARM, cpu="cortex-a53", tests="arch.*"),
    Machine("neoverse-n1", ports=ARM, cpu="neoverse-n1", tests="arch.*"),
    Machine("el2-a57-gicv2", ports=ARM, cpu="cortex-a57", gic=2, machine="virt,virtualization=on",
            tests="arch.*"),
    Machine("el2-uboot", ports=ARM, machine="virt,virtualization=on", boot="uboot",
            tests="arch.*"),
    Machine("secure", ports=ARM, machine="virt,secure=on", tests="arch.*"),
    Machine("mte", ports=ARM, machine="virt,mte=on", tests="arch.*"),
    Machine("highmem-off", ports=ARM, machine="virt,highmem=off", tests="arch.*"),
    Machine("va39-16K", ports=ARM, options="va_bits=39", page_size="16K", tests="arch.*"),
    Machine("va39-64K-ipi", ports=ARM, options="va_bits=39 tlb=ipi", page_size="64K",
            tests="arch.*"),
    Machine("va52-ipi", ports=ARM, options="va_bits=52 tlb=ipi", tests="arch.*"),
    Machine("va52-16K-el2", ports=ARM, machine="virt,virtualization=on", page_size="16K",
            options="va_bits=52 tlb=ipi", tests="arch.*"),
    Machine("va52-8cpus", ports=ARM, options="va_bits=52", cpus=8, gic=2, tests="arch.*"),
    Machine("16K-a76", ports=ARM, cpu="cortex-a76", page_size="16K"),
    Machine("16K-el2", ports=ARM, machine="virt,virtualization=on", page_size="16K",
            tests="arch.*"),
    Machine("64K-gicv2", ports=ARM, gic=2, page_size="64K", tests="arch.*"),

    Machine("sv57", ports=RISCV, options="sv=57"),
    Machine("aplic-imsic-8", ports=RISCV, machine="virt,aia=aplic-imsic", cpus=8, tests="arch.*"),
    Machine("imsic-guests", ports=RISCV, machine="virt,aia=aplic-imsic,aia-guests=3",
            tests="arch.*"),
    Machine("aia-none", ports=RISCV, machine="virt,aia=none", tests="arch.*"),
    Machine("aplic-sbi", ports=RISCV, machine="virt,aia=aplic", tests="arch.*"),
    Machine("svinval", ports=RISCV, cpu="rv64,svinval=on", tests="arch.*"),
    Machine("svpbmt", ports=RISCV, cpu="rv64,svpbmt=on", tests="arch.*"),
    Machine("svnapot", ports=RISCV, cpu="rv64,svnapot=on", tests="arch.*"),
    Machine("svadu-off", ports=RISCV, cpu="rv64,svadu=off", tests="arch.*"),
    Machine("no-sstc-sv39", ports=RISCV, cpu="rv64,sstc=off", options="sv=39", tests="arch.*"),
    Machine("sockets", ports=RISCV, tests="arch.*",  # NUMA, in its way
            qemu_args=numa("128M").replace(" -numa node,cpus=3", "").replace("cpus=2", "cpus=2-3")),
)


def is_machine(config):
    """Whether a configuration is a machine of its own, rather than a policy or a build."""
    own = set(config.machine) - {"build", "rules"}
    return bool(own or config.given or re.search(r"\b(va_bits|sv)=", config.options))


def selection(arch):
    """The machines of a port: every one runs selftests and a race."""
    chosen = []
    for config in configs.CONFIGS + MACHINES:
        if arch not in config.ports or not (config in MACHINES or is_machine(config)):
            continue
        if not fnmatch.fnmatch(config.name, test.asked("CONFIG") or "*"):
            continue
        config = copy.copy(config)
        config.machine = dict(config.machine)
        config.stress = test.seconds(test.asked("STRESS")) if test.asked("STRESS") else \
            max(config.stress, RACE)
        chosen.append(config)
    return chosen


def asked_for(cpu, complaint):
    """Whether a complaint of QEMU is about a feature that the CPU's name asks for by itself."""
    feature = re.search(r"CPUID[^\[]*\.([\w-]+) \[bit", complaint)
    return bool(feature) and f"+{feature[1]}" in cpu.split(",")


def lacking(words):
    """Why this QEMU on this host cannot be such a machine; None if it can."""
    cpu = words[words.index("-cpu") + 1]
    process = subprocess.Popen(words + ["-S"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                               stderr=subprocess.PIPE, text=True)
    try:
        _, said = process.communicate("\x01x", timeout=30)  # QEMU: quit
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return "QEMU does not answer within 30 s"
    lines = [line.strip() for line in said.splitlines()]
    unsupported = [line for line in lines if "doesn't support requested feature" in line]
    for line in unsupported:
        if asked_for(cpu, line):
            return line
    lines = [line for line in lines if line not in unsupported]
    return (lines or ["QEMU ends at once"])[-1] if process.returncode else None


def run_one(arch, config, builder):
    """The row of one machine, and how to get it."""
    w = test.request(arch, config)
    plain = qemu.command({**w, "boot": "kernel", "append": ""}, kernel="/dev/null")
    del plain[plain.index("-kernel"):plain.index("-kernel") + 2]
    lack = lacking(plain)
    if lack:
        row = report.Row(arch, config.name)
        row.add("machine", "skipped", lack)
        return row
    row = test.run_one(arch, config, builder)
    if row.race == "INVALID":  # it met too little on a slow host: that says nothing yet
        config.stress *= LONGER
        row = test.run_one(arch, config, builder)
    return row


def options(config):
    """What sets this machine apart, as one gives it to `make run`."""
    words = [f"{name.upper()}={value}" for name, value in config.machine.items()
             if name.upper() in qemu.NAMES and name != "qemu_args"]
    if "qemu_args" in config.machine:
        words.append("QEMU_ARGS")
    return " ".join(words + [config.options]).strip()


def verdict(row):
    if row.failed():
        return "FAILED"
    return "ok" if row.count("passed") else "SKIP"


def markdown(lines, path):
    """The table for people who were not there: lines of (row, config)."""
    text = ["# Machines", "", "Made by `make machines`. A machine is SKIPped if this QEMU or this "
            "host does not have it.", "",
            "| port | machine | asked for | verdict | passed | skipped | race | time | why |",
            "|---|---|---|---|--:|--:|---|--:|---|"]
    for row, config in lines:
        why = [case.text.split("\n")[0] for case in row.cases
               if case.verdict == "failed" or verdict(row) == "SKIP"]
        cells = (row.port, row.name, options(config), verdict(row), str(row.count("passed")),
                 str(row.count("skipped")), row.race or "-", f"{row.seconds:.0f} s",
                 "; ".join(why[:2]))
        text.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as out:
        out.write("\n".join(text) + "\n")


def main():
    ports = sys.argv[1:] or list(qemu.PORTS)
    builder, lines = test.Builder(), []
    try:
        chosen = [(arch, config) for arch in ports for config in selection(arch)]
        for arch, config in chosen:
            words = test.command_for(test.request(arch, config), config)
            if test.asked("DRY"):
                test.say(qemu.show(words))
    except qemu.BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    if test.asked("DRY"):
        return 0
    if not chosen:
        print(f"make: CONFIG={test.asked('CONFIG')}: no machine has this name", file=sys.stderr)
        return qemu.STATUS_USAGE
    for arch, config in chosen:
        row = run_one(arch, config, builder)
        lines.append((row, config))
        test.announce(row)
        markdown(lines, "build/machines.md")
    rows = [row for row, _ in lines]
    test.say("\n" + report.table(rows) + "\n")
    counts = {word: sum(verdict(row) == word for row in rows) for word in ("ok", "FAILED", "SKIP")}
    test.say("build/machines.md: " + ", ".join(f"{n} {word}" for word, n in counts.items()))
    return 1 if counts["FAILED"] or not counts["ok"] else 0


if __name__ == "__main__":
    sys.exit(main())
