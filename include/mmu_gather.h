/* SPDX-License-Identifier: MIT */
/*
 * mmu_gather: collect the pages and tables that an unmapping sets free, invalidate, then free.
 * Names as in Linux. Differs from Linux: one set of "cleared" bits indexed by level; no per-VMA
 * flush; tables always go by policy table_free=.
 */
#ifndef GRACE_MMU_GATHER_H
#define GRACE_MMU_GATHER_H

#include <inject.h>
#include <mm.h>
#include <ptdesc.h>

#define GATHER_BUNDLE 8	      /* pages kept on the stack */
#define GATHER_MAX_BATCHES 19 /* about 10 000 pages, then flush and free [G6] */
#define GATHER_MAX_INSIDE 10000 /* the same for pages in tables that go with what is in them */
#define GATHER_FREE_CHUNK 512 /* pages freed between two looks at need_resched [G6] */
#define GATHER_RUN 64	      /* pages of such a table freed at a time */

struct gather_batch {
	struct gather_batch *next;
	unsigned int nr, max;
	struct page *pages[];
};

struct table_batch {
	struct rcu_head rcu;
	unsigned int nr;
	u64 since; /* when the first was unhooked, in ns */
	unsigned int charged_to; /* CPU: <table_limit.h> */
	struct ptdesc *tables[];
};

struct mmu_gather {
	struct mm *mm;
	vaddr_t start, end;  /* what was cleared since the last flush; start > end: nothing */
	u32 cleared_levels;  /* bit n: leaves or tables were cleared at level n [G4] */
	bool freed_tables;   /* [G3] */
	cpumask_t cpus;	     /* in the masks of the leaf tables concerned: <cpu_tree.h> */
	bool fullmm;	     /* exit: nobody runs in the mm any more */
	struct gather_batch *active;
	unsigned int nr_batches;
	unsigned int nr_unhooked; /* tables that ptdesc_count_unhooked() has not been told of */
	unsigned int nr_inside;	  /* entries in `tables` that may still lead to pages */
	struct table_batch *tables;
	struct {
		struct gather_batch head;
		struct page *pages[GATHER_BUNDLE];
	} local;
};

/* Begins and ends a gather. Thread context, mmap_lock held. finish flushes and frees. */
void tlb_gather_mmu(struct mmu_gather *tlb, struct mm *mm);
void tlb_gather_mmu_fullmm(struct mmu_gather *tlb, struct mm *mm);
void tlb_finish_mmu(struct mmu_gather *tlb);

/*
 * Notes that leaves of level were cleared in [start, end) that a TLB may hold [G4]. Under the
 * table's lock, as tlb_spare().
 */
void tlb_record(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, unsigned int level);
/*
 * Collects a run of pages whose entries were cleared and recorded, under the table's lock: the
 * caller puts up to tlb_room() of them at tlb_slots(), then tlb_remove_pages() takes over its
 * reference to each. True: the gather is full, the caller must drop the lock and call
 * tlb_flush_mmu().
 */
static inline struct page **tlb_slots(struct mmu_gather *tlb)
{
	return tlb->active->pages + tlb->active->nr;
}
static inline unsigned int tlb_room(const struct mmu_gather *tlb)
{
	return inject(TINY) ? 1 : tlb->active->max - tlb->active->nr;
}
__must_check bool tlb_remove_pages(struct mmu_gather *tlb, unsigned int nr);
/*
 * Instead of tlb_record(), before tlb_remove_pages(): nr entries were cleared, of the pages at
 * tlb_slots() if they have any, that no TLB holds [T11].
 */
void tlb_spare(struct mmu_gather *tlb, unsigned int nr);
/* The same for one page. */
static inline __must_check bool tlb_remove_page(struct mmu_gather *tlb, struct page *page)
{
	*tlb_slots(tlb) = page;
	return tlb_remove_pages(tlb, 1);
}
/*
 * Takes over a table that was unhooked from an entry of level (the parent's), with the pages that
 * are still in it; [start, end) is what of its span was mapped. No lock held.
 * Never fails: without memory it flushes and waits for every walker, then frees the one table [F2,
 * G7].
 */
void tlb_remove_table(struct mmu_gather *tlb, struct ptdesc *pt, vaddr_t start, vaddr_t end,
		      unsigned int level);
/* Flushes what is recorded, then frees what was collected so far. No lock held, may sleep. */
void tlb_flush_mmu(struct mmu_gather *tlb);

struct gather_stats {
	u64 gathers, nested, pages, tables, batches;
	u64 spared; /* leaves that needed no flush: nobody had used them */
	u64 page_batch_failures;  /* flushed early instead */
	u64 table_batch_failures; /* fallback by expedited grace period */
	u64 tables_under_walker;  /* unhooked while a walker was inside the mm (debug) */
	u64 tables_by_rcu, tables_by_gather, tables_by_fallback;
};
void gather_get_stats(struct gather_stats *s);

#endif
