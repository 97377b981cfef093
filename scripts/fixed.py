#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""That RULES=fixed costs nothing: shown by the machine code.

    fixed.py PORT...    for release builds with RULES=fixed that are there already

Each source with a rule(NAME), or that includes a header with one, is compiled as it is and with
`true` written in its place, by the compiler line of that build, which makes objects of it here that
are not yet one with the others. The disassembly, relocations included, has to be the same; and
neither the objects nor the linked kernel may know of rules_off, which the switches live in.
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


def without_rules(path):
    """The text of a source in which every rule(NAME) reads `true`."""
    return rulebook.GUARD.sub("true", rulebook.read(".", path))


def compiled(path, compiler, done, text):
    """The object of a source that reads like that."""
    output(compiler + ["-iquote", os.path.dirname(path), "-x", "c", "-c", "-", "-o", done],
           input=f'# 1 "{path}"\n' + text)
    return done


def with_and_without(path, compiler, folder):
    """The objects of a source as it is, and without rules; headers like that are in the folder."""
    done = os.path.join(folder, path.replace("/", "-"))
    return (compiled(path, compiler, done + ".o", rulebook.read(".", path)),
            compiled(path, compiler[:1] + ["-I", folder] + compiler[1:], done + ".true.o",
                     without_rules(path)))


def includers(header):
    """Sources of the kernel that include the header."""
    line = f"#include <{os.path.basename(header)}>\n"
    return {path for path in rulebook.files(".", ("mm", "kernel", "drivers"), (".c",))
            if line in rulebook.read(".", path)}


def check(arch):
    """(faults, what was done in a line)"""
    where = qemu.output_dir({"arch": arch, "build": "release", "rules": "fixed"})
    compiler = rulebook.read(".", f"{where}/flags").split()
    tools = re.sub(r"gcc\S*$", "", compiler[0])
    sites = {path for _, path in rulebook.every_site() if
             path.split("/")[0] != "arch" or path.split("/")[1] == arch}
    headers = {path for path in sites if path.startswith("include/")}
    sources = sorted((sites - headers).union(*map(includers, headers)))
    faults, guards, instructions = [], 0, 0
    with tempfile.TemporaryDirectory() as folder:
        for path in headers:
            guards += len(rulebook.guards(rulebook.read(".", path)))
            with open(os.path.join(folder, os.path.basename(path)), "w", encoding="utf-8") as out:
                out.write(f'# 1 "{path}"\n' + without_rules(path))
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
