/* SPDX-License-Identifier: MIT */
/*
 * Inline hooks of the arm64 port: entry codec, entry publication, interrupt state, counter.
 *
 * References are to the Arm Architecture Reference Manual, DDI 0487.
 */
#ifndef ASM_ARCH_H
#define ASM_ARCH_H

#include <atomic.h>
#include <layout.h>

/*
 * A VMSAv8-64 entry (D8.3). Software owns bits 58:55, and all but bit 0 of an invalid entry.
 *
 *   0 valid   1 table or page   4:2 memory type   6 user   7 read-only   9:8 shareability
 *   10 accessed   11 not global   47:12 address   51 DBM   53 PXN   54 UXN
 *
 * DBM (dirty bit modifier) says that a store may clear "read-only": so a writable leaf has it, and
 * is clean while it is read-only too. A CPU that does not know DBM, or was not told to heed it,
 * takes such a leaf for read-only, and the fault handler clears the bit. What is dirty and not
 * writable any more is noted in bit 59, which is software's in a leaf (no PBHA is in use).
 *
 *   table entries: 59 PXNTable   60 UXNTable   61 APTable[0]: no user access
 *
 * Where an address has 52 bits, the four above 47 stand with pages of 64 KiB in bits 15:12. With
 * smaller ones 49:48 stand as they are, and 51:50 in bits 9:8: this is another format, which holds
 * when TCR_EL1.DS is set, and leaves the shareability to TCR_EL1 (D19, TCR_EL1).
 */
#define PTE_VALID BIT(0)
#define PTE_TABLE BIT(1)
#define PTE_DEVICE BIT(2) /* MAIR index 1 */
#define PTE_USER BIT(6)
#define PTE_RDONLY BIT(7)
#define PTE_INNER (3ULL << 8)
#define PTE_AF BIT(10)
#define PTE_NG BIT(11)
#define PTE_DBM BIT(51)
#define PTE_PXN BIT(53)
#define PTE_UXN BIT(54)
#define PTE_SW_NONE BIT(55) /* PROT_NONE: present, not valid */
#define PTE_SW_SPECIAL BIT(56)
#define PTE_SW_USER BIT(57)
#define PTE_SW_READ BIT(58) /* kernel leaves can always be read: this says whether it was asked */
#define PTE_SW_DIRTY BIT(59) /* of a leaf that is not writable */
#define PTE_PXN_TABLE BIT(59)
#define PTE_UXN_TABLE BIT(60)
#define PTE_NO_USER_TABLE BIT(61)
#define PTE_MARKS (PTE_AF | PTE_RDONLY)
#if PAGE_SHIFT == 16
#define PTE_ADDR_LOW 0x0000ffffffff0000ULL
#define PTE_ADDR_HIGH 0xf000ULL
#define PTE_HIGH_SHIFT 36
#else
#define PTE_ADDR_LOW 0x0003fffffffff000ULL
#define PTE_ADDR_HIGH PTE_INNER
#define PTE_HIGH_SHIFT 42
#endif

/* mmu.c: what a leaf says of shareability: PTE_INNER, or nothing with TCR_EL1.DS. */
extern u64 pte_shareability;
/* mmu.c: an address of more than 48 bits as entries have it; cut to 48 if they have no room. */
u64 pte_high_address(phys_t pa);

static inline u64 pte_address(phys_t pa)
{
	return likely(!(pa >> 48)) ? pa : pte_high_address(pa);
}

/*
 * Permissions are hardware's where hardware has them. The kernel never executes user pages (PXN)
 * and user mode never the kernel's (UXN). A user page is not global.
 */
static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level)
{
	u64 v = pte_address(pa) | pte_shareability;

	v |= attr & (PA_READ | PA_WRITE | PA_EXEC) ? PTE_VALID : PTE_SW_NONE;
	if (level == 0 && (v & PTE_VALID))
		v |= PTE_TABLE; /* at the last level, both bits set mean a page */
	v |= attr & (PA_READ | PA_WRITE) ? PTE_SW_READ : 0;
	v |= attr & PA_WRITE ? PTE_DBM : PTE_RDONLY;
	if (attr & PA_DIRTY)
		v |= attr & PA_WRITE ? 0 : PTE_SW_DIRTY;
	else
		v |= PTE_RDONLY;
	v |= attr & PA_ACCESSED ? PTE_AF : 0;
	v |= attr & PA_GLOBAL ? 0 : PTE_NG;
	v |= attr & PA_DEVICE ? PTE_DEVICE : 0;
	v |= attr & PA_SPECIAL ? PTE_SW_SPECIAL : 0;
	if (attr & PA_USER) {
		v |= PTE_SW_USER | PTE_PXN;
		v |= attr & (PA_READ | PA_WRITE) ? PTE_USER : 0;
		v |= attr & PA_EXEC ? 0 : PTE_UXN;
	} else {
		v |= PTE_UXN;
		v |= attr & PA_EXEC ? 0 : PTE_PXN;
	}
	return (pte_t){ v };
}

/* Below a user table the kernel may not execute; below a kernel table user mode may do nothing. */
static inline pte_t arch_pte_table(phys_t pa, bool user)
{
	u64 limit = user ? PTE_PXN_TABLE : PTE_UXN_TABLE | PTE_NO_USER_TABLE;

	return (pte_t){ pte_address(pa) | PTE_VALID | PTE_TABLE | limit };
}

static inline bool pte_present(pte_t pte)
{
	return pte.val & (PTE_VALID | PTE_SW_NONE);
}

static inline bool pte_leaf(pte_t pte, unsigned int level)
{
	return level == 0 || (pte.val & (PTE_VALID | PTE_TABLE)) != (PTE_VALID | PTE_TABLE);
}

static inline bool pte_is_table(pte_t pte)
{
	return (pte.val & (PTE_VALID | PTE_TABLE)) == (PTE_VALID | PTE_TABLE);
}

static inline phys_t pte_pa(pte_t pte)
{
	u64 high = PAGE_SHIFT == 16 ? PTE_ADDR_HIGH : PTE_ADDR_HIGH & ~pte_shareability;

	return (pte.val & PTE_ADDR_LOW) | (pte.val & high) << PTE_HIGH_SHIFT;
}

static inline phys_t pte_memory_pa(pte_t pte)
{
	return pte.val & PTE_ADDR_LOW & (DIRECT_MAP_SIZE - 1);
}

static __always_inline u64 pte_attr_in(pte_t pte, u64 want)
{
	u64 v = pte.val, attr = 0;
	u64 xn = v & PTE_SW_USER ? PTE_UXN : PTE_PXN;
	bool dirty = v & PTE_DBM ? !(v & PTE_RDONLY) : v & PTE_SW_DIRTY;

	attr |= want & PA_READ && v & PTE_SW_READ ? PA_READ : 0;
	attr |= want & PA_WRITE && v & PTE_DBM ? PA_WRITE : 0;
	attr |= want & PA_EXEC && !(v & xn) ? PA_EXEC : 0;
	attr |= want & PA_USER && v & PTE_SW_USER ? PA_USER : 0;
	attr |= want & PA_GLOBAL && !(v & PTE_NG) ? PA_GLOBAL : 0;
	attr |= want & PA_DEVICE && v & PTE_DEVICE ? PA_DEVICE : 0;
	attr |= want & PA_SPECIAL && v & PTE_SW_SPECIAL ? PA_SPECIAL : 0;
	attr |= want & PA_ACCESSED && v & PTE_AF ? PA_ACCESSED : 0;
	attr |= want & PA_DIRTY && dirty ? PA_DIRTY : 0;
	return attr;
}

static inline bool pte_user_allows(pte_t pte, bool write)
{
	u64 want = PTE_SW_USER | PTE_SW_READ | (write ? PTE_DBM : 0);

	return (pte.val & (want | PTE_SW_SPECIAL)) == want;
}

/*
 * Release: orders the stores that filled the table or page before the entry's, for software walkers
 * and for other CPUs' table walkers, which follow the entry by address dependency. Pairs with
 * pte_read() in pgtable.h and with hardware.
 * DSB ISHST: the store is complete for this CPU's own walker before the next access begins
 * (DDI 0487 D8, on ordering of table walks). Pairs with hardware.
 * ISB, kernel half only: an instruction already past translation would take the old "invalid", and
 * a kernel access cannot bear the fault. A user access can: it faults, finds the entry valid, and
 * is tried again, behind an exception return that synchronises as an ISB does.
 */
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel)
{
	smp_store_release(&ptep->val, pte.val);
	__asm__ __volatile__("dsb ishst" ::: "memory");
	if (kernel)
		__asm__ __volatile__("isb" ::: "memory");
}

/*
 * Interrupts: PSTATE.I. F and A are open from arch_cpu_init() on, so that an FIQ or SError is
 * reported, and D stays masked. The "memory" clobbers keep the compiler from moving accesses out
 * of the section that the caller protects; the hardware needs nothing, as the CPU takes its own
 * interrupts in program order.
 */
static inline bool arch_irqs_enabled(void)
{
	u64 daif;

	__asm__ __volatile__("mrs %0, daif" : "=r"(daif)::"memory");
	return !(daif & 0x80);
}
static inline void arch_irq_disable(void)
{
	__asm__ __volatile__("msr daifset, #2" ::: "memory");
}
static inline void arch_irq_enable(void)
{
	__asm__ __volatile__("msr daifclr, #2" ::: "memory");
}
static inline bool arch_irq_save(void)
{
	bool on = arch_irqs_enabled();

	arch_irq_disable();
	return on;
}

/* Unprivileged loads and stores (LDTR, STTR) reach user memory whatever PSTATE.PAN is. */
static inline void arch_user_access_begin(void)
{
	barrier();
}
static inline void arch_user_access_end(void)
{
	barrier();
}

/*
 * The ISB keeps the counter from being read before earlier instructions have finished (generic
 * timer chapter), so that time does not run backwards across a lock handed over.
 */
static inline u64 arch_cycles(void)
{
	u64 t;

	__asm__ __volatile__("isb\n\tmrs %0, cntvct_el0" : "=r"(t)::"memory");
	return t;
}

/*
 * By DC ZVA, a block at a time. The size is this CPU's own, in words of 4 bytes. Memory is not of a
 * Device type, where it would fault. DDI 0595, DC ZVA; DCZID_EL0: DZP forbids it, BS is the size.
 */
static inline bool arch_clear_page(void *page)
{
	enum { BS = 0xf, DZP = BIT(4), TURN = 8 };
	u64 dczid, size = 1UL << PAGE_SHIFT;

	__asm__("mrs %0, dczid_el0" : "=r"(dczid));
	u64 block = 4UL << (dczid & BS);

	if (dczid & DZP || block > size / TURN)
		return false;
	for (vaddr_t at = (vaddr_t)page, end = at + size; at < end;)
		__asm__ __volatile__(".rept %c2\n\tdc zva, %0\n\tadd %0, %0, %1\n\t.endr"
				     : "+r"(at)
				     : "r"(block), "i"(TURN)
				     : "memory");
	return true;
}

/* The CPUs have a PMU, and arch_cpu_init() has started its cycle counter. */
extern bool has_cycle_counter;

/* QEMU's cycle counter is the count of instructions under -icount shift=0. */
static inline u64 arch_instructions(void)
{
	u64 n = 0;

	if (has_cycle_counter)
		__asm__ __volatile__("mrs %0, pmccntr_el0" : "=r"(n)::"memory");
	return n;
}

#endif
