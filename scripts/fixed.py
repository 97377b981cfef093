#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""That RULES=fixed costs nothing: shown by the machine code.

    fixed.py PORT...    for release builds with RULES=fixed that are there already

Each source with a rule(NAME) is compiled as it is and with `true` written in its place, by the
compiler line of that build, which makes objects of it here that are not yet one with the others.
The disassembly, relocations included, has to be the same; and neither the objects nor the linked
kernel may know of rules_off, which the switches live in.
"""
import os
import re
import subprocess
import sys
import tempfile

import qemu
import rulebook

SWITCHES = "rules_off"


def output(words, **more):
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False, **more)
    if done.returncode:
        raise RuntimeError(f"{qemu.show(words[:1])}: {done.stderr.strip()[:400]}")
    return done.stdout


def disassembly(tool, path):
    """Instructions and relocations, without the line that names the file."""
    return output([tool, "-dr", path]).split("\n")[3:]


def compiled(path, compiler, done, text):
    """The object of a source that reads like that."""
    output(compiler + ["-iquote", os.path.dirname(path), "-x", "c", "-c", "-", "-o", done],
           input=f'# 1 "{path}"\n' + text)
    return done


def with_and_without(path, compiler, folder):
    """The objects of a source, and of the same in which every rule(NAME) reads `true`."""
    text, done = rulebook.read(".", path), os.path.join(folder, path.replace("/", "-"))
    return (compiled(path, compiler, done + ".o", text),
            compiled(path, compiler, done + ".true.o", rulebook.GUARD.sub("true", text)))


def check(arch):
    """(faults, what was done in a line)"""
    where = qemu.output_dir({"arch": arch, "build": "release", "rules": "fixed"})
    compiler = rulebook.read(".", f"{where}/flags").split()
    tools = re.sub(r"gcc\S*$", "", compiler[0])
    sources = sorted({path for _, path in rulebook.every_site() if
                      path.split("/")[0] != "arch" or path.split("/")[1] == arch})
    faults, guards, instructions = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in sources:
            own, plain = with_and_without(path, compiler, folder)
            code = disassembly(tools + "objdump", own)
            guards += len(rulebook.guards(rulebook.read(".", path)))
            instructions += sum(":\t" in line for line in code)
            if code != disassembly(tools + "objdump", plain):
                faults.append(f"{path}: not the code that it is without rule()")
            if SWITCHES in output([tools + "nm", own]):
                faults.append(f"{path}: refers to {SWITCHES}")
    if SWITCHES in output([tools + "nm", f"{where}/grace.elf"]):
        faults.append(f"{where}/grace.elf: holds {SWITCHES}")
    return faults, (f"{arch}: RULES=fixed: {guards} guards in {len(sources)} files; "
                    f"{instructions} instructions, "
                    + ("the same as with `true` in their place; no reference to "
                       f"{SWITCHES}" if not faults else "which differ"))


def main():
    bad = []
    for arch in sys.argv[1:] or list(qemu.PORTS):
        faults, text = check(arch)
        print(text)
        bad += faults
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
