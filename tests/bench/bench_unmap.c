// SPDX-License-Identifier: MIT
/*
 * What it costs to take pages and tables away.
 *
 * Rows zap1, zap512: mm_madvise_dontneed(), tables kept. Rows munmapN: mm_munmap() of N pages, the
 * part that the caller waits for; what RCU's callback does later is in row tablefree. Sweeps: pages
 * a call, and live VMAs.
 * See also: mm/mmap.c, mm/unmap.c, mm/mmu_gather.c.
 */
#include "bench.h"

static struct mm *mm;

/* ---- Zap ------------------------------------------------------------------------------- */

static void zap_one_by_one(vaddr_t va)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		int err = 0;

		bench_populate(mm, va, 512);
		meter_start(&m);
		for (unsigned int i = 0; i < BENCH_OPS; i++)
			err |= mm_madvise_dontneed(mm, va + i * PAGE_SIZE, PAGE_SIZE);
		meter_stop(&m);
		BENCH_CHECK(err == 0);
	}
	bench_meter_row("zap1", &m, BENCH_OPS);
}

static void zap_in_one_call(vaddr_t va)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		bench_populate(mm, va, 512);
		meter_start(&m);
		int err = mm_madvise_dontneed(mm, va, 512 * PAGE_SIZE);

		meter_stop(&m);
		BENCH_CHECK(err == 0 && mm_count_mapped(mm, va, va + 512 * PAGE_SIZE) == 0);
	}
	bench_meter_row("zap512", &m, 512);
}

void bench_zap(void)
{
	vaddr_t va = bench_window(0);

	mm = test_mm_enter();
	bench_map(mm, va, 512);
	zap_one_by_one(va);
	zap_in_one_call(va);
	test_mm_leave(mm);
}

/* ---- Munmap ---------------------------------------------------------------------------- */

/* Instructions of one munmap of nr pages at va, and how many tables it freed. */
static u64 munmap_cost(vaddr_t va, u64 nr, unsigned int turns, s64 *tables)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < turns; turn++) {
		bench_map(mm, va, nr);
		s64 before = atomic64_read(&mm->nr_tables);

		meter_start(&m);
		int err = mm_munmap(mm, va, nr * PAGE_SIZE);

		meter_stop(&m);
		BENCH_CHECK(err == 0);
		*tables = before - atomic64_read(&mm->nr_tables);
	}
	return meter_least(&m);
}

static void munmap_row(const char *name, u64 nr, s64 want_tables)
{
	s64 tables;

	bench_row(name, munmap_cost(bench_window(1), nr, BENCH_TURNS, &tables), nr);
	if (tables != want_tables)
		bench_fail("%s freed %lld tables, not %lld", name, (long long)tables,
			   (long long)want_tables);
}

void bench_munmap(void)
{
	mm = test_mm_enter();
	munmap_row("munmap1alone", 1, arch.pt_levels - 1);
	bench_map(mm, bench_window(3), 1); /* keeps the tables above the leaf's */
	munmap_row("munmap1", 1, 1);
	bench_map(mm, bench_window(1) + pt_span(1) - PAGE_SIZE, 1); /* and the leaf's */
	munmap_row("munmap1kept", 1, 0);
	BENCH_CHECK(mm_munmap(mm, bench_window(1), pt_span(1)) == 0);
	BENCH_CHECK(mm_munmap(mm, bench_window(3), PAGE_SIZE) == 0);
	bench_map(mm, bench_window(40), 1);
	munmap_row("munmap512", 512, 1);
	munmap_row("munmap4096", 4096, 8);
	test_mm_leave(mm);
}

void bench_munmap_sweep(void)
{
	s64 tables;

	mm = test_mm_enter();
	for (u64 nr = 1; nr <= BENCH_PAGES; nr *= 2) {
		unsigned int turns = nr > 4096 ? 3 : BENCH_TURNS;

		bench_sweep_row("munmap", nr, munmap_cost(bench_window(1), nr, turns, &tables), nr);
		bench_settle();
	}
	test_mm_leave(mm);
}

/* ---- Live VMAs ------------------------------------------------------------------------- */

/* Instructions of mm_mmap() and mm_munmap() of a page that is never touched. */
static u64 mapunmap_cost(vaddr_t va)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&m);
		s64 at = mm_mmap(mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED);
		int err = mm_munmap(mm, va, PAGE_SIZE);

		meter_stop(&m);
		BENCH_CHECK(at == (s64)va && err == 0);
	}
	return meter_least(&m);
}

/* Beside what a small program has: eight mappings. */
void bench_mapunmap(void)
{
	mm = test_mm_enter();
	for (unsigned int n = 0; n < 8; n++)
		bench_map(mm, bench_window(4 + n), 1);
	bench_row("mapunmap", mapunmap_cost(bench_window(1)), 1);
	test_mm_leave(mm);
}

/* Mappings of a page each, with as much between them, behind the window that is measured. */
static bool more_vmas(u64 from, u64 to)
{
	vaddr_t first = bench_window(8);

	for (u64 i = from; i < to; i++) {
		vaddr_t va = first + 2 * i * PAGE_SIZE;

		if (!BENCH_CHECK(mm_mmap(mm, va, PAGE_SIZE, PROT_READ, MAP_FIXED) == (s64)va))
			return false;
	}
	return true;
}

void bench_vma_sweep(void)
{
	s64 tables;
	u64 have = 0;

	mm = test_mm_enter();
	for (u64 nr = 1; nr <= BENCH_PAGES; nr *= 4) {
		if (!more_vmas(have, nr))
			break;
		have = nr;
		bench_sweep_row("vmas-mapunmap", nr, mapunmap_cost(bench_window(1)), 1);
		bench_sweep_row("vmas-munmap1", nr,
				munmap_cost(bench_window(1), 1, BENCH_TURNS, &tables), 1);
	}
	test_mm_leave(mm);
}
