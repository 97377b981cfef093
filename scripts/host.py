#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make host: the selftests, the race and what the console tells, in the kernel as a host program.

On every machine model, or MACHINE=; T=GLOB as in make test; SEED= draws who runs when, STRESS=
seconds (of the virtual clock) of the race. Kept in build/host*/MACHINE.log.
"""
import concurrent.futures
import os
import subprocess
import sys
import time

import judge
import report

PROGRAM = os.environ.get("HOST_PROGRAM") or "build/host/grace"
LIMIT = 300  # seconds for one run
PRINTED = "mem;mm;rcu;tlb;rules;rules F1;oracles;owner;cpus;threads;trace 20"  # what only tells


class Outcome:
    """What a run left behind, as judge.py wants it."""

    def __init__(self, text):
        self.text = text


def machines():
    """The models that the program knows."""
    done = subprocess.run([PROGRAM, "--help"], capture_output=True, text=True, check=False)
    return [line.split()[1] for line in done.stderr.splitlines() if line.startswith("  machine ")]


def command(machine, glob, stress, seed):
    race = f";stress={stress}" if float(stress) else ""
    return [PROGRAM, "--machine", machine, "--seed", seed,
            f'run="test {glob}{race};{PRINTED};poweroff"']


def run(machine, glob="*", stress="1", seed="1"):
    """One machine: its row."""
    row = report.Row("host", machine)
    row.log = f"{os.path.dirname(PROGRAM)}/{machine.replace('/', '-')}.log"
    words, start = command(machine, glob, stress, seed), time.monotonic()
    with open(row.log, "wb") as log:
        try:
            status = subprocess.run(words, stdout=log, stderr=subprocess.STDOUT, timeout=LIMIT,
                                    stdin=subprocess.DEVNULL, check=False).returncode
            error = f"status {status}" if status else None
        except subprocess.TimeoutExpired:
            error = f"not over after {LIMIT} s"
    row.seconds = time.monotonic() - start
    with open(row.log, encoding="utf-8", errors="replace") as log:
        outcome = Outcome(log.read())
    errors = judge.judge_tests(row, outcome)
    if float(stress) and not row.failed():
        errors += judge.judge_race(row, outcome)
    if errors or (error and not row.failed()):
        tail = outcome.text.splitlines()[-30:]
        row.add("run", "failed", "\n".join(["; ".join([error or "", *errors]), *tail]))
    return row


def run_all(wanted, **how):
    """Yields the row of each machine whose name begins as wanted."""
    names = [m for m in machines() if m.startswith(wanted)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(lambda m: run(m, **how), names)


def main():
    how = {name: os.environ[key] for name, key in (("glob", "T"), ("stress", "STRESS"),
                                                   ("seed", "SEED")) if os.environ.get(key)}
    rows = []
    for row in run_all(os.environ.get("MACHINE") or "", **how):
        rows.append(row)
        race = f", race {row.race}" if row.race else ""
        print(f"{row.name:16} {row.count('passed')} passed, {row.count('failed')} failed, "
              f"{row.count('skipped')} skipped{race}, {row.seconds:.1f} s: {row.log}", flush=True)
        for case in row.failed():
            print(f"  {case.name}: {case.text}")
        for case in row.cases:
            if case.verdict == "skipped" and os.environ.get("V"):
                print(f"  {case.name}: SKIP {case.text}")
    if not rows:
        sys.exit(f"MACHINE={os.environ.get('MACHINE')}: the machines are {' '.join(machines())}")
    passed, failed, skipped = report.totals(rows)
    print(f"host: {passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
