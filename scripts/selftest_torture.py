# SPDX-License-Identifier: MIT
"""Tests of torture.py, for selftest.py. Alone: python3 -m unittest selftest_torture."""
import os
import re
import shlex
import unittest

import guest
import qemu
import torture

HERE = os.path.dirname(os.path.abspath(__file__))


class Torture(unittest.TestCase):
    """Rounds are legal, repeatable and all different; verdicts come from what was said."""

    ROUNDS = [torture.Round(arch, 7, n) for arch in torture.MACHINES for n in range(60)]
    SAID = "".join(f"{name}: SUCCESS, seed 1\n" for name, _ in torture.STEPS)

    def test_every_round_can_be_asked_for(self):
        for one in self.ROUNDS:
            append = one.request()["append"]
            self.assertLess(len(append), 1024)
            self.assertLess(len(append.split('run="')[1]), 256)
            self.assertFalse("gather" in append and "tlb=ipi" not in append)
            words = shlex.split(one.command())
            self.assertEqual(words[:3], ["make", "run", f"ARCH={one.arch}"])
            self.assertIn("APPEND=" + append, words)
        self.assertEqual(len({one.command() for one in self.ROUNDS}), len(self.ROUNDS))
        self.assertIn("16", [one.machine["cpus"] for one in self.ROUNDS])

    def test_a_round_follows_from_its_seed(self):
        again = torture.Round("arm64", 7, 3)
        self.assertEqual(again.command(), self.ROUNDS[63].command())
        self.assertNotEqual(again.command(), torture.Round("arm64", 8, 3).command())

    def test_faults_are_the_harmless_ones_of_the_kernel(self):
        with open(os.path.join(HERE, "../include/inject.h"), encoding="utf-8") as header:
            found = re.findall(r'^\tX\(\w+, "(\w+)", (\w+),', header.read(), re.M)
        kinds = dict(found)
        self.assertEqual({name: bool(us) for name, _, _, us in torture.FAULTS},
                         {name: kind == "WAIT" for name, kind in kinds.items() if kind != "HARM"})

    def judge(self, text, said=0, trouble=None):
        outcome = guest.Outcome()
        outcome.text, outcome.said, outcome.trouble = text, said, trouble
        outcome.code = 2 * said + 1
        return torture.judge_round("x86_64", outcome)

    def test_verdicts(self):
        self.assertEqual(self.judge(self.SAID), ("ok", ""))
        for text, said, trouble, word, why in (
                (self.SAID.replace("SUCCESS", "FAILURE", 1), 1, None, "FAILED", "FAILURE"),
                (self.SAID.replace("SUCCESS", "INVALID", 1), 1, None, "INVALID", "INVALID"),
                (self.SAID.replace("SUCCESS", "INVALID"), 3, None, "FAILED", "status 3"),
                (self.SAID.split("\n", 1)[1], 0, None, "FAILED", "0 verdicts"),
                (self.SAID * 2, 0, None, "FAILED", "2 verdicts"),
                (self.SAID, 1, None, "FAILED", "status 1"),
                (self.SAID, 0, "hung: silent for 60 s", "FAILED", "hung"),
                (self.SAID + "[ 1.0] RULE G1 X broken, says the ledger: y\n", 4, None, "FAILED",
                 "RULE G1"), (self.SAID + "[ 1.0] PANIC: z\n", 3, None, "FAILED", "PANIC: z")):
            got, text = self.judge(text, said, trouble)
            self.assertEqual(got, word)
            self.assertIn(why, text)

    def test_table(self):
        row = torture.Row("arm64", 7)
        row.add("ok", "", "make run A", "stress: unmaps 12, x\nstress: a, met an unmap 5\n")
        row.add("FAILED", "why", "make run B", "stress: unmaps 30, x\n")
        self.assertEqual(row.cells()[1:9], ("arm64", "7", "2", "1", "0", "1", "0 s", "42"))
        self.assertEqual(row.failures, [("FAILED: why", "make run B")])
        self.assertNotIn("host", torture.table([row]))
        row.host = "far"
        self.assertIn("host", torture.table([row]))

    def test_other_machines(self):
        words = torture.spread_command("a,b", ["arm64"], 40, 7)
        self.assertEqual(words[0], "parallel")
        self.assertEqual(words[words.index(":::"):], [":::", "arm64", ":::", "7", "8"])
        self.assertIn("--worker 40 {2}", words[words.index(":::") - 1])

    def test_refusals(self):
        for text in ("0", "x", "-1", "1.5", "99999999999"):
            with self.assertRaises(qemu.BadRequest):
                torture.whole("SECONDS", text, 1, 100)
        self.assertEqual(torture.whole("SECONDS", "", 600, 10), 600)
