/* SPDX-License-Identifier: MIT */
/*
 * Taking references to user pages: the lockless walker and its slow path.
 * Differs from Linux: gup_fast() is the fast path alone; get_user_pages_fast() is called
 * get_user_pages() and tries gup_fast() first. Pins are counted in a field of their own.
 */
#ifndef GRACE_GUP_H
#define GRACE_GUP_H

#include <mm.h>

#define FOLL_WRITE BIT(0) /* entries without write permission are refused */
#define FOLL_PIN BIT(1)	  /* for DMA: counted apart, see page_maybe_pinned() */

/*
 * References to the pages behind nr pages of current->mm from start (page-aligned). Takes no lock,
 * never sleeps: walks with interrupts off, 64 pages at most at a time. Returns how many it got,
 * from the first on: it stops at the first page that is not there or not allowed. Any context in
 * which current->mm is stable.
 */
unsigned int gup_fast(vaddr_t start, unsigned int nr, u32 flags, struct page **pages);

/*
 * The same, and goes on under mmap_lock, faulting in. Returns the number, or -EFAULT, -ENOMEM,
 * -EINVAL if none. Thread context.
 */
s64 get_user_pages(vaddr_t start, unsigned int nr, u32 flags, struct page **pages);

/* Drops what FOLL_PIN took. put_page() drops what came without. */
static inline void unpin_user_page(struct page *page)
{
	put_refs(page, PAGE_PIN);
}

/* Windows of the walk that tests may stretch, in loops of cpu_relax(); 0: none. Debug builds. */
extern unsigned int gup_delay_table; /* between loading an upper entry and following it */
extern unsigned int gup_delay_ref;   /* between loading the leaf and taking the reference */
/*
 * Where each walk waits, for as long as a test wants to have it there: in one of those windows, the
 * first for the entry of level 1. gup_held: the CPUs that do so now. Debug builds.
 */
enum gup_window { GUP_HOLD_NONE, GUP_HOLD_TABLE, GUP_HOLD_REF, NR_GUP_WINDOWS };
extern enum gup_window gup_hold;
extern cpumask_t gup_held[NR_GUP_WINDOWS];

struct gup_stats {
	u64 walks, pages, retries, slow;
	u64 overlaps; /* walks during which a table of the mm was unhooked or an entry cleared */
};
void gup_get_stats(struct gup_stats *s);

#endif
