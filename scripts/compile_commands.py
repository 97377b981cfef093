#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Prints compile_commands.json: compile_commands.py COMPILER FLAG... -- SOURCE..."""
import json
import os
import sys


def main():
    split = sys.argv.index("--")
    compiler, sources = sys.argv[1:split], sys.argv[split + 1:]
    entries = [{"directory": os.getcwd(), "file": source,
                "arguments": compiler + (["-D__ASSEMBLY__"] if source.endswith(".S") else [])
                + ["-c", source]} for source in sources]
    json.dump(entries, sys.stdout, indent=1)
    print()


main()
