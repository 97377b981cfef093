/* SPDX-License-Identifier: MIT */
/*
 * The inline hooks of <arch.h> for a host process: no tables are walked, no interrupts come, time
 * is what the target makes of it.
 */
#ifndef GRACE_ASM_ARCH_H
#define GRACE_ASM_ARCH_H

#include <asm/trap.h>

#define PTE_ADDR_MASK 0x000ffffffffff000ULL
#define PTE_MARKS 0ULL

static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level)
{
	return (pte_t){ pa | 1 };
}
static inline pte_t arch_pte_table(phys_t pa, bool user)
{
	return (pte_t){ pa | 1 };
}
static inline bool pte_present(pte_t pte)
{
	return pte.val & 1;
}
static inline bool pte_leaf(pte_t pte, unsigned int level)
{
	return level == 0;
}
static inline phys_t pte_pa(pte_t pte)
{
	return pte.val & PTE_ADDR_MASK;
}
static inline phys_t pte_memory_pa(pte_t pte)
{
	return pte_pa(pte);
}

static inline u64 pte_attr_in(pte_t pte, u64 want)
{
	return 0;
}
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel)
{
	*ptep = pte;
}

static inline bool arch_irq_save(void)
{
	return true;
}
static inline void arch_irq_enable(void)
{
}
static inline void arch_irq_disable(void)
{
}
static inline bool arch_irqs_enabled(void)
{
	return true;
}

static inline void arch_user_access_begin(void)
{
}
static inline void arch_user_access_end(void)
{
}

static inline bool arch_clear_page(void *page)
{
	return false;
}
static inline u64 arch_cycles(void)
{
	return 0;
}

#endif
