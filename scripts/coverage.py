#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make explore COVERAGE=1: which lines and branches of mm/ and of RCU the scenarios run.

Runs every scenario by chance (RANDOM= runs each, 200) on every machine model with all rules on,
SEED= as the first seed, and every rule knocked out, then prints what gcov counted, by file and in
all. Fails below LINES= per cent of lines (90), and if a run with all rules on finds anything. A
file that is left out is named with the reason.
"""
import concurrent.futures
import glob
import json
import os
import subprocess
import sys

import explore

BUILD = os.path.dirname(explore.SIM)
# Files of mm/ that are left out, and why.
LEFT_OUT = {
    "mm/kmap.c": "maps the kernel's own addresses, which a host process has not",
    "mm/stack.c": "maps the kernel's own addresses, which a host process has not",
    "mm/page_owner.c": "only prints: where frames were allocated",
    "mm/print.c": "only prints: commands of the console",
    "mm/oracle.c": "only prints: a report is a finding here",
    "mm/mem_print.c": "only prints: commands of the console",
    "mm/rules.c": "only prints: commands of the console, options",
}


def run_all(runs, seed):
    """Every scenario on every machine. What was found, as text."""
    scenarios, machines, rules = explore.listing()
    jobs = [(s, m) for s in scenarios for m in machines if explore.fits(scenarios[s], m)]
    broken = [(s, m, r) for s, m in jobs for r in scenarios[s]["rules"] if r in rules]

    def one(job):
        return explore.run_sim(*job, extra=["--random", runs, "--seed", seed, "--oracles", "1"])

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(one, jobs))
        list(pool.map(one, broken))
    print(f"{len(jobs)} runs of {runs} schedules each, {len(broken)} with a rule knocked out")
    return [f"{r['scenario']} on {r['machine']}: {r.get('finding')} {r.get('message')} {r['error']}"
            for r in results if r["status"] not in (0, 3)]


def gcov(source):
    """{line: times} and [branches, taken] of one source file, by what its object counted."""
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                           f"{BUILD}/{source}.gcda"], capture_output=True, text=True)
    lines, branches = {}, {}
    for text in done.stdout.splitlines():
        for part in json.loads(text)["files"]:
            if os.path.relpath(part["file"]) != source:
                continue
            for line in part["lines"]:
                number = line["line_number"]
                lines[number] = lines.get(number, 0) + line["count"]
                for i, branch in enumerate(line["branches"]):
                    key = (number, i)
                    branches[key] = branches.get(key, 0) + branch["count"]
    return lines, [len(branches), sum(1 for count in branches.values() if count)]


def row(name, run, lines, taken, branches):
    """A line of the table."""
    def share(part, of):
        return f"{100 * part / of:5.1f} %" if of else "      -"
    return f"{name:22} {run:5} of {lines:5}  {share(run, lines)}   " \
           f"{taken:5} of {branches:5}  {share(taken, branches)}"


def report():
    """Prints the table; the share of lines."""
    total = [0, 0, 0, 0]
    print(f"{'file':22} {'lines run':>23}   {'branches taken':>23}")
    for source in sorted(glob.glob("mm/*.c")) + sorted(glob.glob("kernel/rcu*.c")):
        if source in LEFT_OUT:
            print(f"{source:22} left out: {LEFT_OUT[source]}")
            continue
        if not os.path.exists(f"{BUILD}/{source}.gcda"):
            print(f"{source:22} was not built or not run")
            continue
        lines, (branches, taken) = gcov(source)
        run = sum(1 for count in lines.values() if count)
        print(row(source, run, len(lines), taken, branches))
        if os.environ.get("V"):
            print("    not run: " + " ".join(str(n) for n in sorted(lines) if not lines[n]))
        total = [a + b for a, b in zip(total, (run, len(lines), taken, branches))]
    print(row("all", *total))
    return 100 * total[0] / total[1] if total[1] else 0


def main():
    for old in glob.glob(f"{BUILD}/**/*.gcda", recursive=True):
        os.remove(old)
    found = run_all(os.environ.get("RANDOM") or "200", os.environ.get("SEED") or "1")
    print("\n".join(found), end="\n" if found else "")
    share, wanted = report(), float(os.environ.get("LINES") or 90)
    if share < wanted:
        print(f"coverage: {share:.1f} % of lines, {wanted:.0f} % wanted")
    return 1 if found or share < wanted else 0


if __name__ == "__main__":
    sys.exit(main())
