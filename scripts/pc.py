# SPDX-License-Identifier: MIT
"""What a PC's loader hands over, made here: PVH's start info, a memory map and ACPI's tables of the
q35 machine; as they should be, or spoilt in one place:

  root, root-length, madt-sum, madt-entry, fadt-sum   an ACPI table; no-madt, no-acpi: none at all
  map, cmdline                                        the start info
  mb2, mb2-map, mb2-tag, mb2-size                     the same by Multiboot 2: good, or spoilt
"""
import struct

import qemu

RAM, TAKEN, ACPI = 1, 2, 3  # types in the memory map
LOW_END, HIGH = 0xa0000, 1 << 20
SPOILT = ("root", "root-length", "madt-sum", "madt-entry", "fadt-sum", "no-madt", "no-acpi", "map",
          "cmdline", "mb2", "mb2-map", "mb2-tag", "mb2-size")
# Offsets of the parts from where all is put.
START, MAP, LINE, RSDP, RSDT, MADT, FADT, TAGS, SIZE = (0x40, 0x100, 0x800, 0x1000, 0x1040, 0x1100,
                                                        0x2000, 0x2800, 0x3000)
MB2_MAGIC = 0x36d76289


def summed(data, at):
    """Data whose bytes add up to 0 by the one at `at`."""
    data = bytearray(data)
    data[at] = (data[at] - sum(data)) & 0xff
    return bytes(data)


def table(signature, content):
    head = struct.pack("<4sIBB6s8sI4sI", signature, 36 + len(content), 1, 0, b"GRACE ",
                       b"MACHINE ", 1, b"GRCE", 1)
    return summed(head + content, 9)


def madt(ids):
    entries = b"".join(struct.pack("<BBBBI", 0, 8, n, n, 1) for n in ids)
    entries += struct.pack("<BBBBII", 1, 12, 0, 0, 0xfec00000, 0)  # the I/O APIC
    entries += struct.pack("<BBBBIH", 2, 10, 0, 0, 2, 0)  # the timer's interrupt 0 is input 2
    return table(b"APIC", struct.pack("<II", 0xfee00000, 1) + entries)


def fadt():
    fields = bytearray(116 - 36)
    for offset, size, value in ((64, 4, 0x604), (76, 4, 0x608), (91, 1, 4)):
        fields[offset - 36:offset - 36 + size] = value.to_bytes(size, "little")
    return table(b"FACP", bytes(fields))


def acpi(at, cpus, how):
    """(offset, bytes) of each table; at: what offsets count from; cpus: the ids of their APICs."""
    tables = [(MADT, madt(cpus)), (FADT, fadt())]
    if how == "no-madt":
        del tables[0]
    if how == "madt-entry":
        broken = bytearray(tables[0][1])
        broken[44 + 1] = 7  # the first entry's length
        tables[0] = (MADT, summed(bytes(broken), 9))
    root = table(b"RSDT", b"".join(struct.pack("<I", at + offset) for offset, _ in tables))
    if how == "root-length":
        root = root[:4] + struct.pack("<I", 35) + root[8:]
    for name, n in (("madt-sum", 0), ("fadt-sum", -1)):
        if how == name:
            offset, data = tables[n]
            tables[n] = (offset, data[:10] + b"?" + data[11:])
    rsdp = summed(b"RSD PTR \0GRACE \0" + struct.pack("<I", at + RSDT), 8)
    if how == "root":
        rsdp = rsdp[:9] + b"?" + rsdp[10:]
    return [(RSDP, rsdp), (RSDT, root), *tables]


def memory_map(at, size, banks):
    """Entries (start, size, type). banks: (memory, reserved) ranges, None for all of it."""
    memory, reserved = banks or (((0, size),), ())
    entries = [(max(start, HIGH), end - max(start, HIGH), RAM) for start, end in memory]
    entries += [(start, end - start, TAKEN) for start, end in reserved]
    return entries + [(0, LOW_END, RAM), (at, SIZE, ACPI), (0, 0, 0), (0xfffff000, 0x1000, TAKEN)]


def start_info(at, entries, how):
    return struct.pack("<IIIIQQQQII", 0x336ec578, 1, 0, 0, 0,
                       1 << 40 if how == "cmdline" else at + LINE,
                       0 if how == "no-acpi" else at + RSDP, at + MAP,
                       1 << 20 if how == "map" else entries, 0)


def multiboot(line, memory, rsdp, how):
    """Multiboot 2's list of tags: command line, memory map, ACPI's root, end."""
    tags = b""
    for kind, content in ((1, line), (6, struct.pack("<II", 24, 0) + memory), (14, rsdp), (0, b"")):
        size = 8 + len(content)
        if how == "mb2-tag" and kind == 14:
            size = 1 << 16
        if how != "mb2-map" or kind != 6:
            tags += struct.pack("<II", kind, size) + content + bytes(-len(content) % 8)
    return struct.pack("<II", 1 << 30 if how == "mb2-size" else 8 + len(tags), 0) + tags


def handover(w, at, how, banks, ghost):
    """The bytes for address `at`: the image's entry, which the shim jumps to, and all the rest."""
    if how not in SPOILT + ("whole", "banks", "ghost"):
        raise ValueError(how)
    with open(f"{qemu.output_dir(w)}/grace.elf", "rb") as elf:
        entry, = struct.unpack_from("<Q", elf.read(32), 24)
    entries = memory_map(at, qemu.mem_bytes(w["mem"]), banks if how == "banks" else None)
    memory = b"".join(struct.pack("<QQII", *e, 0) for e in entries)
    line = w["append"].encode() + b"\0"
    cpus = [*range(int(w["cpus"])), *([ghost] if how == "ghost" else [])]
    tables = acpi(at, cpus, how)
    eax, ebx = (MB2_MAGIC, at + TAGS) if how.startswith("mb2") else (0, at + START)
    parts = [(0, struct.pack("<III", entry, eax, ebx)),
             (START, start_info(at, len(entries), how)), (MAP, memory), (LINE, line),
             (TAGS, multiboot(line, memory, tables[0][1], how)), *tables]
    out = bytearray(SIZE)
    for offset, data in parts:
        out[offset:offset + len(data)] = data
    return bytes(out)
