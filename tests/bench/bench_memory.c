// SPDX-License-Identifier: MIT
/*
 * What a page costs: by fault, from the allocator; and a table, from its unhooking to its freeing.
 *
 * Row fault: a store of the kernel to an absent user page, less the same store to a present one:
 * the trap, the walk, the allocation, the zeroing, the entry, and the way back. Row zero:
 * clear_page(); fault0 is the one less the other. Row table: what a fault does where there is no
 * leaf table, in frames that were tables before.
 * See also: mm/fault.c, mm/page_alloc.c, mm/ptdesc.c.
 */
#include "bench.h"

#include <rcu.h>
#include <smp.h>

/* ---- Faults ---------------------------------------------------------------------------- */

/* Stores to one word of each page. */
static void touch(struct meter *m, vaddr_t va)
{
	int err = 0;

	user_access_begin();
	meter_start(m);
	for (unsigned int i = 0; i < BENCH_OPS; i++)
		err |= user_write_u64(va + i * PAGE_SIZE, i);
	meter_stop(m);
	user_access_end();
	BENCH_CHECK(err == 0);
}

static u64 zeroing_cost(void)
{
	struct meter m = METER_INIT;
	struct page *page = alloc_page(GFP_KERNEL);

	if (!BENCH_CHECK(page != NULL))
		return 0;
	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&m);
		clear_page(page_to_virt(page));
		meter_stop(&m);
	}
	put_page(page);
	return meter_least(&m);
}

void bench_fault(void)
{
	struct meter absent = METER_INIT, present = METER_INIT;
	struct mm *mm = test_mm_enter();
	vaddr_t va = bench_window(0);
	u64 zero = zeroing_cost();

	bench_map(mm, va, 512);
	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		BENCH_CHECK(mm_madvise_dontneed(mm, va, BENCH_OPS * PAGE_SIZE) == 0);
		touch(&absent, va);
		touch(&present, va);
	}
	u64 fault = absent.least - present.least;

	bench_row("fault", fault, BENCH_OPS);
	bench_row("fault0", fault - BENCH_OPS * zero, BENCH_OPS);
	bench_row("zero", zero, 1);
	test_mm_leave(mm);
}

/* ---- The allocator --------------------------------------------------------------------- */

void bench_page(void)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		bool ok = true;

		meter_start(&m);
		for (unsigned int i = 0; i < BENCH_OPS; i++) {
			struct page *page = alloc_page(GFP_KERNEL);

			ok &= page != NULL;
			if (page)
				put_page(page);
		}
		meter_stop(&m);
		BENCH_CHECK(ok);
	}
	bench_meter_row("page", &m, BENCH_OPS);
}

/* ---- Tables ---------------------------------------------------------------------------- */

#define TABLES 128 /* with their list they are under TABLE_LIMIT: none waits */

/* RCU runs a CPU's callbacks in the order they were queued: these two stand around the gather's. */
static struct mark {
	struct rcu_head head;
	u64 when;
} before, after;

static void mark_now(struct rcu_head *head)
{
	container_of(head, struct mark, head)->when = arch_instructions();
}

/* Leaf tables without pages under a mapping: what a table costs is all that is left. */
static bool make_tables(struct mm *mm, vaddr_t va)
{
	bool ok = true;

	down_read(&mm->mmap_lock);
	for (unsigned int i = 0; i < TABLES && ok; i++)
		ok = pt_walk_alloc(mm, va + i * pt_span(1), 0) != NULL;
	up_read(&mm->mmap_lock);
	return BENCH_CHECK(ok);
}

/* Unhooks, flushes and queues them; no entry of theirs is looked at, since there are no pages. */
static void free_tables(struct mm *mm, vaddr_t va)
{
	struct mmu_gather tlb;

	down_write(&mm->mmap_lock);
	tlb_gather_mmu(&tlb, mm);
	unmap_tables(&tlb, va, va + TABLES * pt_span(1), va, va + TABLES * pt_span(1));
	tlb_finish_mmu(&tlb);
	up_write(&mm->mmap_lock);
}

void bench_table(void)
{
	struct meter hook = METER_INIT, detach = METER_INIT;
	struct mm *mm = test_mm_enter();
	vaddr_t va = bench_window(0);
	u64 callback = ~0ULL;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&hook);
		bool made = make_tables(mm, va);

		meter_stop(&hook);
		if (!made)
			break;
		preempt_disable();
		call_rcu(&before.head, mark_now);
		preempt_enable();
		meter_start(&detach);
		free_tables(mm, va);
		meter_stop(&detach);
		call_rcu(&after.head, mark_now);
		rcu_barrier();
		callback = min(callback, after.when - before.when);
	}
	bench_meter_row("table", &hook, TABLES);
	bench_row("tablefree", meter_least(&detach) + callback, TABLES);
	bench_row("tablefree-callback", callback, TABLES);
	test_mm_leave(mm);
}
