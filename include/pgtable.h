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
static inline bool pte_write(pte_t pte)
{
	return pte_attr(pte) & PA_WRITE;
}
static inline struct page *pte_page(pte_t pte)
{
	return phys_to_page(pte_pa(pte));
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
/* The table that a present, non-leaf entry points to. */
static inline pte_t *pte_table(pte_t pte)
{
	return phys_to_virt(pte_pa(pte));
}

#endif
