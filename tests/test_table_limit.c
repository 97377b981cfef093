// SPDX-License-Identifier: MIT
/*
 * Tests of the limit on tables that wait for a grace period: mm/table_limit.c.
 *
 * One CPU is held with preemption off, so that no grace period ends; another sets tables free until
 * it has to wait. By then as much waits as may, and no more.
 */
#include "testlib.h"

#include <atomic.h>
#include <table_limit.h>
#include <tlb.h>

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
