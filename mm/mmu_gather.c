// SPDX-License-Identifier: MIT
/*
 * mmu_gather: unhook, invalidate, free, in this order, many at a time.
 *
 * Terms. A gather collects what an unmapping cuts out of the tree: user pages, and tables. Batches
 * are where it keeps them: a few on the stack, then whole pages got without sleeping.
 * Why. Invalidating for each page would interrupt every CPU for each page; freeing before
 * invalidating hands memory to a new owner while the old one can still write to it. A gather pays
 * for one invalidation and frees behind it.
 * Rules: G1, G2, G3, G4, G5, G6, G7, F1, F2. Locks: tlb_remove_page() and tlb_record() under a
 * table lock; the others with none, since they wait for other CPUs [T4].
 * See also: mm/unmap.c (who fills a gather), mm/tlb.c (the invalidation), tests/test_gather.c.
 *
 * What a freer owes to whom, and which line here pays it:
 *
 *   unmapper                      TLB of CPU 1           gup_fast() on CPU 2       reader on CPU 3
 *   clears entries, unhooks       has page and table     inside the table          inside, irqs on
 *   tlb_flush_tlbonly()           drops both             (notices nothing if the   (notices
 *                                                        flush is not an IPI)      nothing)
 *   frees pages (counted refs     .                      may hold a reference:     .
 *     keep what CPU 2 got)                               then the page stays
 *   call_rcu(batch of tables)     .                      leaves, irqs on           leaves
 *   .                 ... grace period: 2 and 3 have left ...
 *   callback frees the tables
 *
 * The race of two gathers [G5]. B finds A's entries cleared already, records nothing, and would
 * return while other CPUs still use them:
 *
 *   A: madvise(DONTNEED)          B: the same range             CPU 1
 *   pending = 1                   pending = 2
 *   clears the entry              finds it empty                writes through its TLB
 *                                 returns: "it reads zero now"  .  (not yet!)
 *   flushes                                                     faults, finds zero
 *
 * So a gather that finishes while another is pending flushes the whole mm, tables included.
 */
#include <gup.h>
#include <mmu_gather.h>
#include <percpu.h>
#include <ptdesc.h>
#include <rcu.h>
#include <smp.h>
#include <tlb.h>

static DEFINE_PER_CPU(struct gather_stats, gather_stats);
/* Statistics are sums over CPUs; a preemption in between costs at most one count. */
#define count(field, n) (this_cpu(gather_stats).field += (n))

#define BATCH_MAX ((PAGE_SIZE - sizeof(struct gather_batch)) / sizeof(struct page *))
#define TABLE_BATCH_MAX ((PAGE_SIZE - sizeof(struct table_batch)) / sizeof(struct ptdesc *))

static void range_reset(struct mmu_gather *tlb)
{
	tlb->start = ~0ULL;
	tlb->end = 0;
	tlb->cleared_levels = 0;
	tlb->freed_tables = false;
}

static void gather_start(struct mmu_gather *tlb, struct mm *mm, bool fullmm)
{
	tlb->mm = mm;
	tlb->fullmm = fullmm;
	tlb->local.head.next = NULL;
	tlb->local.head.nr = 0;
	tlb->local.head.max = GATHER_BUNDLE;
	tlb->active = &tlb->local.head;
	tlb->nr_batches = 0;
	tlb->tables = NULL;
	range_reset(tlb);
	/*
	 * Full barrier: orders "a gather is pending" before the clearing of the first entry. Pairs
	 * with the load of tlb_flush_pending in tlb_finish_mmu() of a gather that found that entry
	 * empty. [G5]
	 */
	atomic_inc_return(&mm->tlb_flush_pending);
	count(gathers, 1);
}

void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm)
{
	gather_start(tlb, mm, false);
}

void tlb_gather_mmu_fullmm(struct mmu_gather *tlb, struct mm *mm)
{
	gather_start(tlb, mm, true);
}

/* ---- Recording --------------------------------------------------------------------------- */

static void record(struct mmu_gather *tlb, vaddr_t va, unsigned int level)
{
	vaddr_t start = ALIGN_DOWN(va, pt_span(level));
	vaddr_t end = start + pt_span(level);

	tlb->cleared_levels |= BIT(level);
	tlb->start = min(tlb->start, start);
	tlb->end = max(tlb->end, end);
}

void tlb_record(struct mmu_gather *tlb, vaddr_t va, unsigned int level)
{
	if (rule(GATHER_RECORD))
		record(tlb, va, level);
}

/* ---- Pages ------------------------------------------------------------------------------- */

/* Makes room for another page; false if the gather is as full as it may get. */
static bool next_batch(struct mmu_gather *tlb)
{
	if (tlb->active->next) {
		tlb->active = tlb->active->next;
		return true;
	}
	if (rule(GATHER_BOUNDED) && tlb->nr_batches == GATHER_MAX_BATCHES)
		return false;
	/* Deep inside teardown, perhaps for want of memory: never wait for memory here [G7]. */
	struct page *page = alloc_page(GFP_NOWAIT | GFP_TYPE(PAGE_GATHER));

	if (!page) {
		count(page_batch_failures, 1);
		return false;
	}
	struct gather_batch *batch = page_to_virt(page);

	batch->next = NULL;
	batch->nr = 0;
	batch->max = BATCH_MAX;
	tlb->active->next = batch;
	tlb->active = batch;
	tlb->nr_batches++;
	count(batches, 1);
	return true;
}

bool tlb_remove_page(struct mmu_gather *tlb, struct page *page)
{
	struct gather_batch *batch = tlb->active;

	if (!rule(FLUSH_BEFORE_FREE)) { /* knocked out: the entry is cleared, the TLBs are not */
		put_page(page);
		return false;
	}
	batch->pages[batch->nr++] = page;
	count(pages, 1);
	return batch->nr == batch->max && !next_batch(tlb);
}

static void free_batch(struct gather_batch *batch)
{
	for (unsigned int i = 0; i < batch->nr; i++) {
		put_page(batch->pages[i]);
		if (rule(GATHER_BOUNDED) && (i + 1) % GATHER_FREE_CHUNK == 0)
			cond_resched();
	}
	batch->nr = 0;
	cond_resched();
}

/* After a flush: drops the references. The batch pages are kept for what is still to come. */
static void free_pages_gathered(struct mmu_gather *tlb)
{
	for (struct gather_batch *b = &tlb->local.head; b; b = b->next)
		free_batch(b);
	tlb->active = &tlb->local.head;
}

static void free_batch_pages(struct mmu_gather *tlb)
{
	struct gather_batch *b = tlb->local.head.next;

	while (b) {
		struct gather_batch *next = b->next;

		put_page(virt_to_page(b));
		b = next;
	}
	tlb->local.head.next = NULL;
	tlb->nr_batches = 0;
}

/* ---- Tables ------------------------------------------------------------------------------ */

static void table_batch_free(struct table_batch *batch)
{
	for (unsigned int i = 0; i < batch->nr; i++)
		ptdesc_free(batch->tables[i]);
	put_page(virt_to_page(batch));
}

static void table_batch_rcu(struct rcu_head *head)
{
	table_batch_free(container_of(head, struct table_batch, rcu));
}

/*
 * Every TLB and walk cache has dropped the tables; what may still be inside is walkers in software.
 */
static void hand_over_tables(struct mmu_gather *tlb)
{
	struct table_batch *batch = tlb->tables;
	bool by_rcu = table_free_mode == TABLE_FREE_RCU && rule(TABLE_GRACE_PERIOD);

	if (!batch)
		return;
	tlb->tables = NULL;
	for (unsigned int i = 0; i < batch->nr; i++) {
		ptdesc_set_flushed(batch->tables[i]);
		if (by_rcu)
			ptdesc_set_waiting(batch->tables[i]);
		else if (table_free_mode == TABLE_FREE_GATHER)
			/*
			 * The flush was an IPI that every walker of the mm held up: none is left
			 * [F4].
			 */
			batch->tables[i]->page.pt_gp = 0;
	}
	if (by_rcu) {
		count(tables_by_rcu, batch->nr);
		call_rcu(&batch->rcu, table_batch_rcu); /* [F1] */
	} else {
		count(tables_by_gather, batch->nr);
		table_batch_free(batch);
	}
}

/* Runs on every CPU: one that has interrupts off in a walk comes here only when it has left it. */
static void sync_irqoff_walkers(void *unused)
{
}

/*
 * There is no page for a batch: invalidate, wait for every kind of walker, free this one [F2, G7].
 */
static void remove_table_slowly(struct mmu_gather *tlb, struct ptdesc *pt)
{
	count(table_batch_failures, 1);
	tlb_flush_mmu(tlb);
	ptdesc_set_flushed(pt);
	if (rule(FALLBACK_ALL_WALKERS)) {
		synchronize_rcu_expedited();
		pt->page.pt_gp = 0; /* an expedited period has passed in its place */
	} else { /* knocked out: as Linux from 2014 to 2026, walkers with interrupts on forgotten */
		smp_call_all(sync_irqoff_walkers, NULL, true);
	}
	count(tables_by_fallback, 1);
	ptdesc_free(pt);
}

static bool table_batch_new(struct mmu_gather *tlb)
{
	struct page *page = alloc_page(GFP_NOWAIT | GFP_TYPE(PAGE_GATHER));

	if (!page)
		return false;
	tlb->tables = page_to_virt(page);
	tlb->tables->nr = 0;
	return true;
}

void tlb_remove_table(struct mmu_gather *tlb, struct ptdesc *pt, vaddr_t va, unsigned int level)
{
	record(tlb, va, level);
	if (rule(TABLE_WALK_CACHES))
		tlb->freed_tables = true;
	count(tables, 1);
	if (debug_build && gup_walker_inside(tlb->mm))
		count(tables_under_walker, 1);
	if (!tlb->tables && !table_batch_new(tlb)) {
		remove_table_slowly(tlb, pt);
		return;
	}
	tlb->tables->tables[tlb->tables->nr++] = pt;
	if (tlb->tables->nr == TABLE_BATCH_MAX)
		tlb_flush_mmu(tlb);
}

/* ---- Flushing ---------------------------------------------------------------------------- */

static unsigned int lowest_level(u32 levels)
{
	return levels ? (unsigned int)__builtin_ctz(levels) : 0;
}

/* Invalidates what was recorded. Nothing recorded, nothing to do. [G1, G2] */
static void tlb_flush_tlbonly(struct mmu_gather *tlb)
{
	if (!tlb->cleared_levels)
		return;
	if (tlb->fullmm)
		tlb_flush_mm(tlb->mm, tlb->freed_tables);
	else
		tlb_flush_range(tlb->mm, tlb->start, tlb->end, lowest_level(tlb->cleared_levels),
				tlb->freed_tables);
	range_reset(tlb);
}

void tlb_flush_mmu(struct mmu_gather *tlb)
{
	if (rule(TABLE_FLUSH_FIRST)) {
		tlb_flush_tlbonly(tlb);
		hand_over_tables(tlb);
	} else { /* knocked out: tables go first */
		hand_over_tables(tlb);
		tlb_flush_tlbonly(tlb);
	}
	free_pages_gathered(tlb);
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	/*
	 * Orders this gather's look at the entries before the load. Pairs with gather_start(): if
	 * another gather cleared an entry that we found empty, its increment is seen here. [G5]
	 */
	smp_mb();
	if (rule(GATHER_NESTED) && atomic_read(&tlb->mm->tlb_flush_pending) > 1) {
		count(nested, 1);
		tlb_flush_mm(tlb->mm, true);
		range_reset(tlb);
	}
	tlb_flush_mmu(tlb);
	free_batch_pages(tlb);
	/* Full barrier: the flush is over before the count drops. Pairs with the load above. */
	atomic_dec_return(&tlb->mm->tlb_flush_pending);
}

void gather_get_stats(struct gather_stats *s)
{
	percpu_sum(s, &gather_stats, sizeof(*s));
}
