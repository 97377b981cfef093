#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make explore MUTANTS=1: takes out one thing at a time that keeps memory in order; who finds it?

Each entry of tests/sim/mutants.txt, which says what its lines mean, is applied to a copy of the
tree in build/mutants, the explorer is built there, and the scenarios that it names are run.
MUTANTS=GLOB takes only the entries whose name matches.
"""
import concurrent.futures
import fnmatch
import os
import re
import shutil
import subprocess
import sys

LIST = "tests/sim/mutants.txt"
TREE = "build/mutants"
COPIED = ("arch", "include", "kernel", "mm", "scripts", "tests", "Makefile")


def parse(path):
    """The entries, as dictionaries."""
    entries = []
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            word, _, rest = line.strip().partition(" ")
            if not word or word == "#":
                continue
            if word in "-+":
                entries[-1][word].append(rest)
            elif word in ("found", "spared"):
                scenario, *more = rest.split()
                options = dict(m.split("=") for m in more if "=" in m)
                by = options.pop("by", None)
                limits = [w for name, value in options.items() for w in ("--" + name, value)]
                entries[-1]["runs"] += [(word, scenario, m, limits, by) for m in more if "/" in m]
            elif word == "why":
                entries[-1]["why"] += " " + rest.strip()
            elif len(line.split()) == 2:
                entries.append({"name": word, "file": rest.strip(), "-": [], "+": [], "runs": [],
                                "why": ""})
            elif not line.startswith("#"):
                sys.exit(f"{path}:{number}: not a line of an entry: {line.strip()}")
    return entries


def mutate(text, entry):
    """text with the entry's change; None if what it changes is not there once."""
    words = re.findall(r"\w+|[^\w\s]", " ".join(entry["-"]))
    gap = r"(?:\s|/\*(?:[^*]|\*(?!/))*\*/)*"
    if any("/*" in line for line in entry["-"]):
        gap = r"\s*"
    found = list(re.finditer(gap.join(map(re.escape, words)), text))
    if len(found) != 1:
        return None
    return text[:found[0].start()] + "\n".join(entry["+"]) + text[found[0].end():]


def files_of(top):
    if os.path.isfile(top):
        return [top]
    return [os.path.join(d, f) for d, _, names in os.walk(top) for f in names]


def copy_tree():
    """Only what has changed, so that little is built anew; and what is gone here goes there."""
    here = [name for top in COPIED for name in files_of(top)]
    for old in [name for top in COPIED for name in files_of(os.path.join(TREE, top))]:
        if os.path.relpath(old, TREE) not in here:
            os.remove(old)
    for name in here:
        to = os.path.join(TREE, name)
        os.makedirs(os.path.dirname(to), exist_ok=True)
        if not os.path.exists(to) or open(to, "rb").read() != open(name, "rb").read():
            shutil.copyfile(name, to)


def build():
    done = subprocess.run(["make", "-j2", "build/sim/sim"], cwd=TREE, capture_output=True,
                          text=True, env={k: v for k, v in os.environ.items() if k != "MAKEFLAGS"})
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[0][:100]


def said_by(lines):
    """The finding, with the oracle that names it."""
    oracle = re.match(r"the (\w+): ", lines["message"])
    return lines["finding"] + (f" by {oracle[1]}" if oracle else "")


def run(scenario, machine, limits):
    """(exit status, what was found or how far it was looked)."""
    done = subprocess.run([f"{TREE}/build/sim/sim", "--scenario", scenario, "--machine", machine,
                           "--seconds", os.environ.get("SECONDS") or "60", *limits],
                          capture_output=True, text=True)
    lines = dict(l.split(" ", 1) for l in done.stdout.splitlines() if " " in l)
    if done.returncode == 1:
        return 1, f"{said_by(lines)}, bound {lines['bound']}, delays {lines['delays']}"
    if done.returncode in (0, 3):
        how = "exhausted" if done.returncode == 0 else "NOT exhausted"
        return done.returncode, \
            f"nothing, {how} at bound {lines['bound']}, delays {lines['delays']}"
    return 2, "ERROR " + done.stderr.strip()[:80]


def judge(entry, pool):
    """Builds and runs one mutant; prints its rows. The number of failures."""
    path = os.path.join(TREE, entry["file"])
    with open(path, encoding="utf-8") as source:
        text = source.read()
    changed = mutate(text, entry)
    if changed is None:
        print(f"{entry['name']:18} FAILED: {entry['file']} does not have once: {entry['-'][0]}")
        return 1
    bad = 0
    try:
        with open(path, "w", encoding="utf-8") as source:
            source.write(changed)
        error = build()
        if error:
            print(f"{entry['name']:18} FAILED to build: {error}")
            return 1
        jobs = [(e, s, m, by, pool.submit(run, s, m, limits))
                for e, s, m, limits, by in entry["runs"]]
        for expected, scenario, machine, by, job in jobs:
            status, text_of = job.result()
            right = status == (1 if expected == "found" else 0) and \
                (not by or by in text_of.partition(",")[0].split())
            bad += not right
            print(f"{entry['name']:18} {scenario:15} {machine:16} {text_of}"
                  f"{'' if right else '   FAILED: is to be ' + expected}", flush=True)
    finally:
        with open(path, "w", encoding="utf-8") as source:
            source.write(text)
    return bad


def main():
    glob = os.environ.get("MUTANTS", "1")
    entries = [e for e in parse(LIST) if glob == "1" or fnmatch.fnmatch(e["name"], glob)]
    if not entries:
        sys.exit(f"{LIST} has no entry called {glob}")
    copy_tree()
    bad = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for entry in entries:
            bad += judge(entry, pool)
            print(f"{'':18}   {entry['why'].strip()}")
    found = sum(any(r[0] == "found" for r in e["runs"]) for e in entries)
    print(f"mutants: {len(entries)}; {found} to be found, {len(entries) - found} explained as "
          f"redundant; {bad} runs FAILED")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
