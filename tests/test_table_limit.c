// SPDX-License-Identifier: MIT
/*
 * Tests of what holds tables back: a gather's bound on the pages in them, and the limit on those
 * that wait for a grace period, mm/table_limit.c.
 *
 * One CPU is held with preemption off, so that no grace period ends; another sets tables free until
 * it has to wait. By then as much waits as may, and no more.
 */
#include "testlib.h"

#include <atomic.h>
#include <mmu_gather.h>
#include <table_limit.h>
#include <tlb.h>

/* ---- G6: what goes with its table -------------------------------------------------------- */

static u64 flushes(void)
{
	struct tlb_stats s;

	tlb_get_stats(&s);
	return s.flush_mm + s.flush_range;
}

/* Tables that go with what is in them: their entries are counted, whatever stands there. */
TEST(rule, G6_pages_in_tables_are_bounded)
{
	const unsigned int nr = GATHER_MAX_INSIDE / PTRS_PER_TABLE + 2;
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(0);

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, va, nr * pt_span(1), PROT_READ | PROT_WRITE, MAP_FIXED), (s64)va);
	for (unsigned int i = 0; i < nr; i++)
		EXPECT_EQ(test_fault_in(mm, va + i * pt_span(1), 1), 0);
	test_plain_batches_begin();
	u64 before = flushes();

	EXPECT_EQ(mm_munmap(mm, va, nr * pt_span(1)), 0);
	EXPECT_EQ(flushes(), before + 2);
	test_plain_batches_end();
	EXPECT_EQ(mm_nr_pages(mm), 0);
	test_mm_leave(mm);
}

/* ---- The limit --------------------------------------------------------------------------- */

/* Sets tables free, a few a call, until told to stop. */
struct unmapper {
	struct mm *mm;
	bool stop;
	u64 calls;
	int err;
};

static void unmap_over_and_over(void *arg)
{
	struct unmapper *u = arg;
	vaddr_t va = test_window(0);

	while (!READ_ONCE(u->stop) && !u->err) {
		s64 at = mm_mmap(u->mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE,
				 MAP_FIXED | MAP_POPULATE);

		u->err = at < 0 ? (int)at : mm_munmap(u->mm, va, PAGE_SIZE);
		WRITE_ONCE(u->calls, u->calls + 1);
	}
}

static void expect_limit_held(struct holder *h, struct unmapper *u)
{
	struct table_limit_stats before, s;
	struct thread *t;

	table_limit_get_stats(&before);
	table_limit_reset_peaks();
	t = test_thread(cpumask_of(test_cpu(0)), unmap_over_and_over, u);
	if (!t)
		return;
	/* As much as may be: another call, of a table and its list at least, would not fit. */
	EXPECT(WAIT_UNTIL((table_limit_get_stats(&s), s.waits > before.waits)));
	WRITE_ONCE(u->stop, true);
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(t->state) == THREAD_DEAD));
	EXPECT(s.peak <= TABLE_LIMIT);
	EXPECT(s.peak > TABLE_LIMIT - arch.pt_levels * PAGE_SIZE);
	hold_end(h);
	thread_join(t);
	EXPECT_EQ(u->err, 0);
	table_limit_get_stats(&s);
	EXPECT(s.peak <= TABLE_LIMIT);
}

TEST(table_limit, who_unmaps_faster_than_periods_end_waits)
{
	struct unmapper u = { 0 };
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	if (table_free_mode != TABLE_FREE_RCU) {
		test_skip("tables do not wait for grace periods here");
		return;
	}
	u.mm = test_mm_enter();
	if (!u.mm)
		return;
	if (hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL))
		expect_limit_held(&h, &u);
	test_mm_leave(u.mm);
}
