// SPDX-License-Identifier: MIT
/*
 * Cutting pages and tables out of a tree, into a gather.
 *
 * Terms. Zapping clears leaf entries; unhooking clears the entry that points to a table. floor and
 * ceiling are the ends of the mapped ranges on either side: a table that lies between them serves
 * nobody.
 * Why apart from freeing. Here entries are cleared; what they pointed to is still in use by TLBs
 * and walkers, and goes into the gather, which knows when it may die.
 * Rules: T4, L2; G4 (what is cleared is recorded). Locks: mmap_lock at least for reading, with the
 * range's VMAs detached (munmap) or kept (madvise); each table's own lock around the change of its
 * entries. See also: mm/mmu_gather.c, mm/mmap.c.
 */
#include <inject.h>
#include <ledger.h>
#include <mm.h>
#include <mmu_gather.h>
#include <pgtable.h>
#include <ptdesc.h>
#include <trace.h>

/* A run of entries of one table: those of [va, end), from ptep on. */
struct zap {
	pte_t *ptep, *last;
	vaddr_t va; /* that the entry at ptep covers */
	unsigned int level;
};

/*
 * Takes the leaf at ptep out. The table's lock held. Its page, or NULL for a special one.
 */
static inline struct page *zap_leaf(struct mm *mm, pte_t *ptep, vaddr_t va, unsigned int level)
{
	/*
	 * Full barrier: the entry is clear before the mm's mask is read [T1] and before the page's
	 * count is dropped. Pairs with gup_one() in mm/gup.c: its reference, then second look. [U4]
	 */
	pte_t pte = user_entry_take(ptep, level);
	struct page *page = pte_attr(pte) & PA_SPECIAL ? NULL : page_head(pte_page(pte));

	trace(CLEAR, mm->id, pte_pa(pte), va);
	ledger_clear(mm, page, va, level);
	inject_delay(CLEAR_WINDOW);
	if (!page)
		return NULL;
	page_step(page, STEP_CLEAR);
	if (debug_build)
		BUG_ON(atomic_read(&page->mapcount) <= 0);
	atomic_dec(&page->mapcount);
	return page;
}

/*
 * Zaps the leaves of a run, as far as the gather has room for their pages without another look at
 * it. What is the same for all is done once: the record, the accounting. True: the gather is full.
 */
static bool zap_run(struct mmu_gather *tlb, struct zap *z)
{
	struct page **slot = tlb_slots(tlb), **const slots = slot, **limit = slot + tlb_room(tlb);
	unsigned int level = z->level;
	u64 span = pt_span(level);
	vaddr_t va = z->va, start = 0, end = 0;
	pte_t *ptep = z->ptep;
	s64 leaves = 0;

	for (; ptep <= z->last && slot < limit; ptep++, va += span) {
		pte_t pte = pte_read(ptep);

		if (!pte_present(pte) || !pte_leaf(pte, level))
			continue;
		struct page *page = zap_leaf(tlb->mm, ptep, va, level);

		*slot = page;
		slot += page != NULL;
		end = va + span;
		if (leaves++ == 0)
			start = va;
	}
	z->ptep = ptep;
	z->va = va;
	if (!leaves)
		return false;
	tlb_record(tlb, start, end, level);
	atomic64_add(&tlb->mm->nr_pages, -(leaves << (level * PT_INDEX_BITS)));
	return tlb_remove_pages(tlb, (unsigned int)(slot - slots));
}

/*
 * Zaps the leaves among the entries of one table that cover [va, end).
 *
 * RACE T4. Each waits for the other:
 *   unmapper                               CPU 1
 *   takes the table's lock                 irqs off, spins on that lock
 *   IPI to CPU 1, waits for its answer     never takes the IPI
 *
 * RACE L2. Two decide by the same entry:
 *   unmapper                               CPU 1: fault
 *   reads the entry: present               .
 *   .                                      locks, finds it present, leaves it
 *   exchanges it for none                  returns: "it is there"
 *   counts a page that a third has put there since, and frees it
 */
static void zap_entries(struct mmu_gather *tlb, pte_t *table, unsigned int level, vaddr_t va,
			vaddr_t end)
{
	struct zap z = { .ptep = table + pt_index(va, level),
			 .last = table + pt_index(end - 1, level),
			 .va = ALIGN_DOWN(va, pt_span(level)),
			 .level = level };
	spinlock_t *ptl = &ptep_ptdesc(table)->page.ptl;
	bool full, locked = rule(ENTRY_LOCKED);

	while (z.ptep <= z.last) {
		if (locked)
			spin_lock(ptl);
		full = zap_run(tlb, &z);
		if (full && !rule(NO_WAIT_LOCKED)) { /* knocked out: waits with it held */
			tlb_flush_mmu(tlb);
			full = false;
		}
		if (locked)
			spin_unlock(ptl);
		if (full)
			tlb_flush_mmu(tlb); /* waits for other CPUs: without the lock [T4] */
	}
}

static void assert_empty(pte_t *table)
{
	for (unsigned int i = 0; debug_build && i < PTRS_PER_TABLE; i++)
		BUG_ON(!pte_none(pte_read(table + i)));
}

static void unhook(struct mmu_gather *tlb, pte_t *ptep, vaddr_t va, unsigned int level)
{
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;

	spin_lock(ptl);
	/*
	 * Full barrier: no walker that starts after it finds the table; those inside are waited for
	 * [F1]. Pairs with descend() in mm/gup.c.
	 */
	pte_t pte = user_entry_take(ptep, level);

	trace(UNHOOK, tlb->mm->id, pte_pa(pte), va);
	ptdesc_unhook(pte_ptdesc(pte));
	ledger_unhook(tlb->mm, pte_ptdesc(pte), va, level);
	spin_unlock(ptl);
	assert_empty(pte_table(pte));
	tlb_remove_table(tlb, pte_ptdesc(pte), va, level);
}

/* What is to go: pages, and the tables that lie between floor and ceiling. */
struct cut {
	struct mmu_gather *tlb;
	vaddr_t floor, ceiling;
	bool pages; /* false: nothing is mapped there, only tables go */
};

/* What hangs on the entries of table that cover [va, end): pages, then tables, lowest first. */
static void cut_table(const struct cut *c, pte_t *table, unsigned int level, vaddr_t va,
		      vaddr_t end)
{
	u64 span = pt_span(level);
	vaddr_t next, at = ALIGN_DOWN(va, span);

	for (pte_t *ptep = table + pt_index(va, level); va < end; va = next, at = next, ptep++) {
		pte_t pte = pte_read(ptep);

		next = min(at + span, end);
		if (!pte_present(pte))
			continue;
		if (pte_leaf(pte, level)) {
			if (c->pages)
				zap_entries(c->tlb, table, level, va, next);
			continue;
		}
		/*
		 * WHY SAFE: tables go by this function only, for one munmap or exit at a time an
		 * mm; and madvise holds mmap_lock against these.
		 */
		if (level > 1)
			cut_table(c, pte_table(pte), level - 1, va, next);
		else if (c->pages)
			zap_entries(c->tlb, pte_table(pte), 0, va, next);
		if (at >= c->floor && at + span <= c->ceiling)
			unhook(c->tlb, ptep, at, level);
	}
}

void unmap_pages(struct mmu_gather *tlb, vaddr_t start, vaddr_t end)
{
	const struct cut c = { .tlb = tlb, .floor = ~0ULL, .pages = true };

	cut_table(&c, tlb->mm->root, pt_top_level(), start, end);
}

void unmap_tables(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor,
		  vaddr_t ceiling)
{
	const struct cut c = { .tlb = tlb, .floor = floor, .ceiling = ceiling };

	cut_table(&c, tlb->mm->root, pt_top_level(), start, end);
}

void unmap_range(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	const struct cut c = { .tlb = tlb, .floor = floor, .ceiling = ceiling, .pages = true };

	cut_table(&c, tlb->mm->root, pt_top_level(), start, end);
}
