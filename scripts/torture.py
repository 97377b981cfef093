#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make torture: the race and RCU's torture, with mixes drawn from a seed, for as long as asked.

    torture.py SECONDS SEED PORT...      with HOSTS, JOBS, CPUS, MEM, BUILD, QEMU, DRY from make

A round is one machine, freshly started, for half a minute: so many CPUs, a transport, a policy,
faults made common, and the steps of STEPS, each with a seed of its own. What a round is follows
from port, seed and number alone, and what failed can be repeated by the one line that is printed.
"""
import glob
import json
import os
import random
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tarfile
import time
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

import guest
import judge
import ktap
import qemu
import test

LOGS = "build/torture"
KIT = f"{LOGS}/kit"  # where another machine unpacks what it needs: scripts and kernels
RESULT = "RESULT "   # begins the line with which another machine ends
BOOT_LIMIT = 60      # seconds, besides what the steps take
STRETCH = 5          # a step may take so many times its seconds

# What a round runs: (command of the console, seconds). It gets a seed, and says NAME: VERDICT.
STEPS = (
    ("stress", 13),
    ("torture_rcu", 9),
)
TOGGLED = 0.5  # so often CPUs go down and come up during the first step
ROUND = sum(seconds for _, seconds in STEPS)

# Options that go together; the first of them more often.
POLICIES = ("tlb=unmaskable", "tlb=ipi", "tlb=unmaskable", "tlb=ipi", "tlb=ipi table_free=gather")
MACHINES = {
    "x86_64": ({}, {}, {}, {"cpu": "qemu64"}),
    "arm64": ({}, {}, {"gic": "2"}, {"options": "va_bits=39"},
              {"options": "va_bits=52"}),
    "riscv64": ({}, {}, {"options": "sv=39"}, {"options": "sv=48"}),
}
MEMORY = ("256M", "256M", "96M", "1G")

# Harmless faults: (name, most often one in, least often one in, longest delay in us or 0).
FAULTS = (
    ("batch", 2, 50, 0), ("table", 4, 100, 0), ("page", 4, 100, 0), ("slab", 4, 100, 0),
    ("tiny", 2, 20, 0), ("impatient", 1, 20, 0), ("lostipi", 200, 5000, 0), ("ack", 10, 200, 300),
    ("qs", 10, 200, 300), ("walk", 50, 500, 100),
    ("ref", 50, 500, 100), ("fault", 50, 500, 100), ("switch", 5, 100, 100),
    ("flush", 5, 100, 100), ("clear", 20, 500, 50), ("lazy", 5, 100, 100),
    ("rollover", 10, 1000, 0),
)

# What was met, added up for the table: (column, pattern in a log).
COUNTS = (
    ("unmaps", re.compile(r"^stress: unmaps (\d+)", re.M)),
    ("walks that met one", re.compile(r"met an unmap (\d+)")),
    ("CPUs down or up", re.compile(r"CPUs taken down or up (\d+)")),
    ("rcu objects used again", re.compile(r"objects used again (\d+)")),
)


# ---- What a round is -----------------------------------------------------------------------------

def draw_cpus(rng):
    return 16 if rng.random() < 0.07 else rng.randint(1, 8)


def draw_faults(rng):
    """One word of the command line, or "" for a round without faults."""
    if rng.random() < 0.2:
        return ""
    words = []
    for name, often, rare, longest in FAULTS:
        if rng.random() < 0.4:
            delay = f":{rng.randint(5, longest)}" if longest else ""
            words.append(f"{name}:{rng.randint(often, rare)}{delay}")
    return f"fault={','.join(words)},seed:{rng.randint(1, 2**31)}" if words else ""


class Round:
    def __init__(self, arch, seed, number, build="debug"):
        rng = random.Random(f"{arch}/{seed}/{number}")
        self.arch, self.number = arch, number
        self.name = f"{arch}-{seed}-{number}"
        self.machine = {"arch": arch, "build": build, "accel": "tcg", "cpus": str(draw_cpus(rng)),
                        "mem": rng.choice(MEMORY), **rng.choice(MACHINES[arch])}
        words = [rng.choice(POLICIES), self.machine.pop("options", ""), draw_faults(rng)]
        if build == "release":
            words[2] = ""  # it has none
        if self.machine["cpus"] == "16":
            self.machine.pop("gic", None)  # too many for it
        steps = [f"{name} {seconds} {rng.randint(1, 2**31)}" for name, seconds in STEPS]
        if rng.random() < TOGGLED:
            steps[0] += " cpus"
        rng.shuffle(steps)
        self.mix = " ".join(word for word in words if word)
        self.machine["append"] = f'{self.mix} run="{";".join(steps)};poweroff"'
        for name in ("cpus", "mem"):
            self.machine[name] = test.asked(name.upper()) or self.machine[name]

    def request(self):
        more = {name: "" for name in ("gic", "cpu", "machine")}
        return qemu.check(qemu.from_environment(rules="switch", **{**more, **self.machine}))

    def command(self):
        """The one command that repeats the round."""
        words = [f"{name.upper()}={shlex.quote(value)}" for name, value in self.machine.items()
                 if value and (name, value) not in (("accel", "tcg"), ("build", "debug"))]
        return "make run " + " ".join(words)


# ---- Running and judging one ---------------------------------------------------------------------

def verdicts(text, name):
    """(verdict, rest of the line) of each run of a step."""
    pattern = re.compile(rf"{name}: (SUCCESS|FAILURE|INVALID)\b:?,? *(.*)")
    found = [pattern.match(ktap.clean(line)) for line in text.splitlines()]
    return [(match[1], match[2]) for match in found if match]


def judge_round(arch, outcome):
    """("ok", "INVALID" or "FAILED", why)."""
    report = judge.report_lines(outcome)
    if report:
        return "FAILED", report[0]
    steps = {name: verdicts(outcome.text, name) for name, _ in STEPS}
    said = [(name, *one) for name, found in steps.items() for one in found]
    bad = sorted((v, f"{name}: {v} {text}") for name, v, text in said if v != "SUCCESS")
    if bad and not outcome.trouble and outcome.said == 1:
        return ("FAILED", bad[0][1]) if bad[0][0] == "FAILURE" else ("INVALID", bad[0][1])
    ending = judge.ending_trouble(arch, outcome, (0,))
    if ending:
        return "FAILED", ending
    for name, found in steps.items():
        if len(found) != 1:
            return "FAILED", f"{name}: {len(found)} verdicts where one was due"
    return ("FAILED", bad[0][1]) if bad else ("ok", "")


class Row:
    """What came of the rounds of one port and seed on one machine."""

    def __init__(self, arch, seed, host=""):
        self.arch, self.seed, self.host = arch, seed, host
        self.ok = self.invalid = self.failed = 0
        self.seconds = 0.0
        self.met = [0] * len(COUNTS)
        self.failures = []  # (why, command)

    def add(self, word, why, command, text):
        self.ok += word == "ok"
        self.invalid += word == "INVALID"
        self.failed += word == "FAILED"
        if word != "ok":
            self.failures.append((f"{word}: {why}", command))
        for i, (_, pattern) in enumerate(COUNTS):
            self.met[i] += sum(int(n) for n in pattern.findall(text))

    def cells(self):
        counts = (self.ok + self.invalid + self.failed, self.ok, self.invalid, self.failed)
        return (self.host, self.arch, str(self.seed), *map(str, counts), f"{self.seconds:.0f} s",
                *map(str, self.met))


def run_round(one):
    """Runs it; returns (round, word, why, outcome)."""
    words = qemu.command(one.request())
    limit = BOOT_LIMIT + STRETCH * ROUND
    outcome = guest.Guest(words, int(one.machine["cpus"]), f"{LOGS}/{one.name}.log", limit).run()
    return (one, *judge_round(one.arch, outcome), outcome)


def announce(one, word, why, outcome):
    test.say(f"{one.arch:8} {one.number:4}  {word:7} {outcome.seconds:5.1f} s  "
             f"{one.machine['cpus']:>2} CPUs  {one.mix}")
    if word == "ok":
        return
    symbols = guest.load_symbols(f"{qemu.output_dir(one.request())}/grace.nm")
    for line in judge.explain(outcome, why, symbols).split("\n")[:40]:
        test.say(f"      {line}")
    test.say(f"    log: {LOGS}/{one.name}.log")
    test.say(f"    repeat: {one.command()}")


def run_port(arch, seconds, seed, jobs):
    """Rounds, `jobs` at a time, until the time is over; returns the Row."""
    row, start, number, running = Row(arch, seed), time.monotonic(), 0, set()
    with ThreadPoolExecutor(jobs) as pool:
        while running or time.monotonic() - start < seconds:
            while len(running) < jobs and time.monotonic() - start < seconds:
                number += 1
                running.add(pool.submit(run_round, make_round(arch, seed, number)))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for one, word, why, outcome in (future.result() for future in done):
                row.add(word, why, one.command(), outcome.text)
                announce(one, word, why, outcome)
    row.seconds = time.monotonic() - start
    return row


def make_round(arch, seed, number):
    return Round(arch, seed, number, test.asked("BUILD") or "debug")


# ---- Other machines ------------------------------------------------------------------------------

def worker(seconds, seed, jobs, arch):
    """One port's rounds on another machine, from the kit; ends with its row as one line."""
    row = run_port(arch, seconds, seed, jobs or default_jobs())
    row.host = socket.gethostname()
    with tarfile.open(f"../{arch}-{seed}.tar.gz", "w:gz") as out:
        for path in sorted(glob.glob(f"{LOGS}/{arch}-{seed}-*.log")):
            out.add(path, os.path.basename(path))
    test.say(RESULT + json.dumps(vars(row)))


def pack_kit(ports):
    """Packs scripts and kernels."""
    files = sorted(glob.glob("scripts/*.py"))
    for arch in ports:
        folder = qemu.output_dir(make_round(arch, 1, 1).request())
        files += [f"{folder}/{name}" for name in ("grace.elf", "grace.img", "grace.nm")]
    os.makedirs(LOGS, exist_ok=True)
    with tarfile.open(f"{KIT}.tar.gz", "w:gz") as out:
        for path in files:
            out.add(path)


def spread_command(hosts, ports, seconds, seed):
    """GNU parallel's words: for each port a job on each machine, each with a seed of its own."""
    settings = [f"{name}={shlex.quote(test.asked(name))}" for name in ("BUILD", "CPUS", "MEM")
                if test.asked(name)]
    remote = (f"mkdir -p {KIT} && cd {KIT} && tar xzf ../kit.tar.gz && "
              + " ".join(["env", "PYTHONDONTWRITEBYTECODE=1", *settings, "python3"])
              + f" scripts/torture.py --worker {seconds} {{2}} {test.asked('JOBS') or 0} {{1}}")
    seeds = [str(seed + i) for i in range(len(hosts.split(",")))]
    return ["parallel", "--will-cite", "--line-buffer", "-j1", "--sshlogin", hosts, "--workdir",
            ".", "--basefile", f"{KIT}.tar.gz", "--return", f"{LOGS}/{{1}}-{{2}}.tar.gz", remote,
            ":::", *ports, ":::", *seeds]


def spread(hosts, ports, seconds, seed):
    """Runs on all machines; returns the rows, and how many jobs gave none."""
    pack_kit(ports)
    words, rows = spread_command(hosts, ports, seconds, seed), []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            if line.startswith(RESULT):
                row = Row("", 0)
                vars(row).update(json.loads(line[len(RESULT):]))
                rows.append(row)
            else:
                test.say(line.rstrip("\n"))
    missing = len(ports) * len(hosts.split(",")) - len(rows)
    if missing:
        test.say(f"{missing} of the jobs gave no result (parallel ended with {process.returncode})")
    return rows, missing


# ---- All of it -----------------------------------------------------------------------------------

def default_jobs():
    return max(1, min(2, len(os.sched_getaffinity(0)) // 2))


def whole(name, text, default, most):
    """A number from 1 to most, or the default."""
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not 1 <= int(text) <= most:
        raise qemu.BadRequest(f"{name}={text}: accepted is a number, 1 to {most}")
    return int(text)


def table(rows):
    head = ("host", "port", "seed", "rounds", "ok", "invalid", "failed", "time",
            *(name for name, _ in COUNTS))
    lines = [head] + [row.cells() for row in rows]
    if not any(row.host for row in rows):
        lines = [line[1:] for line in lines]
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    lines.insert(1, tuple("-" * width for width in widths))
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths)).rstrip()
                     for line in lines)


def conclude(rows, missing):
    """Prints the table, and again what repeats each failure; returns the status."""
    failures = [failure for row in rows for failure in row.failures]
    test.say("\n" + table(rows) + "\n")
    for why, command in failures:
        test.say(f"{why}\n    repeat: {command}")
    total = sum(row.ok + row.invalid + row.failed for row in rows)
    test.say(f"{total} rounds, {sum(row.ok for row in rows)} ok, {len(failures)} not; logs: {LOGS}")
    return 1 if failures or missing or not total else 0


def show(ports, hosts, seconds, seed):
    """What DRY=1 prints."""
    if hosts:
        test.say(qemu.show(spread_command(hosts, ports, seconds, seed)))
        return
    for arch in ports:
        for number in range(1, 1 + -(-seconds // ROUND)):
            test.say(qemu.show(qemu.command(make_round(arch, seed, number).request())))


def build(ports):
    """True if the kernels are there."""
    builder = test.Builder()
    for arch in ports:
        failure = builder.failure(make_round(arch, 1, 1).request())
        if failure is not None:
            print(f"make: {arch} does not build\n{failure}", file=sys.stderr)
            return False
    return True


def main():
    if sys.argv[1:2] == ["--worker"]:
        worker(*map(int, sys.argv[2:5]), sys.argv[5])
        return 0
    ports, hosts = sys.argv[3:] or list(qemu.PORTS), test.asked("HOSTS")
    try:
        seconds = whole("SECONDS", sys.argv[1], 600, 10**7)
        seed = whole("SEED", sys.argv[2], random.SystemRandom().randint(1, 10**6), 2**31)
        jobs = whole("JOBS", test.asked("JOBS"), default_jobs(), 64)
        make_round(ports[0], seed, 1).request()
        if test.asked("DRY"):
            show(ports, hosts, seconds, seed)
            return 0
    except qemu.BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    if hosts and not shutil.which("parallel"):
        print("make: HOSTS needs GNU parallel, which is not here: apt-get install parallel",
              file=sys.stderr)
        return qemu.STATUS_USAGE
    if not build(ports):
        return 1
    test.say(f"torture: {seconds} s on each port, SEED={seed}")
    if hosts:
        return conclude(*spread(hosts, ports, seconds, seed))
    return conclude([run_port(arch, seconds, seed, jobs) for arch in ports], 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
