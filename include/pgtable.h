/* SPDX-License-Identifier: MIT */
/*
 * Page tables by level: geometry, entry access, and the loop over levels.
 *
 * Level 0 holds leaf entries of one page (pte); the root is level arch.pt_levels - 1. Linux's names
 * are used when printed. Differs from Linux: one type pte_t and one set of functions for all
 * levels.
 */
#ifndef GRACE_PGTABLE_H
#define GRACE_PGTABLE_H

#include <arch.h>
#include <atomic.h>
#include <page.h>

#define PTRS_PER_TABLE (1u << PT_INDEX_BITS)

/* log2 of the bytes that one entry of level covers. */
static inline unsigned int pt_shift(unsigned int level)
{
	return PAGE_SHIFT + PT_INDEX_BITS * level;
}
static inline u64 pt_span(unsigned int level)
{
	return 1ULL << pt_shift(level);
}
static inline unsigned int pt_index(vaddr_t va, unsigned int level)
{
	return (va >> pt_shift(level)) & (PTRS_PER_TABLE - 1);
}
/* First address after va that another entry of level covers, or end if that is nearer. */
static inline vaddr_t pt_next(vaddr_t va, vaddr_t end, unsigned int level)
{
	vaddr_t next = ALIGN_DOWN(va, pt_span(level)) + pt_span(level);

	return next - 1 < end - 1 ? next : end;
}
static inline unsigned int pt_top_level(void)
{
	return arch.pt_levels - 1;
}
/* "pte", "pmd", "pud", "p4d"; the root is always "pgd". */
const char *pt_level_name(unsigned int level);

#define PTE_NONE ((pte_t){ 0 })

static inline bool pte_none(pte_t pte)
{
	return pte.val == 0;
}
static inline bool pte_same(pte_t a, pte_t b)
{
	return a.val == b.val;
}
/* The same but for the marks, which the CPU may set at any time: what is mapped, and for whom. */
static inline bool pte_same_mapping(pte_t a, pte_t b)
{
	return !((a.val ^ b.val) & ~PTE_MARKS);
}
/* All attributes of a leaf. */
static inline u64 pte_attr(pte_t pte)
{
	return pte_attr_in(pte, ~0ULL);
}
static inline bool pte_write(pte_t pte)
{
	return pte_attr_in(pte, PA_WRITE);
}
static inline struct page *pte_page(pte_t pte)
{
	return phys_to_page(pte_memory_pa(pte));
}

/*
 * One load of an entry that others may change at any time. What a lockless walker does next depends
 * on this value alone [U2]; the address dependency orders its loads through it after this load.
 * Pairs with arch_pte_publish() in asm/arch.h, a release.
 */
static inline pte_t pte_read(const pte_t *ptep)
{
	return (pte_t){ READ_ONCE(ptep->val) };
}
/* Takes the entry out, atomically: what the hardware sets until then is in the value returned. Full
 * barrier. */
static inline pte_t pte_get_and_clear(pte_t *ptep)
{
	return (pte_t){ xchg(&ptep->val, 0ULL) };
}
/* Replaces old by new; false if it was not old. Full barrier if true. */
static inline bool pte_cmpxchg(pte_t *ptep, pte_t old, pte_t new)
{
	return cmpxchg(&ptep->val, old.val, new.val) == old.val;
}

/*
 * The kernel's own changes of user entries; under the lock of the table that the entry stands in.
 * In a debug build each counts the leaves that lead to a page, apart from what the callers count
 * (mapcount), and reports an entry that would be lost [A3, A4]. Special leaves have no page.
 */
#ifdef GRACE_DEBUG
void user_entry_check_empty(pte_t *ptep, unsigned int level);
/* Reports a change of an entry without its table's lock [L2]. */
void user_entry_check_locked(const pte_t *ptep);
#else
static inline void user_entry_check_locked(const pte_t *ptep)
{
}
static inline void user_entry_check_empty(pte_t *ptep, unsigned int level)
{
}
#endif
static inline void user_leaf_count(pte_t pte, unsigned int level, int by)
{
	if (debug_build && pte_present(pte) && pte_leaf(pte, level) &&
	    !pte_attr_in(pte, PA_SPECIAL))
		page_entry_count(page_head(pte_page(pte)), level, by);
}
/* Makes an entry where there is none. Release, as arch_pte_publish(). */
static inline void user_entry_publish(pte_t *ptep, pte_t pte, unsigned int level)
{
	user_entry_check_locked(ptep);
	user_entry_check_empty(ptep, level);
	user_leaf_count(pte, level, 1);
	arch_pte_publish(ptep, pte, false);
}
/* Takes the entry out. Full barrier, as pte_get_and_clear(). */
static inline pte_t user_entry_take(pte_t *ptep, unsigned int level)
{
	user_entry_check_locked(ptep);
	pte_t pte = pte_get_and_clear(ptep);

	user_leaf_count(pte, level, -1);
	return pte;
}
/*
 * The same in a table that no MMU and no holder of its lock comes to any more, only walkers that
 * read. No atomic change, and no barrier: nothing but the caller changes the entry.
 */
static inline pte_t user_entry_take_dead(pte_t *ptep, unsigned int level)
{
	pte_t pte = pte_read(ptep);

	WRITE_ONCE(ptep->val, 0);
	user_leaf_count(pte, level, -1);
	return pte;
}
/* The same page with other attributes; false if the entry was not old. As pte_cmpxchg(). */
static inline bool user_leaf_protect(pte_t *ptep, pte_t old, u64 attr, unsigned int level)
{
	user_entry_check_locked(ptep);
	return pte_cmpxchg(ptep, old, arch_pte_leaf(pte_pa(old), attr, level));
}
/* The table that a present, non-leaf entry points to. */
static inline pte_t *pte_table(pte_t pte)
{
	return phys_to_virt(pte_memory_pa(pte));
}

#endif
