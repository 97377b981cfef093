// SPDX-License-Identifier: MIT
/*
 * What a debug build remembers of frames: their life, who had them, and the second count of the
 * entries that lead to them.
 */
#ifdef GRACE_DEBUG
#include <console.h>
#include <tlb.h>

#include "testlib.h"

static bool needs_oracles(void)
{
	if (!oracles())
		test_skip("oracles=off");
	return oracles();
}

/* ---- The life of a frame ----------------------------------------------------------------- */

/* The step came, and not before the one before it. */
static void expect_step(const struct page *p, enum page_step step, enum page_step before)
{
	const u32 *us = p->debug.step_us;

	if (EXPECT(us[step] != 0) && (s32)(us[step] - us[before]) < 0)
		test_fail(__FILE__, __LINE__, "step %u at %u us, step %u at %u us", step, us[step],
			  before, us[before]);
}

/* Drops the last reference, and looks before the frame can be given out again. */
static void expect_freed(struct page *p, enum page_step before)
{
	bool on = local_irq_save(); /* it stays in this CPU's list of free frames */

	put_page(p);
	if (EXPECT_EQ(p->type, PAGE_FREE))
		expect_step(p, STEP_FREE, before);
	EXPECT(p->debug.free_stack != 0);
	local_irq_restore(on);
}

TEST(oracle, life_of_a_table)
{
	struct mm *mm = needs_oracles() ? test_mm_enter() : NULL;
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	if (va) {
		struct page *p = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;

		expect_step(p, STEP_HOOK, STEP_ALLOC);
		EXPECT_EQ(p->debug.step_us[STEP_CLEAR], 0);
		EXPECT(p->debug.alloc_stack != 0);
		get_page(p);
		test_plain_batches_begin(); /* without a batch it is freed at once */
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		test_plain_batches_end();
		rcu_barrier();
		EXPECT(WAIT_UNTIL(READ_ONCE(p->pt_state) == PT_FREE));
		expect_step(p, STEP_CLEAR, STEP_HOOK);
		expect_step(p, STEP_FLUSH, STEP_CLEAR);
		bool waits = table_free_mode == TABLE_FREE_RCU;

		if (waits)
			expect_step(p, STEP_WAIT, STEP_FLUSH);
		expect_freed(p, waits ? STEP_WAIT : STEP_FLUSH);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(oracle, life_of_a_user_page)
{
	struct mm *mm = needs_oracles() ? test_mm_enter() : NULL;
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	if (va) {
		struct page *p = pte_page(pte_read(test_ptep(mm->root, va, 0)));

		expect_step(p, STEP_HOOK, STEP_ALLOC);
		get_page(p);
		EXPECT_EQ(mm_madvise_dontneed(mm, va, PAGE_SIZE), 0);
		expect_step(p, STEP_CLEAR, STEP_HOOK);
		expect_step(p, STEP_FLUSH, STEP_CLEAR);
		expect_freed(p, STEP_FLUSH);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- Who had it -------------------------------------------------------------------------- */

static __noinline struct page *oracle_test_taker(void)
{
	struct page *p = alloc_page(GFP_KERNEL);

	barrier(); /* no tail call: the name is to be found */
	return p;
}

static __noinline void oracle_test_giver(struct page *p)
{
	free_pages(p, 0);
	barrier();
}

TEST(oracle, life_names_taker_and_giver)
{
	struct page *p = needs_oracles() ? oracle_test_taker() : NULL;

	if (!p)
		return;
	if (!EXPECT(capture_start())) {
		oracle_test_giver(p);
		return;
	}
	bool on = local_irq_save(); /* as in expect_freed() */

	oracle_test_giver(p);
	page_life_print(p);
	local_irq_restore(on);
	const char *text = capture_stop(), *taker = test_strstr(text, "oracle_test_taker+");
	const char *giver = test_strstr(text, "oracle_test_giver+");

	EXPECT(taker && giver && taker < giver);
	EXPECT(test_strstr(text, "type free") != NULL);
	capture_free();
}

/* From one place, whatever the compiler makes of a loop whose number of rounds it knows. */
static __noinline void take_frames(struct page **p, volatile unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		p[i] = oracle_test_taker();
}

static bool leak_is_named(u32 since)
{
	if (!EXPECT(capture_start()))
		return false;
	page_owner_print_since("# ", since, 4);
	const char *text = capture_stop();
	bool named = test_strstr(text, "oracle_test_taker+") &&
		     test_strstr(text, "#      3 frames");

	capture_free();
	return named;
}

TEST(oracle, frames_left_behind_are_named)
{
	struct page *p[3] = { NULL };
	u32 since = page_step_now();

	if (!needs_oracles())
		return;
	take_frames(p, 3);
	EXPECT(leak_is_named(since));
	udelay(2);
	EXPECT(!leak_is_named(page_step_now()));
	for (unsigned int i = 0; i < 3; i++)
		if (p[i])
			oracle_test_giver(p[i]);
	EXPECT(!leak_is_named(since));
}

TEST(oracle, full_set_of_stacks_is_ordinary)
{
	struct stack_record records[4] = { 0 };
	struct stack_table t = { .records = records, .size = 4 };
	u32 pcs[STACK_DEPTH] = { 0 };
	stack_nr_t first[3];

	for (unsigned int i = 0; i < 3; i++) {
		pcs[1] = i;
		first[i] = stack_table_add(&t, pcs);
		EXPECT(first[i] > 0 && first[i] < 4);
	}
	pcs[1] = 3;
	EXPECT_EQ(stack_table_add(&t, pcs), 0);
	EXPECT_EQ(t.used, 3);
	EXPECT_EQ(t.refused, 1);
	for (unsigned int i = 0; i < 3; i++) { /* what is there is found again */
		pcs[1] = i;
		EXPECT_EQ(stack_table_add(&t, pcs), first[i]);
	}
	EXPECT(first[0] != first[1] && first[1] != first[2] && first[0] != first[2]);
}

/* ---- The second count -------------------------------------------------------------------- */

static void expect_entries(struct page *p, int n)
{
	EXPECT_EQ(p->debug.entries, n);
	EXPECT_EQ(atomic_read(&p->mapcount), n);
}

/* All ways in which an entry comes and goes; level 1: a huge page. */
static void check_counts(struct mm *mm, unsigned int level)
{
	u64 nr = 4, span = pt_span(level);
	vaddr_t va = test_map(mm, nr << (level * PT_INDEX_BITS),
			      MAP_POPULATE | (level ? MAP_HUGE : 0));
	struct page *p[4];

	if (!va)
		return;
	for (u64 i = 0; i < nr; i++) {
		p[i] = pte_page(pte_read(test_ptep(mm->root, va + i * span, level)));
		get_page(p[i]);
		expect_entries(p[i], 1);
	}
	EXPECT_EQ(mm_mprotect(mm, va, 2 * span, PROT_READ), 0);
	expect_entries(p[0], 1);
	EXPECT_EQ(mm_madvise_dontneed(mm, va + span, span), 0);
	expect_entries(p[0], 1);
	expect_entries(p[1], 0);
	EXPECT_EQ(mm_munmap(mm, va, nr * span), 0);
	for (u64 i = 0; i < nr; i++) {
		expect_entries(p[i], 0);
		put_page(p[i]);
	}
}

TEST(oracle, entries_are_counted_twice_alike)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	check_counts(mm, 0);
	if ((arch.leaf_levels & BIT(1)) && PT_INDEX_BITS <= MAX_ORDER)
		check_counts(mm, 1);
	test_mm_leave(mm);
}

/* ---- The switch -------------------------------------------------------------------------- */

/* Whether steps are written down with the oracles so. */
static bool written_down(const char *command)
{
	struct page *p = NULL;
	bool step = false;

	if (!EXPECT(capture_start()))
		return false;
	int err = console_run(command);

	capture_stop();
	capture_free();
	EXPECT_EQ(err, 0);
	p = alloc_page(GFP_KERNEL);
	if (EXPECT(p != NULL)) {
		step = p->debug.step_us[STEP_ALLOC] != 0;
		EXPECT_EQ(p->debug.alloc_stack != 0, step);
		free_pages(p, 0);
	}
	return step;
}

TEST(oracle, can_be_switched)
{
	if (!needs_oracles())
		return;
	EXPECT(!written_down("oracles off"));
	EXPECT(written_down("oracles on"));
}
#endif
