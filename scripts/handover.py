# SPDX-License-Identifier: MIT
"""Machines whose loader hands over something else than QEMU's would: a shim (tests/shim) stands
where QEMU puts the kernel, and hands what is made here to the real image, at another address that
its header allows.

  whole   as it was
  ghost   with one CPU more, which is not there
  banks   memory in pieces of any alignment that overlap, with holes and reserved ranges between:
          nobody may touch those, which is looked at after the run in a file that was the memory
  no-...  a device tree without the nodes or the property that ABSENT names
The rest is spoilt: a device tree's magic, cut, size; a PC's, see pc.py.
"""
import copy
import mmap
import os
import struct
import subprocess

import fdt
import pc
import qemu

MB = 1 << 20
# Where the shim expects the image and what is handed over, from memory's first byte on.
BASES = {"x86_64": 0, "arm64": 0x40000000, "riscv64": 0x80000000}
IMAGE, GIVEN = {"x86_64": 0x200000, "arm64": 64 * MB, "riscv64": 64 * MB}, 112 * MB
FIRMWARE_SIZE = 512 << 10  # OpenSBI, at the begin of riscv64's memory

# Offsets of "banks", in the order in which they are told. Pages that a bank has a part of are none.
MEMORY = ((168 * MB, 256 * MB), (32 * MB + 0x800, 48 * MB), (0, 24 * MB + 0x1800),
          (160 * MB, 160 * MB), (56 * MB, 96 * MB), (90 * MB, 160 * MB))
RESERVED = ((200 * MB + 0x123, 200 * MB + 0x2123), (204 * MB, 206 * MB), (100 * MB, 101 * MB),
            (210 * MB + 0x800, 211 * MB))
HOLES = ((24 * MB + 0x1800, 32 * MB + 0x800), (48 * MB, 56 * MB), (160 * MB, 168 * MB))
NOT_RESERVED = (212 * MB, 214 * MB)  # by a node that is switched off
# Properties, and what stands in those whose nodes are left out: None leaves out the property alone.
ABSENT = {"no-memory": ("device_type", b"memory"), "no-cpu": ("device_type", b"cpu"),
          "no-psci": ("compatible", b"arm,psci"), "no-uart": ("compatible", b"ns16550"),
          "no-pl011": ("compatible", b"arm,pl011"), "no-gic": ("compatible", b"arm,gic-v3"),
          "no-plic": ("compatible", b"plic0"), "no-timer": ("compatible", b"arm,armv8-timer"),
          "no-timebase": ("timebase-frequency", None)}
GHOST = 99  # the address of the CPU that is not there
UNTOUCHED = b"not Grace's! "


# ---- Device trees --------------------------------------------------------------------------------

def regs(base, ranges):
    """Ranges as a "reg" property with two cells for each number."""
    return b"".join(fdt.wide(base + start, end - start) for start, end in ranges)


def reserve(tree, name, base, ranges, **props):
    """Adds a node to /reserved-memory."""
    parent = tree.root.ask("reserved-memory")
    parent.props.update({"#address-cells": fdt.cells(2), "#size-cells": fdt.cells(2),
                         "ranges": b""})
    parent.ask(f"{name}@{base + ranges[0][0]:x}").props.update(
        {"reg": regs(base, ranges), **{key.replace("_", "-"): v for key, v in props.items()}})


def put_banks(tree, base):
    """Memory as MEMORY and RESERVED have it, and entries that no machine can have."""
    root = tree.root
    root.children = [c for c in root.children if c.props.get("device_type") != b"memory\0"]
    beyond, wraps = fdt.wide(1 << 50, 1 << 30), fdt.wide((1 << 64) - 0x1000, 0x2000)
    for ranges, more in ((MEMORY[:3], beyond), (MEMORY[3:], wraps)):
        root.ask(f"memory@{base + ranges[0][0]:x}").props.update(
            {"device_type": b"memory\0", "reg": regs(base, ranges) + more})
    tree.reserved += [(base + start, end - start) for start, end in RESERVED[:1]]
    reserve(tree, "secret", base, RESERVED[1:2], no_map=b"")
    reserve(tree, "frames", base, RESERVED[2:])
    reserve(tree, "off", base, (NOT_RESERVED,), status=b"disabled\0")
    root.ask("reserved-memory").ask("anywhere").props["size"] = fdt.wide(MB)


def put_ghost(tree):
    """A CPU like the last one, with an address that no CPU of the machine has."""
    cpus = tree.root.child("cpus")
    last = [c for c in cpus.children if c.props.get("device_type") == b"cpu\0"][-1]
    ghost = copy.deepcopy(last)
    ghost.name = f"cpu@{GHOST:x}"
    ghost.props["reg"] = fdt.cells(GHOST).rjust(len(last.props["reg"]), b"\0")
    for n, node in enumerate([ghost, *ghost.children]):
        node.props.update({"phandle": fdt.cells(0x1000 + n)} if "phandle" in node.props else {})
    cpus.children.insert(cpus.children.index(last) + 1, ghost)


def leave_out(node, name, value):
    """Takes property `name`, or each node in whose property `name` there is `value`, out of all."""
    if value is None:
        node.props.pop(name, None)
    else:
        node.children = [c for c in node.children if value not in c.props.get(name, b"")]
    for child in node.children:
        leave_out(child, name, value)


def spoil(tree, how):
    """A device tree with a fault that its reader must notice, or as it was."""
    total, struct_at = struct.unpack_from(">II", tree, 4)
    struct_size, = struct.unpack_from(">I", tree, 36)
    middle = (struct_at + struct_size // 2) & ~3
    if how in ("whole", "banks", "ghost", *ABSENT):
        return tree
    if how == "magic":
        return b"\xd0\x0d\xfe\xee" + tree[4:]
    if how == "cut":
        return tree[:middle]
    if how == "size":
        return tree[:4] + struct.pack(">I", middle) + tree[8:total]
    raise ValueError(how)


def dump_tree(w, path):
    """The device tree that QEMU makes for this machine, and what its firmware would add."""
    dump = qemu.command(w, kernel=shim(w))
    dump[dump.index("-M") + 1] += f",dumpdtb={path}"
    subprocess.run(dump, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60, check=True)
    with open(path, "rb") as file:
        tree = fdt.read(file.read())
    if w["arch"] == "riscv64":
        reserve(tree, "firmware", BASES["riscv64"], ((0, FIRMWARE_SIZE),), no_map=b"")
    return tree


# ---- The run -------------------------------------------------------------------------------------

def shim(w):
    return f"{qemu.output_dir(w)}/shim." + ("elf" if w["arch"] == "x86_64" else "img")


def memory_file(w):
    return f"{qemu.output_dir(w)}/memory"


def command(w, how):
    """QEMU's command line for the shim, the real image, and what prepare() makes."""
    out, base = qemu.output_dir(w), BASES[w["arch"]]
    words = qemu.command(w, kernel=shim(w))
    for path, at in ((f"{out}/grace.img", IMAGE[w["arch"]]), (f"{out}/{how}.given", GIVEN)):
        words += ["-device", f"loader,file={path},addr={base + at:#x},force-raw=on"]
    if how == "banks":
        words[words.index("-M") + 1] += ",memory-backend=ram"
        words += ["-object", f"memory-backend-file,id=ram,size={w['mem']},share=on,"
                  f"mem-path={memory_file(w)}"]
    return words


def pattern(start, size):
    """What stands at an offset that nobody may touch."""
    turn = start % len(UNTOUCHED)
    return (UNTOUCHED * (size // len(UNTOUCHED) + 2))[turn:turn + size]


def prepare(w, how):
    """Writes what command() names, but for the shim and the image."""
    given = f"{qemu.output_dir(w)}/{how}.given"
    if w["arch"] == "x86_64":
        data = pc.handover(w, GIVEN, how, (MEMORY, RESERVED), GHOST)
    else:
        tree = dump_tree(w, given)
        if how == "banks":
            put_banks(tree, BASES[w["arch"]])
        if how == "ghost":
            put_ghost(tree)
        if how in ABSENT:
            leave_out(tree.root, *ABSENT[how])
        data = spoil(fdt.write(tree), how)
    with open(given, "wb") as file:
        file.write(data)
    if how == "banks":
        with open(memory_file(w), "wb") as memory:
            memory.truncate(qemu.mem_bytes(w["mem"]))
            for start, end in HOLES + RESERVED:
                memory.seek(start)
                memory.write(pattern(start, end - start))


def touched(memory):
    """The first place that was written to and should not have been, None if there is none."""
    for start, end in HOLES + RESERVED:
        found, good = memory[start:end], pattern(start, end - start)
        if found != good:
            return start + next(i for i in range(end - start) if found[i] != good[i])
    return None


def trouble(w, how):
    """After the run: what is wrong with the memory that it left, None if nothing is."""
    if how != "banks":
        return None
    path = memory_file(w)
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as memory:
        at = touched(memory)
    os.unlink(path)
    return at and f"memory was touched that is none, or reserved: {BASES[w['arch']] + at:#x}"
