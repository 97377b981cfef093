# SPDX-License-Identifier: MIT
"""Tests of what prints a counterexample: names from debug information, rows that matter."""
import os
import re
import subprocess
import tempfile
import unittest

import counterexample
import dwarf

SOURCE = """
typedef struct { int counter; } atomic_t;
struct inner { char name[4]; union { unsigned long state; struct { short next, owner; }; }; };
struct outer { atomic_t refs; struct inner of[2]; };
struct outer thing;
static volatile long other;
int main(void) { return (int)other + thing.refs.counter; }
"""


class Dwarf(unittest.TestCase):
    def test_addresses_have_names(self):
        with tempfile.TemporaryDirectory() as folder:
            program = os.path.join(folder, "a")
            subprocess.run(["gcc", "-g", "-no-pie", "-x", "c", "-", "-o", program], check=True,
                           input=SOURCE, text=True)
            found = dwarf.Program(program)
        at = {name: start for start, name, _ in found.variables}
        for offset, size, name in ((0, 4, "thing.refs"), (8, 1, "thing.of[0].name[0]"),
                                   (16, 8, "thing.of[0].state"), (18, 2, "thing.of[0].owner"),
                                   (32, 8, "thing.of[1].state")):
            self.assertEqual(found.variable(at["thing"] + offset, size), name)
        self.assertEqual(found.variable(at["other"], 8), "other")
        self.assertIsNone(found.variable(16, 8))
        inner = found.structs["inner"]
        self.assertEqual(found.member(inner, 8, 4, ("next",)), ".next")


class Rows(unittest.TestCase):
    @staticmethod
    def step(cpu, addr, old, new):
        return {"cpu": cpu, "kind": "run", "arg": 0, "op": counterexample.CHANGE, "addr": addr,
                "size": 8, "owner": ["data"], "old": old, "new": new, "events": []}

    def test_what_one_cpu_touches_or_nobody_changes_does_not_matter(self):
        step = self.step
        trace = [step(0, 8, "0x1", "0x2"), step(0, 8, "0x2", "0x3"), step(0, 16, "0x1", "0x1"),
                 step(1, 16, "0x1", "0x1"), step(0, 24, "0x1", "0x2"), step(1, 24, "0x2", "0x2")]
        self.assertEqual(counterexample.contended(trace), {24})

    def test_a_screen_is_enough(self):
        rows = [counterexample.Row(n // 30 % 2, f"f{n}()", counterexample.ALWAYS)
                for n in range(300)]
        short = counterexample.middle(rows)
        self.assertLessEqual(len(short), counterexample.SCREEN)
        self.assertEqual((short[0].text, short[-1].text), ("f0()", "f299()"))
        self.assertTrue(any(re.fullmatch(r"\.\.\. \d+ steps", r.text) for r in short))

    def test_a_stretch_that_says_little_is_one_row(self):
        row = counterexample.Row
        rows = [row(0, "a() x", counterexample.ALWAYS), row(1, "b() y", counterexample.OTHER),
                row(1, "c() z", counterexample.OTHER), row(0, "d() x", counterexample.DULL)]
        self.assertEqual([r.text for r in counterexample.keep(rows, counterexample.ALWAYS)],
                         ["a() x", "... b() to c()"])


if __name__ == "__main__":
    unittest.main()
