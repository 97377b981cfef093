/* SPDX-License-Identifier: MIT */
/*
 * Inline hooks of the x86_64 port: entry codec, entry publication, interrupt state, user access,
 * counter.
 */
#ifndef ASM_ARCH_H
#define ASM_ARCH_H

#include <asm/trap.h>
#include <atomic.h>
#include <layout.h>

/*
 * An entry (SDM vol. 3, 4.5). Software owns bits 11:9 and 58:52, and all but bit 0 if that is
 * clear.
 *
 *   0 present   1 writable   2 user   3 write-through   4 cache disable   5 accessed   6 dirty
 *   7 leaf above level 0   8 global   51:12 address   63 not executable
 */
#define PTE_P BIT(0)
#define PTE_W BIT(1)
#define PTE_U BIT(2)
#define PTE_PWT BIT(3)
#define PTE_PCD BIT(4)
#define PTE_A BIT(5)
#define PTE_D BIT(6)
#define PTE_PS BIT(7)
#define PTE_G BIT(8)
#define PTE_SW_SPECIAL BIT(9)
#define PTE_SW_NONE BIT(10)    /* PROT_NONE: present, not to the hardware */
#define PTE_SW_NOREAD BIT(52)  /* PA_EXEC alone was asked for: the hardware lets it be read too */
#define PTE_NX BIT(63)
#define PTE_ADDR_MASK 0x000ffffffffff000ULL
#define PTE_MARKS (PTE_A | PTE_D)

static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level)
{
	u64 v = pa;

	v |= attr & (PA_READ | PA_WRITE | PA_EXEC) ? PTE_P : PTE_SW_NONE;
	if ((attr & (PA_READ | PA_WRITE | PA_EXEC)) == PA_EXEC)
		v |= PTE_SW_NOREAD;
	v |= attr & PA_WRITE ? PTE_W : 0;
	v |= attr & PA_EXEC ? 0 : PTE_NX;
	v |= attr & PA_USER ? PTE_U : 0;
	v |= attr & PA_GLOBAL ? PTE_G : 0;
	v |= attr & PA_DEVICE ? PTE_PWT | PTE_PCD : 0; /* PAT entry 3, UC (SDM vol. 3, 12.12.3) */
	v |= attr & PA_SPECIAL ? PTE_SW_SPECIAL : 0;
	v |= (attr & PA_ACCESSED ? PTE_A : 0) | (attr & PA_DIRTY ? PTE_D : 0);
	v |= level > 0 ? PTE_PS : 0;
	return (pte_t){ v };
}

static inline pte_t arch_pte_table(phys_t pa, bool user)
{
	return (pte_t){ pa | PTE_P | PTE_W | PTE_A | (user ? PTE_U : 0) };
}

static inline bool pte_present(pte_t pte)
{
	return pte.val & (PTE_P | PTE_SW_NONE);
}

static inline bool pte_leaf(pte_t pte, unsigned int level)
{
	return level == 0 || (pte.val & PTE_PS);
}

static inline bool pte_is_table(pte_t pte)
{
	return (pte.val & (PTE_P | PTE_PS)) == PTE_P;
}

static inline phys_t pte_pa(pte_t pte)
{
	return pte.val & PTE_ADDR_MASK;
}

static inline phys_t pte_memory_pa(pte_t pte)
{
	return pte.val & PTE_ADDR_MASK & (DIRECT_MAP_SIZE - 1);
}

static __always_inline u64 pte_attr_in(pte_t pte, u64 want)
{
	u64 v = pte.val, attr = 0;

	attr |= want & PA_READ && (v & (PTE_P | PTE_SW_NOREAD)) == PTE_P ? PA_READ : 0;
	attr |= want & PA_WRITE && (v & (PTE_P | PTE_W)) == (PTE_P | PTE_W) ? PA_WRITE : 0;
	attr |= want & PA_EXEC && (v & (PTE_P | PTE_NX)) == PTE_P ? PA_EXEC : 0;
	attr |= want & PA_USER && v & PTE_U ? PA_USER : 0;
	attr |= want & PA_GLOBAL && v & PTE_G ? PA_GLOBAL : 0;
	attr |= want & PA_DEVICE && v & PTE_PCD ? PA_DEVICE : 0;
	attr |= want & PA_SPECIAL && v & PTE_SW_SPECIAL ? PA_SPECIAL : 0;
	attr |= want & PA_ACCESSED && v & PTE_A ? PA_ACCESSED : 0;
	attr |= want & PA_DIRTY && v & PTE_D ? PA_DIRTY : 0;
	return attr;
}

static inline bool pte_user_allows(pte_t pte, bool write)
{
	u64 want = PTE_P | PTE_U | (u64)write * PTE_W;

	return (pte.val & (want | PTE_SW_NOREAD | PTE_SW_SPECIAL)) == want;
}

/*
 * No CPU keeps "not present" in its TLB (SDM vol. 3, 4.10.2.3), and loads of the hardware walker
 * are ordered as the program's own: the next access of this CPU uses the entry.
 * Release: orders what the entry points to before the entry. Pairs with pte_read() in pgtable.h.
 */
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel)
{
	smp_store_release(&ptep->val, pte.val);
}

static inline bool arch_irqs_enabled(void)
{
	u64 flags;

	__asm__ __volatile__("pushfq; popq %0" : "=r"(flags)::"memory");
	return flags & RFLAGS_IF;
}

static inline void arch_irq_enable(void)
{
	__asm__ __volatile__("sti" ::: "memory");
}

static inline void arch_irq_disable(void)
{
	__asm__ __volatile__("cli" ::: "memory");
}

static inline bool arch_irq_save(void)
{
	bool on = arch_irqs_enabled();

	arch_irq_disable();
	return on;
}

/* Whether SMAP is on. Set before the first thread, constant then; trap.S reads it too. */
extern u8 smap_on;

/* RFLAGS.AC lets the kernel in. It is saved with the trap frame, and every entry clears it. */
static inline void arch_user_access_begin(void)
{
	if (smap_on)
		__asm__ __volatile__("stac" ::: "memory");
}

static inline void arch_user_access_end(void)
{
	if (smap_on)
		__asm__ __volatile__("clac" ::: "memory");
}

/*
 * LFENCE: orders every earlier load before the counter is read, so that times taken on two CPUs
 * agree with what these saw of each other.
 */
static inline u64 arch_cycles(void)
{
	u32 low, high;

	__asm__ __volatile__("lfence; rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

/* REP STOS would be one, and counts as many where instructions are counted. */
static inline bool arch_clear_page(void *page)
{
	return false;
}

/* QEMU's TSC is the count of instructions under -icount shift=0. */
static inline u64 arch_instructions(void)
{
	u32 low, high;

	__asm__ __volatile__("rdtsc" : "=a"(low), "=d"(high)::"memory");
	return (u64)high << 32 | low;
}

#endif
