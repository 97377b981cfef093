#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make fuzz: the parsers of untrusted input, built for the host, under libFuzzer; and the replay of
what was found, for `make test`.

    fuzz.py [SECONDS] [TARGET...]   each target for so long (default 60), one after the other

Each starts from tests/fuzz/corpus and tests/fuzz/found, and from what earlier runs have kept in
build/fuzz/work. A finding is left in build/fuzz/found and ends with status 1: reduce it, fix what
it shows, and keep it in tests/fuzz/found/TARGET, which `make test` replays.
"""
import glob
import os
import re
import subprocess
import sys

import maker

TARGETS = ("fdt", "arm64", "riscv64", "x86_64", "cmdline", "console")
ROOT = "build/fuzz"
LENGTH = {"cmdline": 2048, "console": 2048, "x86_64": 4096}  # bytes of an input; else:
LENGTH_ELSE = 16384
SLOW = 10  # seconds for one input are a finding: a boot that seems to hang
WORDS = re.compile(r'^(?:COMMAND|CMDLINE_OPTION)\(\w+,\s*"(\w+)"', re.M)


class BadRequest(Exception):
    """What the user gave cannot be run; the text says what is accepted."""


def seconds(text):
    if not text.isdecimal() or not 1 <= int(text) <= 86400:
        raise BadRequest(f"SECONDS={text}: accepted is a number of seconds, 1 to 86400")
    return int(text)


def targets(words):
    for word in words:
        if word not in TARGETS:
            raise BadRequest(f"TARGET={word}: accepted are {', '.join(TARGETS)}")
    return words or list(TARGETS)


def inputs(target):
    """Directories that exist and hold something."""
    return [d for d in (f"tests/fuzz/corpus/{target}", f"tests/fuzz/found/{target}")
            if glob.glob(f"{d}/*")]


def dictionary():
    """The words that lines are made of: names of options, commands and rules."""
    words = set()
    for path in glob.glob("kernel/*.c") + glob.glob("mm/*.c"):
        with open(path, encoding="utf-8") as source:
            words.update(WORDS.findall(source.read()))
    path = f"{ROOT}/words"
    with open(path, "w", encoding="ascii") as out:
        out.writelines(f'"{word}"\n' for word in sorted(words))
    return path


def command(target, time_limit):
    work, found = f"{ROOT}/work/{target}", f"{ROOT}/found/{target}/"
    os.makedirs(work, exist_ok=True)
    os.makedirs(found, exist_ok=True)
    words = [f"{ROOT}/libfuzzer/{target}/target", f"-max_total_time={time_limit}",
             f"-max_len={LENGTH.get(target, LENGTH_ELSE)}", f"-timeout={SLOW}",
             "-print_final_stats=1", "-rss_limit_mb=2048", f"-artifact_prefix={found}"]
    if target in ("cmdline", "console"):
        words.append(f"-dict={dictionary()}")
    return words + [work] + inputs(target)


def last(pattern, text, otherwise="?"):
    found = re.findall(pattern, text)
    return found[-1] if found else otherwise


def run(target, time_limit):
    """Fuzzes one target; True if nothing was found. Prints a line, and a finding's report."""
    words = command(target, time_limit)
    if os.environ.get("V"):
        print(" ".join(words), flush=True)
    log = f"{ROOT}/found/{target}.log"
    with open(log, "wb") as out:
        status = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=out,
                                stderr=subprocess.STDOUT, check=False).returncode
    with open(log, encoding="utf-8", errors="replace") as text:
        said = text.read()
    inputs_done = last(r"stat::number_of_executed_units: *(.*)", said)
    places, kept = last(r" cov: (\d+)", said), last(r" corp: (\d+)", said)
    print(f"{target:9} {'FOUND' if status else 'ok':6}{inputs_done:>10} inputs, {places:>5} places,"
          f" {kept:>5} kept, {time_limit} s; log: {log}", flush=True)
    if status:
        begin = re.search(r"FINDING|runtime error|ERROR: |ALARM", said)
        at = said.rfind("\n", 0, begin.start()) + 1 if begin else max(len(said) - 2000, 0)
        print(said[at:at + 3000], flush=True)
    return status == 0


def replay():
    """
    Gives each target its corpus and what was once found, without a fuzzer: (name, verdict, text)
    for each; one of "skipped" if the host cannot build such programs.
    """
    cc = os.environ.get("REPLAY_CC", "gcc")
    probe = f"{ROOT}/probe"
    os.makedirs(ROOT, exist_ok=True)
    try:
        done = subprocess.run([cc, "-fsanitize=address,undefined", "-x", "c", "-", "-o", probe],
                              input="int main(void) { return 0; }", stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
    except OSError as error:
        return [("replay", "skipped", f"{cc}: {error.strerror}")]
    if done.returncode:
        return [("replay", "skipped", f"{cc} has no AddressSanitizer: {done.stdout}")]
    made = maker.make("fuzz-replay")
    if made.returncode:
        return [("replay", "failed", f"does not build\n{made.stdout}")]
    return [replay_one(target) for target in TARGETS]


def replay_one(target):
    files = sorted(sum((glob.glob(f"{d}/*") for d in inputs(target)), []))
    if not files:
        return (target, "failed", "there is no corpus")
    try:
        done = subprocess.run([f"{ROOT}/replay/{target}/target", *files], text=True,
                              errors="replace", stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, timeout=len(files) * SLOW, check=False)
    except subprocess.TimeoutExpired as late:
        return (target, "failed", f"one input takes more than {SLOW} s: {late.output}")
    verdict = "passed" if done.returncode == 0 else "failed"
    return (target, verdict, done.stdout[-4000:])


def main():
    try:
        time_limit = seconds(sys.argv[1] if sys.argv[1:] and sys.argv[1] else "60")
        wanted = targets(sys.argv[2:])
    except BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return 102
    made = subprocess.run(["make", "-s", f"-j{os.cpu_count() or 1}", "fuzz-targets",
                           f"FUZZ_WANTED={' '.join(wanted)}"], check=False)
    if made.returncode:
        return made.returncode
    return 0 if all([run(target, time_limit) for target in wanted]) else 1


if __name__ == "__main__":
    sys.exit(main())
