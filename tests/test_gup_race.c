// SPDX-License-Identifier: MIT
/*
 * gup_fast() while entries change under it: the re-checks U4 and U5, interrupts off U1, and the
 * table that has to wait for the walk.
 *
 * gup_hold keeps the walker between loading the leaf and taking its reference, for as long as the
 * test needs to do what it does.
 */
#include "testlib.h"

#include <gup.h>
#include <inject.h>
#include <rcu.h>
#include <smp.h>

static struct walk {
	struct mm *mm;
	vaddr_t va;
	struct thread *thread;
	bool done;
	unsigned int got;
	struct page *page;
} walk;

static void walk_once(void *unused)
{
	kthread_use_mm(walk.mm);
	walk.got = gup_fast(walk.va, 1, 0, &walk.page);
	kthread_unuse_mm();
	WRITE_ONCE(walk.done, true);
}

/* The walk goes on to the window and waits there; true when it does. */
static bool walk_to(enum gup_window window)
{
	WRITE_ONCE(gup_hold, window);
	return EXPECT(WAIT_UNTIL(cpumask_has(READ_ONCE(gup_held[window]), test_cpu(1))));
}

/* Starts a walk on CPU 1, which goes to the window. */
static bool walk_begin_in(enum gup_window window, struct mm *mm, vaddr_t va)
{
	walk = (struct walk){ .mm = mm, .va = va };
	walk.thread = test_thread_new(cpumask_of(test_cpu(1)), walk_once, NULL);
	if (!walk.thread)
		return false;
	inject_pause(INJECT_BATCH); /* as in hold_start_for() */
	WRITE_ONCE(gup_hold, window);
	thread_wake(walk.thread);
	return walk_to(window);
}

static bool walk_begin(struct mm *mm, vaddr_t va)
{
	return walk_begin_in(GUP_HOLD_REF, mm, va);
}

/* Lets it go on to its end; how many pages it got, all given back. */
static unsigned int walk_end(void)
{
	WRITE_ONCE(gup_hold, GUP_HOLD_NONE);
	if (!walk.thread)
		return 0;
	thread_join(walk.thread);
	inject_resume(INJECT_BATCH);
	if (walk.got)
		put_page(walk.page);
	return walk.got;
}

/* An mm with one page at *va, or NULL with the test failed or skipped. */
static struct mm *begin(vaddr_t *va)
{
	if (!debug_build) {
		test_skip("walks are held in debug builds only");
		return NULL;
	}
	if (!test_needs_cpus(2))
		return NULL;
	struct mm *mm = test_mm_enter();

	*va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;
	return mm;
}

TEST(gup, held_walk_gets_the_page)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	walk_begin_in(GUP_HOLD_TABLE, mm, va);
	EXPECT_EQ(walk_end(), 1);
	walk_begin(mm, va);
	EXPECT_EQ(walk_end(), 1);
	test_mm_leave(mm);
}

/*
 * Clears an entry of the path in the window, puts it back when the walk is over. The page stays
 * where it is, so only the second look can tell: it must be refused.
 */
static void check_second_look(unsigned int level)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	pte_t *ptep = test_ptep(mm->root, va, level), old = pte_read(ptep);

	if (walk_begin(mm, va))
		old = pte_get_and_clear(ptep);
	EXPECT_EQ(walk_end(), 0);
	WRITE_ONCE(ptep->val, old.val);
	EXPECT_EQ(atomic_read(&pte_page(pte_read(test_ptep(mm->root, va, 0)))->refcount), 1);
	test_mm_leave(mm);
}

TEST(rule, U4_changed_leaf_is_refused)
{
	check_second_look(0);
}

TEST(rule, U5_changed_table_is_refused)
{
	check_second_look(1);
}

/* The same page, now without write permission for anybody: a change, too. */
TEST(rule, U4_changed_permission_is_refused)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	pte_t *ptep = test_ptep(mm->root, va, 0), old = pte_read(ptep);

	if (walk_begin(mm, va))
		WRITE_ONCE(ptep->val, arch_pte_leaf(pte_pa(old), PA_USER | PA_READ, 0).val);
	EXPECT_EQ(walk_end(), 0);
	WRITE_ONCE(ptep->val, old.val);
	test_mm_leave(mm);
}

/* The page is used for the first time, then written to: the mapping is what it was. */
TEST(gup, marks_are_no_change)
{
	vaddr_t va;
	struct mm *mm = begin(&va);
	u64 value;

	if (!mm)
		return;
	pte_t *ptep = test_ptep(mm->root, va, 0), old = pte_read(ptep);

	if (walk_begin(mm, va)) {
		EXPECT_EQ(test_peek(va, &value), 0);
		EXPECT(!pte_same(pte_read(ptep), old));
	}
	EXPECT_EQ(walk_end(), 1);
	old = pte_read(ptep);
	if (walk_begin(mm, va)) {
		EXPECT_EQ(test_poke(va, 1), 0);
		EXPECT(!pte_same(pte_read(ptep), old));
	}
	EXPECT_EQ(walk_end(), 1);
	test_mm_leave(mm);
}

/*
 * The entry above the leaf table names another table while the walker is between loading and
 * following it, and the old one again when it has loaded the leaf. A walk that goes on from what it
 * loaded sees nothing of this; one that loads the entry twice has another page's leaf in hand.
 */
TEST(rule, U2_entry_is_loaded_once)
{
	vaddr_t va;
	struct mm *mm = begin(&va);
	struct page *page = mm ? alloc_page(GFP_KERNEL | GFP_ZERO | GFP_TYPE(PAGE_ANON)) : NULL;
	struct ptdesc *other = page ? ptdesc_alloc(mm, 0, GFP_KERNEL) : NULL;

	if (other) {
		pte_t *upper = test_ptep(mm->root, va, 1), old = pte_read(upper);
		pte_t leaf = pte_read(test_ptep(mm->root, va, 0));

		ptdesc_table(other)[pt_index(va, 0)] =
		    arch_pte_leaf(page_to_phys(page), pte_attr(leaf), 0);
		if (walk_begin_in(GUP_HOLD_TABLE, mm, va)) {
			pte_t detour = arch_pte_table(page_to_phys(&other->page), true);

			WRITE_ONCE(upper->val, detour.val);
			smp_mb(); /* before the walk goes on */
			walk_to(GUP_HOLD_REF);
		}
		WRITE_ONCE(upper->val, old.val);
		smp_mb(); /* before the walk goes on and looks at the entry again */
		EXPECT_EQ(walk_end(), 1);
		EXPECT(walk.page == pte_page(leaf));
		ptdesc_free_unpublished(other);
	}
	if (page)
		put_page(page);
	if (mm)
		test_mm_leave(mm);
}

/* The last reference is dropped in the window. */
TEST(rule, U3_count_that_fell_to_zero_is_refused)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	struct page *page = pte_page(pte_read(test_ptep(mm->root, va, 0)));

	if (walk_begin(mm, va))
		atomic_set(&page->refcount, 0);
	unsigned int got = walk_end();

	EXPECT_EQ(got, 0);
	EXPECT_EQ(atomic_read(&page->refcount), 0);
	atomic_set(&page->refcount, 1);
	test_mm_leave(mm);
}

static bool handled;

static void note_handled(void *unused)
{
	WRITE_ONCE(handled, true);
}

/* An interrupt sent to a CPU in the middle of a walk is not taken before the walk is over. */
TEST(rule, U1_interrupts_wait_for_the_walk)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	handled = false;
	if (walk_begin(mm, va)) {
		smp_call(test_cpu(1), note_handled, NULL, false);
		EXPECT(NOT_WITHIN_WATCH(READ_ONCE(handled)));
	}
	EXPECT_EQ(walk_end(), 1);
	EXPECT(WAIT_UNTIL(READ_ONCE(handled)));
	test_mm_leave(mm);
}

/*
 * By the unmaskable transport the munmap is over while the walk goes on: its table waits for a
 * grace period, and that for the walk. The walk gets nothing, since its second look finds the leaf
 * gone.
 */
TEST(rule, F1_table_waits_for_a_walk_in_progress)
{
	vaddr_t va;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	struct page *table = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;

	if (test_set_tlb_mode(true) && walk_begin(mm, va)) {
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		EXPECT(NOT_WITHIN_WATCH(READ_ONCE(table->pt_state) != PT_WAITING ||
					READ_ONCE(table->type) != PAGE_TABLE));
		EXPECT_EQ(walk_end(), 0);
		EXPECT(test_tables_settle(mm, 1));
		rcu_barrier();
		EXPECT(READ_ONCE(table->type) != PAGE_TABLE || READ_ONCE(table->pt_mm) != mm);
	}
	test_restore_tlb_mode();
	test_mm_leave(mm);
}

/* By the maskable one the walk holds it up, and nobody has freed anything before that is over. */
static struct unmapping {
	struct mm *mm;
	vaddr_t va;
	struct thread *thread;
	bool done;
} unmapping;

static void unmap_it(void *unused)
{
	EXPECT_EQ(mm_munmap(unmapping.mm, unmapping.va, PAGE_SIZE), 0);
	WRITE_ONCE(unmapping.done, true);
}

/* Starts a walk on CPU 1 that stops before its reference, and then the unmapping on CPU 2. */
static bool unmap_under_walk(struct mm *mm, vaddr_t va)
{
	walk.thread = NULL;
	unmapping = (struct unmapping){ .mm = mm, .va = va };
	unmapping.thread = test_thread_new(cpumask_of(test_cpu(2)), unmap_it, NULL);
	if (!unmapping.thread)
		return false;
	bool held = walk_begin(mm, va);

	thread_wake(unmapping.thread);
	return held;
}

/* Both go on to their ends. */
static void unmap_under_walk_end(void)
{
	EXPECT_EQ(walk_end(), 0);
	if (!unmapping.thread)
		return;
	thread_join(unmapping.thread);
	EXPECT(unmapping.done);
}

TEST(gup, maskable_flush_waits_for_a_walk_in_progress)
{
	vaddr_t va;

	if (!test_needs_cpus(3))
		return;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	struct page *page = pte_page(pte_read(test_ptep(mm->root, va, 0)));

	if (mm->trees) { /* the walker's CPU has touched nothing there */
		test_skip("with trees by CPU this flush does not wait for walkers");
	} else if (test_set_tlb_mode(false)) {
		if (unmap_under_walk(mm, va))
			EXPECT(
			    NOT_WITHIN_WATCH(READ_ONCE(unmapping.done) || page->type != PAGE_ANON));
		unmap_under_walk_end();
	}
	test_restore_tlb_mode();
	test_mm_leave(mm);
}

/*
 * Whichever transport and policy this machine was booted with: the table is there until the walk is
 * over. Freed with the gather, it is the flush that has to wait for the walk.
 */
TEST(rule, F4_table_outlives_a_walk_in_progress)
{
	vaddr_t va;

	if (!test_needs_cpus(3))
		return;
	struct mm *mm = begin(&va);

	if (!mm)
		return;
	struct page *table = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;

	if (unmap_under_walk(mm, va))
		EXPECT(NOT_WITHIN_WATCH(READ_ONCE(table->type) != PAGE_TABLE ||
					READ_ONCE(table->pt_mm) != mm));
	unmap_under_walk_end();
	test_mm_leave(mm);
}
