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
import model
import qemu
import report
import rulebook
import style
import trace

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

    def run_fake(self, script, stress=0, code=1, limit=20, **fields):
        config = configs.Config("fake", stress=stress, **fields)
        row = report.Row("x86_64", "fake")
        with tempfile.TemporaryDirectory() as folder:
            fake = os.path.join(folder, "qemu")
            with open(fake, "w", encoding="ascii") as out:
                out.write(f"#!/bin/sh\n{script}\nexit {code}\n")
            os.chmod(fake, stat.S_IRWXU)
            outcome = guest.Guest([fake], 1, os.path.join(folder, "log"), limit).run()
        judge.of(config)(row, "x86_64", config, outcome, ([], []))
        return row, "\n".join(case.text for case in row.failed())

    def say(self, text):
        return "cat <<'END'\nGrace on a shell, fake boot\n" + text + "END"

    PASS = "KTAP version 1\n1..1\nok 1 a.b\n"

    def test_passes(self):
        row, text = self.run_fake(self.say(self.PASS + "stress: SUCCESS\nEXIT: STATUS=0\n"), 5)
        self.assertEqual((row.count("passed"), row.race, text), (2, "SUCCESS", ""))

    def test_monitor_may_prompt_in_the_midst_of_a_line(self):
        halves = self.say(self.PASS + "stress: SUC(qemu) CESS\nEXIT: (qemu) STATUS=0\n")
        self.assertEqual(self.run_fake(halves, 5)[0].race, "SUCCESS")

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
                (self.PASS + "[ 1.0] RULE A3 INSTALL_ONCE broken, says the counts: twice there\n"
                 "EXIT: STATUS=4\n", 0, 9, "says the counts: twice there"),
                (self.PASS + "[ 1.0] RULE A3 X broken, says the counts: in a good run\n"
                 "EXIT: STATUS=0\n", 0, 1, "in a run that ended well"),
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


    def test_crash(self):
        said = ("[ 1.0] PANIC: all is lost\n[ 1.0]   #0 first+0x1\n[ 1.0]   #1 second+0x2\n"
                "EXIT: STATUS=3\n")
        for says, out, code, error in (
                (("lost", "first", "second"), said, 7, ""),
                (("lost", "second", "first"), said, 7, "no 'first' where it was due"),
                (("found",), said, 7, "no PANIC with 'found'"),
                (("lost",), said + said, 7, "2 reports where one was due"),
                (("lost",), said + "panic while panicking:\n", 7, "2 reports"),
                (("lost",), "EXIT: STATUS=3\n", 7, "0 reports where one was due"),
                (("lost",), said.replace("3", "0"), 1, "status 0")):
            _, text = self.run_fake(self.say(out), code=code, crash="x", says=says)
            self.assertIn(error, text)
            self.assertEqual(not error, not text)


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


class Trace(unittest.TestCase):
    # Two walks, two gathers of which one moves, a flush; the ring of CPU 1 has lost events.
    DUMP = """trace-ring|0|9|0
trace|1000|0|WALK_BEGIN|3|7f000|4|8
trace|2500|0|WALK_END|3|2|0|8
trace|3000|0|GATHER_BEGIN|3|1|0|9
trace|3100|0|FREE|0|5000|5|9
trace|3500|0|GATHER_BEGIN|3|2|0|10
trace|5000|0|GATHER_END|3|1|0|9
trace|5500|0|GP_BEGIN|0|7|3|1
trace|6000|0|FLUSH_BEGIN|3|3|7f000|10
trace|9000|0|WALK_BEGIN|3|7f000|4|8
trace-ring|1|4|40
trace|2000|1|WALK_END|3|1|0|11
trace|6500|1|GP_END|0|8|0|1
trace|7000|1|FLUSH_END|3|3|7f000|10
trace|8000|1|GATHER_END|3|1|0|10
trace-end
"""

    def setUp(self):
        with open(os.path.join(os.path.dirname(HERE), trace.HEADER), encoding="utf-8") as header:
            self.table = trace.event_table(header.read())

    def convert(self, text):
        return trace.convert(text.splitlines(), self.table, "port")

    def test_slices(self):
        made = self.convert(self.DUMP)
        self.assertEqual(trace.faults(made), [])
        slices = [(e["cat"], e["ts"], e["dur"]) for e in made["traceEvents"] if e["ph"] == "X"]
        self.assertEqual(slices, [("walks", 0.0, 1.5), ("gathers", 2.0, 2.0),
                                  ("gathers", 2.5, 4.5), ("grace periods", 4.5, 1.0),
                                  ("flush waits", 5.0, 1.0)])
        tracks = {(e["pid"], e["tid"]) for e in made["traceEvents"] if e.get("cat") == "gathers"}
        self.assertEqual(len(tracks), 2)
        names = [e["args"]["name"] for e in made["traceEvents"] if e["name"] == "thread_name"]
        self.assertIn("gathers (2)", names)
        free = [e for e in made["traceEvents"] if e["ph"] == "i"]
        self.assertEqual([(e["name"], e["args"]["frame"], e["args"]["type"]) for e in free],
                         [("free", "0x5000", 5)])

    def test_ends_that_may_not_belong_together_are_left_out(self):
        """CPU 1 may have had the end of the one gather and the begin of the next."""
        made = self.convert(self.DUMP.replace("trace|2000|1", "trace|3200|1"))
        kinds = [e["cat"] for e in made["traceEvents"] if e["ph"] == "X"]
        self.assertEqual(kinds.count("gathers"), 1)
        self.assertEqual(kinds.count("walks"), 1)

    def test_bad_dumps(self):
        for text, error in (("", "no event"), ("trace-ring|0|0|0\ntrace-end\n", "no event"),
                            (self.DUMP.replace("trace-end\n", ""), "cut"),
                            (self.DUMP.replace("FREE", "FROG"), "FROG")):
            with self.assertRaises(trace.BadTrace) as caught:
                self.convert(text)
            self.assertIn(error, str(caught.exception))

    def test_faults_are_found(self):
        for change, error in (
                (lambda e: e.update(ts=-1.0), "time goes back"),
                (lambda e: e.update(dur=-1.0), "ends before"),
                (lambda e: e.update(tid=1), "has no name"),
                (lambda e: e.update(ph="B"), "phase B")):
            made = self.convert(self.DUMP)
            change([e for e in made["traceEvents"] if e["ph"] == "X"][0])
            self.assertIn(error, "; ".join(trace.faults(made)))
        made = self.convert(self.DUMP)
        for e in made["traceEvents"]:
            if e.get("cat") == "gathers":
                e["tid"] = 101
        self.assertIn("inside another", "; ".join(trace.faults(made)))


class Style(unittest.TestCase):
    def test_lines(self):
        faults = style.check_lines("mm/a.c", ["\tint a;", "        int b;", "x ", "y" * 101,
                                              "#ifdef __riscv"])
        self.assertEqual(len(faults), 4, faults)
        self.assertEqual(style.check_lines("arch/riscv64/a.c", ["#ifdef __riscv"]), [])
        marks = style.check_merged("a.md", ["<<<<<<< HEAD", "a", "=======", ">>>>>>> b", "== "])
        self.assertEqual(len(marks), 3)

    A = "/* Orders x. Pairs with g() in\n * b.c. */\nvoid f(void)\n{\n}\n"
    B = "void g(void)\n{\n\t/* Pairs with f() in a.c. */\n}\n"

    def test_pairs(self):
        self.assertEqual(style.check_pairs({"a.c": self.A, "b.c": self.B}), [])
        for a, b, error in (
                (self.A, self.B.replace("Pairs with f() in a.c", ""), "in turn"),
                (self.A, self.B.replace("g(", "h("), "which is not in b.c"),
                (self.A, self.B.replace("f()", "e()"), "in turn"),
                (self.A, self.B + self.B.replace("g(", "h("), "in turn"),
                (self.A.replace("Pairs with g() in\n * b.c.", ""), "", "pairs with nothing"),
                (self.A.replace("Orders x. Pairs with g() in\n * b.c.", "Full barrier: x."), "",
                 "pairs with nothing"),
                (self.A.replace("g() in\n * b.c", "h()"), "", "h(), which is not in a.c")):
            faults = style.check_pairs({"a.c": a, "b.c": b})
            self.assertTrue(any(error in fault for fault in faults), (a, b, faults))
        self.assertIn("b.c, which is not there", style.check_pairs({"a.c": self.A})[0])
        promise = "/* Orders x before y. */\nvoid f(void);\n"
        self.assertEqual(style.check_pairs({"a.h": promise}), [])


class Model(unittest.TestCase):
    """What `make model` expects, and how it judges; the searches themselves take spin."""

    FOUND = ("pan:1: assertion violated ((owner==1)||stale_translation) (at depth 15)\n"
             "Warning: Search not completed\nState-vector 60 byte, depth reached 15, errors: 1\n"
             "     1423 states, stored\n")
    CLEAN = "State-vector 60 byte, depth reached 53, errors: 0\n     5744 states, stored\n"
    TRAIL = ("      CPU 0: clears the leaf\n   next owner: takes the frame\n"
             "spin: a.pml:98, Error: assertion violated\n  CPU 1: behind it\n")

    def test_verdicts(self):
        end = self.FOUND.replace("assertion violated ((owner==1)||stale_translation)",
                                 "invalid end state")
        for text, rule, wanted in (
                (self.FOUND, "X", ("found", "stale_translation", 1423)),
                (self.FOUND, None, ("found", "stale_translation", 1423)),
                (end, "X", ("found", "deadlock", 1423)),
                (self.FOUND.replace("((owner==1)||stale_translation)", "root_freed"), "X",
                 ("found", "root_freed", 1423)),
                (self.CLEAN, "X", ("redundant", "", 5744)), (self.CLEAN, None, ("holds", "", 5744)),
                ("error: max search depth too small\n" + self.CLEAN, "X", ("truncated", "", 5744)),
                ("pan: out of memory\n" + self.CLEAN, None, ("truncated", "", 5744)),
                ("Warning: Search not completed\n" + self.CLEAN, None, ("truncated", "", 5744)),
                ("page.pml:3, Error: syntax error", "X", ("broken", "", 0)),
                ("errors: 0\n", None, ("broken", "", 0)), ("", "X", ("broken", "", 0))):
            self.assertEqual(model.judge(text, rule), wanted, text)

    def test_a_cell_agrees_for_the_right_reason_only(self):
        for wanted, verdict, by, good in (
                (("found", "get_on_zero"), "found", "get_on_zero", True),
                (("found", "get_on_zero"), "found", "deadlock", False),
                (("found", "get_on_zero"), "redundant", "", False),
                (("redundant", "why"), "redundant", "", True),
                (("redundant", "why"), "found", "why", False),
                (("holds", ""), "truncated", "", False)):
            cell = model.Cell("s", {}, "X", "ipi", wanted)
            cell.verdict, cell.by = verdict, by
            self.assertEqual(cell.agrees(), good, (wanted, verdict, by))

    def test_columns(self):
        cell = model.Cell("s", {}, "X", "ipi", ("found", "foreign_reference"))
        cell.trail, cell.by = self.TRAIL, "foreign_reference"
        self.assertEqual(model.columns(cell).splitlines(), [
            "  CPU 0" + " " * 29 + "next owner", "  clears the leaf",
            "  " + " " * 34 + "takes the frame", "  ** foreign reference **"])

    def test_table_agrees_with_the_rules(self):
        """Each rule exists; what the rules call redundant is so in every scenario."""
        rules = {rule.name: rule for rule in rulebook.Book(os.path.dirname(HERE)).rules}
        every = [c for c in model.cells(model.load()) if c.rule]
        for cell in every:
            if not cell.rule.startswith("ORDER_"):
                self.assertIn(cell.rule, rules)
            self.assertTrue(cell.wanted[1], cell.name())
            with open(os.path.join(model.MODELS, cell.model["file"]), encoding="utf-8") as source:
                text = source.read()
            with open(os.path.join(model.MODELS, "machine.pml"), encoding="utf-8") as shared:
                text += shared.read()
            self.assertIn("KO_" + cell.rule, text)
            if cell.wanted[0] == "found" and cell.wanted[1] != model.DEADLOCK:
                self.assertIn(f"bool {cell.wanted[1]};", text)
        seen = {(c.rule, c.transport) for c in every if c.wanted[0] == "found"}
        for name, rule in rules.items():
            if rule.needs != "UNMASKABLE_REDUNDANT":
                continue
            self.assertIn((name, "unmaskable"), seen)
            self.assertNotIn((name, "ipi"), seen)
            self.assertIn((name, "ipi"), {(c.rule, c.transport) for c in every})
        always = {c.rule for c in every if c.rule in rules and rules[c.rule].needs == "ALWAYS"}
        for name in always - {"NO_WAIT_LOCKED"}:
            for transport in ("ipi", "unmaskable"):
                self.assertTrue(seen & {(name, transport), (name, "any")}, name)


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
