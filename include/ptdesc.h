/* SPDX-License-Identifier: MIT */
/*
 * Table pages: their descriptor, their lock, and the states of their life.
 *
 *   FREE --ptdesc_alloc--> LIVE --ptdesc_unhook--> UNHOOKED --ptdesc_set_flushed--> FLUSHED
 *   FLUSHED --ptdesc_set_waiting--> WAITING
 *   FLUSHED or WAITING --ptdesc_free--> FREE           LIVE --ptdesc_free_unpublished--> FREE
 *
 *   state      what is true in it
 *   FREE       the frame is the allocator's, or something else's
 *   LIVE       an entry of the parent points to it, or its maker alone knows it
 *   UNHOOKED   the parent's entry is cleared; hardware and walkers may still be inside
 *   FLUSHED    no TLB and no walk cache leads to it; walkers in software may still be inside
 *   WAITING    handed to RCU: walkers leave before the callback frees it
 *   DEPOSITED  (huge pages, later) kept aside for a split
 *
 * The descriptor is the frame's struct page: it, and the lock in it, outlive the table [F3].
 * Differs from Linux: level, owner and state are kept and asserted at every transition.
 */
#ifndef GRACE_PTDESC_H
#define GRACE_PTDESC_H

#include <page.h>
#include <pgtable.h>

/* A table page as such; the same object as its struct page. */
struct ptdesc {
	struct page page;
};

static inline struct page *ptdesc_page(struct ptdesc *pt)
{
	return &pt->page;
}
static inline struct ptdesc *page_ptdesc(struct page *p)
{
	return container_of(p, struct ptdesc, page);
}
/* The descriptor of the table that an entry points to; of the table that an entry stands in. */
static inline struct ptdesc *pte_ptdesc(pte_t pte)
{
	return page_ptdesc(pte_page(pte));
}
static inline struct ptdesc *ptep_ptdesc(const pte_t *ptep)
{
	return page_ptdesc(virt_to_page(ptep));
}
static inline pte_t *ptdesc_table(struct ptdesc *pt)
{
	return page_to_virt(&pt->page);
}

/*
 * A new table for level of mm (NULL: the kernel's), zeroed [A1], LIVE, counted. NULL without
 * memory.
 */
struct ptdesc *ptdesc_alloc(struct mm *mm, unsigned int level, u32 gfp);
/* Gives back a table that was never hooked into a tree. */
void ptdesc_free_unpublished(struct ptdesc *pt);
/*
 * The parent's entry has just been cleared, under the parent's lock. Counted by the next one. What
 * is still in the table stands in nr entries from first on, to be taken out behind the flush.
 */
void ptdesc_unhook(struct ptdesc *pt, unsigned int first, unsigned int nr);
/* nr tables of mm were unhooked: counted as waiting from here on, until they are freed. */
void ptdesc_count_unhooked(struct mm *mm, unsigned int nr);
/* Every TLB and walk cache has dropped these nr. */
void ptdesc_set_flushed(struct ptdesc **tables, unsigned int nr);
/* Handed to RCU. */
void ptdesc_set_waiting(struct ptdesc **tables, unsigned int nr);
/*
 * Runs the destructor and frees the page of each; FLUSHED or WAITING, no walker inside. since: when
 * the first was unhooked, in ns. Any context.
 */
void ptdesc_free(struct ptdesc **tables, unsigned int nr, u64 since);

struct pt_stats {
	u64 live, waiting;	       /* now; waiting: unhooked and not freed yet */
	u64 allocated, freed;	       /* ever */
	u64 max_waiting;	       /* most tables ever between unhook and free */
	u64 longest_wait_ns;	       /* longest from unhook to free */
};
void pt_get_stats(struct pt_stats *s);
/* Forgets max_waiting and longest_wait_ns. */
void pt_reset_peaks(void);

#endif
