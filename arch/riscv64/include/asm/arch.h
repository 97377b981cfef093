/* SPDX-License-Identifier: MIT */
/*
 * The inline part of the port: entry codec, publishing, interrupt state, user access, cycles.
 *
 * An entry (privileged specification 4.3 to 4.6): V R W X U G A D in bits 0 to 7, two bits for
 * software in 8 and 9, the frame number from bit 10 to 53, extensions above. W without R is
 * reserved. Memory attributes belong to the physical address (PMAs), which a device's entry may
 * override where there is Svpbmt: bits 61 and 62, 2 for I/O (non-cacheable, strongly ordered). That
 * an entry is a device's is noted in a software bit too, which in an invalid entry says PROT_NONE
 * instead.
 */
#ifndef GRACE_ASM_ARCH_H
#define GRACE_ASM_ARCH_H

#include <asm/csr.h>
#include <asm/trap.h>

#define PTE_V BIT(0)
#define PTE_R BIT(1)
#define PTE_W BIT(2)
#define PTE_X BIT(3)
#define PTE_U BIT(4)
#define PTE_G BIT(5)
#define PTE_A BIT(6)
#define PTE_D BIT(7)
#define PTE_SOFT_DEVICE BIT(8) /* where V is set */
#define PTE_SOFT_NONE BIT(8)   /* where V is clear: a PROT_NONE leaf */
#define PTE_SOFT_SPECIAL BIT(9)
#define PTE_NONE_DEVICE BIT(54) /* in a PROT_NONE leaf, which the hardware does not look at */
#define PTE_PBMT_IO (2ULL << 61)
#define PTE_PFN_SHIFT 10
#define PTE_PFN_MASK (BIT(44) - 1)
#define PTE_MARKS (PTE_A | PTE_D)

/* mmu.c: what marks a device's entry. */
extern u64 pte_device_bits;

static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level)
{
	u64 v = pa >> PAGE_SHIFT << PTE_PFN_SHIFT;
	bool device = attr & PA_DEVICE;

	v |= (attr & PA_USER ? PTE_U : 0) | (attr & PA_GLOBAL ? PTE_G : 0) |
	     (attr & PA_SPECIAL ? PTE_SOFT_SPECIAL : 0) | (attr & PA_ACCESSED ? PTE_A : 0) |
	     (attr & PA_DIRTY ? PTE_D : 0);
	if (!(attr & (PA_READ | PA_WRITE | PA_EXEC)))
		return (pte_t){ v | PTE_SOFT_NONE | (device ? PTE_NONE_DEVICE : 0) };
	v |= (attr & (PA_READ | PA_WRITE) ? PTE_R : 0) | (attr & PA_WRITE ? PTE_W : 0) |
	     (attr & PA_EXEC ? PTE_X : 0);
	return (pte_t){ v | PTE_V | (device ? pte_device_bits : 0) };
}

static inline pte_t arch_pte_table(phys_t pa, bool user)
{
	return (pte_t){ pa >> PAGE_SHIFT << PTE_PFN_SHIFT | PTE_V };
}

static inline bool pte_present(pte_t pte)
{
	return pte.val & (PTE_V | PTE_SOFT_NONE);
}

static inline bool pte_leaf(pte_t pte, unsigned int level)
{
	return level == 0 || !(pte.val & PTE_V) || (pte.val & (PTE_R | PTE_W | PTE_X));
}

static inline bool pte_is_table(pte_t pte)
{
	return (pte.val & (PTE_V | PTE_R | PTE_W | PTE_X)) == PTE_V;
}

static inline phys_t pte_pa(pte_t pte)
{
	return (pte.val >> PTE_PFN_SHIFT & PTE_PFN_MASK) << PAGE_SHIFT;
}

static inline phys_t pte_memory_pa(pte_t pte)
{
	return pte_pa(pte);
}

static __always_inline u64 pte_attr_in(pte_t pte, u64 want)
{
	u64 v = pte.val, attr = 0;
	u64 device = v & PTE_V ? PTE_SOFT_DEVICE : PTE_NONE_DEVICE;

	attr |= want & PA_READ && v & PTE_R ? PA_READ : 0;
	attr |= want & PA_WRITE && v & PTE_W ? PA_WRITE : 0;
	attr |= want & PA_EXEC && v & PTE_X ? PA_EXEC : 0;
	attr |= want & PA_USER && v & PTE_U ? PA_USER : 0;
	attr |= want & PA_GLOBAL && v & PTE_G ? PA_GLOBAL : 0;
	attr |= want & PA_DEVICE && v & device ? PA_DEVICE : 0;
	attr |= want & PA_SPECIAL && v & PTE_SOFT_SPECIAL ? PA_SPECIAL : 0;
	attr |= want & PA_ACCESSED && v & PTE_A ? PA_ACCESSED : 0;
	attr |= want & PA_DIRTY && v & PTE_D ? PA_DIRTY : 0;
	return attr;
}

static inline bool pte_user_allows(pte_t pte, bool write)
{
	u64 want = PTE_V | PTE_R | PTE_U | (u64)write * PTE_W;

	return (pte.val & (want | PTE_SOFT_SPECIAL)) == want;
}

/*
 * The release orders what the entry points to before the entry, for walkers in software and in
 * hardware: their loads behind pte_read() depend on it.
 * A TLB may hold "not present" (no Svvptc), and only SFENCE.VMA orders the store before this CPU's
 * own walks (privileged specification, 4.2.1). A kernel entry is therefore followed by one. A user
 * entry is not: an access that still finds it absent traps, and fault_in() in mm/fault.c
 * fences and lets it try again. One here would be paid at every fault, and under QEMU, where any
 * SFENCE.VMA drops the whole TLB, it would hide invalidations that are missing elsewhere.
 */
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel)
{
	__atomic_store_n(&ptep->val, pte.val, __ATOMIC_RELEASE);
	if (kernel)
		__asm__ __volatile__("sfence.vma" ::: "memory");
}

static inline bool arch_irq_save(void)
{
	riscv_keep_frame_record(); /* local_irq_save() notes the frame; another CPU may unwind it */
	return csr_read_clear(sstatus, SSTATUS_SIE) & SSTATUS_SIE;
}
static inline void arch_irq_enable(void)
{
	csr_set(sstatus, SSTATUS_SIE);
}
static inline void arch_irq_disable(void)
{
	csr_clear(sstatus, SSTATUS_SIE);
}
static inline bool arch_irqs_enabled(void)
{
	return csr_read(sstatus) & SSTATUS_SIE;
}

static inline void arch_user_access_begin(void)
{
	csr_set(sstatus, SSTATUS_SUM);
}
static inline void arch_user_access_end(void)
{
	csr_clear(sstatus, SSTATUS_SUM);
}

static inline u64 arch_cycles(void)
{
	return csr_read(time);
}

/* CBO.ZERO would be one: Zicboz, which QEMU has since 8.0. */
static inline bool arch_clear_page(void *page)
{
	return false;
}

/* Machine mode may keep instret to itself (mcounteren.IR): then the read traps, and 0 stays. */
static inline u64 arch_instructions(void)
{
	u64 n;

	/* clang-format off */
	__asm__ __volatile__("	li	%0, 0\n"
			     "1:	rdinstret %0\n"
			     "2:\n\t" EX_TABLE("1b", "2b")
			     : "=r"(n)
			     :
			     : "memory");
	/* clang-format on */
	return n;
}

#endif
