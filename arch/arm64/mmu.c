// SPDX-License-Identifier: MIT
/*
 * Roots, ASIDs and invalidation.
 *
 * TTBR0 holds the user root with its ASID, TTBR1 the kernel's. The kernel half always has whole
 * tables of KERNEL_LEVELS; user tables have as many levels as va_bits needs, and kernel_root too.
 * Where that is one less, a page of this file stands above it as the level that TTBR1 wants; where
 * it is one more, TTBR1 gets the table under it. All kernel addresses share the last entry.
 *
 * Order of every invalidation (DDI 0487 D8, "TLB maintenance"): DSB, so that the stores to entries
 * are seen by any walk that comes after the TLBI; the TLBIs; DSB, which waits until they have been
 * done, also for accesses under way that used what was dropped; ISB, so that this CPU's next
 * instructions translate anew. The scope is this CPU's (NSH) or the inner-shareable domain's (ISH:
 * every CPU).
 * The DSBs are the witnesses' other end: a target with interrupts masked does not delay a
 * broadcast, because its hardware answers, not its instructions.
 * What the ledger is told: a TLBI by address drops what translates that address; the leaf-only
 * forms leave the entries above it in the walk caches (D8, "TLB maintenance instructions").
 * Rules: G1, G2 (the hardware half), G3 (leaf-only or with walk caches).
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <kmap.h>
#include <ledger.h>
#include <page.h>
#include <pgtable.h>

/* A kernel range of more pages is dropped by dropping everything. */
#define KERNEL_FLUSH_CEILING 256

#define TTBR_TAG_SHIFT 48

static pte_t upper_root[PTRS_PER_TABLE] __section(".bss.page_aligned") __aligned(PAGE_SIZE);

void mmu_init(unsigned int va_bits)
{
	arch.va_bits = va_bits;
	arch.pt_levels = (va_bits - PAGE_SHIFT + PT_INDEX_BITS - 1) / PT_INDEX_BITS;
	arch.leaf_levels = BIT(0) | BIT(1) | (PAGE_SHIFT == 12 ? BIT(2) : 0);
	arch.tag_bits = id_field(id_aa64mmfr0_el1, 4) == 2 ? 16 : 8;
	kernel_root = image_pa(boot_top);
	if (arch.pt_levels > KERNEL_LEVELS) {
		upper_root[PTRS_PER_TABLE - 1] = arch_pte_table(kernel_root, false);
		kernel_root = image_pa(upper_root);
	} else if (arch.pt_levels < KERNEL_LEVELS) {
		kernel_root = pte_pa(boot_top[PTRS_PER_TABLE - 1]);
	}
	features_add("%luk va%u asid%u", PAGE_SIZE / 1024, va_bits, arch.tag_bits);
}

phys_t mmu_hw_kernel_root(void)
{
	const pte_t *root = phys_to_virt(kernel_root);

	if (arch.pt_levels == KERNEL_LEVELS)
		return kernel_root;
	if (arch.pt_levels > KERNEL_LEVELS)
		return pte_pa(root[PTRS_PER_TABLE - 1]);
	upper_root[PTRS_PER_TABLE - 1] = arch_pte_table(kernel_root, false);
	return image_pa(upper_root);
}

/*
 * The boot CPU still has the identity map in TTBR0, and goes through it to change TTBR1; the others
 * came with the final one. Then the user half is set to its size, with nothing in it.
 */
void mmu_init_cpu(void)
{
	phys_t root = mmu_hw_kernel_root();
	u64 tcr = read_sysreg(tcr_el1);

	if (read_sysreg(ttbr1_el1) != root) {
		void (*swap)(phys_t, phys_t) = (void (*)(phys_t, phys_t))image_pa(boot_swap_ttbr1);

		swap(root, image_pa(empty_root));
	}
	/*
	 * The empty root is in place before the size changes, so that no walk starts in the
	 * identity map with the wrong number of levels. What the TLB has of it goes with the rest.
	 */
	write_sysreg(ttbr0_el1, image_pa(empty_root));
	isb();
	write_sysreg(tcr_el1, (tcr & ~(u64)TCR_T0SZ_MASK) | (64 - arch.va_bits));
	isb();
	arch_tlb_flush_local_all();
}

/* The kernel half is TTBR1's. */
void arch_root_init(pte_t *root)
{
}

static void tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f)
{
	struct ledger_drop drop = { .since = since, .cpus = cpus, .tag = f->tag };

	drop.start = f->start;
	drop.end = f->end;
	drop.stride_shift = (u8)f->stride_shift;
	drop.caches = f->tables ? LEDGER_TABLES : LEDGER_LEAVES;
	ledger_invalidated(&drop);
}

void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	struct arch_flush all = { .tag = tag, .end = ~0ULL };
	u64 since = ledger_now();

	/* Orders stores to the tables before walks from the new root. Pairs with hardware. */
	dsb(ishst);
	/* Root and tag change in one store, so no access has the one without the other. */
	write_sysreg(ttbr0_el1, root | (u64)tag << TTBR_TAG_SHIFT);
	/* Orders the change before the next access. Pairs with hardware. [T6] */
	isb();
	if (flush) {
		__asm__ __volatile__("tlbi aside1, %0" : : "r"((u64)tag << TTBR_TAG_SHIFT));
		dsb(nsh);
		isb();
		tell_ledger(since, cpumask_of(smp_processor_id()), &all);
	}
}

phys_t arch_root_current(void)
{
	phys_t root = read_sysreg(ttbr0_el1) & PTE_ADDR_MASK;

	return root == image_pa(empty_root) ? 0 : root;
}

void arch_root_load_none(void)
{
	arch_root_load(image_pa(empty_root), 0, false);
}

/* A TLBI operand by address: VA bits 55:12, ASID in 63:48. */
static u64 tlbi_operand(vaddr_t va, unsigned int tag)
{
	return (va >> 12 & (BIT(44) - 1)) | (u64)tag << TTBR_TAG_SHIFT;
}

/* Runs one TLBI for each stride of the flush: op by address, op_all for the whole tag. */
#define TLBI_EACH(f, op_leaf, op_tables, op_all)                                                   \
	do {                                                                                       \
		u64 step = 1ULL << (f)->stride_shift;                                              \
		if ((f)->start == 0 && (f)->end == ~0ULL) {                                        \
			u64 tag = tlbi_operand(0, (f)->tag);                                       \
			__asm__ __volatile__("tlbi " op_all ", %0" ::"r"(tag) : "memory");         \
			break;                                                                     \
		}                                                                                  \
		for (vaddr_t va = (f)->start; va < (f)->end; va += step) {                         \
			u64 arg = tlbi_operand(va, (f)->tag);                                      \
			if ((f)->tables)                                                           \
				__asm__ __volatile__("tlbi " op_tables ", %0" ::"r"(arg)           \
						     : "memory");                                  \
			else                                                                       \
				__asm__ __volatile__("tlbi " op_leaf ", %0" ::"r"(arg)             \
						     : "memory");                                  \
		}                                                                                  \
	} while (0)

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	/* Order: see the head of this file. Pairs with hardware of this CPU. */
	dsb(nshst);
	TLBI_EACH(f, "vale1", "vae1", "aside1");
	dsb(nsh);
	isb();
	tell_ledger(since, cpumask_of(smp_processor_id()), f);
}

/*
 * The hardware tells every CPU of the domain; those outside mask lose entries that they have not,
 * or may have again. [G1, G2]
 */
void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	u64 since = ledger_now();

	/*
	 * Order: see the head of this file. Pairs with hardware of every CPU: the first DSB with
	 * their walks, the second with the end of their accesses.
	 */
	dsb(ishst);
	TLBI_EACH(f, "vale1is", "vae1is", "aside1is");
	dsb(ish);
	isb();
	tell_ledger(since, cpu_possible_mask, f);
}

void arch_tlb_flush_local_all(void)
{
	struct arch_flush all = { .tag = LEDGER_ALL_TAGS, .end = ~0ULL };
	u64 since = ledger_now();

	/* Order: see the head of this file. Pairs with hardware of this CPU. */
	dsb(nshst);
	__asm__ __volatile__("tlbi vmalle1" ::: "memory");
	dsb(nsh);
	isb();
	tell_ledger(since, cpumask_of(smp_processor_id()), &all);
}

/* By address for all ASIDs: kernel entries are global, but that is the codec's choice. */
void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	if (end - start > KERNEL_FLUSH_CEILING * PAGE_SIZE) {
		arch_tlb_flush_local_all();
		return;
	}
	struct arch_flush f = { .tag = LEDGER_ALL_TAGS, .start = start, .end = end };
	u64 since = ledger_now();

	f.stride_shift = PAGE_SHIFT;
	f.tables = true;
	/* Order: see the head of this file. Pairs with hardware of this CPU. */
	dsb(nshst);
	for (vaddr_t va = start; va < end; va += PAGE_SIZE)
		__asm__ __volatile__("tlbi vaae1, %0" ::"r"(tlbi_operand(va, 0)) : "memory");
	dsb(nsh);
	isb();
	tell_ledger(since, cpumask_of(smp_processor_id()), &f);
}
