# SPDX-License-Identifier: MIT
"""Machines whose device tree is spoilt, or whose image lies elsewhere: a shim (tests/shim) stands
where QEMU puts the kernel and hands the tree to the real image, at another address that its header
allows."""
import struct
import subprocess

import qemu

# Where the shim expects the image and the device tree.
PLACES = {"arm64": (0x44000000, 0x47000000), "riscv64": (0x84000000, 0x87000000)}


def spoil(tree, how):
    """A device tree with a fault that its reader must notice, or as it was."""
    total, struct_at = struct.unpack_from(">II", tree, 4)
    struct_size, = struct.unpack_from(">I", tree, 36)
    middle = (struct_at + struct_size // 2) & ~3
    if how == "whole":
        return tree
    if how == "magic":
        return b"\xd0\x0d\xfe\xee" + tree[4:]
    if how == "cut":
        return tree[:middle]
    if how == "size":
        return tree[:4] + struct.pack(">I", middle) + tree[8:total]
    raise ValueError(how)


def command(w, how):
    """QEMU's command line for the shim, the real image, and the tree that prepare() makes."""
    out = qemu.output_dir(w)
    words = qemu.command(w, kernel=f"{out}/shim.img")
    image_at, tree_at = PLACES[w["arch"]]
    for path, at in ((f"{out}/grace.img", image_at), (f"{out}/{how}.dtb", tree_at)):
        words += ["-device", f"loader,file={path},addr={at:#x},force-raw=on"]
    return words


def prepare(w, how):
    """Writes such a copy of the device tree that QEMU makes for this machine."""
    out = qemu.output_dir(w)
    good, bad = f"{out}/good.dtb", f"{out}/{how}.dtb"
    dump = qemu.command(w, kernel=f"{out}/shim.img")
    dump[dump.index("-M") + 1] += f",dumpdtb={good}"
    subprocess.run(dump, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=60, check=True)
    with open(good, "rb") as tree:
        spoilt = spoil(tree.read(), how)
    with open(bad, "wb") as tree:
        tree.write(spoilt)
