# SPDX-License-Identifier: MIT
"""Tests of the host scripts; `make test` runs them first. Alone: python3 -m unittest selftest."""
import os
import stat
import subprocess
import tempfile
import unittest

import configs
import doctor
import guest
import judge
import ktap
import qemu
import report
import shim
import style

HERE = os.path.dirname(os.path.abspath(__file__))
GOOD = """KTAP version 1
1..3
ok 1 a.one
ok 2 a.two # SKIP needs two CPUs
# a.c:7: x is 1, expected 2
not ok 3 b.three
"""


class Tree(unittest.TestCase):
    def test_keeps_its_own_style(self):
        self.assertEqual(style.check_tree(os.path.dirname(HERE)), [])


class Version(unittest.TestCase):
    def test_reads_what_tools_print(self):
        for text, numbers in (
                ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18+b3)", (7, 2, 22)),
                ("QEMU emulator version 11.1.0-rc2 (v11.1.0-rc2-12-gabc)", (11, 1, 0)),
                ("gcc (Ubuntu 13.3.0-6ubuntu2~24.04) 13.3.0\nCopyright (C) 2023", (13, 3, 0)),
                ("x86_64-linux-gnu-gcc (Debian 12.2.0-14+deb12u1) 12.2.0", (12, 2, 0)),
                ("GNU ld (GNU Binutils for Debian) 2.40", (2, 40)), ("GNU Make 4.3", (4, 3)),
                ("Python 3.13.0+", (3, 13, 0)), ("tool 10", (10,)), ("10.0", (10, 0)),
                ("7.2+dfsg-7", (7, 2)), ("9.0ubuntu1", (9, 0)), ("no number", ()), ("", ())):
            self.assertEqual(doctor.version(text), numbers, text)

    def test_compares_as_numbers(self):
        for found, needed, good in (("7.2", "7.0", True), ("10.0", "9.0", True),
                                    ("9.0", "10.0", False), ("11.1", "7.2", True),
                                    ("7.2", "7.2.0", True), ("7.2.22", "7.3", False),
                                    ("7", "7.0", True), ("2.4", "2.35", False)):
            self.assertEqual(doctor.at_least(doctor.version(found), doctor.version(needed)), good,
                             (found, needed))
        self.assertFalse(doctor.at_least((), (1,)))


class Ktap(unittest.TestCase):
    def errors(self, text):
        documents, errors = ktap.parse(text)
        return errors + [e for d in documents for e in d.errors]

    def test_good(self):
        documents, errors = ktap.parse("[ 0.1] boot\r\n" + GOOD.replace("\n", "\r\n"))
        self.assertEqual(errors + documents[0].errors, [])
        self.assertEqual([(r.name, r.verdict) for r in documents[0].results],
                         [("a.one", "passed"), ("a.two", "skipped"), ("b.three", "failed")])
        self.assertEqual(documents[0].results[1].text, "needs two CPUs")
        self.assertIn("x is 1", documents[0].results[2].text)

    def test_lines_of_the_log_between_are_no_errors(self):
        self.assertEqual(self.errors(GOOD.replace("ok 2", "[ 1.0] okay so far\n\x1b[0mok 2")), [])

    def test_each_fault_is_found(self):
        for old, new, error in (
                ("1..3\n", "", "before the plan"), ("1..3\n", "", "no plan"),
                ("1..3", "1..4", "3 results of 4"), ("1..3", "1..2", "beyond the plan"),
                ("1..3", "1..0", "no test"), ("1..3", "1..3\n1..3", "second plan"),
                ("ok 2", "ok 1", "result 1 where 2"), ("ok 2", "ok 4", "result 4 where 2"),
                ("ok 1 a.one\n", "", "result 2 where 1"), ("a.two", "a.one", "twice"),
                ("ok 1 a.one", "ok 1 a.one and more", "not a result"),
                ("ok 1 a.one", "ok 1", "not a result"), ("ok 1 ", "ok1 ", "3 results of 3"),
                ("not ok 3 b.three", "not ok 3 b.three # SKIP", "both failed and skipped"),
                ("KTAP version 1", "KTAP version 2", "not a version"),
                ("KTAP version 1\n", "", "before the version line")):
            if new == "ok1 ":
                continue
            found = self.errors(GOOD.replace(old, new, 1))
            self.assertTrue(any(error in e for e in found), (new, error, found))

    def test_a_result_without_blank_is_missed_by_the_plan(self):
        self.assertIn("2 results of 3 planned", self.errors(GOOD.replace("ok 1 ", "ok1 ", 1)))

    def test_race(self):
        self.assertEqual(ktap.stress_verdicts("stress: SUCCESS 12 walks\nstress: 1 s\n"),
                         [("SUCCESS", "12 walks")])
        self.assertEqual(ktap.stress_verdicts("the stress: SUCCESS"), [])


class Status(unittest.TestCase):
    def test_x86_64(self):
        for code, status in ((1, 0), (3, 1), (5, 2), (9, 4), (0, None), (2, None), (-9, None)):
            self.assertEqual(qemu.status_from_qemu("x86_64", code), status)

    def test_others(self):
        for arch in ("arm64", "riscv64"):
            for code, status in ((0, 0), (1, 1), (4, 4), (-11, None)):
                self.assertEqual(qemu.status_from_qemu(arch, code), status)

    def test_final(self):
        for arch, code, said, status in (
                ("x86_64", 1, 0, 0), ("x86_64", 1, None, qemu.STATUS_LOST), ("x86_64", 5, 2, 2),
                ("x86_64", 3, 0, qemu.STATUS_DISAGREES), ("riscv64", 0, 2, 2),
                ("arm64", 0, None, qemu.STATUS_LOST), ("arm64", 3, 3, 3),
                ("arm64", 1, 0, qemu.STATUS_DISAGREES), ("arm64", -6, 0, qemu.STATUS_DISAGREES)):
            self.assertEqual(qemu.final_status(arch, code, said), status, (arch, code, said))


class Request(unittest.TestCase):
    def test_refused_with_what_is_accepted(self):
        for name, value, text in (
                ("arch", "mips", "x86_64, arm64, riscv64"), ("cpus", "0", "1 to 64"),
                ("cpus", "65", "1 to 64"), ("cpus", "four", "1 to 64"), ("mem", "big", "256M"),
                ("mem", "0", "256M"), ("accel", "hax", "tcg, kvm"), ("gic", "3", "ARCH=arm64")):
            with self.assertRaises(qemu.BadRequest) as caught:
                qemu.check({name: value})
            self.assertIn(text, str(caught.exception))
            self.assertIn(value, str(caught.exception))

    def test_command(self):
        words = qemu.command({"arch": "arm64", "gic": "2", "append": 'run="test a;poweroff"',
                              "qemu_args": "-d 'guest_errors'"})
        self.assertIn("virt,gic-version=2", words)
        self.assertIn('run="test a;poweroff"', words)
        self.assertEqual(words[-2:], ["-d", "guest_errors"])
        self.assertEqual(qemu.mem_bytes("8G"), 8 << 30)
        self.assertEqual(qemu.mem_bytes("32"), 32 << 20)

    def test_append(self):
        self.assertEqual(configs.Config("x", options="tlb=ipi", stress=5).append(),
                         'tlb=ipi run="test;stress=5;poweroff"')


class Judging(unittest.TestCase):
    """Whole runs, with a shell script in QEMU's place."""

    def run_fake(self, script, stress=0, expect=None, code=1, limit=20):
        config = configs.Config("fake", stress=stress, expect=expect)
        row = report.Row("x86_64", "fake")
        with tempfile.TemporaryDirectory() as folder:
            fake = os.path.join(folder, "qemu")
            with open(fake, "w", encoding="ascii") as out:
                out.write(f"#!/bin/sh\n{script}\nexit {code}\n")
            os.chmod(fake, stat.S_IRWXU)
            outcome = guest.Guest([fake], 1, os.path.join(folder, "log"), limit).run()
        if expect:
            judge.judge_bad(row, "x86_64", config, outcome, ([], []))
        else:
            judge.judge(row, "x86_64", config, outcome, ([], []))
        return row, "\n".join(case.text for case in row.failed())

    def say(self, text):
        return "cat <<'END'\nGrace on a shell, fake boot\n" + text + "END"

    PASS = "KTAP version 1\n1..1\nok 1 a.b\n"

    def test_passes(self):
        row, text = self.run_fake(self.say(self.PASS + "stress: SUCCESS\nEXIT: STATUS=0\n"), 5)
        self.assertEqual((row.count("passed"), row.race, text), (2, "SUCCESS", ""))

    def test_fails(self):
        for out, stress, code, error in (
                ("EXIT: STATUS=0\n", 0, 1, "no KTAP version line"),
                ("KTAP version 1\nok 1 a.b\nEXIT: STATUS=0\n", 0, 1, "no plan"),
                (self.PASS, 0, 1, "never said its status"),
                (self.PASS + "EXIT: STATUS=0\n", 0, 3, "ended with code 3"),
                (self.PASS + "EXIT: STATUS=0\n", 0, 0, "ended with code 0"),
                (self.PASS + "EXIT: STATUS=1\n", 0, 3, "status 1"),
                (self.PASS + "EXIT: STATUS=0\n", 5, 1, "0 race verdicts"),
                (self.PASS + "stress: INVALID no overlap\nEXIT: STATUS=1\n", 5, 3, "no overlap"),
                (self.PASS + "[ 1.0] PANIC: all is lost\nEXIT: STATUS=3\n", 0, 7, "all is lost"),
                ("KTAP version 1\n1..1\nnot ok 1 a.b\nEXIT: STATUS=0\n", 0, 1, "status 0"),
                (self.PASS + self.PASS + "EXIT: STATUS=0\n", 0, 1, "more than one")):
            _, text = self.run_fake(self.say(out), stress, code=code)
            self.assertIn(error, text)

    def test_failed_test_without_race_is_one_failure(self):
        out = "KTAP version 1\n1..1\nnot ok 1 a.b\nEXIT: STATUS=1\n"
        row, _ = self.run_fake(self.say(out), 5, code=3)
        self.assertEqual((row.count("failed"), row.race), (1, "not run"))

    def test_hang(self):
        row, text = self.run_fake(self.say("KTAP version 1\n1..1\n") + "\nexec sleep 60", limit=1)
        self.assertIn("not done after 1 s", text)
        self.assertLess(row.seconds, 20)

    def test_refusal(self):
        said = "boot: too little memory: 8 MiB\nEXIT: STATUS=2\n"
        _, text = self.run_fake(self.say(said), expect="too little", code=5)
        self.assertEqual(text, "")
        _, text = self.run_fake(self.say(said), expect="too much", code=5)
        self.assertIn("no line with", text)
        _, text = self.run_fake(self.say(said.replace("2", "0")), expect="too little", code=1)
        self.assertIn("status 0", text)


class Spoiling(unittest.TestCase):
    def test_spoil(self):
        tree = bytes.fromhex("d00dfeed00000100000000380000010000000028000000110000001000000000"
                             "0000000000000080") + bytes(216)
        self.assertNotEqual(shim.spoil(tree, "magic")[:4], tree[:4])
        self.assertEqual(len(shim.spoil(tree, "cut")), 0x38 + 0x40)
        self.assertEqual(shim.spoil(tree, "size")[4:8], b"\0\0\0\x78")


class Report(unittest.TestCase):
    def test_table_and_totals(self):
        row = report.Row("p", "c")
        row.add("a", "passed")
        row.add("b", "failed", "why \x00 & <how>\nmore")
        row.add("c", "skipped", "no")
        self.assertEqual(report.totals([row, row]), (2, 2, 2))
        self.assertEqual(len(report.table([row]).splitlines()), 3)
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "x", "junit.xml")
            report.junit([row], path)
            with open(path, encoding="utf-8") as xml:
                self.assertIn('failures="1"', xml.read())


class Style(unittest.TestCase):
    def test_lines(self):
        faults = style.check_lines("mm/a.c", ["\tint a;", "        int b;", "x ", "y" * 101,
                                              "#ifdef __riscv"])
        self.assertEqual(len(faults), 4, faults)
        self.assertEqual(style.check_lines("arch/riscv64/a.c", ["#ifdef __riscv"]), [])

    def test_pairs(self):
        a = "/* Orders x. Pairs with g() in\n * b.c. */\nvoid f(void)\n"
        b = "/* Pairs with f() in a.c. */\nvoid g(void)\n"
        self.assertEqual(style.check_pairs({"a.c": a, "b.c": b}), [])
        self.assertTrue(style.check_pairs({"a.c": a, "b.c": "void g(void)\n"}))
        self.assertTrue(style.check_pairs({"a.c": a, "b.c": b.replace("g(", "h(")}))
        self.assertTrue(style.check_pairs({"a.c": a}))


class Shell(unittest.TestCase):
    def test_setup_refuses_what_it_does_not_know(self):
        for words in (["run", "mips"], ["frobnicate"]):
            done = subprocess.run(["sh", os.path.join(HERE, "setup"), *words],
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            self.assertNotEqual(done.returncode, 0)

    def test_symbols(self):
        empty = subprocess.run(["python3", os.path.join(HERE, "mksyms.py")], input=b"",
                               stdout=subprocess.PIPE, check=True).stdout
        self.assertIn(b".8byte 0", empty)
        self.assertEqual(guest.symbolize(([16, 32], ["f", "g"]), 20), "f+0x4")
        self.assertEqual(guest.symbolize(([16], ["f"]), 4), "0x4")


if __name__ == "__main__":
    unittest.main()
