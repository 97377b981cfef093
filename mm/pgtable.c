// SPDX-License-Identifier: MIT
/*
 * The loop over levels: finding an entry, and making the tables above it.
 *
 * Why one loop. All ports are radix trees of one entry type; the number of levels is a number that
 * the port found at boot, so that Sv39, five levels on x86_64 and everything between run this code.
 * Rules: A4; A1 (a table is zeroed, then published). Locks: the table's own lock for each entry
 * changed.
 */
#include <mm.h>
#include <pgtable.h>
#include <ptdesc.h>
#include <trace.h>

const char *pt_level_name(unsigned int level)
{
	static const char *const names[] = { "pte", "pmd", "pud", "p4d" };

	return level >= pt_top_level() ? "pgd" : names[level];
}

_Static_assert(PROT_READ == PA_READ && PROT_WRITE == PA_WRITE && PROT_EXEC == PA_EXEC,
	       "prot_attr()");

/* What may be written or executed may be read. */
u64 prot_attr(u32 prot)
{
	return PA_USER | (prot ? PA_READ | prot : 0);
}

/* From the entry of *level on the way to addr down to the one of `to`, as far as tables lead. */
static inline pte_t *descend(pte_t *ptep, vaddr_t addr, unsigned int *level, unsigned int to)
{
	pte_t pte;

	/*
	 * WHY SAFE: addr is in a VMA, which mmap_lock or its own lock keeps, so the table serves
	 * somebody and munmap leaves it [L3]; or the caller is a reader that a grace period waits
	 * for before the table is freed [F1].
	 */
	while (*level > to && pte_is_table(pte = pte_read(ptep)))
		ptep = pte_table(pte) + pt_index(addr, --*level);
	return ptep;
}

static inline pte_t *root_entry(const struct mm *mm, vaddr_t addr)
{
	return mm->root + pt_index(addr, pt_top_level());
}

pte_t *pt_walk(struct mm *mm, vaddr_t addr, unsigned int *level)
{
	unsigned int l = pt_top_level();
	pte_t *ptep = descend(root_entry(mm, addr), addr, &l, 0);

	/*
	 * Reports a caller without the right to be here before it takes the lock of a freed table.
	 */
	BUG_ON(debug_build && ptep_ptdesc(ptep)->page.type != PAGE_TABLE);
	*level = l;
	return ptep;
}

/*
 * Hooks a new table into the empty entry at ptep of level. Two threads that fault beside each other
 * may both come here: the loser gives its table back. Returns false without memory.
 *
 * RACE A4. Two faults miss the same table:
 *   CPU 0                                  CPU 1
 *   sees no table, makes A                 sees no table, makes B
 *   hooks A, installs a page in it         .
 *   .                                      hooks B over A: the page is gone,
 *   .                                      and nobody frees A
 */
static bool hook_table(struct mm *mm, pte_t *ptep, unsigned int level)
{
	struct ptdesc *pt = ptdesc_alloc(mm, level - 1, GFP_KERNEL);

	if (!pt)
		return false;
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;

	spin_lock(ptl);
	if (!rule(HOOK_ONCE) || pte_none(pte_read(ptep))) {
		page_step(&pt->page, STEP_HOOK);
		trace(HOOK, mm->id, page_to_phys(&pt->page), level);
		/*
		 * Release: the zeroes are seen before the entry [A1]. Pairs with descend() in
		 * mm/gup.c.
		 */
		user_entry_publish(ptep, arch_pte_table(page_to_phys(&pt->page), true), level);
		pt = NULL;
	}
	spin_unlock(ptl);
	if (pt)
		ptdesc_free_unpublished(pt);
	return true;
}

/* Makes what is missing of the way from the entry of level on. */
static __noinline pte_t *make_tables(struct mm *mm, pte_t *ptep, vaddr_t addr, unsigned int level,
				     unsigned int to)
{
	while (level > to) {
		pte_t pte = pte_read(ptep);

		BUG_ON(!pte_none(pte) && !pte_is_table(pte)); /* a leaf */
		if (pte_none(pte) && !hook_table(mm, ptep, level))
			return NULL;
		/* What stands there now, ours or another's. */
		ptep = descend(ptep, addr, &level, to);
	}
	return ptep;
}

pte_t *pt_walk_alloc(struct mm *mm, vaddr_t addr, unsigned int to)
{
	unsigned int level = pt_top_level();
	pte_t *ptep = descend(root_entry(mm, addr), addr, &level, to);

	return likely(level == to) ? ptep : make_tables(mm, ptep, addr, level, to);
}
