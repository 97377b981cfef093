// SPDX-License-Identifier: MIT
/*
 * gup_fast() while entries change under it: the re-checks U4 and U5, and interrupts off, U1.
 *
 * The walker is stretched (gup_delay_*) by much longer than the change takes, and both note the time. A
 * round counts only if the change came well before the walker can have left its stretch; otherwise the
 * host was in the way, and the round is repeated.
 */
#include "testlib.h"

#include <gup.h>
#include <rules.h>
#include <smp.h>

#define STRETCH_NS (60 * NSEC_PER_MSEC)
#define ROUNDS 8

static struct walker {
	struct mm *mm;
	vaddr_t va;
	bool go, inside, quit;
	unsigned int round, got;
	u64 began, ended;
	struct page *page;
} walker;

/* Walks once for each round that it is told to. */
static void walk_rounds(void *unused)
{
	unsigned int round = 0;

	kthread_use_mm(walker.mm);
	while (!READ_ONCE(walker.quit)) {
		/* Orders the round before what belongs to it. Pairs with run_round(). */
		if (smp_load_acquire(&walker.round) == round) {
			cpu_relax();
			continue;
		}
		round = walker.round;
		walker.began = time_ns();
		WRITE_ONCE(walker.inside, true);
		walker.got = gup_fast(walker.va, 1, 0, &walker.page);
		walker.ended = time_ns();
		/* Orders the results before "outside". Pairs with run_round(). */
		smp_store_release(&walker.inside, false);
		while (READ_ONCE(walker.quit) == false && READ_ONCE(walker.go))
			cpu_relax();
	}
	kthread_unuse_mm();
}

/* Loops of cpu_relax() that take STRETCH_NS at least: the shortest of three tries decides. */
static unsigned int stretch_loops(void)
{
	u64 best = ~0ULL;

	for (unsigned int i = 0; i < 3; i++) {
		u64 start = time_ns();

		for (unsigned int n = 0; n < 20000; n++)
			cpu_relax();
		best = min(best, time_ns() - start);
	}
	return (unsigned int)min(2 * 20000 * STRETCH_NS / max(best, 1ULL), 1ULL << 31);
}

/* One walk with change() in the middle; true if the change was certainly inside the stretch. */
static bool run_round(void (*change)(void *), void *arg)
{
	WRITE_ONCE(walker.go, true);
	/* Orders go before the round; and below "outside" before the results. Pairs with walk_rounds(). */
	smp_store_release(&walker.round, walker.round + 1);
	bool started = SPIN_UNTIL(READ_ONCE(walker.inside));

	udelay(5000); /* from the beginning of the walk to the stretch */
	change(arg);
	u64 changed = time_ns();
	bool ended = SPIN_UNTIL(!smp_load_acquire(&walker.inside));

	WRITE_ONCE(walker.go, false);
	return EXPECT(started && ended) && changed < walker.began + STRETCH_NS / 2 &&
	       walker.ended >= walker.began + STRETCH_NS;
}


static pte_t clear_entry_old;

static void clear_entry(void *arg)
{
	clear_entry_old = pte_get_and_clear(arg);
}

/*
 * Clears the entry while the walker is between loading the leaf and taking its reference. The page stays
 * where it is, so only the second look can tell: it must be refused.
 */
static void check_recheck(unsigned int level)
{
	struct thread *t = NULL;
	unsigned int counted = 0, taken = 0;

	if (!debug_build) {
		test_skip("walks are stretched in debug builds only");
		return;
	}
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	walker = (struct walker){ .mm = mm, .va = va };
	if (va)
		t = test_thread(cpumask_of(test_cpu(1)), walk_rounds, NULL);
	if (t) {
		pte_t *ptep = test_ptep(mm->root, va, level);

		gup_delay_ref = stretch_loops();
		for (unsigned int i = 0; i < ROUNDS && counted < 2; i++) {
			bool counts = run_round(clear_entry, ptep);

			WRITE_ONCE(ptep->val, clear_entry_old.val);
			if (walker.got)
				put_page(walker.page);
			counted += counts;
			taken += counts && walker.got;
		}
		gup_delay_ref = 0;
		WRITE_ONCE(walker.quit, true);
		thread_join(t);
		EXPECT_EQ(taken, 0);
		if (counted == 0)
			test_skip("the host was too busy for the change to meet the walk");
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(rule, U4_changed_leaf_is_refused)
{
	check_recheck(0);
}

TEST(rule, U5_changed_table_is_refused)
{
	check_recheck(1);
}

/* Without a change in between, the same stretched walk gets the page. */
static void change_nothing(void *unused)
{
}

TEST(gup, slow_walk_gets_the_page)
{
	struct thread *t = NULL;

	if (!debug_build || !test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	walker = (struct walker){ .mm = mm, .va = va };
	if (va)
		t = test_thread(cpumask_of(test_cpu(1)), walk_rounds, NULL);
	if (t) {
		gup_delay_ref = stretch_loops() / 8;
		gup_delay_table = gup_delay_ref;
		run_round(change_nothing, NULL);
		gup_delay_ref = 0;
		gup_delay_table = 0;
		EXPECT_EQ(walker.got, 1);
		if (walker.got)
			put_page(walker.page);
		WRITE_ONCE(walker.quit, true);
		thread_join(t);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- U1 ---------------------------------------------------------------------------------------------- */

static u64 handled;

static void note_time(void *unused)
{
	WRITE_ONCE(handled, time_ns());
}

static void call_walker(void *cpu)
{
	smp_call((unsigned int)(u64)cpu, note_time, NULL, false);
}

/* An interrupt sent to a CPU in the middle of a walk is not taken before the walk is over. */
TEST(rule, U1_interrupts_wait_for_the_walk)
{
	struct thread *t = NULL;
	unsigned int counted = 0, early = 0;

	if (!debug_build) {
		test_skip("walks are stretched in debug builds only");
		return;
	}
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	walker = (struct walker){ .mm = mm, .va = va };
	if (va)
		t = test_thread(cpumask_of(test_cpu(1)), walk_rounds, NULL);
	if (t) {
		gup_delay_ref = stretch_loops();
		for (unsigned int i = 0; i < ROUNDS && counted < 2; i++) {
			WRITE_ONCE(handled, 0);
			bool counts = run_round(call_walker, (void *)(u64)test_cpu(1));

			EXPECT(SPIN_UNTIL(READ_ONCE(handled) != 0));
			if (walker.got)
				put_page(walker.page);
			counted += counts;
			early += counts && handled < walker.began + STRETCH_NS;
		}
		gup_delay_ref = 0;
		WRITE_ONCE(walker.quit, true);
		thread_join(t);
		EXPECT_EQ(early, 0);
		if (counted == 0)
			test_skip("the host was too busy for the call to meet the walk");
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- F1, with the walker itself: a walk in progress keeps the table ------------------------------------ */

static struct mm *unmapped_mm;
static vaddr_t unmapped_va;
static enum pt_state state_seen;
static struct page *table_seen;

static void unmap_under_walker(void *unused)
{
	EXPECT_EQ(mm_munmap(unmapped_mm, unmapped_va, PAGE_SIZE), 0);
	state_seen = READ_ONCE(table_seen->pt_state);
}

/*
 * With the unmaskable transport the munmap is done while the walk goes on: the table must wait for it. The
 * walk gets nothing, since its second look finds the leaf gone.
 */
TEST(gup, table_waits_for_a_walk_in_progress)
{
	struct thread *t = NULL;

	if (!debug_build || !test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	walker = (struct walker){ .mm = mm, .va = va };
	unmapped_mm = mm;
	unmapped_va = va;
	if (va && test_set_tlb_mode(true))
		t = test_thread(cpumask_of(test_cpu(1)), walk_rounds, NULL);
	if (t) {
		table_seen = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;
		gup_delay_ref = stretch_loops();
		if (run_round(unmap_under_walker, NULL)) {
			EXPECT_EQ(walker.got, 0);
			EXPECT_EQ(state_seen, PT_WAITING);
		}
		if (walker.got)
			put_page(walker.page);
		gup_delay_ref = 0;
		WRITE_ONCE(walker.quit, true);
		thread_join(t);
		EXPECT(test_tables_settle(mm, 1));
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}
