#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes tests/fuzz/corpus anew: what QEMU's machines hand to a kernel, as inputs of the targets.

    fuzz_corpus.py            needs the three ports built (make all ARCH=...), and their QEMUs
    fuzz_corpus.py grown      what `make fuzz` grew out of them, once it has run

Device trees are dumped by QEMU; a PC's tables are taken out of the memory of a machine that runs
Grace. Command lines and keys are those of this tree's configurations, and every command there is.
Of what fuzzing has kept in build/fuzz/work, those inputs are taken as grown-... that reach a place
which no other does, as libFuzzer's merge finds them, the small ones first.
"""
import glob
import hashlib
import os
import re
import struct
import subprocess
import sys
import tempfile
import time

import configs
import fdt
import fuzz
import qemu

CORPUS = "tests/fuzz/corpus"
BOOT_TIME = 60  # seconds that a machine has until its prompt
GROWN_MAX = 96 << 10  # bytes of each target's grown inputs

NUMA = " ".join(f"-object memory-backend-ram,id=m{n},size=128M -numa node,memdev=m{n},cpus={n}"
                for n in (0, 1))
TREES = {
    "arm64": (
        ("gicv3", {"cpus": 2}), ("gicv2", {"gic": 2, "cpus": 4}), ("8cpus", {"cpus": 8}),
        ("el2", {"machine": "virt,virtualization=on", "cpus": 2}),
        ("a57", {"cpu": "cortex-a57", "mem": "64M", "cpus": 1}),
        ("8G", {"mem": "8G", "cpus": 3}),
        ("numa", {"mem": "256M", "cpus": 2, "qemu_args": NUMA}),
    ),
    "riscv64": (
        ("plic", {"cpus": 2}), ("1cpu", {"cpus": 1, "mem": "64M"}), ("8cpus", {"cpus": 8}),
        ("aclint", {"machine": "virt,aclint=on", "cpus": 2}),
        ("aplic", {"machine": "virt,aia=aplic", "cpus": 2}),
        ("imsic", {"machine": "virt,aia=aplic-imsic", "cpus": 2}),
        ("extensions", {"cpu": "rv64,svinval=on,svnapot=on,svpbmt=on", "cpus": 1}),
        ("numa", {"mem": "256M", "cpus": 2, "qemu_args": NUMA}),
    ),
}
MEMORIES = (
    ("q35", {"cpus": 2}), ("pc", {"machine": "pc", "cpus": 4}), ("microvm", {"machine": "microvm"}),
    ("microvm-no-acpi", {"machine": "microvm,acpi=off", "cpus": 1}),
    ("q35-16cpus", {"cpus": 16}), ("q35-32M", {"mem": "32M", "cpus": 1}),
)
KEYS = (
    b"\x01", b"help\r", b"hepl\n", b"echo a\x1b[D\x1b[Db\x1b[3~\x05c\r", b"\x1b[A\x1b[A\x1b[B\r",
    b"echo 'a; b' \"c d\"; echo e; nonsense; echo skipped; poweroff\r",
    b"abc\x17\x15\x0bdef\x01\x04\x06\x02\x10\x0e\x03\x0c\r\n", b"\x1bOH\x1bOF\x1b[1;5C\x1b[99~",
    b"x" * 300 + b"\r", b"again 'again help; tlb=7'\r", b"sym main; sym 0x1001; bt 0; bt all\r",
    b"rules off GATHER; rules table; rules F3; pt kernel 0x0 0xffff; pt 1 2 3; mm 5\r",
    b"fault=page:16:100,seed:3,all:2; fault off; fault\r", b"test gup.*; test mm; sleep 5\r",
    b"a b c d e f g h i j k l m n o p q r s t u\r",
)


def request(arch, fields):
    settings = {"arch": arch, "cpus": "4", "mem": "256M", "append": "run=\"sleep 3600000\"",
                "gic": "", "cpu": "", "machine": "", "build": "debug", "rules": "switch",
                "accel": "tcg", "qemu": "", "qemu_args": ""}
    settings.update({key: str(value) for key, value in fields.items()})
    return settings


def write(path, data):
    with open(path, "wb") as out:
        out.write(data)


def put(target, name, data):
    os.makedirs(f"{CORPUS}/{target}", exist_ok=True)
    write(f"{CORPUS}/{target}/{name}", data)


# ---- Device trees --------------------------------------------------------------------------------

def dump_tree(arch, fields, directory):
    path = f"{directory}/tree"
    words = qemu.command(request(arch, fields))
    words[words.index("-M") + 1] += f",dumpdtb={path}"
    words += ["-seed", "1"]  # of the random numbers that a tree holds
    subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60, check=True)
    with open(path, "rb") as tree:
        return fdt.write(fdt.read(tree.read()))  # without the room behind it


def make_trees(directory):
    for arch, machines in TREES.items():
        for name, fields in machines:
            tree = dump_tree(arch, fields, directory)
            # A firmware that answers nothing but success, and CPU 0.
            put(arch, name, bytes(10) + tree)
            if name in ("gicv2", "numa", "aclint", "imsic"):
                put("fdt", f"{arch}-{name}", tree)


# ---- A PC's memory -------------------------------------------------------------------------------

class Memory:
    """Physical memory as it was dumped; which parts of it the kernel reads."""

    def __init__(self, data):
        self.data, self.pieces = data, []

    def take(self, pa, size):
        piece = self.data[pa:pa + size]
        if piece and (pa, piece) not in self.pieces:
            self.pieces.append((pa, piece))
        return piece

    def take_table(self, pa):
        head = self.data[pa:pa + 36]
        if len(head) < 36:
            return b""
        whole = head[:4] in (b"RSDT", b"XSDT", b"APIC", b"FACP")
        return self.take(pa, struct.unpack_from("<I", head, 4)[0] if whole else 36)

    def take_acpi(self, rsdp):
        root = self.take(rsdp, 36)
        revision, rsdt, xsdt = root[15], *struct.unpack_from("<I4xQ", root, 16)
        wide = revision >= 2 and xsdt
        table = self.take_table(xsdt if wide else rsdt)
        size = 8 if wide else 4
        for at in range(36, len(table) - size + 1, size):
            self.take_table(int.from_bytes(table[at:at + size], "little"))

    def find_start_info(self):
        pa = -1
        while (pa := self.data.find(struct.pack("<II", 0x336ec578, 1), pa + 1)) >= 0:
            memmap, entries = struct.unpack_from("<QI", self.data, pa + 40)
            if 0 < entries < 64 and memmap + 24 * entries < len(self.data):
                return pa
        return 0

    def take_start_info(self, pa):
        self.take(pa, 56)
        cmdline, rsdp, memmap, entries = struct.unpack_from("<QQQI", self.data, pa + 24)
        self.take(memmap, 24 * entries)
        if cmdline:
            self.take(cmdline, self.data.index(b"\0", cmdline) + 1 - cmdline)
        return rsdp

    def find_rsdp(self):
        at = self.data.find(b"RSD PTR ", 0xe0000, 0x100000)
        return at if at >= 0 else 0


def await_boot(log):
    """Until the kernel in a machine has said its last word before the prompt."""
    end = time.monotonic() + BOOT_TIME
    while time.monotonic() < end:
        time.sleep(0.2)
        if os.path.exists(log):  # a slow host has not even made it
            with open(log, "rb") as text:
                if b"CPUs running" in text.read():
                    return
    raise TimeoutError(f"no prompt in {BOOT_TIME} s")


def run_and_dump(fields, directory):
    """The memory of a machine in which Grace has come to its prompt."""
    w = request("x86_64", fields)
    directory = tempfile.mkdtemp(dir=directory)  # an earlier machine's log would be taken for ours
    log, dump = f"{directory}/log", f"{directory}/memory"
    words = qemu.command(w)
    words[words.index("-serial") + 1] = f"file:{log}"
    words += ["-monitor", "stdio"]
    size = min(qemu.mem_bytes(w["mem"]), 1 << 28)
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as machine:
        try:
            await_boot(log)
            machine.communicate(f"pmemsave 0 {size} \"{dump}\"\nquit\n".encode(), timeout=60)
        finally:
            machine.kill()  # or an error here would wait for it for ever
    with open(dump, "rb") as memory:
        return memory.read()


def cmos_for(mem):
    """The registers that the kernel reads, each at its number modulo 16: memory above 16 MiB."""
    cmos = bytearray(16)
    units = (qemu.mem_bytes(mem) - (16 << 20)) >> 16
    cmos[4], cmos[5] = units & 0xff, units >> 8 & 0xff
    return bytes(cmos)


def machine_input(start_info, fields, pieces, magic=0, arguments=0):
    head = struct.pack("<IIIB", start_info, magic, arguments, 0)
    return head + cmos_for(fields.get("mem", "256M")) + \
        b"".join(struct.pack("<II", pa, len(data)) + data for pa, data in pieces)


def multiboot(memory, start_info, rsdp):
    """What a Multiboot 2 loader makes of the same machine: line, map, root pointer."""
    cmdline, _, memmap, entries = struct.unpack_from("<QQQI", memory.data, start_info + 24)
    line = memory.data[cmdline:memory.data.index(b"\0", cmdline) + 1]
    tags = b""
    for kind, content in ((1, line),
                          (6, struct.pack("<II", 24, 0) +
                           memory.data[memmap:memmap + 24 * entries]),
                          (14, memory.data[rsdp:rsdp + 20]), (0, b"")):
        tag = struct.pack("<II", kind, 8 + len(content)) + content
        tags += tag + bytes(-len(tag) % 8)
    return struct.pack("<II", 8 + len(tags), 0) + tags


def bootelf(at):
    """The pieces of an argument list, as U-Boot's bootelf hands it over."""
    words = (b"grace\0", b"mem=64M\0", b"run=help\0")
    places = [at + 64 + 32 * i for i in range(len(words))]
    return [(at, struct.pack("<3I", *places))] + list(zip(places, words))


def make_memories(directory):
    for name, fields in MEMORIES:
        memory = Memory(run_and_dump(fields, directory))
        start_info = memory.find_start_info()
        rsdp = (memory.take_start_info(start_info) if start_info else 0) or memory.find_rsdp()
        if rsdp:
            memory.take_acpi(rsdp)
        if not start_info and not rsdp:
            sys.exit(f"fuzz_corpus: {name}: neither start info nor root pointer found")
        put("x86_64", name, machine_input(start_info, fields, memory.pieces))
        if name == "q35":
            put("x86_64", "no-start-info", machine_input(0, fields, memory.pieces))
            tags = (0x9000, multiboot(memory, start_info, rsdp))
            put("x86_64", "multiboot",
                machine_input(tags[0], fields, [tags, *memory.pieces], 0x36d76289))
            put("x86_64", "bootelf", machine_input(0, fields, memory.pieces + bootelf(0x9000), 3,
                                                   0x9000))


# ---- Text ----------------------------------------------------------------------------------------

def command_names():
    names = []
    for where in ("kernel", "mm"):
        for name in sorted(os.listdir(where)):
            if name.endswith(".c"):
                with open(f"{where}/{name}", encoding="utf-8") as source:
                    names += re.findall(r'^COMMAND\(\w+, "(\w+)"', source.read(), re.M)
    return names


def make_text():
    seen = set()
    for config in configs.CONFIGS + configs.BAD:
        line = config.append()
        names = (*re.findall(r"(\w+)=", line), config.tests == "*")
        if names not in seen:
            put("cmdline", config.name, line.encode())
        seen.add(names)
    put("cmdline", "two-parts", b"mem=64M number=0x10\x01run='a b; c'")
    put("cmdline", "knockout", b"knockout=GATHER,F3 fault=page:16,seed:7 mem=1G")
    put("cmdline", "too-long", b"run=" + b"x" * 1100)
    for i, keys in enumerate(KEYS):
        put("console", f"keys-{i}", bytes([i & 1]) + keys)
    put("console", "all-commands", b"\0" + "".join(f"{c} x 1 2; {c} 1\r{c}\r" for c in
                                                  command_names() if c != "poweroff").encode())


# ---- What has grown ------------------------------------------------------------------------------

def grow(target, directory):
    """The inputs that reach more places than the corpus, with the small ones preferred."""
    program, work = f"{fuzz.ROOT}/libfuzzer/{target}/target", f"{fuzz.ROOT}/work/{target}"
    if not os.path.exists(program) or not glob.glob(f"{work}/*"):
        return
    merged = f"{directory}/{target}"
    os.mkdir(merged)
    olds = [path for where in fuzz.inputs(target) for path in glob.glob(f"{where}/*")]
    for n, path in enumerate(olds):
        with open(path, "rb") as old:
            write(f"{merged}/old-{n}", old.read())
    subprocess.run([program, "-merge=1", "-use_counters=0", merged, work], check=True,
                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    new = [path for path in glob.glob(f"{merged}/*") if "/old-" not in path]
    left, taken = GROWN_MAX, 0
    for path in sorted(new, key=os.path.getsize):
        left -= os.path.getsize(path)
        if left < 0:
            break
        with open(path, "rb") as data:
            data = data.read()
        put(target, f"grown-{hashlib.sha1(data).hexdigest()[:12]}", data)
        taken += 1
    print(f"{target:9} {len(olds):4} inputs, {taken} more of {len(new)} that reach more")


def main():
    if sys.argv[1:] == ["grown"]:
        with tempfile.TemporaryDirectory() as directory:
            for target in fuzz.TARGETS:
                grow(target, directory)
        return 0
    for target in os.listdir(CORPUS) if os.path.isdir(CORPUS) else ():
        for name in os.listdir(f"{CORPUS}/{target}"):
            if not name.startswith("grown-"):
                os.unlink(f"{CORPUS}/{target}/{name}")
    with tempfile.TemporaryDirectory() as directory:
        make_text()
        make_trees(directory)
        make_memories(directory)
    return 0


if __name__ == "__main__":
    sys.exit(main())
