/* SPDX-License-Identifier: MIT */
/*
 * Inline hooks of the fourth port: entry codec, publishing, interrupt state, user access, cycles.
 *
 * An entry: bit 0 valid, bit 1 PROT_NONE (present, not valid), bit 2 leaf, attributes in 11:3, the
 * frame's address in 47:12. PAGE_POISON has bits 0 and 1 clear, so it decodes as nothing.
 */
#ifndef GRACE_ASM_ARCH_H
#define GRACE_ASM_ARCH_H

#include <asm/trap.h>
#include <atomic.h>

#define PTE_VALID BIT(0)
#define PTE_SW_NONE BIT(1)
#define PTE_LEAF BIT(2)
#define PTE_ATTR_SHIFT 3
#define PTE_ATTR_MASK 0x1ffULL
#define PTE_MARKS ((PA_ACCESSED | PA_DIRTY) << PTE_ATTR_SHIFT)
#define PTE_ADDR_MASK 0x0000fffffffff000ULL

static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level)
{
	u64 valid = attr & (PA_READ | PA_WRITE | PA_EXEC) ? PTE_VALID : PTE_SW_NONE;

	return (pte_t){ pa | PTE_LEAF | valid | (attr & PTE_ATTR_MASK) << PTE_ATTR_SHIFT };
}

static inline pte_t arch_pte_table(phys_t pa, bool user)
{
	return (pte_t){ pa | PTE_VALID };
}

static inline bool pte_present(pte_t pte)
{
	return pte.val & (PTE_VALID | PTE_SW_NONE);
}

static inline bool pte_leaf(pte_t pte, unsigned int level)
{
	return level == 0 || (pte.val & PTE_LEAF);
}

static inline bool pte_is_table(pte_t pte)
{
	return (pte.val & (PTE_VALID | PTE_LEAF)) == PTE_VALID;
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
	return pte.val >> PTE_ATTR_SHIFT & PTE_ATTR_MASK & want;
}

static inline bool pte_user_allows(pte_t pte, bool write)
{
	u64 want = PA_USER | PA_READ | (write ? PA_WRITE : 0);

	return pte_attr_in(pte, want | PA_SPECIAL) == want;
}

/*
 * Release: orders what the entry points to before the entry, for walkers of both kinds. Pairs with
 * pte_read() in pgtable.h.
 */
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel)
{
	smp_store_release(&ptep->val, pte.val);
}

/* cpu.c: the virtual CPU's interrupt mask. */
bool sim_irq_save(void);
void sim_irq_enable(void);
bool sim_irqs_enabled(void);

static inline bool arch_irq_save(void)
{
	return sim_irq_save();
}
static inline void arch_irq_disable(void)
{
	(void)sim_irq_save();
}
static inline void arch_irq_enable(void)
{
	sim_irq_enable();
}
static inline bool arch_irqs_enabled(void)
{
	return sim_irqs_enabled();
}

static inline void arch_user_access_begin(void)
{
}
static inline void arch_user_access_end(void)
{
}

/* Virtual time stands still but for ticks: cpu.c. */
u64 sim_cycles(void);
static inline u64 arch_cycles(void)
{
	return sim_cycles();
}
static inline bool arch_clear_page(void *page)
{
	return false;
}

/* What the benchmarks measure by: nothing here, the host's cycles in the build that is timed. */
static inline u64 arch_instructions(void)
{
#ifdef HOST_NATIVE
	unsigned int low, high;

	__asm__ __volatile__("lfence; rdtsc; lfence" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
#else
	return 0;
#endif
}

#endif
