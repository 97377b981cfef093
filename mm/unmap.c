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

static unsigned int leaf_pages(unsigned int level)
{
	return 1u << (level * PT_INDEX_BITS);
}

/*
 * Takes the leaf at ptep out. The table's lock held. True: the gather is full.
 */
static bool zap_leaf(struct mmu_gather *tlb, pte_t *ptep, vaddr_t va, unsigned int level)
{
	/*
	 * Full barrier: the entry is clear before the mm's mask is read [T1] and before the page's
	 * count is dropped. Pairs with gup_one() in mm/gup.c: its reference, then second look. [U4]
	 */
	pte_t pte = user_entry_take(ptep, level);
	struct page *page = pte_attr(pte) & PA_SPECIAL ? NULL : page_head(pte_page(pte));

	trace(CLEAR, tlb->mm->id, pte_pa(pte), va);
	ledger_clear(tlb->mm, page, va, level);
	inject_delay(CLEAR_WINDOW);
	tlb_record(tlb, va, level);
	atomic64_add(&tlb->mm->nr_pages, -(s64)leaf_pages(level));
	if (!page)
		return false;
	page_step(page, STEP_CLEAR);
	if (debug_build)
		BUG_ON(atomic_read(&page->mapcount) <= 0);
	atomic_dec(&page->mapcount);
	return tlb_remove_page(tlb, page);
}

/*
 * Zaps the leaves among the entries of one table, from va on; returns how far it came.
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
static vaddr_t zap_entries(struct mmu_gather *tlb, pte_t *table, unsigned int level, vaddr_t va,
			   vaddr_t end)
{
	spinlock_t *ptl = &ptep_ptdesc(table)->page.ptl;
	bool full = false, locked = rule(ENTRY_LOCKED);

	if (locked)
		spin_lock(ptl);
	while (va < end && !full) {
		pte_t *ptep = table + pt_index(va, level);
		pte_t pte = pte_read(ptep);

		if (pte_present(pte) && pte_leaf(pte, level))
			full = zap_leaf(tlb, ptep, va, level);
		va = pt_next(va, end, level);
	}
	if (full && !rule(NO_WAIT_LOCKED)) { /* knocked out: waits for other CPUs with it held */
		tlb_flush_mmu(tlb);
		full = false;
	}
	if (locked)
		spin_unlock(ptl);
	if (full)
		tlb_flush_mmu(tlb); /* with the lock dropped: it waits for other CPUs [T4] */
	return va;
}

static void zap_table(struct mmu_gather *tlb, pte_t *table, unsigned int level, vaddr_t va,
		      vaddr_t end)
{
	for (vaddr_t at = va; at < end;)
		at = zap_entries(tlb, table, level, at, end);
	if (level == 0)
		return;
	while (va < end) {
		vaddr_t next = pt_next(va, end, level);
		pte_t pte = pte_read(table + pt_index(va, level));

		/*
		 * WHY SAFE: tables go by unmap_tables() only, and its caller holds mmap_lock
		 * against us.
		 */
		if (pte_present(pte) && !pte_leaf(pte, level))
			zap_table(tlb, pte_table(pte), level - 1, va, next);
		va = next;
	}
}

void unmap_pages(struct mmu_gather *tlb, vaddr_t start, vaddr_t end)
{
	zap_table(tlb, tlb->mm->root, pt_top_level(), start, end);
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

/*
 * Frees the tables under the entries of `table` that lie between floor and ceiling, lowest first.
 */
static void unhook_tables(struct mmu_gather *tlb, pte_t *table, unsigned int level, vaddr_t va,
			  vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	while (va < end) {
		vaddr_t next = pt_next(va, end, level);
		vaddr_t span = ALIGN_DOWN(va, pt_span(level));
		pte_t *ptep = table + pt_index(va, level);
		pte_t pte = pte_read(ptep);

		if (pte_present(pte) && !pte_leaf(pte, level)) {
			/* WHY SAFE: only munmap and exit unhook tables, one at a time an mm. */
			if (level > 1)
				unhook_tables(tlb, pte_table(pte), level - 1, va, next, floor,
					      ceiling);
			if (span >= floor && span + pt_span(level) <= ceiling)
				unhook(tlb, ptep, va, level);
		}
		va = next;
	}
}

void unmap_tables(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor,
		  vaddr_t ceiling)
{
	unhook_tables(tlb, tlb->mm->root, pt_top_level(), start, end, floor, ceiling);
}
