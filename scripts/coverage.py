#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make explore COVERAGE=1: which lines and branches of mm/ and of RCU scenarios and unit tests run.

Runs every scenario by chance (RANDOM= runs each, 200) on every machine model with all rules on,
SEED= as the first seed, and every rule knocked out; then the unit tests and the race in the host
program on each model. Prints what gcov counted, by file and in all: a line counts if either build
ran it, and its branches are those of the build that took more of them. Fails below LINES= per cent
of lines (90), and if a run with all rules on finds anything. No file is left out.
"""
import concurrent.futures
import glob
import json
import os
import subprocess
import sys

import explore
import host

BUILDS = [os.path.dirname(explore.SIM), os.path.dirname(host.PROGRAM)]


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


def run_unit_tests():
    """In the host program, on every machine. What failed, as text."""
    rows = list(host.run_all(""))
    print(f"unit tests and the race on {len(rows)} machines: "
          f"{sum(row.count('passed') for row in rows)} passed")
    return [f"{row.name}: {case.name}: {case.text}" for row in rows for case in row.failed()]


def gcov(build, source):
    """{line: (times, branches, taken)} of one source file, by what one build's object counted."""
    done = subprocess.run(["gcov", "--json-format", "--stdout", "--branch-probabilities",
                           f"{build}/{source}.gcda"], capture_output=True, text=True, check=False)
    lines = {}
    for part in (p for text in done.stdout.splitlines() for p in json.loads(text)["files"]):
        if os.path.relpath(part["file"]) != source:
            continue
        for line in part["lines"]:
            times, branches, taken = lines.get(line["line_number"], (0, 0, 0))
            here = sum(1 for branch in line["branches"] if branch["count"])
            if here >= taken and line["branches"]:
                branches, taken = len(line["branches"]), here
            lines[line["line_number"]] = (times + line["count"], branches, taken)
    return lines


def merged(source):
    """The same of all builds; None if none has it."""
    files = [gcov(build, source) for build in BUILDS if os.path.exists(f"{build}/{source}.gcda")]
    lines = {}
    for number, (times, branches, taken) in (item for file in files for item in file.items()):
        before, other, most = lines.get(number, (0, 0, 0))
        more = (branches, taken) if taken > most or not other else (other, most)
        lines[number] = (before + times, *more)
    return lines if files else None


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
        lines = merged(source)
        if lines is None:
            print(f"{source:22} was not built or not run")
            continue
        run = sum(1 for times, _, _ in lines.values() if times)
        branches, taken = (sum(line[i] for line in lines.values()) for i in (1, 2))
        print(row(source, run, len(lines), taken, branches))
        if os.environ.get("V"):
            print("    not run: " + " ".join(str(n) for n in sorted(lines) if not lines[n][0]))
        total = [a + b for a, b in zip(total, (run, len(lines), taken, branches))]
    print(row("all", *total))
    return 100 * total[0] / total[1] if total[1] else 0


def main():
    for build in BUILDS:
        for old in glob.glob(f"{build}/**/*.gcda", recursive=True):
            os.remove(old)
    found = run_all(os.environ.get("RANDOM") or "200", os.environ.get("SEED") or "1")
    found += run_unit_tests()
    print("\n".join(found), end="\n" if found else "")
    share, wanted = report(), float(os.environ.get("LINES") or 90)
    if share < wanted:
        print(f"coverage: {share:.1f} % of lines, {wanted:.0f} % wanted")
    return 1 if found or share < wanted else 0


if __name__ == "__main__":
    sys.exit(main())
