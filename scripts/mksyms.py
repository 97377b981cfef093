#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Turns `nm -n` output into an assembly file with the image's table of functions.

The table stands behind all functions, so that the second link moves none of them: count (u64), then
for each function in order of address its offset from image_start (u32); for the first of each RUN
of functions the offset of its name from the first name (u32); then the names, without what the
compiler puts behind the names of parts and variants of functions.
"""
import sys

RUN = 16  # SYMBOL_RUN in kernel/symbols.c


def main():
    lines = [] if sys.argv[1:] == ["empty"] else [line.split() for line in sys.stdin]
    start = next((int(parts[0], 16) for parts in lines if parts[-1] == "image_start"), 0)
    syms = []
    for parts in lines:
        # What stands below the image is names of sources, for debuggers.
        if len(parts) == 3 and parts[1] in "tTwW" and parts[2][0] not in ".$" and \
                int(parts[0], 16) >= start:
            if not syms or syms[-1][0] != int(parts[0], 16):
                syms.append((int(parts[0], 16), parts[2].split(".")[0]))
    out = ['.section .symbols, "a"', ".balign 8", ".globl symbol_table", "symbol_table:",
           f".8byte {len(syms)}"]
    out += [f".4byte {addr - start:#x}" for addr, _ in syms]
    off = 0
    for i, (_, name) in enumerate(syms):
        if i % RUN == 0:
            out.append(f".4byte {off}")
        off += len(name) + 1
    out += [f'.asciz "{name}"' for _, name in syms]
    out.append('.section .note.GNU-stack, "", %progbits')
    print("\n".join(out))


main()
