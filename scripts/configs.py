# SPDX-License-Identifier: MIT
"""What `make test` runs: one table of configurations that must work, one of machines that must not.

A configuration's fields, all but the name optional:
  ports    on which ports (default: all)
  build, rules, page_size, cpus, mem, gic, cpu, machine, boot   as in `make run`
  place    where a boot path puts the image, if not where it does by itself (loader.py)
  options  kernel options other than run=
  tests    glob of the selftests to run ("" for none)
  stress   seconds of the race (0 for none)
  says     texts that must stand in the log: what the kernel found and chose
  main     also run when T, CPUS or MEM ask for something of the user's own
  expect   for one that must not boot: text of the one line in which the kernel must say why
  crash    for one that goes down by this kind of tests/crash.c, or (None) by what is typed: says
           begins with what the PANIC line has, and the others stand behind it
  keys     what is typed at the prompt (guest.py); it ends the run
  given    what is handed over in place of what QEMU would (handover.py): another image stands where
           QEMU's loader puts the kernel, and hands it on; "whole" for as it was
"""
import noise

ALL = ("x86_64", "arm64", "riscv64")
DEVICE_TREE = ("arm64", "riscv64")
BAD_BOOT = 2  # EXIT_BAD_BOOT in include/bug.h
PANIC = 3     # EXIT_PANIC there
NO = object()


class Config:
    def __init__(self, name, **fields):
        self.name = name
        self.ports = fields.pop("ports", ALL)
        self.options = fields.pop("options", "")
        self.tests = fields.pop("tests", "*")
        self.stress = fields.pop("stress", 0)
        self.main = fields.pop("main", False)
        self.says = fields.pop("says", ())
        self.expect = fields.pop("expect", None)
        self.keys = fields.pop("keys", ())
        self.crash = fields.pop("crash", NO)
        self.panics = self.crash is not NO
        self.given = fields.pop("given", None)
        self.machine = fields  # what qemu.check() takes

    def append(self):
        """The kernel's command line."""
        steps = []
        if self.tests:
            steps.append("test" if self.tests == "*" else f"test {self.tests}")
        if self.stress:
            steps.append(f"stress={self.stress}")
        if self.panics and self.crash:
            steps.append(f"crash {self.crash}")
        elif not self.keys:
            steps.append("poweroff")
        return f'{self.options} run="{";".join(steps)}"'.strip()


CONFIGS = (
    Config("unmaskable", options="tlb=unmaskable", stress=5, main=True),
    Config("ipi", options="tlb=ipi", stress=5, main=True),
    Config("gather", options="tlb=ipi table_free=gather", tests="gather.*", stress=8),
    Config("trees", options="trees=cpu", stress=5, says=("mmu: each CPU has a tree of its own",)),
    Config("1cpu-32M", cpus=1, mem="32M"),
    Config("2cpus", cpus=2, stress=3),
    Config("8cpus", cpus=8, stress=5),
    Config("16cpus", cpus=16, tests="arch.*", stress=8),
    Config("8G", mem="8G", tests="page.*", stress=3),
    Config("release", build="release", rules="fixed", stress=3),
    Config("qemu64", ports=("x86_64",), cpu="qemu64"),
    Config("gicv2", ports=("arm64",), gic=2, tests="arch.*", stress=3,
           says=("irq: gicv2 for CPUs and for devices, up to 8 CPUs",)),
    Config("cortex-a57", ports=("arm64",), cpu="cortex-a57",
           says=("mmu: accessed and dirty bits are set by the fault handler",)),
    Config("accessed", ports=("arm64",), options="accessed=software", stress=3,
           says=("mmu: accessed and dirty bits are set by the fault handler",)),
    Config("accessed", ports=("x86_64", "riscv64"), options="accessed=software", tests="marks.*",
           says=("mmu: accessed and dirty bits are set by the CPU",
                 "mmu: accessed=software cannot be had",)),
    Config("cortex-a76", ports=("arm64",), cpu="cortex-a76", stress=3),
    Config("16K", ports=("arm64",), page_size="16K", stress=3,
           says=("leaves of 16K 32M", "mmu: user addresses can have 52 bits (va_bits=52)")),
    Config("va52", ports=("arm64",), options="va_bits=52", stress=5,
           says=("mmu: 5 levels, user addresses of 52 bits, leaves of 4K 2M 1G", " lpa2")),
    Config("va52-16K", ports=("arm64",), page_size="16K", options="va_bits=52", tests="arch.*",
           stress=3, says=("mmu: 4 levels, user addresses of 52 bits, leaves of 16K 32M",)),
    Config("64K", ports=("arm64",), page_size="64K", options="va_bits=52 tlb=ipi", stress=3,
           says=("mmu: 3 levels, user addresses of 52 bits, leaves of 64K 512M",
                 "tlb: transport ipi, held up by a CPU with interrupts off")),
    Config("64K-a57", ports=("arm64",), page_size="64K", cpu="cortex-a57", tests="arch.*",
           stress=3),
    Config("va39", ports=("arm64",), options="va_bits=39", tests="arch.*", stress=3,
           says=("mmu: 3 levels, user addresses of 39 bits",)),
    Config("aclint", ports=("riscv64",), machine="virt,aclint=on", stress=4,
           says=("irq: ACLINT SSWI for CPUs; PLIC for devices", "tlb: transport ipi, held up")),
    Config("aplic", ports=("riscv64",), machine="virt,aia=aplic,aclint=on", stress=3,
           says=("irq: ACLINT SSWI for CPUs; APLIC for devices",)),
    Config("imsic", ports=("riscv64",), machine="virt,aia=aplic-imsic", stress=5,
           says=("irq: IMSIC for CPUs; APLIC by messages for devices",
                 "tlb: transport ipi, held up")),
    Config("extensions", ports=("riscv64",), cpu="rv64,svinval=on,svpbmt=on,svnapot=on",
           options="tlb=ipi", stress=3, says=(" svinval",)),
    Config("no-sstc", ports=("riscv64",), cpu="rv64,sstc=off", tests="time.*",
           says=("the alarm is SBI's",)),
    Config("sv39", ports=("riscv64",), options="sv=39",
           says=("mmu: 3 levels, user addresses of 38 bits",)),
    Config("uboot", ports=DEVICE_TREE, boot="uboot", tests="arch.*", stress=3,
           says=("U-Boot boot",)),
    Config("uboot", ports=("x86_64",), boot="uboot", tests="arch.*", stress=3,
           says=("bootelf boot", "memory as the CMOS tells")),
    Config("uboot-disk", ports=DEVICE_TREE, boot="uboot-disk", tests="arch.*", stress=3,
           says=("U-Boot boot",)),
    Config("uboot-high", ports=("arm64",), boot="uboot", place="0x48200000", tests="arch.*",
           stress=3, says=("U-Boot boot", "zeroed at 0x48200000")),
    Config("uboot-moved", ports=("riscv64",), boot="uboot", place="0x88200000", tests="arch.*",
           stress=3, says=("U-Boot boot", "zeroed at 0x80200000")),
    Config("uboot64", ports=("x86_64",), boot="uboot64", tests="arch.*", stress=3,
           says=("bootelf boot",)),
    Config("grub", ports=("x86_64",), boot="grub", tests="arch.*", stress=3,
           says=("Multiboot 2 boot",)),
    Config("fw_jump", ports=("riscv64",), boot="fw_jump", tests="arch.*", stress=3,
           says=("Domain0 Next Arg1         : 0x0000000082200000",)),
    Config("placed", ports=DEVICE_TREE, given="whole", tests="arch.*", stress=3),
    Config("banks", ports=DEVICE_TREE, given="banks", tests="page.*", stress=3,
           says=("memory: 237568 KiB (ranges: 4)", "device tree: ignoring 0xfffffffffffff000",
                 "memory: 0x4000000000000-0x4000040000000 is beyond what Grace maps")),
    Config("banks", ports=("x86_64",), given="banks", tests="page.*", stress=3,
           says=("memory: 237184 KiB (ranges: 5)",)),
    Config("noise", tests="", keys=noise.keys(1), says=("\nbatch 0 is done\n",)),
    Config("mce-left", ports=("x86_64",), tests="",
           says=("mce: CPU 1, bank 9 has an error from before: status 0x9400000000000136, address "
                 "0x1000",),
           keys=((noise.FIRST, b"\x01cmce 1 9 0x9400000000000136 0 0x1000 0\n\x01ccpu down 1\r"),
                 ("CPU 1 is down", b"cpu up 1\r"), ("CPU 1 is up", b"poweroff\r"))),
    Config("ghost", ports=DEVICE_TREE, given="ghost", tests="smp.*", stress=2,
           says=("smp: CPU 4 not started: the firmware refused it", "boot: 4 of 5 CPUs running")),
    Config("ghost", ports=("x86_64",), given="ghost", tests="smp.*", stress=2,
           says=("smp: CPU 4 did not come up within 2 s", "boot: 4 of 5 CPUs running")),
    Config("no-psci", ports=("arm64",), given="no-psci", tests="smp.*",
           says=("no PSCI that can be called: one CPU, and no power-off",)),
    Config("no-uart", ports=("riscv64",), given="no-uart", tests="smp.*",
           says=("none for devices: the console is polled",)),
    Config("no-plic", ports=("riscv64",), given="no-plic", tests="smp.*",
           says=("none for devices: the console is polled",)),
    Config("multiboot", ports=("x86_64",), given="mb2", tests="smp.*", stress=2,
           says=("Multiboot 2 boot", "boot: 4 of 4 CPUs running")),
    Config("acpi-fadt", ports=("x86_64",), given="fadt-sum", tests="time.*",
           says=("has a wrong checksum: neither its timer nor its power-off are used",)),
    Config("acpi-no-madt", ports=("x86_64",), given="no-madt", tests="time.*",
           says=("ACPI: no MADT: one CPU, no device interrupts",)),
    Config("el2", ports=("arm64",), machine="virt,virtualization=on", tests="arch.*", stress=3,
           says=("entered at EL2", "PSCI 1.1 by smc")),
    Config("sv48", ports=("riscv64",), options="sv=48", tests="arch.*", stress=3,
           says=("mmu: 4 levels, user addresses of 47 bits",)),
)



def crash(name, *says, **fields):
    fields.setdefault("crash", fields.pop("kind", name))
    return Config(f"crash-{name}", tests="", says=says, **fields)


# The caller of all kinds is the last of the command's own in the backtrace.
PROMPT = (" run_line+", " thread_start+")
CRASHES = (
    crash("panic", "asked for by the command crash", " crash_panic+", *PROMPT),
    crash("null", "page fault: write to 0x8 (a NULL pointer?)", " #0 crash_null+", *PROMPT),
    crash("jump", "page fault: jump to 0x8 (a NULL pointer?)", " #0 ?+0 (0x8)", *PROMPT),
    crash("trap", " crash_trap+", " #0 crash_trap+", *PROMPT),
    crash("stack", "kernel stack overflow", " #0 recurse", " crash_stack+", *PROMPT),
    crash("nmi", "NMI that no CPU sent, of unknown source", " #0 ", " crash_nmi+", *PROMPT,
          ports=("x86_64",)),
    crash("nmi-button", "NMI that no CPU sent", "CPU 0, thread ", "CPU 3, thread ",
          ports=("x86_64",), crash=None,
          keys=(("Type help for the commands.", b"\x01cnmi\n"),)),
    crash("mce", "machine check (code 0xbe00000000000135, address 0x12345000) at ",
          "  mcgst 0000000000000005", "  mc9st be00000000000135", "  mc9ad 0000000012345000",
          "  mc9mi 0000000000000086", "CPU 1, thread ", ports=("x86_64",), crash=None,
          keys=(("Type help for the commands.",
                 b"\x01cmce 1 9 0xbe00000000000135 5 0x12345000 0x86\n"),)),
    crash("double", "double fault (code 0", " rsp 4000000000000000", " #0 crash_double+", *PROMPT,
          ports=("x86_64",)),
    crash("serror", "SError: asynchronous external abort (code 0xbe000000", " #0 crash_serror+",
          *PROMPT, ports=("arm64",)),
    crash("sp0", "exception while on the wrong stack", " #0 crash_sp0+", *PROMPT,
          ports=("arm64",)),
    crash("bus", "external abort (code 0x96000010", " #0 crash_bus+", *PROMPT, ports=("arm64",)),
    crash("bus-high", "external abort (code 0x96000010", " #0 crash_bus+", *PROMPT,
          ports=("arm64",), kind="bus", options="va_bits=52"),
    crash("bus", "access fault on a load (code 0x5", " #0 crash_bus+", *PROMPT,
          ports=("riscv64",)),
)

BAD = (
    Config("unknown-word", options="frobnicate=1", expect='unknown option "frobnicate"'),
    Config("bad-value", options="tlb=7", expect='option tlb: the value "7" is not accepted'),
    Config("bad-number", options="watchdog=12x",
           expect='option watchdog: the value "12x" is not accepted'),
    Config("gather-trees", options="tlb=ipi table_free=gather trees=cpu",
           expect="table_free=gather cannot be had with trees=cpu"),
    Config("little-memory", options="mem=256K", expect="too little memory"),
    Config("no-16K", ports=("arm64",), page_size="16K", cpu="cortex-a57",
           expect="this CPU has no 16 KiB pages"),
    Config("no-va52", ports=("arm64",), cpu="cortex-a76", options="va_bits=52",
           expect="va_bits=52: this CPU has no addresses of 52 bits with pages of 4 KiB (LPA2)"),
    *(Config(f"no-{feature}", ports=("x86_64",), cpu=f"qemu64,-{feature}",
             expect=f"boot: this CPU has no {name}: Grace cannot run on it")
      for feature, name in (("tsc", "time-stamp counter (TSC)"), ("apic", "local APIC"),
                            ("pge", "global pages (PGE)"), ("pat", "page attribute table (PAT)"),
                            ("sse2", "SSE2"), ("lm", "64-bit mode (LM)"),
                            ("nx", "execute-disable pages (NX)"))),
    Config("no-clock", ports=("x86_64",), machine="microvm,pit=off,pic=off,rtc=off",
           expect="no clock: neither CPUID nor HPET nor ACPI timer nor PIT tells the TSC's "
                  "rate"),
    Config("tree-magic", ports=DEVICE_TREE, given="magic", expect="magic"),
    Config("tree-cut", ports=DEVICE_TREE, given="cut", expect="broken structure block"),
    Config("tree-size", ports=DEVICE_TREE, given="size", expect="device tree at"),
    Config("no-memory", ports=DEVICE_TREE, given="no-memory",
           expect="device tree: no memory that can be used"),
    Config("no-cpu", ports=DEVICE_TREE, given="no-cpu", expect="device tree: no CPU"),
    Config("no-pl011", ports=("arm64",), given="no-pl011",
           expect="device tree: no console that this kernel has a driver for"),
    Config("no-gic", ports=("arm64",), given="no-gic",
           expect="device tree: no GICv2 or GICv3 interrupt controller"),
    Config("no-timer", ports=("arm64",), given="no-timer",
           expect="device tree: no arm,armv8-timer with a virtual timer interrupt"),
    Config("no-timebase", ports=("riscv64",), given="no-timebase",
           expect="device tree: no usable timebase-frequency in /cpus"),
    Config("acpi-root", ports=("x86_64",), given="root", expect="ACPI: no valid root pointer at"),
    Config("acpi-length", ports=("x86_64",), given="root-length",
           expect="ACPI: the root table at 0x7001040 has a length that it cannot have"),
    Config("acpi-sum", ports=("x86_64",), given="madt-sum",
           expect="ACPI: the MADT at 0x7001100 has a wrong checksum"),
    Config("acpi-entry", ports=("x86_64",), given="madt-entry",
           expect="ACPI: MADT entry at 44 has a length of 7"),
    Config("pvh-map", ports=("x86_64",), given="map",
           expect="PVH memory map is bad: 1048576 entries at 0x7000100"),
    Config("mb2-map", ports=("x86_64",), given="mb2-map",
           expect="Multiboot information has no memory map"),
    Config("mb2-tag", ports=("x86_64",), given="mb2-tag",
           expect="Multiboot information is broken at byte"),
    Config("mb2-size", ports=("x86_64",), given="mb2-size",
           expect="Multiboot information is out of reach, at 0x7002800"),
    Config("pvh-line", ports=("x86_64",), given="cmdline",
           expect="PVH command line is out of reach, at 0x10000000000"),
)
