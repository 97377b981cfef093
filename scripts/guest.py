# SPDX-License-Identifier: MIT
"""Runs one QEMU unattended: its output goes to a log, and silence, a hang or a reset has an end.

Only the QEMU that it started is ever signalled.
"""
import bisect
import os
import re
import selectors
import subprocess
import time

import ktap
import qemu

FIRST_LINE_LIMIT = 30  # seconds until the kernel's first line
SILENCE_LIMIT = 60     # seconds without a byte
EXIT_LIMIT = 10        # seconds between EXIT: STATUS=n and QEMU's end
PC = re.compile(r"\b(?:RIP=|PC=|pc +)([0-9a-f]{16})\b")


class Outcome:
    """What a run left behind. trouble: why it was stopped, or None if QEMU ended by itself."""

    def __init__(self):
        self.code, self.said, self.trouble = None, None, None
        self.seconds = self.first_test = 0.0
        self.pinned = False
        self.text = ""
        self.stuck_at = []
        self.seen = {}  # what was watched for: seconds until the first line with it

    def lines(self):
        return [ktap.clean(line) for line in self.text.splitlines()]

    def tail(self, count=15):
        return [line for line in self.lines() if line][-count:]


# QEMU's monitor, where a test types at it, shares the line and may prompt in the midst of another.
PROMPT = "(qemu) "


class Guest:
    def __init__(self, words, cpus, log, limit, watch=(), slack=0, keys=()):
        """
        watch: regular expressions; Outcome.seen tells when a line first had each.
        slack: seconds more for everything.
        keys: (line, bytes to type when it has appeared), in order.
        """
        self.keys = list(keys)
        self.words, self.cpus, self.log, self.limit = words, cpus, log, limit + slack
        self.slack = slack
        self.watch = [re.compile(pattern) for pattern in watch]
        self.outcome = Outcome()
        self.exit_seen = None

    def run(self):
        """Returns the Outcome."""
        os.makedirs(os.path.dirname(self.log), exist_ok=True)
        self.start = self.last_byte = time.monotonic()
        with open(self.log, "wb") as log:
            log.write((qemu.show(self.words) + "\n").encode())
            log.flush()
            self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            try:
                self.follow(log)
            finally:
                if self.process.poll() is None:
                    self.process.kill()
                self.process.wait()
                self.process.stdin.close()
                self.process.stdout.close()
        out = self.outcome
        out.code, out.seconds = self.process.returncode, time.monotonic() - self.start
        return out

    def follow(self, log):
        """Reads until QEMU closes its output or there is a reason to stop it."""
        out, pending = self.outcome, b""
        with selectors.DefaultSelector() as ready:
            ready.register(self.process.stdout, selectors.EVENT_READ)
            while out.trouble is None:
                if not out.pinned and time.monotonic() - self.start < 5:
                    out.pinned = qemu.pin(self.process.pid, self.cpus)
                if ready.select(0.02 if not out.pinned else 0.5):
                    data = os.read(self.process.stdout.fileno(), 65536)
                    if not data:
                        return
                    log.write(data)
                    log.flush()
                    self.last_byte = time.monotonic()
                    *whole, pending = (pending + data).split(b"\n")
                    for line in whole:
                        self.note(line.decode("utf-8", "replace"))
                out.trouble = self.trouble()
            self.where_stuck(log)

    def note(self, line):
        out, line = self.outcome, ktap.clean(line).replace(PROMPT, "")
        out.text += line + "\n"
        for pattern in self.watch:
            if pattern.pattern not in out.seen and pattern.search(line):
                out.seen[pattern.pattern] = time.monotonic() - self.start
        if self.keys and line == self.keys[0][0]:
            self.process.stdin.write(self.keys.pop(0)[1])
            self.process.stdin.flush()
        match = qemu.EXIT_LINE.match(line)
        if match:
            if out.said is None:
                out.said = int(match[1])
            self.exit_seen = time.monotonic()
        elif line == ktap.VERSION and not out.first_test:
            out.first_test = time.monotonic() - self.start

    def trouble(self):
        now = time.monotonic()
        if self.exit_seen and now - self.exit_seen > EXIT_LIMIT:
            return f"did not switch off within {EXIT_LIMIT} s of its EXIT line"
        if qemu.FIRST_WORDS not in self.outcome.text and not self.exit_seen and \
                now - self.start > FIRST_LINE_LIMIT + self.slack:
            return f"no line from the kernel in {FIRST_LINE_LIMIT + self.slack} s"
        if now - self.last_byte > SILENCE_LIMIT + self.slack:
            return f"hung: silent for {SILENCE_LIMIT + self.slack} s"
        if now - self.start > self.limit:
            return f"not done after {self.limit} s"
        return None

    def where_stuck(self, log):
        """Asks QEMU's monitor for the registers of every CPU before it is killed."""
        said = b""
        try:
            self.process.stdin.write(b"\x01cinfo registers -a\n")
            self.process.stdin.flush()
            end = time.monotonic() + 3
            with selectors.DefaultSelector() as ready:
                ready.register(self.process.stdout, selectors.EVENT_READ)
                while time.monotonic() < end and ready.select(0.5):
                    data = os.read(self.process.stdout.fileno(), 65536)
                    if not data:
                        break
                    log.write(data)
                    said += data
        except OSError:
            return
        counters = [int(pc, 16) for pc in PC.findall(said.decode("utf-8", "replace"))]
        self.outcome.stuck_at = counters[:self.cpus]


def load_symbols(path):
    """(addresses, names) of the functions in the output of `nm -n`."""
    addresses, names = [], []
    try:
        with open(path, encoding="ascii") as nm:
            for line in nm:
                parts = line.split()
                if len(parts) == 3 and parts[1] in "tTwW":
                    addresses.append(int(parts[0], 16))
                    names.append(parts[2])
    except OSError:
        pass
    return addresses, names


def symbolize(symbols, address):
    addresses, names = symbols
    at = bisect.bisect_right(addresses, address) - 1
    if at < 0 or address - addresses[at] > 0x10000:
        return f"{address:#x}"
    return f"{names[at]}+{address - addresses[at]:#x}"
