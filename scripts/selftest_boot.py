# SPDX-License-Identifier: MIT
"""Tests of what makes device trees, tables and files for the loaders; `make test` runs them."""
import struct
import unittest
import zlib

import fdt
import handover
import loader
import pc
import qemu


class Trees(unittest.TestCase):
    def test_bytes(self):
        tree = fdt.Tree(fdt.Node("", {"a": b"12345"}, [fdt.Node("n@1", {"bc": b"", "a": b""})]),
                        [(1, 2)], 3)
        made = fdt.write(tree)
        self.assertEqual(made, struct.pack(
            ">10I", 0xd00dfeed, 149, 72, 144, 40, 17, 16, 3, 5, 72) + struct.pack(">4Q", 1, 2, 0, 0)
            + bytes.fromhex("00000001 00000000 00000003 00000005 00000000 3132333435000000"
                            "00000001 6e403100 00000003 00000000 00000002"
                            "00000003 00000000 00000000 00000002 00000002 00000009") + b"a\0bc\0")
        again = fdt.read(made)
        self.assertEqual(fdt.write(again), made)
        self.assertEqual((again.reserved, again.boot_cpu), ([(1, 2)], 3))
        self.assertIs(again.root.child("n"), again.root.ask("n@1"))

    def test_what_is_no_tree(self):
        for blob in (bytes(64), b"\xd0\x0d\xfe\xed", fdt.write(fdt.Tree(fdt.Node("")))[:60]):
            with self.assertRaises((ValueError, struct.error)):
                fdt.read(blob)


class Handover(unittest.TestCase):
    def test_spoil(self):
        tree = bytes.fromhex("d00dfeed00000100000000380000010000000028000000110000001000000000"
                             "0000000000000080") + bytes(216)
        self.assertNotEqual(handover.spoil(tree, "magic")[:4], tree[:4])
        self.assertEqual(len(handover.spoil(tree, "cut")), 0x38 + 0x40)
        self.assertEqual(handover.spoil(tree, "size")[4:8], b"\0\0\0\x78")

    def test_banks(self):
        tree = fdt.Tree(fdt.Node("", {}, [fdt.Node("memory@0", {"device_type": b"memory\0"})]))
        handover.put_banks(tree, 1 << 32)
        nodes = [c for c in tree.root.children if "device_type" in c.props]
        told = b"".join(n.props["reg"] for n in nodes)
        self.assertEqual(len(told), 16 * (len(handover.MEMORY) + 2))
        self.assertTrue(told.startswith(fdt.wide((1 << 32) + (168 << 20), 88 << 20)))
        self.assertEqual(tree.reserved, [((1 << 32) + (200 << 20) + 0x123, 0x2000)])

    def test_ghost(self):
        cpu = fdt.Node("cpu@0", {"device_type": b"cpu\0", "reg": bytes(8), "phandle": bytes(4)})
        tree = fdt.Tree(fdt.Node("", {}, [fdt.Node("cpus", {}, [cpu, fdt.Node("cpu-map")])]))
        handover.put_ghost(tree)
        names = [(c.name, c.props.get("reg")) for c in tree.root.child("cpus").children]
        self.assertEqual(names, [("cpu@0", bytes(8)), ("cpu@63", bytes(7) + b"\x63"),
                                 ("cpu-map", None)])
        self.assertEqual(cpu.props["phandle"], bytes(4))

    def test_touched(self):
        memory = bytearray(256 << 20)
        for start, end in handover.HOLES + handover.RESERVED:
            memory[start:end] = handover.pattern(start, end - start)
        self.assertIsNone(handover.touched(memory))
        for at in (handover.HOLES[0][0], handover.RESERVED[-1][1] - 1):
            memory[at] ^= 1
            self.assertEqual(handover.touched(memory), at)
            memory[at] ^= 1
            memory[at - 1 if at == handover.HOLES[0][0] else at + 1] ^= 1  # memory's own
            self.assertIsNone(handover.touched(memory))


class Tables(unittest.TestCase):
    """What a PC is handed; that the kernel understands it is for the configurations to show."""

    def test_sums(self):
        for how, bad in (("whole", 0), ("root", 1), ("madt-sum", 1), ("fadt-sum", 1),
                         ("root-length", 1), ("madt-entry", 0)):
            parts = pc.acpi(0x1000, range(4), how)
            self.assertEqual(sum(sum(data) % 256 != 0 for _, data in parts), bad, how)

    def test_map(self):
        at, size = 112 << 20, 256 << 20
        whole = pc.memory_map(at, size, None)
        self.assertIn((1 << 20, size - (1 << 20), pc.RAM), whole)
        banks = pc.memory_map(at, size, (handover.MEMORY, handover.RESERVED))
        self.assertIn((1 << 20, (23 << 20) + 0x1800, pc.RAM), banks)
        self.assertIn((204 << 20, 2 << 20, pc.TAKEN), banks)


class Loader(unittest.TestCase):
    """What a boot path is given; that firmware takes it is for the configurations to show."""

    def test_environment(self):
        made = loader.environment((("a", "1"), ("bootargs", 'run="test;poweroff"')))
        self.assertEqual(len(made), loader.ENV_SIZE)
        self.assertEqual(int.from_bytes(made[:4], "little"), zlib.crc32(made[4:]))
        self.assertTrue(made[4:].startswith(b'a=1\0bootargs=run="test;poweroff"\0\0\xff'))

    def test_script(self):
        made = loader.script_image("echo x\n")
        self.assertEqual((made[:4], made[64:]),
                         (b"\x27\x05\x19\x56", b"\0\0\0\7\0\0\0\0echo x\n"))
        self.assertEqual(int.from_bytes(made[4:8], "big"),
                         zlib.crc32(made[:4] + bytes(4) + made[8:64]))

    def test_tree(self):
        made = loader.tree_with_config(fdt.write(fdt.Tree(fdt.Node("", {"model": b"x\0"}))),
                                       (("bootcmd", "run"), ("n", b"\0\0\0\1")))
        tree = fdt.read(made)
        self.assertEqual(tree.root.props, {"model": b"x\0"})
        self.assertEqual(tree.root.child("config").props,
                         {"bootcmd": b"run\0", "n": b"\0\0\0\1"})

    def test_words(self):
        for arch, boots in loader.PATHS.items():
            for boot in boots:
                words = qemu.command({"arch": arch, "boot": boot, "append": "tlb=ipi"})
                self.assertEqual("-append" in words, boot in ("kernel", "fw_jump"), (arch, boot))
        with self.assertRaises(qemu.BadRequest) as caught:
            qemu.check({"arch": "arm64", "boot": "grub"})
        self.assertIn("uboot-disk", str(caught.exception))

    def test_quoted(self):
        self.assertEqual(loader.quoted("a'b c"), "'a'\\''b c'")


if __name__ == "__main__":
    unittest.main()
