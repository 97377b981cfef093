// SPDX-License-Identifier: MIT
/*
 * mmu_gather: unhook, invalidate, free, in this order, many at a time.
 *
 * Terms. A gather collects what an unmapping cuts out of the tree: user pages, and tables with the
 * pages that are still in them. Batches are where it keeps them: a few on the stack, then whole
 * pages got without sleeping.
 * Why. Invalidating for each page would interrupt every CPU for each page; freeing before
 * invalidating hands memory to a new owner while the old one can still write to it. A gather pays
 * for one invalidation and frees behind it.
 * Rules: G1 to G9, G11, F1, F2, F5. Locks: tlb_remove_page() and tlb_record() under a
 * table lock; the others with none, since they wait for other CPUs [T4].
 * See also: mm/unmap.c (who fills a gather), mm/tlb.c (the invalidation), tests/test_gather.c.
 *
 * What a freer owes to whom, and which line here pays it:
 *
 *   unmapper                      TLB of CPU 1           gup_fast() on CPU 2       reader on CPU 3
 *   clears entries, unhooks       has page and table     inside the table          inside, irqs on
 *   tlb_flush_tlbonly()           drops both             (notices nothing if the   (notices
 *                                                        flush is not an IPI)      nothing)
 *   frees pages, those inside     .                      may hold a reference:     .
 *     tables too (counted refs                           then the page stays
 *     keep what CPU 2 got)
 *   call_rcu(batch of tables)     .                      leaves, irqs on           leaves
 *   .                 ... grace period: 2 and 3 have left ...
 *   callback frees the tables
 *
 * RACE G5, G8. B finds empty what A has cleared and not yet flushed:
 *   A: madvise(DONTNEED)          B: the same range             CPU 1
 *   pending = 1                   pending = 2                   TLB: va -> page
 *   clears the entry              finds it empty                .
 *   .                             returns: "it reads zero       .
 *   .                               now"; or flushes only       .
 *   .                               what it recorded: nothing   writes at va: no fault
 *   flushes                                                     faults, finds zero
 *
 * So a gather that finishes while another is pending flushes the whole mm, tables included.
 */
#include <census.h>
#include <inject.h>
#include <ledger.h>
#include <mmu_gather.h>
#include <percpu.h>
#include <ptdesc.h>
#include <rcu.h>
#include <smp.h>
#include <table_limit.h>
#include <time.h>
#include <tlb.h>
#include <trace.h>

static DEFINE_PER_CPU(struct gather_stats, gather_stats);
/* Statistics are sums over CPUs; a preemption in between costs at most one count. */
#define count(field, n) (this_cpu(gather_stats).field += (n))

#define BATCH_MAX ((PAGE_SIZE - sizeof(struct gather_batch)) / sizeof(struct page *))
#define TABLE_BATCH_MAX                                                                            \
	min((PAGE_SIZE - sizeof(struct table_batch)) / sizeof(struct ptdesc *), TABLE_LIMIT_BATCH)

static void range_reset(struct mmu_gather *tlb)
{
	tlb->start = ~0ULL;
	tlb->end = 0;
	tlb->cleared_levels = 0;
	tlb->freed_tables = false;
	tlb->cpus = 0;
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
	tlb->nr_unhooked = 0;
	tlb->nr_inside = 0;
	tlb->tables = NULL;
	range_reset(tlb);
	/*
	 * Full barrier: orders "a gather is pending" before the clearing of the first entry. Pairs
	 * with the load of tlb_flush_pending in tlb_finish_mmu() of a gather that found that entry
	 * empty. [G5]
	 */
	int pending = atomic_inc_return(&mm->tlb_flush_pending);

	count(gathers, 1);
	trace(GATHER_BEGIN, mm->id, (u64)pending, 0);
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

static void record(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, unsigned int level)
{
	tlb->cleared_levels |= BIT(level);
	tlb->start = min(tlb->start, start);
	tlb->end = max(tlb->end, end);
}

/*
 * RACE G4. What nobody wrote down is not flushed:
 *   unmapper                               CPU 1                     next owner
 *   clears the entry, records nothing      TLB: va -> page
 *   flush: nothing recorded, none sent     .
 *   frees the page                         .                         gets it
 *   .                                      writes at va: into it     finds foreign bytes
 */
void tlb_record(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, unsigned int level)
{
	if (rule(GATHER_RECORD))
		record(tlb, start, end, level);
}

void tlb_spare(struct mmu_gather *tlb, unsigned int nr)
{
	count(spared, nr);
	for (unsigned int i = 0; debug_build && i < nr; i++)
		ledger_spare(tlb_slots(tlb)[i]);
}

/* ---- Pages ------------------------------------------------------------------------------- */

/* Deep inside teardown, perhaps for want of memory: never waits for memory [G7]. */
static struct page *batch_page(void)
{
	if (inject(BATCH))
		return NULL;
	return alloc_page(GFP_NOWAIT | GFP_TYPE(PAGE_GATHER));
}

/*
 * Whether the gather is as full as it may get: of pages, or of tables with pages in them.
 *
 * RACE G6. One gather takes all there is:
 *   munmap of much memory                  everybody else
 *   clears entries, gathers all pages      finds no memory: it is all in the gather
 *   frees them in one go                   waits for this CPU, grace periods too
 */
static bool holds_enough(const struct mmu_gather *tlb)
{
	return rule(GATHER_BOUNDED) && (tlb->nr_batches == GATHER_MAX_BATCHES ||
					tlb->nr_inside >= GATHER_MAX_INSIDE);
}

/* Makes room for another page; false if there is to be none before a flush. */
static bool next_batch(struct mmu_gather *tlb)
{
	if (tlb->active->next) {
		tlb->active = tlb->active->next;
		return true;
	}
	if (holds_enough(tlb))
		return false;
	struct page *page = batch_page();

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

/*
 * Whether pages wait for the flush, which is so but with a rule knocked out.
 *
 * RACE G1. A page gets an owner while a TLB still leads to it:
 *   unmapper                               CPU 1                     next owner
 *   clears the entry                       TLB: va -> page
 *   frees the page                         .                         gets it
 *   .                                      writes at va: into it     finds foreign bytes
 *   flushes: too late
 *
 * RACE G11. One user is not one CPU:
 *   the only user, now on CPU 0            CPU 1, where it ran before, lazy on the mm
 *   clears the entry                       TLB: va -> page, kept or filled by speculation
 *   frees the page at once                 .
 *   flushes                                has led to the next owner's page meanwhile
 */
static bool pages_wait(const struct mmu_gather *tlb)
{
	/* Knocked out, the second: "nobody else can use it". But lazy CPUs and speculation can. */
	return rule(FLUSH_BEFORE_FREE) && (rule(SINGLE_USER) || atomic_read(&tlb->mm->users) > 1);
}

bool tlb_remove_pages(struct mmu_gather *tlb, unsigned int nr)
{
	struct gather_batch *batch = tlb->active;

	if (!pages_wait(tlb)) { /* entries are cleared, the TLBs are not */
		put_mapped_pages(tlb_slots(tlb), nr);
		return false;
	}
	batch->nr += nr;
	count(pages, nr);
	return (batch->nr == batch->max || (batch->nr > 1 && inject(TINY))) && !next_batch(tlb);
}

/* What a debug build notes: nothing leads to these any more. */
static void note_flushed(struct page *const *pages, unsigned int nr)
{
	for (unsigned int i = 0; debug_build && i < nr; i++) {
		page_step(pages[i], STEP_FLUSH);
		ledger_settle(pages[i]);
	}
}

static void put_flushed(struct page *const *pages, unsigned int nr)
{
	note_flushed(pages, nr);
	put_mapped_pages(pages, nr);
}

static void free_batch(struct gather_batch *batch)
{
	for (unsigned int i = 0, n; i < batch->nr; i += n) {
		n = min(batch->nr - i, (unsigned int)GATHER_FREE_CHUNK);
		put_flushed(batch->pages + i, n);
		cond_resched();
	}
	batch->nr = 0;
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

/*
 * Drops the references of what was left in a table when it was unhooked. The flush is over, so no
 * MMU sets a mark in an entry any more, and no exchange is needed to take it out. Walkers may be
 * inside yet. The full barrier in put_flushed(), of each reference that is dropped, orders the
 * clearing of its entry before it. Pairs with gup_one() in mm/gup.c: its reference, then second
 * look. [U4]
 */
static void free_contents(struct ptdesc *pt)
{
	pte_t *ptep = ptdesc_table(pt) + pt->page.pt_first, *end = ptep + pt->page.pt_nr;
	struct page *run[GATHER_RUN];
	unsigned int nr = 0, all = 0;

	for (; ptep < end; ptep++) {
		if (pte_none(pte_read(ptep)))
			continue;
		pte_t pte = user_entry_take_dead(ptep, 0);

		if (pte_attr_in(pte, PA_SPECIAL))
			continue;
		run[nr++] = pte_page(pte);
		if (nr == GATHER_RUN) {
			put_flushed(run, nr);
			nr = 0;
			all += GATHER_RUN;
		}
	}
	if (nr > 0)
		put_flushed(run, nr);
	count(pages, all + nr);
	pt->page.pt_nr = 0;
}

/* Behind the flush, before walkers have left: the tables stay, what is in them goes. */
static void set_flushed(struct ptdesc **tables, unsigned int nr)
{
	ptdesc_set_flushed(tables, nr);
	for (unsigned int i = 0; i < nr; i++) {
		if (!tables[i]->page.pt_nr)
			continue;
		free_contents(tables[i]);
		cond_resched();
	}
}

static void table_batch_free(struct table_batch *batch)
{
	ptdesc_free(batch->tables, batch->nr, batch->since);
	put_page(virt_to_page(batch));
}

/* What waits while it does: the tables, and the page that lists them. */
static u64 table_batch_bytes(const struct table_batch *batch)
{
	return (batch->nr + 1) * PAGE_SIZE;
}

static void table_batch_rcu(struct rcu_head *head)
{
	struct table_batch *batch = container_of(head, struct table_batch, rcu);
	unsigned int cpu = batch->charged_to;
	u64 bytes = table_batch_bytes(batch);

	table_batch_free(batch);
	table_limit_uncharge(cpu, bytes);
}

static void count_unhooked(struct mmu_gather *tlb)
{
	ptdesc_count_unhooked(tlb->mm, tlb->nr_unhooked);
	tlb->nr_unhooked = 0;
}

/* There is no period to be waited for: something else has sent every walker away. */
static void set_no_period(struct ptdesc **tables, unsigned int nr)
{
	for (unsigned int i = 0; debug_build && i < nr; i++)
		tables[i]->page.pt_gp = 0;
}

/*
 * Every TLB and walk cache has dropped the tables; what may still be inside is walkers in software.
 *
 * RACE F1. A walker is left in a table that is freed:
 *   unmapper                               gup_fast(), irqs off      next owner
 *   .                                      loads the entry: table
 *   unhooks it, flushes (by no IPI)        .
 *   frees it                               .                         writes to it
 *   .                                      reads "leaves" from it
 */
static __noinline void hand_over_tables(struct mmu_gather *tlb)
{
	struct table_batch *batch = tlb->tables;

	count_unhooked(tlb);
	if (!batch)
		return;
	tlb->tables = NULL;
	tlb->nr_inside = 0;
	set_flushed(batch->tables, batch->nr);
	if (table_free_mode == TABLE_FREE_GATHER)
		set_no_period(batch->tables, batch->nr); /* the flush held all walkers up [F4] */
	if (table_free_mode == TABLE_FREE_RCU && rule(TABLE_GRACE_PERIOD)) {
		ptdesc_set_waiting(batch->tables, batch->nr);
		count(tables_by_rcu, batch->nr);
		batch->charged_to = table_limit_charge(table_batch_bytes(batch));
		trace(CALL_RCU, 0, (u64)batch, batch->nr);
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
 *
 * RACE F2. An IPI round sends away only those that it interrupts:
 *   unmapper, no batch page     CPU 1: irqs off          CPU 2: rcu_read_lock(), irqs on
 *   unhooks, flushes            inside the table         inside the table
 *   IPI to all, waits           leaves, then answers     answers, and walks on
 *   frees the table             .                        reads a freed table
 */
static void remove_table_slowly(struct mmu_gather *tlb, struct ptdesc *pt)
{
	u64 since = time_ns();

	count(table_batch_failures, 1);
	count_unhooked(tlb);
	trace(FALLBACK, tlb->mm->id, page_to_phys(&pt->page), 0);
	if (rule(FALLBACK_FLUSHES))
		tlb_flush_mmu(tlb);
	set_flushed(&pt, 1);
	if (rule(FALLBACK_ALL_WALKERS)) {
		synchronize_rcu_expedited();
		set_no_period(&pt, 1); /* an expedited period has passed in its place */
	} else { /* knocked out: as Linux from 2014 to 2026, walkers with interrupts on forgotten */
		smp_call_all(sync_irqoff_walkers, NULL, true);
	}
	count(tables_by_fallback, 1);
	ptdesc_free(&pt, 1, since);
}

static bool table_batch_new(struct mmu_gather *tlb)
{
	struct page *page = batch_page();

	if (!page)
		return false;
	tlb->tables = page_to_virt(page);
	tlb->tables->nr = 0;
	tlb->tables->since = time_ns();
	return true;
}

/*
 * RACE G3. A flush of leaves leaves the way to the table:
 *   unmapper                               MMU of CPU 1
 *   unhooks the table                      walk cache: va -> table
 *   flushes leaves only                    drops the leaves of va
 *   frees the table                        begins its next walk inside it
 *
 * RACE G7. Teardown needs the memory that it is to free:
 *   munmap, no memory free                 others
 *   unhooks a table                        wait for memory
 *   no page for a batch: waits for one     wait for this munmap
 *   or gives up: the table is lost
 */
void tlb_remove_table(struct mmu_gather *tlb, struct ptdesc *pt, vaddr_t start, vaddr_t end,
		      unsigned int level)
{
	record(tlb, start, end, level);
	if (pt->page.pt_nr) {
		tlb_record(tlb, start, end, 0);
		if (!pages_wait(tlb))
			free_contents(pt);
	}
	if (rule(TABLE_WALK_CACHES))
		tlb->freed_tables = true;
	tlb->nr_unhooked++;
	count(tables, 1);
	if (census_inside(tlb->mm))
		count(tables_under_walker, 1);
	if (!tlb->tables && !table_batch_new(tlb)) {
		if (rule(TEARDOWN_PROGRESS)) /* knocked out: gives up, and the table is lost */
			remove_table_slowly(tlb, pt);
		return;
	}
	tlb->tables->tables[tlb->tables->nr++] = pt;
	tlb->nr_inside += pt->page.pt_nr;
	if (tlb->tables->nr == TABLE_BATCH_MAX || (tlb->tables->nr > 1 && inject(TINY)) ||
	    holds_enough(tlb))
		tlb_flush_mmu(tlb);
}

/* ---- Flushing ---------------------------------------------------------------------------- */

/* levels is not 0; almost always the first is it. */
static unsigned int lowest_level(u32 levels)
{
	unsigned int level = 0;

	while (!(levels & BIT(level)))
		level++;
	return level;
}

/* An address in each entry of the lowest level is one in each of any level that was recorded. */
static void flush_recorded(struct mmu_gather *tlb)
{
	unsigned int level = lowest_level(tlb->cleared_levels);
	vaddr_t start = tlb->start, end = tlb->end;

	if (level > 0) { /* pages are aligned anyhow */
		start = ALIGN_DOWN(start, pt_span(level));
		end = ALIGN_UP(end, pt_span(level));
	}
	tlb_flush_range_on(tlb->mm, start, end, level, tlb->freed_tables, tlb->cpus);
}

/*
 * Invalidates what was recorded. Nothing recorded, nothing to do. [G1, G2]
 *
 * RACE G9. Nothing runs there any more, yet the MMU goes on:
 *   exit                                   CPU 1, lazy: the root is loaded
 *   flushes all of the mm "first"          TLB and walk caches empty
 *   .                                      speculation fills them from the tree
 *   unhooks, frees, flushes no more        they lead to freed tables and pages
 */
static void tlb_flush_tlbonly(struct mmu_gather *tlb)
{
	if (!tlb->cleared_levels)
		return;
	/*
	 * Knocked out: as if all had been flushed when the last user left, and nothing could come
	 * back.
	 */
	if (tlb->fullmm && rule(EXIT_UNHOOK_FIRST))
		tlb_flush_mm(tlb->mm, tlb->freed_tables);
	else if (!tlb->fullmm)
		flush_recorded(tlb);
	range_reset(tlb);
}

/*
 * RACE G2, F5. Hardware walks a freed table; a grace period does not wait for hardware:
 *   unmapper                               MMU of CPU 1              next owner
 *   unhooks the table                      walk cache: va -> table
 *   frees it, at once or by RCU            .                         writes to it
 *   flushes: too late                      fills its TLB from it
 */
void tlb_flush_mmu(struct mmu_gather *tlb)
{
	bool first = rule(TABLE_FLUSH_FIRST);

	if (first)
		tlb_flush_tlbonly(tlb);
	if (tlb->nr_unhooked)
		hand_over_tables(tlb);
	if (!first) /* knocked out: tables go first */
		tlb_flush_tlbonly(tlb);
	free_pages_gathered(tlb);
}

/*
 * Another gather may have cleared what this one found empty, anywhere in the mm, tables too: its
 * own range would not do. [G8]
 */
static void flush_for_both(struct mmu_gather *tlb)
{
	count(nested, 1);
	if (rule(NESTED_WHOLE_MM)) {
		tlb_flush_mm(tlb->mm, true);
		range_reset(tlb);
	}
}

void tlb_finish_mmu(struct mmu_gather *tlb)
{
	u64 since = ledger_now();
	/*
	 * Orders this gather's look at the entries before the load. Pairs with gather_start(): if
	 * another gather cleared an entry that we found empty, its increment is seen here. [G5]
	 */
	smp_mb();
	if (rule(GATHER_NESTED) && atomic_read(&tlb->mm->tlb_flush_pending) > 1)
		flush_for_both(tlb);
	tlb_flush_mmu(tlb);
	free_batch_pages(tlb);
	ledger_operation_end(tlb->mm, since);
	/* Full barrier: the flush is over before the count drops. Pairs with the load above. */
	int pending = atomic_dec_return(&tlb->mm->tlb_flush_pending);

	trace(GATHER_END, tlb->mm->id, (u64)pending, 0);
}

void gather_get_stats(struct gather_stats *s)
{
	percpu_sum(s, &gather_stats, sizeof(*s));
}
