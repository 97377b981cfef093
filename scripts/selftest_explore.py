# SPDX-License-Identifier: MIT
"""Tests of what prints a counterexample: names from debug information, rows that matter."""
import os
import re
import subprocess
import tempfile
import unittest

import counterexample
import dwarf
import explore
import mutants

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


class Verdicts(unittest.TestCase):
    @staticmethod
    def found(rule, message, bound="1"):
        return {"status": 1, "finding": rule, "message": message, "bound": bound}

    def test_who_of_the_oracles_names_which_rule(self):
        for result, text in (
                (self.found("G4", "the ledger: the frame is freed"), "ledger names G4, bound 1"),
                (self.found("locks", "threads may wait", "0"), "locks names locks, bound 0"),
                (self.found("TLB", "CPU 1 reaches"), "none before harm (TLB, bound 1)"),
                ({"status": 0, "bound": "2", "bounded": "1"}, "nothing, exhausted at bound 2")):
            self.assertEqual(explore.oracle_of(result), text)

    def test_the_table_says_within_which_bound_races_were_judged(self):
        result = {"status": 0, "bound": "2", "bounded": "1", "states": "7", "oracles": "1"}
        results = {("a", "m"): {**result, "races": "2"}, ("a", "n"): {**result, "races": "1"},
                   ("b", "m"): {**result, "races": "-1", "oracles": "0"}}
        table = explore.clean_table(["a", "b"], ["m", "n"], results).splitlines()
        self.assertRegex(table[1], "^a +2 +1-2 +7 +7$")
        self.assertRegex(table[2], "^b +2 +no +7 +-$")
        self.assertRegex(table[-1], "ALONE")

    def test_a_mutant_may_ask_for_an_oracle(self):
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as text:
            text.write("one a.c\n- x\n+ y\nfound s m/a m/b chance=0 by=ledger\nspared s m/a\n")
            text.flush()
            entry, = mutants.parse(text.name)
        self.assertEqual(entry["runs"], [("found", "s", "m/a", ["--chance", "0"], "ledger"),
                                         ("found", "s", "m/b", ["--chance", "0"], "ledger"),
                                         ("spared", "s", "m/a", [], None)])
        said = mutants.said_by({"finding": "G4", "message": "the ledger: it is freed"})
        self.assertEqual(said, "G4 by ledger")


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
