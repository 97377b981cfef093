#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""make doctor: each tool, the version found, the version needed, and how to install it.

What is needed stands in scripts/setup; this only looks. Ends with 1 if something needed is missing
or too old.
"""
import os
import re
import shutil
import subprocess
import sys

OPTIONAL = (
    ("gdb-multiarch", "gdb-multiarch", "10.0", "make debug"),
    ("clang-format", "clang-format", "14.0", "formats what you write as the tree is"),
)
FIRMWARE = ("/usr/share/qemu", "/usr/share/seabios", "/usr/share/qemu-firmware",
            "/usr/local/share/qemu", "/opt/homebrew/share/qemu")
FIRMWARE_VERSION = re.compile(rb"rel-(\d+\.\d+\.\d+)")


def version(text):
    """
    The version that a text names, as a tuple of integers; () if none.

    Of what a tool prints the first number of the first line counts, with what is in parentheses
    left out: there distributions put versions of their own. A number with a point goes first.
    """
    line = re.sub(r"\([^()]*\)", " ", text.strip().split("\n")[0])
    found = re.findall(r"(?<![\w.-])v?(\d+(?:\.\d+)*)", line)
    with_point = [f for f in found if "." in f] or found
    return tuple(int(part) for part in with_point[0].split(".")) if with_point else ()


def at_least(found, needed):
    """Compares as integers, part by part; a part that is not there is 0."""
    length = max(len(found), len(needed))
    pad = [tuple(v) + (0,) * (length - len(v)) for v in (found, needed)]
    return bool(found) and pad[0] >= pad[1]


def dotted(numbers):
    return ".".join(map(str, numbers))


def firmware(name):
    """The version that a firmware file bears, () if it bears none, None if it is not there."""
    for directory in FIRMWARE:
        path = os.path.join(directory, name)
        if os.path.exists(path):
            with open(path, "rb") as blob:
                match = FIRMWARE_VERSION.search(blob.read())
            return version(match[1].decode()) if match else ()
    return None


def tool(name):
    """The version that a command prints, () if it prints none, None if it is not there."""
    if not shutil.which(name):
        return None
    try:
        done = subprocess.run([name, "--version"], stdin=subprocess.DEVNULL, timeout=30,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return version(done.stdout.decode("utf-8", "replace"))


def line_for(what, package, needed, why, optional):
    """(the line to print, whether it is a fault)."""
    kind, _, name = what.rpartition(":")
    if kind == "file":
        found = () if os.path.exists(name) else None
        name = name if len(name) <= 42 else "..." + name[-39:]
    else:
        found = firmware(name) if kind == "fw" else tool(name)
    least = version(needed)
    good = found is not None and (not least or at_least(found, least))
    shown = "missing" if found is None else dotted(found) or "there"
    verdict = "ok" if good else "optional" if optional else "NEEDED"
    line = f"{verdict:9} {name:42} {shown:10} {needed:7} {why}"
    if not good:
        line += f"\n          apt-get install {package}"
    return line, not good and not optional


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["sh", os.path.join(here, "setup"), "table", "x86_64", "arm64",
                           "riscv64"], stdout=subprocess.PIPE, text=True, check=True,
                          env={**{k: v for k, v in os.environ.items() if k not in ("CC", "QEMU")},
                               "BOOT": "all"})
    print(f"{'':9} {'tool':42} {'found':10} {'needed':7} for")
    faults = 0
    for row in done.stdout.splitlines():
        line, fault = line_for(*row.split("|"), optional=False)
        print(line)
        faults += fault
    for row in OPTIONAL:
        print(line_for(*row, optional=True)[0])
    if faults:
        print("`make run` and `make test` install what is NEEDED on Debian and Ubuntu.")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
