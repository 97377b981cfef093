# SPDX-License-Identifier: MIT
"""One machine in QEMU: from what the user asked for to a command line, and back from its status.

Used by run.py and test.py. Nothing here prints.
"""
import os
import re
import shlex

import loader

# Statuses of a run: 0 to 4 are the kernel's own (include/bug.h); these are the runner's.
STATUS_LOST = 100       # QEMU ended, and the kernel never said its status
STATUS_DISAGREES = 101  # the kernel said one status, QEMU ended with another
STATUS_USAGE = 102      # the user asked for something that there is not

EXIT_LINE = re.compile(r"^(?:\[[^\]]*\] )?EXIT: STATUS=(\d+)$")
FIRST_WORDS = "Grace on "  # how the kernel's first line begins
QUIT_WORDS = "QEMU: Terminated"  # what QEMU says when the user types Ctrl-A x

PORTS = {
    "x86_64": {
        "program": "qemu-system-x86_64", "machine": "q35", "cpu": "max", "image": "grace.elf",
        # Not -nographic: it makes the firmware clear the terminal and write to the serial line.
        "extra": ["-vga", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"],
        "host": ("x86_64", "amd64")},
    "arm64": {
        "program": "qemu-system-aarch64", "machine": "virt", "cpu": "max", "image": "grace.img",
        "extra": ["-semihosting"], "page_sizes": ("4K", "16K", "64K"),
        "host": ("aarch64", "arm64")},
    "riscv64": {
        "program": "qemu-system-riscv64", "machine": "virt", "cpu": "rv64", "image": "grace.img",
        "extra": [],
        "host": ("riscv64",)},
}
MAX_CPUS = 64
GICV2_CPUS = 8
MEM_LEAST = 4 << 20  # less, and the firmware and the image do not fit
NAMES = ("ARCH", "CPUS", "MEM", "ACCEL", "APPEND", "GIC", "CPU", "MACHINE", "QEMU", "QEMU_ARGS",
         "BUILD", "RULES", "PAGE_SIZE", "BOOT")


class BadRequest(Exception):
    """What the user gave cannot be run; the text says what is accepted."""


def from_environment(**given):
    """The request that make exported, with `given` (lower-case names) put over it."""
    wanted = {name.lower(): os.environ.get(name, "") for name in NAMES}
    wanted.update({key: str(value) for key, value in given.items()})
    return wanted


def mem_bytes(text):
    """The bytes that MEM stands for; a bare number is in MiB, as for QEMU."""
    match = re.fullmatch(r"([1-9][0-9]*)([KMGkmg]?)[Bb]?", text)
    size = int(match[1]) << {"K": 10, "": 20, "M": 20, "G": 30}[match[2].upper()] if match else 0
    if not MEM_LEAST <= size <= 1 << 40:
        raise BadRequest(f"MEM={text}: accepted is a number with M or G, such as 32M, 256M or 8G, "
                         "and 4M at least")
    return size


def host_memory():
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 1 << 62


def check(wanted):
    """Fills in what was not asked for; raises BadRequest for what nobody can run."""
    w = dict(wanted)
    defaults = {"arch": "x86_64", "cpus": "4", "mem": "256M", "accel": "tcg", "build": "debug",
                "rules": "switch", "page_size": "4K", "boot": "kernel"}
    for name in (name.lower() for name in NAMES):
        w[name] = w.get(name) or defaults.get(name, "")
    if w["arch"] not in PORTS:
        raise BadRequest(f"ARCH={w['arch']}: accepted are {', '.join(PORTS)}")
    for name, accepted in (("accel", ("tcg", "kvm")),
                           ("build", ("debug", "release", "count")), ("rules", ("switch", "fixed")),
                           ("page_size", PORTS[w["arch"]].get("page_sizes", ("4K",)))):
        if w[name] not in accepted:
            raise BadRequest(f"{name.upper()}={w[name]}: accepted are {', '.join(accepted)}")
    if not re.fullmatch(r"[1-9][0-9]?", w["cpus"]) or int(w["cpus"]) > MAX_CPUS:
        raise BadRequest(f"CPUS={w['cpus']}: accepted are 1 to {MAX_CPUS}")
    mem_bytes(w["mem"])
    if w["boot"] not in loader.PATHS[w["arch"]]:
        raise BadRequest(f"BOOT={w['boot']}: accepted with ARCH={w['arch']} are "
                         + ", ".join(loader.PATHS[w["arch"]]))
    if w["gic"] and (w["arch"] != "arm64" or w["gic"] not in ("2", "3")):
        raise BadRequest(f"GIC={w['gic']}: accepted are 2 and 3, with ARCH=arm64")
    if w["gic"] == "2" and int(w["cpus"]) > GICV2_CPUS:
        raise BadRequest(f"CPUS={w['cpus']}: with GIC=2 accepted are 1 to {GICV2_CPUS}")
    if w["accel"] == "kvm":
        check_kvm(w["arch"])
    return w


def check_kvm(arch):
    machine = os.uname().machine
    if machine not in PORTS[arch]["host"]:
        raise BadRequest(f"ACCEL=kvm: this host is {machine}; for ARCH={arch} accepted is tcg")
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        raise BadRequest("ACCEL=kvm: /dev/kvm cannot be opened here; accepted is tcg")


def output_dir(w):
    page_size = w.get("page_size", "4K")
    return f"build/{w['arch']}-{w['build']}" + ("-fixed" if w["rules"] == "fixed" else "") + \
        ("" if page_size == "4K" else "-" + page_size)


def image(w):
    return f"{output_dir(w)}/{PORTS[w['arch']]['image']}"


def machine_option(w):
    machine = w["machine"] or PORTS[w["arch"]]["machine"]
    if w["arch"] == "arm64" and "gic-version" not in machine:
        machine += ",gic-version=" + (w["gic"] or "3")
    return machine


def command(wanted, kernel=None):
    """The QEMU command line of a request, as a list of words."""
    w = check(wanted)
    port = PORTS[w["arch"]]
    cpu = w["cpu"] or ("host" if w["accel"] == "kvm" else port["cpu"])
    machine, memory = machine_option(w), []
    if mem_bytes(w["mem"]) > host_memory() // 2:
        # The guest touches little of it; ask the host to promise none.
        machine += ",memory-backend=ram"
        memory = ["-object", f"memory-backend-ram,id=ram,size={w['mem']},reserve=off"]
    words = [w["qemu"] or port["program"], "-name", "grace,debug-threads=on", "-M", machine,
             "-accel", w["accel"], "-cpu", cpu, "-smp", w["cpus"], "-m", w["mem"], *memory,
             "-display", "none", "-serial", "mon:stdio", "-nic", "none", "-no-reboot",
             *port["extra"], *loader.words(w, output_dir(w), kernel or image(w))]
    try:
        return words + shlex.split(w["qemu_args"])
    except ValueError as error:
        raise BadRequest(f"QEMU_ARGS={w['qemu_args']}: {error}") from None


def prepare(wanted, words):
    """Makes the files that a command line from command() names; the image is built."""
    w = check(wanted)
    lack = loader.lacking(w)
    if lack:
        raise BadRequest(lack)
    loader.prepare(w, output_dir(w), words, image(w))


def show(words):
    """The command line as a shell takes it."""
    return " ".join(shlex.quote(word) for word in words)


def status_from_qemu(arch, code):
    """The kernel's status that QEMU's exit code stands for; None if it stands for none."""
    if code < 0:
        return None
    if arch == "x86_64":
        # isa-debug-exit makes s into 2 s + 1; an even code is QEMU's own.
        return code >> 1 if code & 1 else None
    return code


def final_status(arch, code, said):
    """
    The status of a run, from QEMU's exit code and the status the kernel said (None: said none).

    The kernel's word counts, QEMU's code is the check on it. Code 0 of a machine that was switched
    off through its firmware says nothing, and is no disagreement.
    """
    if said is None:
        return STATUS_LOST
    if code == 0 or status_from_qemu(arch, code) == said:
        return said
    return STATUS_DISAGREES


def vcpu_threads(pid):
    """Thread ids of QEMU's virtual CPUs, in order."""
    found = []
    base = f"/proc/{pid}/task"
    try:
        for tid in os.listdir(base):
            with open(f"{base}/{tid}/comm", encoding="ascii", errors="replace") as comm:
                match = re.match(r"CPU (\d+)/", comm.read())
            if match:
                found.append((int(match[1]), int(tid)))
    except OSError:
        pass
    return [tid for _, tid in sorted(found)]


def pin(pid, cpus):
    """
    Pins the virtual CPUs to the host's cores in turn; True once all of them are.

    A hand-over between unpinned threads can take milliseconds, which would hide races.
    """
    threads = vcpu_threads(pid)
    if len(threads) < cpus or not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    try:
        for i, tid in enumerate(threads):
            os.sched_setaffinity(tid, {cores[i % len(cores)]})
    except OSError:
        return False
    return True
