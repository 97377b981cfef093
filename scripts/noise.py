# SPDX-License-Identifier: MIT
"""Keys for the prompt of a machine that runs, such as nobody types: whatever a line does, it must
leave a prompt that takes the next one. The same seed makes the same keys.

They come in batches that the kernel's buffer of input holds; a batch ends with a clean line that
prints a word, and the next one is typed once that has appeared.
"""
import random

COMMANDS = ("help", "options", "echo", "mm", "pt kernel", "pt", "cpus", "threads", "rcu", "tlb",
            "mem", "bt", "sym", "trace 5", "oracles", "owner", "rules", "fault", "sleep", "nothing")
ARGUMENTS = ("0", "1", "-1", "0xffffffffffffffff", "18446744073709551616", "'", '"', ";", "all",
             "F1", "main", "page:0", "seed:", "%s%n", "x" * 200)
KEYS = (b"\x1b[A", b"\x1b[B", b"\x1b[D", b"\x1b[C", b"\x1b[3~", b"\x1b[", b"\x1b", b"\x04", b"\x05",
        b"\x08", b"\x7f", b"\x0b", b"\x15", b"\x17", b"\t", b"\0", b"\x80", b"\xff")
QEMUS = 1  # Ctrl-A is a key of QEMU's, not of the machine's
BATCH_MAX = 900
LINES = 150
FRESH_LINE = b"\r\x15\r"
FIRST = "Type help for the commands."


def line(rng):
    """One line: words that mean something among some that do not, keys between; or bytes."""
    if rng.random() < 0.3:
        return bytes(b for b in rng.randbytes(rng.randrange(120)) if b != QEMUS) + b"\r"
    words = [rng.choice(COMMANDS)] + [rng.choice(ARGUMENTS) for _ in range(rng.randrange(4))]
    keys = [(word + " ").encode() for word in words]
    for _ in range(rng.randrange(4)):
        keys.insert(rng.randrange(len(keys) + 1), rng.choice(KEYS))
    return b"".join(keys) + b"\r"


def keys(seed):
    """(the line to wait for, what is typed then), in order; the last batch ends the run."""
    rng, batches = random.Random(seed), [b""]
    for _ in range(LINES):
        more = line(rng)
        if len(batches[-1] + more) > BATCH_MAX:
            batches.append(b"")
        batches[-1] += more
    words = [f"batch {n} is done" for n in range(len(batches))]
    typed = [batch + FRESH_LINE + f"echo {word}\r".encode() for batch, word in zip(batches, words)]
    return list(zip([FIRST] + words, typed + [b"poweroff 0\r"]))
