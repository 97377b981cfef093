#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make test: runs the configurations of configs.py, one QEMU after the other, and judges them.

    test.py PORT...     with T, CONFIG, STRESS, CPUS, MEM, QEMU, DRY, V of `make help` from make
"""
import concurrent.futures
import fnmatch
import os
import sys
import time
import unittest

import configs
import explore
import fuzz
import guest
import handover
import host
import judge
import loader
import maker
import qemu
import report

LOGS = "build/logs"
TIME_LIMIT = 120  # seconds for one run, besides its race


def say(text=""):
    print(text, flush=True)


def asked(name):
    return os.environ.get(name, "")


# ---- What to run ---------------------------------------------------------------------------------

def selection(arch):
    """The configurations to run on a port, changed as the user asked."""
    own = asked("T") or asked("CPUS") or asked("MEM")
    chosen = [c for c in configs.CONFIGS + (() if own else configs.CRASHES + configs.BAD)
              if arch in c.ports]
    if asked("CONFIG"):
        chosen = [c for c in chosen if fnmatch.fnmatch(c.name, asked("CONFIG"))]
    elif own:
        chosen = [c for c in chosen if c.main]
    for config in chosen:
        if asked("T"):
            config.tests, config.stress = asked("T"), 0
        if asked("STRESS") and config.stress:
            config.stress = seconds(asked("STRESS"))
        for name in ("cpus", "mem"):
            if asked(name.upper()):
                config.machine[name] = asked(name.upper())
    return chosen


def seconds(text):
    if not text.isdecimal() or not 1 <= int(text) <= 86400:
        raise qemu.BadRequest(f"STRESS={text}: accepted is a number of seconds, 1 to 86400")
    return int(text)


def request(arch, config, **more):
    settings = {"cpus": 4, "mem": "256M", "arch": arch, "accel": "tcg", "append": config.append(),
                "build": asked("BUILD"), "rules": asked("RULES"), "gic": "", "cpu": "",
                "machine": "", "boot": "kernel"}
    settings.update(config.machine)
    settings.update(more)
    return qemu.check(qemu.from_environment(**settings))


# ---- Building ------------------------------------------------------------------------------------

def build(w):
    """Runs make for one port and build; returns None or what it printed when it failed."""
    words = ["all", f"ARCH={w['arch']}", f"BUILD={w['build']}", f"RULES={w['rules']}",
             f"PAGE_SIZE={w['page_size']}"]
    if asked("V"):
        say(qemu.show(["make", *words]))
    start = time.monotonic()
    done = maker.make(*words)
    if done.returncode:
        return done.stdout
    image = next((l.split(": ")[1] for l in done.stdout.splitlines() if "IMAGE" in l), "up to date")
    say(f"built {qemu.output_dir(w)} in {time.monotonic() - start:.1f} s: {image.strip()}")
    return None


class Builder:
    """Builds each output directory once."""

    def __init__(self):
        self.done = {}

    def failure(self, w):
        key = qemu.output_dir(w)
        if key in self.done:
            return self.done[key] and "said above"
        self.done[key] = build(w)
        return self.done[key]


# ---- Running -------------------------------------------------------------------------------------

def command_for(w, config):
    return handover.command(w, config.given) if config.given else qemu.command(w)


def slack(w):
    """Seconds that a machine may take more: one for each CPU and each GiB, as it visits all."""
    return int(w["cpus"]) + (qemu.mem_bytes(w["mem"]) >> 30)


def run_one(arch, config, builder):
    """Builds if need be, runs one configuration, and returns its row."""
    row = report.Row(arch, config.name)
    w = request(arch, config)
    row.log = f"{LOGS}/{arch}-{config.name}.log"
    lack = loader.lacking(w)
    if lack:
        row.add("boot", "skipped", lack)
        return row
    failure = builder.failure(w)
    if failure is not None:
        row.add("build", "failed", f"{qemu.output_dir(w)} does not build\n{failure}")
        return row
    words = command_for(w, config)
    if config.given:
        handover.prepare(w, config.given)
    else:
        qemu.prepare(w, words)
    if asked("V"):
        say(qemu.show(words))
    outcome = guest.Guest(words, int(w["cpus"]), row.log, TIME_LIMIT + config.stress,
                          slack=slack(w), keys=config.keys).run()
    row.seconds, row.first_test = outcome.seconds, outcome.first_test
    symbols = guest.load_symbols(f"{qemu.output_dir(w)}/grace.nm")
    judge.of(config)(row, arch, config, outcome, symbols)
    touched = handover.trouble(w, config.given)
    if touched:
        row.add("memory", "failed", touched)
    return row


def host_row():
    """The tests of the scripts themselves."""
    row = report.Row("host", "scripts")
    start = time.monotonic()
    suite = unittest.defaultTestLoader.loadTestsFromNames(("selftest", "selftest_rules",
                                                           "selftest_torture",
                                                           "selftest_bench",
                                                           "selftest_boot",
                                                           "selftest_explore"))
    result = unittest.TestResult()
    suite.run(result)
    for test, text in result.failures + result.errors:
        row.add(test.id(), "failed", text)
    for test, text in result.skipped:
        row.add(test.id(), "skipped", text)
    passed = result.testsRun - len(row.cases)
    for i in range(passed):
        row.add(f"selftest passed {i + 1}", "passed")
    row.seconds = time.monotonic() - start
    return row


def explorer_row():
    """The explorer's quick run: scenarios exhausted, and known counterexamples found again."""
    row = report.Row("sim", "explore")
    start = time.monotonic()
    done = maker.make(explore.SIM)
    if done.returncode:
        row.add("build", "failed", f"{explore.SIM} does not build\n{done.stdout}")
        return row
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for name, passed, text in explore.quick(pool):
            row.add(name, "passed" if passed else "failed", text)
    row.seconds = time.monotonic() - start
    return row


def host_rows():
    """The selftests and the race in a host program, on every machine model."""
    done = maker.make(host.PROGRAM)
    if done.returncode:
        row = report.Row("host", "build")
        row.add("build", "failed", f"{host.PROGRAM} does not build\n{done.stdout}")
        return [row]
    return host.run_all("")


def replay_row():
    """What reads untrusted input, on the host: real machines' input, and what was once found."""
    row = report.Row("host", "replay")
    start = time.monotonic()
    for name, verdict, text in fuzz.replay():
        row.add(name, verdict, text)
    row.seconds = time.monotonic() - start
    return row


def announce(row):
    """The line of progress of one run, and what failed in it."""
    verdict = "FAILED" if row.failed() else "ok"
    race = f"  race {row.race}" if row.race else ""
    verdict = verdict if row.failed() or row.count("passed") else "SKIP"
    say(f"{row.port:8} {row.name:14} {verdict:6} {row.count('passed'):4} passed"
        f"{race}  {row.seconds:.1f} s")
    for case in row.failed():
        first, *more = case.text.split("\n")
        say(f"    {case.name}: {first}")
        for line in more[:40]:
            say(f"      {line}")
    if row.failed() and row.log:
        say(f"    log: {row.log}")


def main():
    ports = sys.argv[1:] or list(qemu.PORTS)
    builder, rows = Builder(), []
    try:
        chosen = {arch: selection(arch) for arch in ports}
        for arch, wanted in chosen.items():
            for config in wanted:
                request(arch, config)
        if asked("DRY"):
            for arch, wanted in chosen.items():
                for config in wanted:
                    say(qemu.show(command_for(request(arch, config), config)))
            return 0
    except qemu.BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    if not any(chosen.values()):
        print(f"make: CONFIG={asked('CONFIG')}: no configuration has this name; there are "
              + ", ".join(c.name for c in configs.CONFIGS + configs.CRASHES + configs.BAD),
              file=sys.stderr)
        return qemu.STATUS_USAGE
    rows.append(host_row())
    announce(rows[-1])
    if tuple(ports) == tuple(qemu.PORTS) and not any(map(asked, ("T", "CONFIG", "CPUS", "MEM"))):
        rows.append(explorer_row())
        announce(rows[-1])
        for row in host_rows():
            rows.append(row)
            announce(row)
        rows.append(replay_row())
        announce(rows[-1])
    for arch, wanted in chosen.items():
        for config in wanted:
            rows.append(run_one(arch, config, builder))
            announce(rows[-1])
    say("\n" + report.table(rows) + "\n")
    report.junit(rows, "build/junit.xml")
    passed, failed, skipped = report.totals(rows)
    say(f"logs: {LOGS}, JUnit: build/junit.xml")
    say(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
