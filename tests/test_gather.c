// SPDX-License-Identifier: MIT
/*
 * mmu_gather and the life of tables: what is freed waits for the flush, tables wait for readers
 * too, and all of it works without memory.
 *
 * To see the moment between clearing and freeing, a CPU that lives in the mm is held: with
 * interrupts off it holds up a flush by IPI, with preemption off it holds up grace periods.
 */
#include "testlib.h"

#include <irqflags.h>
#include <rcu.h>
#include <rules.h>
#include <tlb.h>

/* An unmapping under way in a thread of its own, on a CPU that nobody else uses. */
struct job {
	struct mm *mm;
	vaddr_t va;
	u64 length;
	bool dontneed, done;
	int err;
	struct thread *thread;
};

static void do_job(void *arg)
{
	struct job *j = arg;

	j->err = j->dontneed ? mm_madvise_dontneed(j->mm, j->va, j->length)
			     : mm_munmap(j->mm, j->va, j->length);
	WRITE_ONCE(j->done, true);
}

/* To be started with thread_wake(). */
static bool job_make(struct job *j, unsigned int cpu, struct mm *mm, vaddr_t va, bool dontneed)
{
	*j = (struct job){ .mm = mm, .va = va, .length = PAGE_SIZE, .dontneed = dontneed };
	j->thread = test_thread_new(cpumask_of(cpu), do_job, j);
	return j->thread != NULL;
}

static void job_end(struct job *j)
{
	thread_join(j->thread);
	EXPECT(j->done);
	EXPECT_EQ(j->err, 0);
}

/* ---- G1 to G4 ---------------------------------------------------------------------------- */

/* An unmapping of one page that is to stop in its flush: a CPU that lives in the mm is held. */
struct stuck {
	struct mm *mm;
	vaddr_t va;
	pte_t *ptep;
	struct job job;
	struct holder holder;
	bool held;
};

/* Makes it all but the start: thread_wake(s->job.thread). True if it can be; stuck_end() always. */
static bool stuck_make(struct stuck *s, bool dontneed)
{
	*s = (struct stuck){ .mm = NULL };
	if (!test_needs_cpus(3))
		return false;
	s->mm = test_mm_enter();
	s->va = s->mm ? test_map_used(s->mm, 1) : 0;
	if (!s->va || !test_set_tlb_mode(false) ||
	    !job_make(&s->job, test_cpu(2), s->mm, s->va, dontneed))
		return false;
	s->ptep = test_ptep(s->mm->root, s->va, 0);
	s->held = hold_start(&s->holder, test_cpu(1), HOLD_IRQS, s->mm);
	return true;
}

/* Lets the flush, and so the unmapping, come to its end. */
static void stuck_release(struct stuck *s)
{
	if (s->held)
		hold_end(&s->holder);
	job_end(&s->job);
}

static void stuck_end(struct stuck *s)
{
	test_restore_tlb_mode();
	if (s->mm)
		test_mm_leave(s->mm);
}

/* A page whose entry is cleared stays what it is for as long as the flush is not done. */
TEST(rule, G1_page_is_kept_until_flushed)
{
	struct stuck s;

	if (stuck_make(&s, true)) {
		struct page *page = pte_page(pte_read(s.ptep));

		thread_wake(s.job.thread);
		if (s.held) {
			EXPECT(WAIT_UNTIL(pte_none(pte_read(s.ptep))));
			EXPECT(NOT_WITHIN_WATCH(atomic_read(&page->refcount) != 1 ||
						page->type != PAGE_ANON || READ_ONCE(s.job.done)));
		}
		stuck_release(&s);
		EXPECT_EQ(mm_nr_pages(s.mm), 0);
	}
	stuck_end(&s);
}

/* A table that is cut out is neither handed on nor freed for as long as the flush is not done. */
TEST(rule, G2_table_is_kept_until_flushed)
{
	struct stuck s;

	if (stuck_make(&s, false)) {
		struct page *table = &ptep_ptdesc(s.ptep)->page;

		EXPECT_EQ(table->pt_state, PT_LIVE);
		thread_wake(s.job.thread);
		if (s.held) {
			EXPECT(WAIT_UNTIL(READ_ONCE(table->pt_state) != PT_LIVE));
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(table->pt_state) != PT_UNHOOKED));
		}
		stuck_release(&s);
		EXPECT(test_tables_settle(s.mm, 1));
	}
	stuck_end(&s);
}

/* While an unmapper waits for another CPU's answer, a third can take the lock of the table. */
TEST(rule, T4_table_lock_is_free_during_a_flush)
{
	struct stuck s;

	if (stuck_make(&s, true)) {
		spinlock_t *ptl = &ptep_ptdesc(s.ptep)->page.ptl;

		thread_wake(s.job.thread);
		if (s.held) {
			EXPECT(WAIT_UNTIL(pte_none(pte_read(s.ptep))));
			EXPECT(WAIT_UNTIL(!spin_is_locked(ptl)));
			EXPECT(NOT_WITHIN_WATCH(spin_is_locked(ptl) || READ_ONCE(s.job.done)));
		}
		stuck_release(&s);
	}
	stuck_end(&s);
}

TEST(rule, G3_walk_caches_go_with_tables)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 4) : 0;
	struct tlb_stats before, after;

	test_plain_batches_begin();
	if (va) {
		tlb_get_stats(&before);
		EXPECT_EQ(mm_madvise_dontneed(mm, va, 4 * PAGE_SIZE), 0);
		tlb_get_stats(&after);
		EXPECT_EQ(after.flush_tables, before.flush_tables);
		EXPECT_EQ(mm_munmap(mm, va, 4 * PAGE_SIZE), 0); /* nothing but tables left */
		tlb_get_stats(&before);
		EXPECT_EQ(before.flush_tables, after.flush_tables + 1);
	}
	test_plain_batches_end();
	if (mm)
		test_mm_leave(mm);
}

/*
 * A CPU that reads with interrupts off sees nothing of a page once madvise() has returned. Without
 * the record it sees the stale translation: that shows that this test could fail.
 */
static void check_recorded(struct mm *mm, struct holder *h, vaddr_t va)
{
	u64 value = 0;

	EXPECT_EQ(test_poke(va, TWIN_A), 0);
	EXPECT_EQ(hold_read(h, va, &value), 0);
	EXPECT_EQ(value, TWIN_A);
	EXPECT_EQ(mm_madvise_dontneed(mm, va, PAGE_SIZE), 0);
	EXPECT_EQ(hold_read(h, va, &value), -EFAULT);

	bool watched = oracles();

	if (!rule(GATHER_RECORD) || rule_switch(RULE_GATHER_RECORD, false) != 0)
		return;
	oracles_switch(false); /* what is going to be broken is meant */
	EXPECT_EQ(test_poke(va, TWIN_A), 0);
	int seen = hold_read(h, va, &value);

	EXPECT_EQ(mm_madvise_dontneed(mm, va, PAGE_SIZE), 0);
	int stale = hold_read(h, va, &value);

	rule_switch(RULE_GATHER_RECORD, true);
	tlb_flush_mm(mm, true);
	oracles_switch(watched);
	EXPECT_EQ(hold_read(h, va, &value), -EFAULT);
	if (seen != 0 || stale != 0)
		test_skip("this machine keeps no stale translations");
}

TEST(rule, G4_what_is_cleared_is_flushed_on_other_cpus)
{
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;

	if (va && test_set_tlb_mode(true) && hold_start(&h, test_cpu(1), HOLD_IRQS, mm)) {
		check_recorded(mm, &h, va);
		hold_end(&h);
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

/* ---- G5: two at once --------------------------------------------------------------------- */

TEST(rule, G5_nested_gather_flushes_everything)
{
	struct mm *mm = test_mm_enter();
	struct gather_stats g0, g1;
	struct tlb_stats t0, t1;
	struct mmu_gather outer, inner;

	if (!mm)
		return;
	down_read(&mm->mmap_lock);
	tlb_gather_mmu(&outer, mm);
	gather_get_stats(&g0);
	tlb_get_stats(&t0);
	tlb_gather_mmu(&inner, mm);
	EXPECT_EQ(atomic_read(&mm->tlb_flush_pending), 2);
	tlb_finish_mmu(&inner); /* recorded nothing, but flushes for the other */
	gather_get_stats(&g1);
	tlb_get_stats(&t1);
	EXPECT_EQ(g1.nested, g0.nested + 1);
	EXPECT_EQ(t1.flush_mm, t0.flush_mm + 1);
	EXPECT_EQ(t1.flush_tables, t0.flush_tables + 1);
	tlb_finish_mmu(&outer);
	gather_get_stats(&g0);
	EXPECT_EQ(g0.nested, g1.nested); /* it was alone by then */
	EXPECT_EQ(atomic_read(&mm->tlb_flush_pending), 0);
	up_read(&mm->mmap_lock);
	test_mm_leave(mm);
}

/*
 * The first madvise() is stuck in its flush. The second finds the entry cleared already, and must
 * all the same not return before the page is gone from the held CPU's TLB.
 */
TEST(rule, G5_second_dontneed_waits_for_the_first)
{
	struct job first, second;
	struct holder h;

	if (!test_needs_cpus(4))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	if (va && test_set_tlb_mode(false) && job_make(&first, test_cpu(2), mm, va, true) &&
	    job_make(&second, test_cpu(3), mm, va, true)) {
		pte_t *ptep = test_ptep(mm->root, va, 0);
		bool held = hold_start(&h, test_cpu(1), HOLD_IRQS, mm);

		thread_wake(first.thread);
		EXPECT(WAIT_UNTIL(pte_none(pte_read(ptep))));
		thread_wake(second.thread);
		if (held) {
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(second.done) || READ_ONCE(first.done)));
			hold_end(&h);
		}
		job_end(&first);
		job_end(&second);
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

/* ---- G6: bounded ------------------------------------------------------------------------- */

/*
 * One page with a reference for each time it is gathered: the gather says that it is full at its
 * limit, and never holds more.
 */
TEST(rule, G6_gather_is_bounded)
{
	const unsigned int limit =
		GATHER_BUNDLE + GATHER_MAX_BATCHES * (PAGE_SIZE / sizeof(struct page *));
	struct page *page = alloc_page(GFP_KERNEL | GFP_TYPE(PAGE_ANON));
	struct mm *mm = page ? test_mm_enter() : NULL;
	struct mmu_gather tlb;
	unsigned int n = 0;

	if (!EXPECT(mm != NULL))
		return;
	test_plain_batches_begin();
	down_read(&mm->mmap_lock);
	tlb_gather_mmu(&tlb, mm);
	for (bool full = false; !full && n <= limit; n++) {
		get_page(page);
		atomic_inc(&page->mapcount);
		full = tlb_remove_page(&tlb, page);
		if (!EXPECT(tlb.nr_batches <= GATHER_MAX_BATCHES))
			break;
	}
	EXPECT(n >= GATHER_BUNDLE && n <= limit);
	EXPECT_EQ(atomic_read(&page->refcount), 1 + n); /* none is dropped before the flush */
	tlb_flush_mmu(&tlb);
	EXPECT_EQ(atomic_read(&page->refcount), 1);
	for (unsigned int i = 0; i < 20; i++) { /* and it can be used again */
		get_page(page);
		atomic_inc(&page->mapcount);
		if (tlb_remove_page(&tlb, page))
			tlb_flush_mmu(&tlb);
	}
	tlb_finish_mmu(&tlb);
	up_read(&mm->mmap_lock);
	test_plain_batches_end();
	EXPECT_EQ(atomic_read(&page->refcount), 1);
	put_page(page);
	test_mm_leave(mm);
}

/* ---- G7: no memory ----------------------------------------------------------------------- */

TEST(rule, G7_unmapping_without_memory)
{
	struct mm *mm = test_mm_enter();
	struct gather_stats before, after;
	struct hog hog;
	vaddr_t va = mm ? test_map_used(mm, 120) : 0;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	if (va) {
		gather_get_stats(&before);
		hog_take(&hog);
		EXPECT_EQ(mm_munmap(mm, va, 60 * PAGE_SIZE), 0); /* the table stays */
		EXPECT_EQ(mm_munmap(mm, va + 60 * PAGE_SIZE, 60 * PAGE_SIZE), 0);
		gather_get_stats(&after);
		hog_release(&hog);
		EXPECT_EQ(mm_nr_pages(mm), 0);
		EXPECT_EQ(atomic64_read(&mm->nr_tables), 1);
		EXPECT_EQ(after.pages, before.pages + 120);
		EXPECT_EQ(after.tables, before.tables + arch.pt_levels - 1);
		EXPECT(after.page_batch_failures > before.page_batch_failures);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(gather, exit_without_memory)
{
	struct mm *mm = test_mm_enter();
	struct gather_stats before, after;
	struct hog hog;
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	if (!va)
		return;
	gather_get_stats(&before);
	hog_take(&hog);
	test_mm_leave(mm);
	gather_get_stats(&after);
	hog_release(&hog);
	EXPECT(after.table_batch_failures > before.table_batch_failures);
	EXPECT(after.tables_by_fallback > before.tables_by_fallback);
	EXPECT_EQ(after.table_batch_failures - before.table_batch_failures,
		  after.tables_by_fallback - before.tables_by_fallback);
}

/* ---- F1 to F4 ---------------------------------------------------------------------------- */

/* Tables wait while any reader is inside, though the munmap is done. */
TEST(rule, F1_tables_wait_for_readers)
{
	struct pt_stats before, during, after;
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	if (table_free_mode != TABLE_FREE_RCU) {
		test_skip("table_free=gather");
		return;
	}
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	if (va && hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL)) {
		struct page *table = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;

		pt_get_stats(&before);
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		pt_get_stats(&during);
		EXPECT_EQ(during.waiting, before.waiting + arch.pt_levels - 1);
		EXPECT(NOT_WITHIN_WATCH(READ_ONCE(table->pt_state) != PT_WAITING ||
					table->type != PAGE_TABLE));
		hold_end(&h);
		rcu_barrier();
		pt_get_stats(&after);
		EXPECT_EQ(after.waiting, before.waiting);
		EXPECT_EQ(after.freed, before.freed + arch.pt_levels - 1);
	}
	if (mm)
		test_mm_leave(mm);
}

/* Without memory too: a reader with preemption off, whom no IPI waits for, holds the munmap up. */
TEST(rule, F2_fallback_waits_for_every_walker)
{
	struct gather_stats before, after;
	struct holder h;
	struct hog hog;
	struct job j;

	if (!test_needs_cpus(3))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;

	if (va && job_make(&j, test_cpu(2), mm, va, false)) {
		bool held = hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL);

		gather_get_stats(&before);
		hog_take(&hog);
		thread_wake(j.thread);
		if (held) {
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(j.done)));
			hold_end(&h);
		}
		job_end(&j);
		hog_release(&hog);
		gather_get_stats(&after);
		EXPECT(after.tables_by_fallback > before.tables_by_fallback);
		EXPECT_EQ(atomic64_read(&mm->nr_tables), 1);
	}
	if (mm)
		test_mm_leave(mm);
}

/* A reader that found the table may take its lock for as long as the grace period waits for it. */
static void check_lock_lives(struct job *j, struct page *table)
{
	rcu_read_lock();
	thread_wake(j->thread);
	bool unhooked = SPIN_UNTIL(READ_ONCE(table->pt_state) > PT_UNHOOKED);

	lock_expect_begin();
	spin_lock(&table->ptl);
	spin_unlock(&table->ptl);
	enum lock_mistake mistake = lock_expect_end();

	rcu_read_unlock();
	EXPECT(unhooked);
	EXPECT_EQ(mistake, LOCK_FINE);
}

TEST(rule, F3_descriptor_outlives_the_table)
{
	if (!test_needs_cpus(2))
		return;
	/* Freed with the gather, a table does not wait for a reader with interrupts on. */
	if (table_free_mode != TABLE_FREE_RCU) {
		test_skip("table_free=gather");
		return;
	}
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 1) : 0;
	struct job j;

	if (va && job_make(&j, test_cpu(1), mm, va, false)) {
		struct page *table = &ptep_ptdesc(test_ptep(mm->root, va, 0))->page;

		EXPECT_EQ(table->type, PAGE_TABLE);
		EXPECT(table->pt_mm == mm);
		EXPECT_EQ(table->pt_level, 0);
		check_lock_lives(&j, table);
		job_end(&j);
		EXPECT(test_tables_settle(mm, 1));
		rcu_barrier();
		EXPECT(READ_ONCE(table->type) != PAGE_TABLE || READ_ONCE(table->pt_mm) != mm);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(rule, F4_gather_policy_has_a_maskable_transport)
{
	EXPECT(table_free_mode == TABLE_FREE_RCU || tlb_transport_maskable());
	EXPECT(tlb_transport_name() != NULL);
	EXPECT_EQ(tlb_transport_maskable(), tlb_mode == TLB_IPI);
}

/* ---- A1 and accounting ------------------------------------------------------------------- */

TEST(rule, A1_new_table_is_zeroed)
{
	for (unsigned int i = 0; i < 20; i++) {
		struct page *page = alloc_page(GFP_KERNEL);
		u64 sum = 0;

		ASSERT(page != NULL);
		memset(page_to_virt(page), 0xff, PAGE_SIZE);
		put_page(page); /* the next one is likely to get it */
		struct ptdesc *pt = ptdesc_alloc(NULL, 0, GFP_KERNEL);

		ASSERT(pt != NULL);
		for (unsigned int e = 0; e < PTRS_PER_TABLE; e++)
			sum |= ptdesc_table(pt)[e].val;
		EXPECT_EQ(sum, 0);
		EXPECT_EQ(pt->page.pt_state, PT_LIVE);
		ptdesc_free_unpublished(pt);
	}
}

TEST(gather, tables_are_counted)
{
	struct pt_stats before, during, after;
	struct mm *mm;

	rcu_barrier();
	pt_get_stats(&before);
	mm = test_mm_enter();
	if (!mm)
		return;
	vaddr_t va = test_map(mm, 1, MAP_POPULATE);

	pt_get_stats(&during);
	EXPECT_EQ(during.live, before.live + arch.pt_levels);
	EXPECT_EQ(during.allocated, before.allocated + arch.pt_levels);
	EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
	test_mm_leave(mm);
	rcu_barrier();
	pt_get_stats(&after);
	EXPECT_EQ(after.live, before.live);
	EXPECT_EQ(after.waiting, 0);
	EXPECT_EQ(after.freed, before.freed + arch.pt_levels);
	EXPECT(after.max_waiting >= 1);
}

TEST(gather, policy_is_counted)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map_used(mm, 30) : 0;
	struct gather_stats before, between, after;

	if (va) {
		test_plain_batches_begin();
		gather_get_stats(&before);
		EXPECT_EQ(mm_munmap(mm, va, 20 * PAGE_SIZE), 0);
		gather_get_stats(&between);
		EXPECT_EQ(mm_munmap(mm, va + 20 * PAGE_SIZE, 10 * PAGE_SIZE), 0);
		gather_get_stats(&after);
		test_plain_batches_end();
		EXPECT_EQ(between.gathers, before.gathers + 1);
		EXPECT_EQ(between.pages, before.pages + 20);
		EXPECT_EQ(between.tables, before.tables);
		EXPECT_EQ(between.batches, before.batches + 1); /* what the stack does not hold */
		EXPECT_EQ(after.gathers, before.gathers + 2);
		EXPECT_EQ(after.pages, before.pages + 30);
		EXPECT_EQ(after.tables, before.tables + arch.pt_levels - 1);
		EXPECT_EQ(after.batches, between.batches); /* the tables hold the pages */
		if (table_free_mode == TABLE_FREE_RCU)
			EXPECT_EQ(after.tables_by_rcu - before.tables_by_rcu, arch.pt_levels - 1);
		else
			EXPECT_EQ(after.tables_by_gather - before.tables_by_gather,
				  arch.pt_levels - 1);
	}
	if (mm)
		test_mm_leave(mm);
}
