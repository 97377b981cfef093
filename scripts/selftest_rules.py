# SPDX-License-Identifier: MIT
"""Tests of the scripts about rules, as selftest.py."""
import os
import tempfile
import unittest

import golden
import guest
import hardware
import rulebook
import rules

HERE = os.path.dirname(os.path.abspath(__file__))


class Tree(unittest.TestCase):
    def test_table_documents_and_matrix_agree(self):
        self.assertEqual(rulebook.check_tree(os.path.dirname(HERE)), [])


class Hardware(unittest.TestCase):
    CODE = """/* Nothing. */
static int other(void)
{
}

/*
 * A clean, and more (DDI 0487 D7, on
 * caches).
 */
static void clean(const void *p)
{
\tasm("dc civac"); /* errata notice: 819472 */
}
"""

    def faults(self, row):
        with tempfile.TemporaryDirectory() as folder:
            os.mkdir(os.path.join(folder, "docs"))
            for name, text in ((hardware.TABLE, row), ("a.c", self.CODE)):
                with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
                    out.write(text + "\n")
            return "\n".join(hardware.check_tree(folder))

    def test_tree(self):
        self.assertEqual(hardware.check_tree(os.path.dirname(HERE)), [])

    def test_rows(self):
        for place, asks, fault in (
                ("`a.c`: `clean`", "DDI 0487 D7, caches; errata notice: 819472", ""),
                ("`a.c`: `clean`", "DDI 0487 D8, caches", "does not cite 'D8'"),
                ("`a.c`: `clean`", "errata notice: 819473", "does not cite '819473'"),
                ("`a.c`: `other`", "DDI 0487 D7", "does not cite 'DDI 0487'"),
                ("`a.c`: `clean`", "common sense", "cites no manual"),
                ("`a.c`: `cleans`", "DDI 0487 D7", "is not defined there"),
                ("`b.c`: `clean`", "DDI 0487 D7", "no such file"),
                ("`a.c` `clean`", "DDI 0487 D7", "not a row")):
            self.assertIn(fault, self.faults(f"| {place} | something | {asks} |"))
        self.assertEqual(self.faults("| `a.c`: `clean` | something | DDI 0487 D7 |"), "")
        self.assertIn("no rows", self.faults("| place |"))


class Rulebook(unittest.TestCase):
    """A tree of one rule, and each way in which it can be wrong."""

    TREE = {
        "include/rules.h": '''#define RULE_NEEDS(X) \\
\tX(ALWAYS, "", "") \\
\tX(TAGS, "n.a.", "no tags")

#define RULE_TABLE(X) \\
\tX(ONE, "G1", \\
\t  "first this, " "then \\"that\\"", \\
\t  "f() in mm/a.c", "fault=x:2|stress=5", \\
\t  "ledger", TAGS, \\
\t  "CVE-1")

enum rule;
''',
        "include/oracle.h": '#define ORACLE_TABLE(X) \\\n\tX(LEDGER, "ledger", "debts")\n',
        "mm/a.c": "/*\n * RACE G1. Two\n * lines:\n *   a     b\n *\n *   c     d\n"
                  " * Not this. [G1]\n */\n"
                  "static int f(int x)\n{\n\tif (rule(ONE))\n\t\treturn 1;\n"
                  "\treturn rule(ONE); /* rule(NONE) */\n}\n",
        "tests/t.c": "TEST(rule, G1_one)\n{\n}\n",
        "docs/guide.md": "Here G1 matters.\n",
        "docs/rules-matrix.json": "",
        "README.md": "head\n" + rulebook.BEGIN + rulebook.END + "tail\n",
    }

    def tree(self, folder, path=None, old="", new=""):
        for name, text in self.TREE.items():
            if name == path:
                self.assertIn(old, text)
                text = text.replace(old, new, 1)
            os.makedirs(os.path.dirname(os.path.join(folder, name)) or folder, exist_ok=True)
            with open(os.path.join(folder, name), "w", encoding="utf-8") as out:
                out.write(text)
        cells = dict.fromkeys(rulebook.COLUMNS, "caught")
        cells["arm64 ipi"] = "n.a."
        rulebook.save_matrix({"ONE": cells}, folder)
        return rulebook.Book(folder)

    @staticmethod
    def golden(folder, said, mode="w"):
        """What the explorer says of G1, by column."""
        os.makedirs(os.path.dirname(golden.path("G1", folder)), exist_ok=True)
        with open(golden.path("G1", folder), mode, encoding="utf-8") as out:
            for column, verdict in said.items():
                out.write(f"{golden.machine(column)}: a: {verdict}\n")

    def test_reads(self):
        with tempfile.TemporaryDirectory() as folder:
            book = self.tree(folder)
        rule, drawing = book.rules[0], book.drawings["G1"][0]
        self.assertEqual((rule.name, rule.sentence), ("ONE", 'first this, then "that"'))
        self.assertEqual(drawing.title, "Two lines:")
        self.assertEqual(drawing.lines, ["  a     b", "", "  c     d"])
        self.assertEqual(rule.append("ipi"),
                         'tlb=ipi knockout=ONE fault=x:2 run="stress=5;poweroff"')
        self.assertEqual(rulebook.check_rules(book), [])

    def test_each_fault_is_found(self):
        for path, old, new, error in (
                ("mm/a.c", "rule(ONE)", "true", None), ("mm/a.c", "RACE G1", "RICE G1", "draws"),
                ("mm/a.c", "static int f", "static int g", "enforced by g()"),
                ("mm/a.c", "\treturn rule", "}\nint g(void)\n{\n\treturn rule", "enforced by f()"),
                ("mm/a.c", "rule(ONE)", "rule(TWO)", "rule(TWO)"),
                ("mm/a.c", "[G1]", "[G9]", "G9 is no rule"),
                ("tests/t.c", "G1_one", "T7_one", "T7 is no rule"),
                ("docs/guide.md", "G1", "F3", "F3 is no rule"),
                ("include/rules.h", '"CVE-1"', '""', "not known"),
                ("include/rules.h", '"ledger"', '"nobody"', "neither an oracle"),
                ("include/rules.h", '"fault=x:2|stress=5"', '"fault=x:2|"', "nothing to run"),
                ("include/rules.h", "TAGS, \\\n\t  \"CVE", "FROG, \\\n\t  \"CVE", "needs FROG"),
                ("include/rules.h", "f() in mm/a.c", "f in mm/a.c", "is not")):
            with tempfile.TemporaryDirectory() as folder:
                faults = rulebook.check_rules(self.tree(folder, path, old, new))
            if error is None:  # one guard of two is enough
                self.assertEqual(faults, [])
            else:
                self.assertTrue(any(error in fault for fault in faults), (new, faults))

    def test_documents_are_kept_true(self):
        with tempfile.TemporaryDirectory() as folder:
            self.tree(folder)
            self.golden(folder, dict.fromkeys(rulebook.COLUMNS, "found by G1, bound 1"))
            self.golden(folder, {"arm64 ipi": "nothing, exhausted at bound 2"}, "a")
            self.assertIn("make docs", rulebook.check_tree(folder)[0])
            self.assertEqual(rulebook.write(folder), [])
            self.assertEqual(rulebook.check_tree(folder), [])
            text = rulebook.read(folder, rulebook.BOOK)
            for part in ("a     b\n\nc     d", "no tags", "caught by ledger", "knockout=ONE"):
                self.assertIn(part, text)
            self.assertIn("| ONE | C | C | - | C | C | C |", rulebook.read(folder, "README.md"))
            matrix = rulebook.load_matrix(folder)
            del matrix["ONE"]["arm64 ipi"]
            rulebook.save_matrix(matrix, folder)
            self.assertIn("blank", rulebook.check_tree(folder)[0])

    def test_explorers_cells_need_its_word(self):
        with tempfile.TemporaryDirectory() as folder:
            book = self.tree(folder)
            matrix = rulebook.load_matrix(folder)
            matrix["ONE"].update({"x86_64 ipi": "redundant", "riscv64 unmaskable": "explored"})
            self.assertEqual(len(rulebook.check_explored(book, matrix)), 6)
            said = dict.fromkeys(rulebook.COLUMNS, "found by G1, bound 1")
            said.update(dict.fromkeys(("x86_64 ipi", "arm64 ipi"), "nothing, exhausted at bound 2"))
            self.golden(folder, said)
            self.assertEqual(rulebook.check_explored(book, matrix), [])
            self.assertIn("bound 2 (`a`)", rulebook.cell_text(book, book.rules[0], "x86_64 ipi",
                                                              "redundant"))
            matrix["ONE"].update({"riscv64 unmaskable": "redundant"})
            self.assertIn("found by G1", rulebook.check_explored(book, matrix)[0])

    def test_differences_are_explained_once(self):
        """A caught cell that the explorer has not found: with a reason, and nothing beside it."""
        entry = "matrix G1 riscv64/*: caught | exhausted\n"
        with tempfile.TemporaryDirectory() as folder:
            book = self.tree(folder)
            matrix = rulebook.load_matrix(folder)
            said = dict.fromkeys(rulebook.COLUMNS, "found by G1, bound 1")
            said.update(dict.fromkeys(rulebook.COLUMNS[4:], "nothing, exhausted at bound 2"))
            self.golden(folder, said)
            matrix["ONE"]["arm64 ipi"] = "caught"
            for text, faults in (("", 2), ("# no\n\n" + entry + "\tbecause\n", 0), (entry, 3),
                                 (entry.replace("*", "ipi") + " x\n", 1), ("what\n", 3),
                                 (entry.replace("riscv64", "arm64") + " x\n", 3)):
                with open(os.path.join(folder, golden.DIFFERENCES), "w", encoding="utf-8") as out:
                    out.write(text)
                self.assertEqual(len(rulebook.check_explored(book, matrix)), faults, text)


class Matrix(unittest.TestCase):
    """Verdicts of `make rules` from what a run said."""

    def judged(self, text, by="ledger", said=4, trouble=None):
        rule = rulebook.Rule(("ONE", "G1", "s", "f() in a.c", "stress=5", by, "ALWAYS", "k"))
        outcome = guest.Outcome()
        outcome.text, outcome.said, outcome.trouble = text, said, trouble
        return rules.judge(rule, outcome)[0]

    def test_verdicts(self):
        report = "[    1.5] RULE G4 OTHER broken, says the ledger: a page\nEXIT: STATUS=4\n"
        failed = "not ok 1 rule.G1_one\n"
        for text, more, verdict in (
                (report, {}, "caught"), (report, {"by": "census"}, "by ledger"),
                (report, {"trouble": "hung"}, "caught"), (failed + report, {}, "caught"),
                (failed, {"by": "rule.G1_one", "said": 1}, "caught"),
                (failed, {"said": 1}, "SURVIVED"),
                (report + failed, {"by": "rule.G1_one"}, "by ledger"),
                ("stress: SUCCESS\n", {"said": 0}, "SURVIVED"), ("", {"said": None}, "RESET"),
                ("", {"said": None, "trouble": "hung: silent"}, "HANG"),
                ("PANIC: BUG at x\n", {"said": 3}, "PANIC")):
            self.assertEqual(self.judged(text, **more), verdict, (text, more))

    def test_the_worst_seed_counts(self):
        cell = rules.Cell(None, "arm64", "ipi")
        self.assertTrue(cell.failed())
        for verdict, result in (("caught", "caught"), ("SURVIVED", "SURVIVED"),
                                ("caught", "SURVIVED"), ("HANG", "SURVIVED")):
            cell.note(verdict, "", 1.0, "log")
            self.assertEqual(cell.verdict, result)
        self.assertEqual((cell.seconds, len(cell.logs)), ([1.0, 1.0], 2))

    def test_seeds(self):
        self.assertEqual(rules.with_seed("test rule.*;stress=5;stress 7", 3),
                         "test rule.*;stress 5 3;stress 7 3")
        self.assertEqual(rules.seconds_of("stress=5;test x;stress 7"), 12)


if __name__ == "__main__":
    unittest.main()
