# SPDX-License-Identifier: MIT
"""The rows of the benchmarks: what each measures, what Linux 6.1 takes, and what Grace may take.

Linux's figures: 6.1.192, allnoconfig with SMP, PREEMPT_NONE, HZ=250, no debugging, no mitigations,
under the same emulator and the same counting of instructions; least of 15.
"""
PORTS = ("x86_64", "arm64", "riscv64")
ENTRY = {"x86_64": 211, "arm64": 332, "riscv64": 182}  # Linux: a system call that does nothing


class Row:
    def __init__(self, name, text, linux=None, limit=None, **more):
        """
        linux, limit: a number for each port, or one for all, or None. calls: system calls in
        Linux's figure; pages: what one call is divided by. beside: what Linux does more.
        """
        self.name, self.text = name, text
        self.linux, self.limit = (dict(zip(PORTS, v if isinstance(v, tuple) else (v,) * 3))
                                  for v in (linux, limit))
        self.calls, self.pages = more.get("calls", 0), more.get("pages", 1)
        self.beside, self.unit = more.get("beside", ""), more.get("unit", "instructions")

    def linux_less_entry(self, arch):
        """Linux's figure without what it takes to enter and leave the kernel, or None."""
        if self.linux[arch] is None:
            return None
        return self.linux[arch] - self.calls * ENTRY[arch] / self.pages


ZAP = "reverse map, LRU, accounting"
ROWS = (
    Row("gup1", "gup_fast of one hot page", (340, 313, 808), (95, 70, 110),
        beside="FOLL flags, huge and device entries; riscv64 has no fast path"),
    Row("gup512", "one call, 512 entries of one table, per page", (109.4, 87.4, 385.7),
        (32, 28, 32), beside="the same"),
    Row("pin512", "pin and unpin, per page", (282, 274, 556), 45, beside="counters of pins"),
    Row("irqoff", "longest stretch with interrupts off in a gup_fast of 4,096 pages",
        (447000, 356000, None), 3500),
    Row("zap512", "madvise(DONTNEED) of 512 pages, tables kept, per page", (481, 459, 523), 60,
        calls=1, pages=512, beside=ZAP),
    Row("zap1", "the same of one page, per call", (2349, 2268, 2723), 250, calls=1, beside=ZAP),
    Row("munmap1", "munmap of one page in a 2 MiB of its own, the leaf table freed",
        (5990, 5491, 6514), 600, calls=1, beside=ZAP + ", VMA tree"),
    Row("munmap1alone", "the same where nothing else is mapped: every table freed",
        (7790, 7960, 8855), calls=1, beside=ZAP + ", VMA tree"),
    Row("munmap1kept", "the same beside a neighbour: no table freed", (13071, 10150, 11923),
        calls=1, beside=ZAP + ", VMA tree"),
    Row("munmap512", "munmap of 512 pages, per page", (492, 471, 533), 60, calls=1, pages=512,
        beside=ZAP),
    Row("munmap4096", "munmap of 4,096 pages, per page", (665, 638, 725), 60, calls=1,
        pages=4096, beside=ZAP),
    Row("slope", "munmap4096 by munmap512", (1.35, 1.35, 1.36), 1.05, unit="ratio"),
    Row("fault", "fault: trap, walk, allocate, zero, map, return", (1946, 1731, 2087),
        (800, 450, 800), beside=ZAP + "; from user mode, ours from the kernel's user access"),
    Row("fault0", "the same less the zeroing", (1428, None, None), 250, beside=ZAP),
    Row("zero", "clearing of one page", (518, None, None)),
    Row("mapunmap", "map and unmap a range never touched", (8774, 8015, 9150), 500, calls=2,
        beside="a maple tree, merging, accounting"),
    Row("table", "one leaf table: allocate, zero, hook, in frames of freed ones"),
    Row("tablefree", "one table: detach, queue, callback, free", None, 80),
    Row("gp", "a grace period beside a busy CPU, mean over a tick's phases, in ticks",
        (None, 4, None), 1, unit="ticks"),
    Row("gp-longest", "the longest of these", None, None, unit="ticks"),
    Row("gp-expedited", "an expedited one, instructions of both CPUs", (None, 5360, None), 700),
    Row("page", "allocate and free one page from the per-CPU list", None, 24),
    Row("ipi", "a flush request taken and answered on the target", None, 40),
    Row("waiting-peak", "most bytes of table waiting, 4,000 munmaps of a page, beside a busy CPU",
        (None, 64.7e6, None), 1 << 20, unit="bytes"),
    Row("waiting-limited", "times that this limit was met", unit="times"),
    Row("waiting-table", "bytes waiting per freed table: it and what lists it",
        (None, 5461, None), None, unit="bytes"),
    Row("size-kernel", "text and data of the release build: arch, drivers, kernel, mm", None,
        96 << 10, unit="bytes"),
    Row("size-symbols", "its table of symbols, for backtraces", unit="bytes"),
    Row("size-tests", "tests and benchmarks in it", unit="bytes"),
    Row("boot", "from entry to where the first test begins, 256 MiB", (None, 26e6, 32e6), 1e6),
)
TICK_NS = 4000000  # 1 / HZ of include/time.h
SWEEPS = {
    "munmap": "Instructions of a munmap per page, by pages a call",
    "vmas-munmap1": "Instructions of a munmap of one page, by live VMAs",
    "vmas-mapunmap": "Instructions of a map and unmap, by live VMAs",
}


def per_op(measured):
    """{row: cost of one operation} from {row: (total, operations)}, with the rows that follow."""
    cost = {name: total / ops for name, (total, ops) in measured.items()}
    if "munmap512" in cost and "munmap4096" in cost:
        cost["slope"] = cost["munmap4096"] / cost["munmap512"]
    for name in ("gp", "gp-longest"):
        if name in cost:
            cost[name] /= TICK_NS
    return cost
