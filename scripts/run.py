#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make run and make debug: one machine in QEMU on this terminal.

QEMU reads the terminal itself (Ctrl-A x ends it, Ctrl-A c is its monitor). What it writes passes
through here on its way, so that silence is noticed and the kernel's exit status is seen.
"""
import os
import signal
import subprocess
import sys
import threading
import time

import qemu

PATIENCE = 10  # seconds until silence is worth a word


class Watcher:
    """Copies QEMU's output to the terminal and remembers what matters of it."""

    def __init__(self, process, wanted, quiet_is_fine):
        self.process, self.wanted, self.quiet_is_fine = process, wanted, quiet_is_fine
        self.tail, self.said = "", None
        self.any_output = self.started = self.kernel_spoke = False
        self.quit_by_user = self.complained = False

    def note(self, text):
        self.any_output = True
        lines = (self.tail + text).split("\n")
        self.tail = lines[-1][-4096:]
        for line in lines:
            line = line.strip("\r\n ")
            self.started |= "Grace" in line
            self.kernel_spoke |= qemu.FIRST_WORDS in line
            self.quit_by_user |= qemu.QUIT_WORDS in line
            match = qemu.EXIT_LINE.match(line)
            if match:
                self.said = int(match[1])

    def copy(self):
        while True:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                return
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
            self.note(data.decode("utf-8", "replace"))

    def reason(self):
        return likely_reason(self.wanted, self.any_output, self.started)

    def attend(self):
        """Pins the virtual CPUs as soon as they are there, and speaks up when nothing comes."""
        start, pinned = time.monotonic(), False
        while self.process.poll() is None:
            waited = time.monotonic() - start
            if not pinned and waited < 5:
                pinned = qemu.pin(self.process.pid, int(self.wanted["cpus"]))
            if waited > PATIENCE and not self.kernel_spoke and not self.complained:
                self.complained = True
                if not self.quiet_is_fine:
                    print(self.reason(), file=sys.stderr)
            time.sleep(0.02 if not pinned and waited < 5 else 0.2)


def likely_reason(wanted, firmware_spoke, started):
    head = f"\r\n[run] No message from the kernel in {PATIENCE} s. "
    tail = "\r\n[run] Ctrl-A x ends QEMU; `make debug` starts it under gdb.\r"
    if started:
        likely = "It was started, and likely faulted before it had found its console."
    elif wanted["accel"] == "kvm":
        likely = "Likely: KVM cannot run it on this host; try ACCEL=tcg."
    elif wanted["machine"] or wanted["cpu"] or wanted["qemu_args"]:
        likely = "Likely: the machine that MACHINE, CPU or QEMU_ARGS ask for has no console."
    elif firmware_spoke:
        likely = "Firmware did write. Likely: it could not load or start the image."
    else:
        likely = ("Nor from anything else. Likely: the host is very busy, or the image cannot be "
                  "loaded by this QEMU (`make doctor`).")
    return head + likely + tail


def run(words, wanted, quiet_is_fine):
    """Runs QEMU on the terminal; returns (its exit code, the watcher)."""
    saved = None
    if sys.stdin.isatty():
        import termios
        saved = termios.tcgetattr(0)
    # Ctrl-C belongs to the guest: QEMU takes it raw from a terminal.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    process = subprocess.Popen(words, stdout=subprocess.PIPE)
    watcher = Watcher(process, wanted, quiet_is_fine)
    threading.Thread(target=watcher.attend, daemon=True).start()
    try:
        watcher.copy()
        return process.wait(), watcher
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        if saved is not None:
            termios.tcsetattr(0, termios.TCSADRAIN, saved)


def verdict(wanted, code, watcher):
    """The status to end with, and a line about it where one is due."""
    status = qemu.final_status(wanted["arch"], code, watcher.said)
    if watcher.said is None and watcher.quit_by_user:
        return 0, None
    if status == qemu.STATUS_LOST:
        if not watcher.started:
            return status, f"QEMU ended (code {code}) before the kernel said anything"
        return status, f"QEMU ended (code {code}) and the kernel never said its status: a reset?"
    if status == qemu.STATUS_DISAGREES:
        return status, f"the kernel said status {watcher.said}, but QEMU ended with code {code}"
    return status, f"status {status}" if status else None


def main():
    debug = sys.argv[1:] == ["debug"]
    try:
        wanted = qemu.check(qemu.from_environment())
        words = qemu.command(wanted)
    except qemu.BadRequest as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    if debug:
        words += ["-s", "-S"]
        elf = f"{qemu.output_dir(wanted)}/grace.elf"
        print(f"attach: gdb-multiarch -ex 'target remote :1234' {elf}")
        print("        (hbreak before the kernel has turned its MMU on; then: continue)")
    print(qemu.show(words), flush=True)
    if os.environ.get("DRY"):
        return 0
    try:
        qemu.prepare(wanted, words)
    except (OSError, subprocess.CalledProcessError, qemu.BadRequest) as error:
        print(f"make: {error}", file=sys.stderr)
        return qemu.STATUS_USAGE
    try:
        code, watcher = run(words, wanted, debug)
    except FileNotFoundError:
        print(f"make: {words[0]}: not found (`make doctor`)", file=sys.stderr)
        return qemu.STATUS_USAGE
    except KeyboardInterrupt:
        return 130
    status, text = verdict(wanted, code, watcher)
    if text:
        print(f"[run] {text}", file=sys.stderr)
    return status


if __name__ == "__main__":
    sys.exit(main())
