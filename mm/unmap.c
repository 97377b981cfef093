// SPDX-License-Identifier: MIT
/*
 * Cutting pages and tables out of a tree, into a gather.
 *
 * Terms. Zapping clears leaf entries; unhooking clears the entry that points to a table. floor and
 * ceiling are the ends of the mapped ranges on either side: a table that lies between them serves
 * nobody.
 * Why unhooking comes first. A leaf table that goes is cut out with one exchange, its entries as
 * they are. Behind the flush neither MMU nor lock holder comes to them, so they are read and
 * cleared without an atomic each: free_contents() in mm/mmu_gather.c. What is left inside is
 * walkers, which only read. Entries are zapped one by one only where the table stays.
 * Why apart from freeing. Here entries are cleared; what they pointed to is still in use by TLBs
 * and walkers, and goes into the gather, which knows when it may die.
 * Rules: T4, T11, L2; G4 (what is cleared is recorded). Locks: mmap_lock at least for reading, with
 * the range's VMAs detached (munmap) or kept (madvise); each table's own lock around the change of
 * its entries. See also: mm/mmu_gather.c, mm/mmap.c.
 */
#include <cpu_tree.h>
#include <inject.h>
#include <ledger.h>
#include <mm.h>
#include <mmu_gather.h>
#include <pgtable.h>
#include <ptdesc.h>
#include <trace.h>

/* A run of entries of one table: [ptep, end), the first of which covers va. */
struct zap {
	pte_t *ptep, *end;
	vaddr_t va;
};

static inline bool accessed(u64 bits)
{
	return pte_attr_in((pte_t){ bits }, PA_ACCESSED);
}

/*
 * Whether a TLB may hold one of the leaves that had these bits, together, when they were exchanged
 * for none. What was not accessed until then never will be: the CPU sets the mark in what stands in
 * memory, and only then keeps or uses the entry (<arch.h>, PA_ACCESSED). What it may keep instead
 * is that there was nothing to be used, as A5 says of absence.
 * Intel SDM vol. 3, 4.10.2.3: no translation is cached unless all entries used have the accessed
 * flag. DDI 0487 D8, on the Access flag: an entry without it is not cached in a TLB. RISC-V
 * privileged specification, 4.3.2: the flag is set by one atomic step with the check of the entry
 * as it is in memory, or the access faults.
 *
 * RACE T11. The first use comes just before the clearing:
 *   unmapper                               MMU of CPU 1              next owner
 *   reads the entry: not accessed          .
 *   .                                      marks it accessed
 *   exchanges it for none                  TLB: va -> page
 *   "nobody used it": flushes nothing      .
 *   frees the page                         .                         gets it
 *   .                                      writes at va: into it     finds foreign bytes
 */
static inline bool may_be_held(u64 bits)
{
	return rule(ACCESSED_FLUSHED) && accessed(bits); /* knocked out: takes none for accessed */
}

/*
 * What a debug build notes of a leaf that goes, alone or with its table; owed: a TLB may hold it.
 * Its page, or NULL for a special one.
 */
static inline struct page *note_leaf(struct mm *mm, pte_t pte, vaddr_t va, unsigned int level,
				     bool owed)
{
	struct page *page = pte_attr_in(pte, PA_SPECIAL) ? NULL : pte_page(pte);

	trace(CLEAR, mm->id, pte_pa(pte), va);
	if (owed)
		ledger_clear(mm, page, va, level);
	if (page)
		page_step(page, STEP_CLEAR);
	return page;
}

/*
 * Takes the leaf at ptep out, and adds its bits to *bits. The table's lock held. Its page, or NULL
 * for a special one.
 */
static inline struct page *zap_leaf(struct mm *mm, pte_t *ptep, vaddr_t va, unsigned int level,
				    u64 *bits)
{
	/*
	 * Full barrier: the entry is clear before the mm's mask is read [T1] and before the page's
	 * count is dropped. Pairs with gup_one() in mm/gup.c: its reference, then second look. [U4]
	 */
	pte_t pte = user_entry_take(ptep, level);
	*bits |= pte.val;
	struct page *page = note_leaf(mm, pte, va, level, accessed(pte.val));

	inject_delay(CLEAR_WINDOW);
	/* A leaf of any level maps the whole of what its page heads. Counted until the flush. */
	BUG_ON(debug_build && page &&
	       (page != page_head(page) || atomic_read(&page->mapcount) <= 0));
	return page;
}

/*
 * Zaps the leaves of a run, as far as the gather has room for their pages without another look at
 * it. What is the same for all is done once: the record, if any of them needs one. True: the gather
 * is full.
 */
static __always_inline bool zap_run(struct mmu_gather *tlb, struct zap *z, unsigned int level)
{
	struct page **slot = tlb_slots(tlb), **const slots = slot, **limit = slot + tlb_room(tlb);
	pte_t *const begin = z->ptep, *ptep = begin, *first = NULL, *last = NULL;
	u64 span = pt_span(level), bits = 0;

	while (ptep < z->end && slot < limit) {
		pte_t *stop = min(z->end, ptep + (limit - slot)); /* room for as many */

		for (; ptep < stop; ptep++) {
			pte_t pte = pte_read(ptep);

			if (!pte_present(pte) || !pte_leaf(pte, level))
				continue;
			struct page *page =
			    zap_leaf(tlb->mm, ptep, z->va + (u64)(ptep - begin) * span, level,
				     &bits);

			*slot = page;
			slot += page != NULL;
			last = ptep;
			if (!first)
				first = ptep;
		}
	}
	vaddr_t va = z->va;

	z->va += (u64)(ptep - begin) * span;
	z->ptep = ptep;
	if (!first)
		return false;
	if (may_be_held(bits))
		tlb_record(tlb, va + (u64)(first - begin) * span,
			   va + (u64)(last + 1 - begin) * span, level);
	else
		tlb_spare(tlb, (unsigned int)(slot - slots));
	return tlb_remove_pages(tlb, (unsigned int)(slot - slots));
}

/* The same for a run of one, without what counts and measures a run. */
static __always_inline bool zap_one(struct mmu_gather *tlb, struct zap *z, unsigned int level)
{
	pte_t *ptep = z->ptep++, pte = pte_read(ptep);
	u64 bits = 0;

	if (!pte_present(pte) || !pte_leaf(pte, level))
		return false;
	struct page *page = zap_leaf(tlb->mm, ptep, z->va, level, &bits);

	*tlb_slots(tlb) = page;
	if (may_be_held(bits))
		tlb_record(tlb, z->va, z->va + pt_span(level), level);
	else
		tlb_spare(tlb, page != NULL);
	return tlb_remove_pages(tlb, page != NULL);
}

/*
 * Zaps the leaves among the entries of one table, from ptep on, that cover [va, end).
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
static __always_inline void zap_entries(struct mmu_gather *tlb, pte_t *ptep, unsigned int level,
					vaddr_t va, vaddr_t end)
{
	struct zap z = { .ptep = ptep, .va = ALIGN_DOWN(va, pt_span(level)) };
	struct ptdesc *pt = ptep_ptdesc(ptep);
	spinlock_t *ptl = &pt->page.ptl;
	bool full, locked = rule(ENTRY_LOCKED);

	z.end = ptep + ((end - 1 - z.va) >> pt_shift(level)) + 1;
	while (z.ptep < z.end) {
		if (locked)
			spin_lock(ptl);
		full = z.end - z.ptep == 1 ? zap_one(tlb, &z, level) : zap_run(tlb, &z, level);
		/*
		 * Behind the exchanges, which are full barriers. Pairs with join() in
		 * mm/cpu_tree.c. [P1]
		 */
		tlb->cpus |= READ_ONCE(pt->page.pt_cpus);
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

/* The same twice, since level is a constant where almost all entries are. */
static __noinline void zap_pages(struct mmu_gather *tlb, pte_t *ptep, vaddr_t va, vaddr_t end)
{
	zap_entries(tlb, ptep, 0, va, end);
}

static __noinline void zap_huge_leaf(struct mmu_gather *tlb, pte_t *ptep, unsigned int level,
				     vaddr_t va, vaddr_t end)
{
	zap_entries(tlb, ptep, level, va, end);
}

/* va: what the first of the entries maps that the table is said to have. The others are empty. */
static void note_contents(struct mm *mm, struct ptdesc *pt, vaddr_t va)
{
	const pte_t *table = ptdesc_table(pt);

	for (unsigned int i = 0; debug_build && i < PTRS_PER_TABLE; i++) {
		pte_t pte = pte_read(table + i);

		if (pte_none(pte))
			continue;
		BUG_ON(i - pt->page.pt_first >= pt->page.pt_nr);
		/* Owed, accessed or not: it still can be, until the flush. */
		(void)note_leaf(mm, pte, va + (i - pt->page.pt_first) * PAGE_SIZE, 0, true);
	}
}

/*
 * Cuts out the table that hangs on an entry of level, and of which [va, end) is to go; nr: of how
 * many of its entries from va on, if it is a leaf table, something may be there.
 */
static __noinline void unhook(struct mmu_gather *tlb, pte_t *ptep, unsigned int level, vaddr_t va,
			      vaddr_t end, u64 nr)
{
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;

	spin_lock(ptl);
	/*
	 * Full barrier: no walker that starts after it finds the table; those inside are waited for
	 * [F1]. Pairs with descend() in mm/gup.c.
	 */
	pte_t pte = user_entry_take(ptep, level);
	struct ptdesc *pt = pte_ptdesc(pte);
	cpumask_t cpus = pt->page.pt_cpus;

	trace(UNHOOK, tlb->mm->id, pte_pa(pte), va);
	ptdesc_unhook(pt, pt_index(va, 0), (unsigned int)nr);
	ledger_unhook(tlb->mm, pt, va, level);
	note_contents(tlb->mm, pt, va);
	spin_unlock(ptl);
	inject_delay(CLEAR_WINDOW);
	cpu_tree_cut(tlb->mm, va, cpus);
	tlb->cpus |= cpus;
	tlb_remove_table(tlb, pt, va, end, level);
}

/*
 * What is to go, constants for the compiler where they can be. The walk keeps its way beside it:
 * the entry of each level that leads to where it is.
 */
struct cut {
	struct mmu_gather *tlb;
	bool pages, tables;	/* false: there are none; none goes */
	vaddr_t floor, ceiling; /* tables that lie between these go, with all that was in them */
};

/* Whether the table goes that hangs on the entry of level that leads to va. */
static inline bool dies(struct cut c, unsigned int level, vaddr_t va)
{
	vaddr_t at = ALIGN_DOWN(va, pt_span(level));

	return c.tables && at >= c.floor && at + pt_span(level) <= c.ceiling;
}

/*
 * From the entry of level on the way to va as far down as there are tables, but not into a leaf
 * table that goes; returns that level.
 */
static inline unsigned int descend(struct cut c, pte_t **way, unsigned int level, vaddr_t va)
{
	pte_t pte, *ptep = way[level];

	/*
	 * WHY SAFE: tables go by this file only, for one munmap or exit at a time an mm; and
	 * madvise holds mmap_lock against these.
	 */
	while (level > 0 && pte_is_table(pte = pte_read(ptep)) &&
	       !(level == 1 && dies(c, 1, va))) {
		level--;
		ptep = pte_table(pte) + pt_index(va, level);
		way[level] = ptep;
	}
	return level;
}

/*
 * What stands at the entry of level that leads to va has gone, up to next: leaves the tables that
 * are done with, and unhooks those of them that may go. Returns the level where the walk goes on.
 */
static inline unsigned int ascend(struct cut c, pte_t **way, unsigned int level, vaddr_t va,
				  vaddr_t next, bool last)
{
	unsigned int top = pt_top_level();
	u64 span = pt_span(level + 1); /* of the table that is left */

	for (; level < top && (last || IS_ALIGNED(next, span)); span <<= PT_INDEX_BITS) {
		level++;
		if (dies(c, level, va))
			unhook(c.tlb, way[level], level, va, next, 0);
		else if (last)
			break; /* no more is any that it hangs on */
	}
	return level;
}

/* Past what is empty from the entry at *way on, to the end of its table or the range at most. */
static vaddr_t skip_none(pte_t **way, unsigned int level, vaddr_t next, vaddr_t end)
{
	u64 span = pt_span(level);
	pte_t *ptep = *way;

	while (next < end && !IS_ALIGNED(next, pt_span(level + 1)) &&
	       pte_none(pte_read(ptep + 1))) {
		next = min(next + span, end);
		ptep++;
	}
	*way = ptep;
	return next;
}

/* The leaf tables that go, from the entry of level 1 at *way on, in a row; returns up to where. */
static inline vaddr_t unhook_leaf_tables(struct cut c, pte_t **way, vaddr_t va, vaddr_t end)
{
	pte_t *ptep = *way;
	vaddr_t next;

	do {
		next = pt_next(va, end, 1);
		unhook(c.tlb, ptep++, 1, va, next, c.pages ? (next - va) >> PAGE_SHIFT : 0);
		va = next;
	} while (va < end && !IS_ALIGNED(va, pt_span(2)) && dies(c, 1, va) &&
		 pte_is_table(pte_read(ptep)));
	*way = ptep - 1;
	return va;
}

/* What hangs on the entry of level above 0 at *way, and perhaps on others; returns up to where. */
static inline vaddr_t cut_upper(struct cut c, pte_t **way, unsigned int level, vaddr_t va,
				vaddr_t next, vaddr_t end)
{
	pte_t pte = pte_read(*way);

	if (!pte_present(pte))
		return skip_none(way, level, next, end);
	if (c.tables && level == 1 && !pte_leaf(pte, 1))
		return unhook_leaf_tables(c, way, va, end);
	zap_huge_leaf(c.tlb, *way, level, va, next);
	return next;
}

/* What hangs on the entries that cover [va, end): pages, then tables, lowest first. */
static __always_inline void cut(struct cut c, vaddr_t va, vaddr_t end)
{
	unsigned int level = pt_top_level();
	pte_t *way[PT_LEVELS_MAX];

	way[level] = c.tlb->mm->root + pt_index(va, level);
	for (vaddr_t next; va < end; va = next, way[level]++) {
		level = descend(c, way, level, va);
		next = pt_next(va, end, max(level, 1u)); /* level 0: all that one table has */
		if (level > 0)
			next = cut_upper(c, &way[level], level, va, next, end);
		else if (c.pages)
			zap_pages(c.tlb, way[0], va, next);
		level = ascend(c, way, level, va, next, next == end);
	}
}

void unmap_pages(struct mmu_gather *tlb, vaddr_t start, vaddr_t end)
{
	cut((struct cut){ .tlb = tlb, .pages = true }, start, end);
}

void unmap_tables(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor,
		  vaddr_t ceiling)
{
	cut((struct cut){ tlb, .tables = true, .floor = floor, .ceiling = ceiling }, start, end);
}

void unmap_range(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor, vaddr_t ceiling)
{
	cut((struct cut){ tlb, .pages = true, .tables = true, .floor = floor, .ceiling = ceiling },
	    start, end);
}
