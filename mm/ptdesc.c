// SPDX-License-Identifier: MIT
/*
 * The life of a table page: allocation, the states between unhooking and freeing, accounting.
 *
 * Terms. <ptdesc.h> draws and tabulates the states. Every transition asserts the state it comes
 * from, so a table that is freed twice, or without a flush, is a report that names the rule.
 * Why. "When may a page table die?" has to be answered by a value that can be looked at.
 * Rules: A1, F3, and the checks of G2 and F1. Locks: none; a table has one owner at a time once it
 * is unhooked. See also: mm/mmu_gather.c, which drives the states; tests/test_gather.c.
 */
#include <census.h>
#include <inject.h>
#include <ledger.h>
#include <mm.h>
#include <ptdesc.h>
#include <rcu.h>
#include <string.h>
#include <time.h>
#include <trace.h>

static struct {
	atomic64_t live, waiting, freed;
	u64 max_waiting, longest_wait;
} pt;

/* Raises a peak; lost races between raisers cost nothing but a slightly older peak. */
static void raise(u64 *peak, u64 value)
{
	u64 old = READ_ONCE(*peak);

	while (value > old) {
		u64 seen = cmpxchg(peak, old, value);

		if (seen == old)
			return;
		old = seen;
	}
}

static __noinline void bad_state(struct page *page, enum pt_state expected, enum rule why)
{
	oracle_report(ORACLE_STATES, why, page,
		      "table %#llx: type %u, state %u where %u was expected",
		      (unsigned long long)page_to_phys(page), page->type, page->pt_state,
		      expected);
}

static inline void ptdesc_move(struct ptdesc *p, enum pt_state from, enum pt_state to,
			       enum rule why)
{
	struct page *page = &p->page;

	if (unlikely(page->type != PAGE_TABLE || page->pt_state != from))
		bad_state(page, from, why);
	WRITE_ONCE(page->pt_state, to);
}

/*
 * RACE A1. A table is published with what its last owner left:
 *   fault                                  walker, or the MMU of CPU 1
 *   takes a frame, hooks it                follows the entry
 *   .                                      finds "entries", follows them
 *   zeroes the table: too late
 */
struct ptdesc *ptdesc_alloc(struct mm *mm, unsigned int level, u32 gfp)
{
	if (rule(TABLE_ZEROED))
		gfp |= GFP_ZERO;
	struct page *page = inject(PT) ? NULL : alloc_page(gfp | GFP_TYPE(PAGE_TABLE));

	if (!page)
		return NULL;
	spin_lock_init(&page->ptl);
	page->pt_level = level;
	page->pt_state = PT_LIVE;
	page->pt_mm = mm;
	page->pt_cpus = 0;
	atomic64_inc(&pt.live);
	if (mm)
		atomic64_inc(&mm->nr_tables);
	return page_ptdesc(page);
}

/*
 * What has to be undone of a descriptor: its lock is nobody's from here on. Whoever found the table
 * under RCU may take the lock until the table is freed, so not before that [F3].
 */
static void ptdesc_dtor(struct ptdesc *p)
{
	spin_lock_destroy(&p->page.ptl);
}

/*
 * When the destructor runs: with the table's freeing; knocked out, while it can still be found.
 *
 * RACE F3. The table lives, its lock does not:
 *   unmapper                               reader under RCU
 *   .                                      finds the table
 *   unhooks it, destroys its lock          .
 *   .                                      takes a lock that is nobody's
 *   (grace period)                         unlocks it
 */
static void ptdesc_dtor_at(struct ptdesc *p, bool freeing)
{
	if (rule(DESCRIPTOR_LIFETIME) == freeing)
		ptdesc_dtor(p);
}

/* A table no more, and about to be freed. */
static void ptdesc_end(struct ptdesc *p)
{
	ptdesc_dtor_at(p, true);
	p->page.pt_state = PT_FREE;
	p->page.pt_mm = NULL;
}

void ptdesc_free_unpublished(struct ptdesc *p)
{
	ptdesc_move(p, PT_LIVE, PT_FREE, RULE_TABLE_FLUSH_FIRST);
	atomic64_dec(&pt.live);
	atomic64_inc(&pt.freed);
	if (p->page.pt_mm)
		atomic64_dec(&p->page.pt_mm->nr_tables);
	ptdesc_end(p);
	put_page(&p->page);
}

void ptdesc_unhook(struct ptdesc *p, unsigned int first, unsigned int nr)
{
	ptdesc_move(p, PT_LIVE, PT_UNHOOKED, RULE_TABLE_FLUSH_FIRST);
	p->page.pt_first = (u16)first;
	p->page.pt_nr = (u16)nr;
	page_step(&p->page, STEP_CLEAR);
	ptdesc_dtor_at(p, false);
	if (debug_build)
		p->page.pt_gp = rcu_seq_snap();
	census_unhooked(p);
}

void ptdesc_count_unhooked(struct mm *mm, unsigned int nr)
{
	atomic64_add(&pt.live, -(s64)nr);
	atomic64_add(&mm->nr_tables, -(s64)nr);
	raise(&pt.max_waiting, (u64)atomic64_add_return(&pt.waiting, nr));
}

void ptdesc_set_flushed(struct ptdesc **tables, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		ptdesc_move(tables[i], PT_UNHOOKED, PT_FLUSHED, RULE_TABLE_FLUSH_FIRST);
		page_step(&tables[i]->page, STEP_FLUSH);
		ledger_table_flushed(tables[i]);
	}
}

void ptdesc_set_waiting(struct ptdesc **tables, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++) {
		struct page *page = &tables[i]->page;

		ptdesc_move(tables[i], PT_FLUSHED, PT_WAITING, RULE_TABLE_FLUSH_FIRST);
		page_step(page, STEP_WAIT);
		trace(WAIT_TABLE, page->pt_mm->id, page_to_phys(page), 0);
	}
}

static void ptdesc_end_unhooked(struct ptdesc *p)
{
	bool waited = p->page.pt_state == PT_WAITING;

	ptdesc_move(p, waited ? PT_WAITING : PT_FLUSHED, PT_FREE, RULE_TABLE_FLUSH_FIRST);
	if (debug_build && p->page.pt_gp && !rcu_seq_done(p->page.pt_gp))
		oracle_report(ORACLE_STATES, RULE_TABLE_GRACE_PERIOD, &p->page,
			      "table %#llx freed before the grace period after its unhooking ended",
			      (unsigned long long)page_to_phys(&p->page));
	census_table_free(p);
	ptdesc_end(p);
}

void ptdesc_free(struct ptdesc **tables, unsigned int nr, u64 since)
{
	raise(&pt.longest_wait, time_ns() - since);
	atomic64_add(&pt.freed, nr);
	for (unsigned int i = 0; i < nr; i++)
		ptdesc_end_unhooked(tables[i]);
	/* Emptied by free_contents() in mm/mmu_gather.c. A descriptor begins with its page. */
	put_zeroed_pages((struct page **)tables, nr);
	atomic64_add(&pt.waiting, -(s64)nr);
}

/* Allocated is what is or was: no counter of its own, and of no one moment, as the others. */
void pt_get_stats(struct pt_stats *s)
{
	*s = (struct pt_stats){
		.live = (u64)atomic64_read(&pt.live),
		.waiting = (u64)atomic64_read(&pt.waiting),
		.freed = (u64)atomic64_read(&pt.freed),
		.max_waiting = READ_ONCE(pt.max_waiting),
		.longest_wait_ns = READ_ONCE(pt.longest_wait),
	};
	s->allocated = s->live + s->waiting + s->freed;
}

void pt_reset_peaks(void)
{
	WRITE_ONCE(pt.max_waiting, 0);
	WRITE_ONCE(pt.longest_wait, 0);
}
