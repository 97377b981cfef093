# SPDX-License-Identifier: MIT
"""LANE=smp of make bench: what CPUs do to each other, in counts, on 2, 4 and 8 of them.

The counting kernel (BUILD=count) runs each scenario by turns, so that a second run counts the same,
whatever the host does meanwhile. CHECK=1 wants the figures of tests/bench/counts.json again, or,
where they are others, the same figures twice and none that grew. ACCEPT=1 writes that file and the
tables of docs/performance.md.

Grace periods take time, and so a clock that is the same twice: they are measured under -icount.
"""
import concurrent.futures
import os
import re

import bench_plot
import bench_rows
import bench_run
import qemu
import test
from bench_run import OUT, load, save, say

ACCEPTED = os.path.join(bench_run.HERE, "../tests/bench/counts.json")
BOX = {**bench_run.BOX, "build": "count"}
MACHINES = (2, 4, 8)
MEMORY = "1G"  # for the longest munmap
SLACK = 0.02  # for what is not a whole number an operation
BATCH = 9698  # pages that a gather holds before it flushes
# The tables: one for each transport, and one of what is measured by the clock.
TABLES = {"x86_64": ("ipi", "nmi", "clock"), "arm64": ("ipi", "broadcast", "clock"),
          "riscv64": ("ipi", "sbi", "clock")}
LEVELS = {"x86_64": 5, "arm64": 4, "riscv64": 5}
LINUX_WAITING = {"arm64": 4 * 4096}  # bytes a munmap, tables and the page that lists them


class Row:
    """
    linux, limit: functions of CPUs and port, or None where there is no such figure. held: whether
    more than is accepted is a fault; not where it hangs on which phases of the ticks are met.
    """

    def __init__(self, name, text, linux=None, limit=None, held=True):
        self.name, self.text, self.held = name, text, held
        self.linux, self.limit = linux or (lambda n, arch: None), limit or (lambda n, arch: None)


def constant(value):
    return lambda n, arch: value


def others(n, arch):
    return n - 1


def measured(function):
    """Of Linux: counted on x86_64, the one port where it interrupts for a flush."""
    return lambda n, arch: function(n, arch) if arch == "x86_64" else None


NONE = constant(0)
ROWS = (
    Row("munmap-unused/told", "CPUs told by a munmap of a page that nobody used; all are in the mm",
        measured(others), NONE),
    Row("munmap-none/told", "the same; the CPU that unmaps it used it, no other", measured(others),
        NONE),
    Row("munmap-half/told", "the same; half of the CPUs used it", measured(others),
        lambda n, arch: n // 2),
    Row("munmap-all/told", "the same; all used it", measured(others), others),
    Row("munmap-tables/told", "the same, and its tables go", measured(others), others),
    Row("munmap-alone/told", "nobody else was ever in the mm", measured(NONE), NONE),
    Row("munmap-lazy/told", "all used it, and idle now with its root loaded", measured(NONE), NONE),
    Row("munmap-lazy-tables/told", "the same, and its tables go", measured(others), others),
    Row("munmap-all/ipis", "interrupts sent for it", measured(others), others),
    Row("munmap-all/flushes", "flushes, of a range or of the mm", constant(1), constant(1)),
    Row("munmap-all/fences", "of these by the transport that is not masked", None, constant(1)),
    Row("apart1/told", "CPUs told by a munmap of a page in a 2 MiB of each CPU's own", None, NONE),
    Row("trees-unused/told", "as munmap-unused, with trees by CPU (trees=cpu)", measured(others),
        NONE),
    Row("trees-none/told", "as munmap-none", measured(others), NONE),
    Row("trees-half/told", "as munmap-half", measured(others), lambda n, arch: n // 2),
    Row("trees-all/told", "as munmap-all", measured(others), others),
    Row("trees-tables/told", "as munmap-tables", measured(others), others),
    Row("trees1/told", "as apart1", None, NONE),
    Row("apart64/shared", "atomics on shared lines a page: map, touch, unmap 64, each CPU its own",
        None, constant(1)),
    Row("apart64-map/shared", "of these by mmap"),
    Row("apart64-fault/shared", "by the faults"),
    Row("apart64-unmap/shared", "by munmap"),
    Row("apart64/waits", "locks waited for", None, NONE),
    Row("beside-fault/waits", "locks that a fault waits for while another's munmap is under way",
        NONE, NONE),
    Row("beside-munmap/waits", "locks that a munmap waits for then", constant(1), NONE),
    Row("pages-1/flushes", "flushes of a munmap of 1 page", constant(1), constant(1)),
    Row("pages-65536/flushes", "of 65,536 pages", lambda n, arch: -(-65536 // BATCH),
        lambda n, arch: -(-65536 // BATCH)),
    Row("walkers/refused", "walks that a munmap under them turns away, of each walker's one", None,
        constant(1)),
    Row("walkers/stretch", "pages a walker takes in one stretch with interrupts off, of 512",
        constant(512), constant(64)),
    Row("walkers/bytes", "bytes that then wait for them",
        lambda n, arch: LINUX_WAITING.get(arch), lambda n, arch: (LEVELS[arch] - 1) * 4096),
    Row("walkers/hurried", "grace periods driven by IPIs for it", None, NONE),
    Row("idle/ipis", "interrupts to an idle CPU by munmap of tables and a grace period", None,
        NONE),
    Row("idle/wakes", "threads that ran on it", None, NONE),
    Row("period/mean", "ticks of a grace period, all other CPUs walking",
        lambda n, arch: 4 if arch == "arm64" else None, constant(1), held=False),
    Row("period/longest", "the longest of 16", held=False),
    Row("period/bytes", "most bytes waiting, 2,000 munmaps of a page beside them",
        lambda n, arch: 64.7e6 if arch == "arm64" and n == 2 else None, constant(1 << 20)),
    Row("period/limited", "of these munmaps, those that had to wait for room", held=False),
)


def derive(rows):
    """The rows of the table from those of one machine and transport: {row: total / ops}."""
    cost = {name: total / ops for name, (total, ops) in rows.items()}
    for scenario in {name.split("/")[0] for name in rows if name.endswith("/range")}:
        cost[scenario + "/flushes"] = cost[scenario + "/range"] + cost[scenario + "/mm"]
    for what in ("shared", "waits"):
        parts = [cost.get(f"apart64-{phase}/{what}") for phase in ("map", "fault", "unmap")]
        if None not in parts:
            cost["apart64/" + what] = sum(parts)
    for name in ("period/mean", "period/longest"):
        if name in cost:
            cost[name] /= bench_rows.TICK_NS
    walkers = [name for name in rows if name.startswith("walkers-")]
    for what in {name.split("/")[1] for name in walkers}:
        # The most of any number of walkers: it must not depend on that.
        cost["walkers/" + what] = max(cost[n] for n in walkers if n.endswith("/" + what))
    return cost


def of_transport(figures, cpus, transport):
    """The figures of one machine and transport, by scenario/what."""
    start = f"{cpus}/{transport}/"
    return {name.removeprefix(start): v for name, v in figures.items() if name.startswith(start)}


# ---- Tables --------------------------------------------------------------------------------------

HEAD = ("row", "Linux 6.1", "limit", "ours", "Linux / ours", "ours / limit", "limit")


def number(value):
    if value is None:
        return "-"
    return f"{value:,.0f}" if value == int(value) else f"{value:.2f}"


def all_of(values):
    """One number if the machines have the same, else one for each."""
    texts = [number(v) for v in values]
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def ratio(a, b):
    return "-" if a is None or not b else number(a / b)


def cells(row, arch, costs):
    """costs: {CPUs: {row: cost}}, of the machines that have the row."""
    machines = list(costs)
    linux, limit = ([f(n, arch) for n in machines] for f in (row.linux, row.limit))
    ours = [costs[n][row.name] for n in machines]
    verdict = ""
    if limit[-1] is not None:
        verdict = "holds" if all(o <= m for o, m in zip(ours, limit)) else "LOSES"
    return (row.name, all_of(linux), all_of(limit), all_of(ours), ratio(linux[-1], ours[-1]),
            ratio(ours[-1], limit[-1]), verdict)


def title(table):
    return "grace periods" if table == "clock" else f"tlb={table}"


def table_cells(arch, transport, figures):
    costs = {n: derive(of_transport(figures, n, transport)) for n in MACHINES}
    return [HEAD] + [cells(row, arch, {n: c for n, c in costs.items() if row.name in c})
                     for row in ROWS if any(row.name in c for c in costs.values())]


# ---- Measuring -----------------------------------------------------------------------------------

def command(arch, cpus):
    return qemu.command(qemu.from_environment(
        **BOX, arch=arch, cpus=cpus, mem=MEMORY, cpu=bench_run.CPU.get(arch, ""),
        append='run="bench-smp;poweroff"'))


def by_clock(arch, cpus):
    return bench_run.counted(arch, "period", cpus, MEMORY, BOX)


def commands(arch):
    return [function(arch, cpus) for cpus in MACHINES for function in (command, by_clock)]


def measure(arch):
    figures = {}
    for cpus in MACHINES:
        rows = bench_run.run(command(arch, cpus), cpus, "smp", f"{OUT}/{arch}-smp{cpus}.log")
        rows.update(bench_run.run(by_clock(arch, cpus), cpus, "period",
                                  f"{OUT}/{arch}-period{cpus}.log"))
        figures.update({f"{cpus}/{name}": value for name, value in rows.items()})
    return figures


def measure_all(ports):
    """They wait much more than they work, so the ports run at the same time."""
    with concurrent.futures.ThreadPoolExecutor(len(ports)) as pool:
        return dict(zip(ports, pool.map(measure, ports)))


def grown(arch, base, now):
    """Rows of the tables that are above what is accepted, or gone, or new."""
    faults = []
    for transport in TABLES[arch]:
        for cpus in MACHINES:
            old, new = (derive(of_transport(f, cpus, transport)) for f in (base, now))
            for row in (row for row in ROWS if row.held):
                a, b = old.get(row.name), new.get(row.name)
                where = f"{arch}: {transport}, {cpus} CPUs: {row.name}: "
                if a == b or (None not in (a, b) and abs(b - a) <= SLACK * a):
                    continue
                if a is not None and b is not None and b < a:
                    say(where + f"{number(a)} -> {number(b)}: better than what is accepted")
                else:
                    faults.append(where + f"{number(b)}, accepted are {number(a)} "
                                  "(make bench LANE=smp ACCEPT=1)")
    return faults


def check(ports):
    accepted = load(ACCEPTED)["figures"]
    first, faults = measure_all(ports), []
    changed = [arch for arch in ports if first[arch] != accepted.get(arch)]
    for arch in ports:
        if arch not in changed:
            say(f"{arch}: {len(first[arch])} counts, those that are accepted, to the digit")
    second = measure_all(changed) if changed else {}
    for arch in changed:
        faults += bench_run.not_equal(arch, first[arch], second[arch])
        faults += grown(arch, accepted.get(arch, {}), first[arch])
    say("\n".join(faults))
    return 1 if faults else 0


# file, title, CPUs, sweep, what
PLOTS = (("flushes", "Flushes of a munmap, by pages", 2, "pages", "flushes"),
         ("walkers-refused", "Walks that a munmap turns away, by walkers", 8, "walkers", "refused"),
         ("walkers-stretch", "Pages in one stretch with interrupts off, by walkers", 8, "walkers",
          "stretch"),
         ("walkers-bytes", "Bytes that wait for walkers, by walkers", 8, "walkers", "bytes"))


def sweep_lines(figures, cpus, sweep, row):
    """{port: [(size, cost), ...]} of a sweep, with each port's first transport."""
    name, lines = re.compile(rf"{sweep}-(\d+)/{row}$"), {}
    for arch, rows in figures.items():
        cost = derive(of_transport(rows, cpus, TABLES[arch][0]))
        lines[arch] = sorted((int(m[1]), cost[m[0]]) for m in map(name.match, cost) if m)
    return lines


def plots(figures):
    """Draws each sweep; returns the files."""
    files = [f"{OUT}/{name}.svg" for name, *_ in PLOTS]
    for file, (_, what, cpus, sweep, row) in zip(files, PLOTS):
        bench_plot.write(file, what, sweep_lines(figures, cpus, sweep, row))
    return files


def write_document(figures):
    for arch, rows in figures.items():
        for transport in TABLES[arch]:
            bench_run.write_between(bench_run.DOCUMENT, f"smp {arch} {transport}",
                                    bench_run.markdown(table_cells(arch, transport, rows)))


def lane(ports):
    figures = measure_all(ports)
    for arch in ports:
        for transport in TABLES[arch]:
            say(f"\n{arch}, {title(transport)}, on {' / '.join(map(str, MACHINES))} CPUs\n" +
                bench_run.plain(table_cells(arch, transport, figures[arch])))
    save(f"{OUT}/counts.json", {"figures": figures})
    say(f"\n{OUT}/counts.json; plots: " + ", ".join(plots(figures)))
    if test.asked("BASE"):
        base = load(test.asked("BASE"))["figures"]
        for arch in ports:
            say("\n".join(grown(arch, base.get(arch, {}), figures[arch])))
    if test.asked("ACCEPT"):
        accepted = load(ACCEPTED) if os.path.exists(ACCEPTED) else {"figures": {}}
        accepted["figures"].update(figures)
        save(ACCEPTED, accepted)
        write_document(accepted["figures"])
    return 0
