# SPDX-License-Identifier: MIT
"""Tests of the scripts behind `make bench`."""
import contextlib
import io
import os
import tempfile
import unittest
import unittest.mock
import xml.etree.ElementTree as ET

import bench
import bench_host
import bench_plot
import bench_rows
import bench_run
import bench_smp
import bench_time
import qemu


def quietly(function, *args):
    with contextlib.redirect_stdout(io.StringIO()):
        return function(*args)


class Figures(unittest.TestCase):
    def test_reads_rows_and_nothing_else(self):
        text = ["Grace on x86_64", "BENCH gup1 6400 64", "BENCH munmap/512 100 512",
                "BENCH-END insn 0", "BENCH broken x 1", " BENCH indented 1 1"]
        self.assertEqual(bench_run.parse(text), {"gup1": [6400, 64], "munmap/512": [100, 512]})

    def test_costs_are_per_operation_and_periods_in_ticks(self):
        cost = bench_rows.per_op({"munmap512": [5120, 512], "munmap4096": [49152, 4096],
                                  "gp": [8000000, 4]})
        self.assertEqual(cost, {"munmap512": 10, "munmap4096": 12, "slope": 1.2, "gp": 0.5})

    def test_growth_is_a_fault_and_less_is_not(self):
        base = {"page": [1000, 10], "zap1": [500, 1], "munmap/1": [7, 1]}
        for now, bad in (({"page": [1000, 10], "zap1": [500, 1]}, 0),
                         ({"page": [1020, 10], "zap1": [500, 1]}, 0),
                         ({"page": [1021, 10], "zap1": [500, 1]}, 1),
                         ({"page": [900, 10], "zap1": [400, 1]}, 0),
                         ({"page": [1000, 10]}, 1),
                         ({"page": [1000, 10], "zap1": [500, 1], "new": [1, 1]}, 1)):
            self.assertEqual(len(quietly(bench.grown, "arm64", base, now)), bad, now)

    def test_a_digit_is_a_difference(self):
        self.assertEqual(quietly(bench_run.not_equal, "arm64", {"a": [10, 1]}, {"a": [10, 1]}), [])
        for other in ({"a": [11, 1]}, {}, {"a": [10, 1], "b": [1, 1]}):
            self.assertEqual(len(quietly(bench_run.not_equal, "arm64", {"a": [10, 1]}, other)), 1)

    def test_the_file_comes_back_as_it_was(self):
        data = {"tools": {"arm64": ["12.2.0", "7.2"]}, "figures": {"arm64": {"a": [1, 2]}}}
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "f.json")
            bench_run.save(path, data)
            self.assertEqual(bench_run.load(path), data)

    def test_every_row_is_held_and_published(self):
        accepted = bench_run.load(bench.ACCEPTED)["figures"]
        with open(bench.DOCUMENT, encoding="utf-8") as file:
            document = file.read()
        for arch, figures in accepted.items():
            table = bench_run.markdown(bench.table_cells(arch, bench_rows.per_op(figures)))
            self.assertIn(table, document, f"{arch}: make bench ACCEPT=1 writes both")
            missing = {r.name for r in bench_rows.ROWS} - set(bench_rows.per_op(figures))
            self.assertEqual(missing, {"gp-expedited"} if arch == "riscv64" else set())


class Table(unittest.TestCase):
    def row(self, name):
        return next(r for r in bench_rows.ROWS if r.name == name)

    def test_linux_is_compared_without_its_entry(self):
        self.assertEqual(self.row("zap1").linux_less_entry("x86_64"), 2349 - 211)
        self.assertEqual(self.row("mapunmap").linux_less_entry("arm64"), 8015 - 2 * 332)
        self.assertEqual(self.row("gup1").linux_less_entry("riscv64"), 808)
        self.assertIsNone(self.row("page").linux_less_entry("x86_64"))

    def test_what_loses_says_so(self):
        self.assertEqual(bench.cells(self.row("page"), "x86_64", 24)[-1], "holds")
        self.assertEqual(bench.cells(self.row("page"), "x86_64", 24.1)[-1], "LOSES")
        self.assertEqual(bench.cells(self.row("zero"), "x86_64", 24)[-1], "")


class Plot(unittest.TestCase):
    def test_is_xml_with_a_line_for_each_port(self):
        text = bench_plot.svg("t", {"arm64": [(1, 10), (65536, 12)], "x86_64": [(1, 9)]})
        root = ET.fromstring(text)
        names = [e.text for e in root.iter("{http://www.w3.org/2000/svg}text")]
        self.assertTrue({"t", "arm64", "x86_64"} <= set(names))

    def test_names_of_lines_that_end_together_are_apart(self):
        root = ET.fromstring(bench_plot.svg("t", {p: [(1, 5), (2, 5)] for p in ("a", "b", "c")}))
        at = [float(e.get("y")) for e in root.iter("{http://www.w3.org/2000/svg}text")
              if e.text in ("a", "b", "c")]
        self.assertEqual([round(y - at[0]) for y in at], [0, bench_plot.LINE, 2 * bench_plot.LINE])

    def test_every_sweep_of_counts_has_its_sizes(self):
        figures = bench_run.load(bench_smp.ACCEPTED)["figures"]
        for _, _, cpus, sweep, row in bench_smp.PLOTS:
            for arch, lines in bench_smp.sweep_lines(figures, cpus, sweep, row).items():
                self.assertGreater(len(lines), 6, (arch, sweep))
                self.assertEqual(lines, sorted(lines))

    def test_more_is_higher_and_further_right(self):
        axis = bench_plot.Axis([1, 100], 0, 300)
        self.assertEqual([axis.at(v) for v in (1, 10, 100)], [0, 150, 300])


class Pairs(unittest.TestCase):
    def test_reads_pairs_by_operation(self):
        text = ["PAIR gup1 2 30 20", "BENCH gup1 1 1", "PAIR gup1 2 32 20", "PAIR gup1 x 1 1"]
        self.assertEqual(bench_host.parse(text), {"gup1": [(15, 10), (16, 10)]})

    def test_one_disturbed_turn_moves_no_median(self):
        middle, low, high = bench_host.median([1.0] * 50 + [2.0] * 50 + [1000.0])
        self.assertEqual((middle, low, high), (2.0, 1.0, 2.0))
        self.assertEqual(bench_host.median([3.0]), (3.0, 3.0, 3.0))

    def test_each_row_is_printed(self):
        lines = bench_host.table_cells({name: [(30.0, 20.0)] * 3 for name in bench_host.ROWS})
        self.assertEqual(lines[1][:4], ("gup1", "30.0", "20.0", "1.50 (1.50 - 1.50)"))


class Time(unittest.TestCase):
    def choose(self, probe, there=True):
        def check(arch):
            if not there:
                raise qemu.BadRequest("ACCEL=kvm: /dev/kvm cannot be opened here")
        with unittest.mock.patch.object(qemu, "check_kvm", check):
            return bench_time.choose("x86_64", probe)

    def test_kvm_is_used_where_it_is_hardware_alone(self):
        self.assertEqual(self.choose(lambda: [2000000, 1000000])[0], "kvm")
        accel, why = self.choose(lambda: [1850000000, 1000000])
        self.assertEqual(accel, "tcg")
        self.assertIn("software hypervisor: 1850.0 cycles", why)

    def test_without_kvm_it_says_why(self):
        def broken():
            raise bench_run.Failed("bench probe: silence")
        self.assertEqual(self.choose(broken)[0], "tcg")
        self.assertIn("silence", self.choose(broken)[1])
        self.assertIn("cannot be opened", self.choose(broken, there=False)[1])

    def test_ticks_are_turned_into_time(self):
        figures = {"ticks": [4000, 2000], "gup1": [640, 64], "probe": [1, 1]}
        self.assertEqual(bench_time.nanoseconds(figures), {"gup1": 5.0})

    def test_the_least_and_the_worst(self):
        runs = [dict.fromkeys(bench_time.ROWS, ns) for ns in (12.0, 10.0, 15.0)]
        self.assertEqual(bench_time.least(runs)["page"], (10.0, 0.5))


class Counts(unittest.TestCase):
    figures = {"2/ipi/munmap-all/told": [8, 8], "2/ipi/munmap-all/range": [8, 8],
               "2/ipi/munmap-all/mm": [0, 8], "4/ipi/munmap-all/told": [24, 8],
               "8/ipi/munmap-all/told": [56, 8], "2/nmi/munmap-all/told": [0, 8],
               "2/ipi/walkers-1/refused": [1, 1], "8/ipi/walkers-1/refused": [1, 1],
               "8/ipi/walkers-7/refused": [14, 7]}

    def row(self, name, figures=None):
        table = bench_smp.table_cells("x86_64", "ipi", figures or self.figures)
        return next(line for line in table if line[0] == name)

    def test_machines_and_transports_are_apart(self):
        self.assertEqual(bench_smp.of_transport(self.figures, 2, "nmi"),
                         {"munmap-all/told": [0, 8]})

    def test_a_row_has_each_machine(self):
        self.assertEqual(self.row("munmap-all/told"),
                         ("munmap-all/told", "1 / 3 / 7", "1 / 3 / 7", "1 / 3 / 7", "1", "1",
                          "holds"))
        self.assertEqual(self.row("munmap-all/flushes")[3], "1")

    def test_one_machine_above_the_limit_loses(self):
        more = {**self.figures, "4/ipi/munmap-all/told": [25, 8]}
        self.assertEqual(self.row("munmap-all/told", more)[-1], "LOSES")

    def test_the_worst_number_of_walkers_counts(self):
        self.assertEqual(self.row("walkers/refused")[3:], ("1 / 2", "-", "2", "LOSES"))

    def test_growth_is_a_fault_and_less_is_not(self):
        for told, bad in ((24, 0), (23, 0), (25, 1)):
            now = {**self.figures, "4/ipi/munmap-all/told": [told, 8]}
            self.assertEqual(len(quietly(bench_smp.grown, "x86_64", self.figures, now)), bad)
        gone = {k: v for k, v in self.figures.items() if not k.startswith("4")}
        self.assertEqual(len(quietly(bench_smp.grown, "x86_64", self.figures, gone)), 1)
        self.assertEqual(len(quietly(bench_smp.grown, "x86_64", gone, self.figures)), 1)

    def test_every_row_is_counted_and_published(self):
        accepted = bench_run.load(bench_smp.ACCEPTED)["figures"]
        with open(bench_run.DOCUMENT, encoding="utf-8") as file:
            document = file.read()
        for arch, figures in accepted.items():
            for transport in bench_smp.TABLES[arch]:
                table = bench_smp.table_cells(arch, transport, figures)
                self.assertEqual([r.name for r in bench_smp.ROWS
                                  if r.name.startswith("period/") == (transport == "clock")],
                                 [t[0] for t in table[1:]])
                self.assertIn(bench_run.markdown(table), document)


if __name__ == "__main__":
    unittest.main()
