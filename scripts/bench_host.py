# SPDX-License-Identifier: MIT
"""LANE=host of make bench: walker, zap, references and allocator in cycles of the host's caches.

The kernel is a host program there (arch/sim/host), built as a release build is. Each operation runs
in turns with its floor, the loads and atomics that it cannot do without (tests/bench/native/); of
the pairs' ratios the median counts, with bounds between which it is with 95 % confidence. Nothing
is held: cycles are the host's.
"""
import math
import os
import re
import subprocess

import bench_run
import maker
import test
from bench_run import OUT, Failed, save, say

PROGRAM = "build/host-native/grace"
TIME_LIMIT = 120
LINE = re.compile(r"^PAIR (\S+) (\d+) (\d+) (\d+)$")
ROWS = {
    "gup1": "gup_fast of one hot page a call, 512 pages in turn; the reference taken",
    "gup512": "one call, 512 entries of one table, per page",
    "pin512": "pin and unpin, per page",
    "gup-cold": "gup_fast of a page whose entries and descriptor are in no cache",
    "zap512": "madvise(DONTNEED) of 512 pages, tables kept, per page",
    "munmap512": "munmap of 512 pages with their leaf table, per page",
    "page": "allocate and free one page from the per-CPU list",
}


def parse(lines):
    """{row: [(ours, floor), ...]} in cycles an operation."""
    pairs = {}
    for match in filter(None, map(LINE.match, lines)):
        ops = int(match[2])
        pairs.setdefault(match[1], []).append((int(match[3]) / ops, int(match[4]) / ops))
    return pairs


def median(values):
    """(median, lower, upper): bounds of the median, by ranks, with 95 % confidence."""
    values, n = sorted(values), len(values)
    reach = math.ceil(0.98 * math.sqrt(n))
    middle = (values[(n - 1) // 2] + values[n // 2]) / 2
    return middle, values[max(0, (n - 1) // 2 - reach)], values[min(n - 1, n // 2 + reach)]


def bounds(values):
    middle, low, high = median(values)
    return f"{middle:.2f} ({low:.2f} - {high:.2f})"


HEAD = ("row", "cycles, ours", "floor", "ours / floor", "operation")


def table_cells(pairs):
    lines = [HEAD]
    for name, text in ROWS.items():
        turns = pairs[name]
        lines.append((name, f"{median([a for a, _ in turns])[0]:.1f}",
                      f"{median([b for _, b in turns])[0]:.1f}",
                      bounds([a / b for a, b in turns]), text))
    return lines


def processor():
    """What the host calls its processor."""
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        return next((line.split(":")[1].strip() for line in file if line.startswith("model name")),
                    "a processor without a name")


def measure():
    done = maker.make(PROGRAM)
    if done.returncode:
        raise Failed(done.stdout)
    try:
        done = subprocess.run([PROGRAM, 'run="bench-host;poweroff"'], stdout=subprocess.PIPE,
                              text=True, timeout=TIME_LIMIT, stdin=subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired:
        raise Failed(f"{PROGRAM}: not over after {TIME_LIMIT} s") from None
    lines = done.stdout.splitlines()
    if done.returncode or "BENCH-END host 0" not in lines:
        said = [line for line in lines if line.startswith("BENCH-FAILED")]
        raise Failed(f"{PROGRAM}: " + ("; ".join(said) or f"status {done.returncode}"))
    return parse(lines)


def lane(ports):
    if os.uname().machine not in ("x86_64", "amd64"):
        say("LANE=host: SKIPPED: the host program is for x86_64")
        return 0
    pairs = measure()
    of = f"{processor()}, {len(next(iter(pairs.values())))} pairs"
    say(f"cycles of the host, by its TSC: {of}\n" + bench_run.plain(table_cells(pairs)))
    save(f"{OUT}/host.json", {"processor": processor(), "pairs": pairs})
    say(f"\n{OUT}/host.json")
    if test.asked("ACCEPT"):
        bench_run.write_between(bench_run.DOCUMENT, "host",
                                bench_run.markdown(table_cells(pairs)) + f"\n\n{of}.")
    return 0


def check(ports):
    say("LANE=host: cycles are the host's: nothing is held")
    return lane(ports)
