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
#include <boot.h>
#include <kmap.h>
#include <ledger.h>
#include <page.h>
#include <pgtable.h>
#include <printk.h>

/* A kernel range of more pages is dropped by dropping everything. */
#define KERNEL_FLUSH_CEILING 256

#define TTBR_TAG_SHIFT 48
/*
 * A root's address. Where output addresses have 52 bits, 5:2 hold those above 47: zero, as all
 * tables are under DIRECT_MAP_SIZE (DDI 0487 D19, TTBR0_EL1).
 */
#define TTBR_ROOT (BIT(TTBR_TAG_SHIFT) - PAGE_SIZE)

/* Written by the boot CPU, before others run; repeat_tlbi by any that needs it, as it comes up. */
static bool has_range, repeat_tlbi, soft_marks;
static u8 range_shift = PAGE_SHIFT; /* log2 of what the starts of TLBI's ranges are multiples of */
u64 pte_shareability = PTE_INNER;

static pte_t upper_root[PTRS_PER_TABLE] __section(".bss.page_aligned") __aligned(PAGE_SIZE);

/* MIDR's implementer and part. */
static u64 cpu_part(void)
{
	u64 midr = read_sysreg(midr_el1);

	return midr >> 24 << 12 | (midr >> 4 & 0xfff);
}

/*
 * What this CPU can set in entries by itself, of TCR_EL1.HA and HD: ID_AA64MMFR1_EL1.HAFDBS. Not
 * dirty on a Cortex-A 55 or 510, where it may be lost or come too early (Arm's errata notices:
 * 1024718 and 2051678). Not all CPUs need agree: what one leaves to the fault handler, that does.
 */
static u64 tcr_marks(void)
{
	unsigned int hafdbs = id_field(id_aa64mmfr1_el1, 0);
	u64 part = cpu_part();

	if (!hafdbs || soft_marks)
		return 0;
	return hafdbs == 1 || part == 0x41d05 || part == 0x41d46 ? TCR_HA : TCR_HA | TCR_HD;
}

/* FEAT_LVA with pages of 64 KiB, FEAT_LPA2 with smaller ones. */
bool mmu_has_52_bits(void)
{
	unsigned int granule = id_field(id_aa64mmfr0_el1, TGRAN_SHIFT);

	return PAGE_SHIFT == 16 ? id_field(s3_0_c0_c7_2, 16) >= 1
				: granule >= TGRAN_LPA2 && granule < 8;
}

/*
 * More than 48 bits with small pages are had with entries of another format only. It has its price
 * for ranges of TLBI, which then start at multiples of 64 KiB: so it is on when asked for.
 */
u64 mmu_entry_format(void)
{
	return PAGE_SHIFT != 16 && arch.va_bits > 48 ? BIT(TCR_DS_SHIFT) : 0;
}

u64 pte_high_address(phys_t pa)
{
	if (PAGE_SHIFT != 16 && !mmu_entry_format())
		return pa & (BIT(48) - 1);
	return (pa & PTE_ADDR_LOW) | (pa >> PTE_HIGH_SHIFT & PTE_ADDR_HIGH);
}

static unsigned int levels_of(unsigned int va_bits)
{
	return (va_bits - PAGE_SHIFT + PT_INDEX_BITS - 1) / PT_INDEX_BITS;
}

/* Why 52 bits are not what one gets without asking. */
static void say_larger(void)
{
	if (arch.va_bits < 52 && mmu_has_52_bits())
		printk("mmu: user addresses can have 52 bits (va_bits=52), in tables of %u levels",
		       levels_of(52));
}

/*
 * Until mmu_init_cpu() the boot tables are walked in the old format. What is mapped there in the
 * meantime is registers of devices, whose shareability nothing depends on (DDI 0487 B2).
 */
static void choose_format(void)
{
	if (!mmu_entry_format())
		return;
	pte_shareability = 0;
	range_shift = 16;
}

void mmu_init(unsigned int va_bits)
{
	arch.va_bits = va_bits;
	arch.pt_levels = levels_of(va_bits);
	choose_format();
	arch.leaf_levels = BIT(0) | BIT(1) | (PAGE_SHIFT == 12 ? BIT(2) : 0);
	arch.tag_bits = id_field(id_aa64mmfr0_el1, 4) == 2 ? 16 : 8;
	kernel_root = image_pa(boot_top);
	if (arch.pt_levels > KERNEL_LEVELS) {
		upper_root[PTRS_PER_TABLE - 1] = arch_pte_table(kernel_root, false);
		kernel_root = image_pa(upper_root);
	} else if (arch.pt_levels < KERNEL_LEVELS) {
		kernel_root = pte_pa(boot_top[PTRS_PER_TABLE - 1]);
	}
	has_range = id_field(id_aa64isar0_el1, 56) == 2;
	soft_marks = boot_wants_soft_marks();
	arch.cpu_marks = (tcr_marks() & TCR_HA ? PA_ACCESSED : 0) |
			 (tcr_marks() & TCR_HD ? PA_DIRTY : 0);
	say_larger();
	features_add("%luk va%u asid%u%s%s", PAGE_SIZE / 1024, va_bits, arch.tag_bits,
		     has_range ? " tlbirange" : "", mmu_entry_format() ? " lpa2" : "");
}

/*
 * CPUs on which the DSB behind a TLBI may not wait for every access that used what was dropped: it
 * takes a second TLBI and DSB (Arm's errata notices: 1286807 and 4193800 of the Cortex-A 76, and
 * those of the same text for the others, CVE-2025-10263; 2441007 of the 55, 2441009 of the 510;
 * and what other makers say of theirs). MIDR's implementer and part, in every revision.
 */
static void check_errata(void)
{
	static const u32 parts[] = {
		0x41d05, 0x41d46,				/* Cortex-A 55, 510 */
		0x41d0b, 0x41d0e, 0x41d0d, 0x41d41,		/* Cortex-A 76, 76AE, 77, 78 */
		0x41d42, 0x41d4b, 0x41d47,			/* Cortex-A 78AE, 78C, 710 */
		0x41d44, 0x41d4c, 0x41d48, 0x41d4e, 0x41d82,	/* Cortex-X 1, 1C, 2, 3, 4 */
		0x41d85, 0x41d8c, 0x41d90,			/* X925; C1-Ultra, -Premium */
		0x41d0c, 0x41d49, 0x41d40, 0x41d4f,		/* Neoverse-N 1, 2; -V 1, 2 */
		0x41d84, 0x41d83,				/* Neoverse-V 3, 3AE */
		0x6dd49, 0x4e010, 0x51800,			/* Cobalt 100, Olympus, Falkor */
	};
	u64 part = cpu_part();

	for (unsigned int i = 0; i < ARRAY_SIZE(parts) && !READ_ONCE(repeat_tlbi); i++) {
		if (part == parts[i]) {
			printk("tlb: CPU %u needs each TLBI twice (an erratum)",
			       smp_processor_id());
			WRITE_ONCE(repeat_tlbi, true);
		}
	}
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

/* This CPU's TCR with the format of the final tables, and all output addresses that it has. */
static u64 final_tcr(void)
{
	u64 most = PAGE_SHIFT == 16 || mmu_entry_format() ? TCR_IPS_52_BITS : TCR_IPS_48_BITS;
	u64 size = min((u64)id_field(id_aa64mmfr0_el1, 0), most);

	return (read_sysreg(tcr_el1) & ~TCR_IPS_MASK) | size << TCR_IPS_SHIFT | mmu_entry_format();
}

/*
 * The boot CPU still has the identity map in TTBR0, and goes through it to change TTBR1; the others
 * came with the final one. Then the user half is set to its size, with nothing in it. An ISB behind
 * each write of a register that walks depend on (DDI 0487 D19, on synchronization of registers).
 */
void mmu_init_cpu(void)
{
	phys_t root = mmu_hw_kernel_root();
	u64 tcr = final_tcr();

	check_errata();
	if (read_sysreg(ttbr1_el1) != root) {
		__typeof__(&boot_swap_ttbr1) swap = (void *)image_pa(boot_swap_ttbr1);

		swap(root, image_pa(empty_root), tcr);
	}
	/*
	 * The empty root is in place before the size changes, so that no walk starts in the
	 * identity map with the wrong number of levels. What the TLB has of it goes with the rest.
	 */
	write_sysreg(ttbr0_el1, image_pa(empty_root));
	isb();
	tcr = (tcr & ~(u64)TCR_T0SZ_MASK) | (64 - arch.va_bits);
	write_sysreg(tcr_el1, tcr | tcr_marks());
	isb();
	arch_tlb_flush_local_all();
}

/* The kernel half is TTBR1's. */
void arch_root_init(pte_t *root)
{
}

/* DDI 0487 D8, on changing ASID and table base. */
void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	struct arch_flush all = { .tag = tag, .end = ~0ULL };

	/* Orders stores to the tables before walks from the new root. Pairs with hardware. */
	dsb(ishst);
	/* Root and tag change in one store, so no access has the one without the other. */
	write_sysreg(ttbr0_el1, root | (u64)tag << TTBR_TAG_SHIFT);
	/* Orders the change before the next access. Pairs with hardware. [T6] */
	isb();
	if (flush) {
		all.stride_shift = PAGE_SHIFT;
		arch_tlb_flush_local(&all);
	}
}

phys_t arch_root_current(void)
{
	phys_t root = read_sysreg(ttbr0_el1) & TTBR_ROOT;

	return root == image_pa(empty_root) ? 0 : root;
}

void arch_root_load_none(void)
{
	arch_root_load(image_pa(empty_root), 0, false);
}

/* ---- Invalidation ------------------------------------------------------------------------- */

/*
 * One TLBI, for this CPU or for all, with x as its operand. The forms by range have no name for
 * older assemblers: CRn, CRm and op2 are given (C5.5; CRm is 2 for all, 6 for this CPU).
 */
#define TLBI(op, shared, x)                                                                        \
	do {                                                                                       \
		if (shared)                                                                        \
			__asm__ __volatile__("tlbi " op "is, %0" ::"r"(x) : "memory");             \
		else                                                                               \
			__asm__ __volatile__("tlbi " op ", %0" ::"r"(x) : "memory");               \
	} while (0)
#define TLBI_RANGE(op2, shared, x)                                                                 \
	do {                                                                                       \
		if (shared)                                                                        \
			__asm__ __volatile__("sys #0, c8, c2, #" op2 ", %0" ::"r"(x) : "memory");  \
		else                                                                               \
			__asm__ __volatile__("sys #0, c8, c6, #" op2 ", %0" ::"r"(x) : "memory");  \
	} while (0)
#define RVAE1 "1"
#define RVAAE1 "3"
#define RVALE1 "5"

/* A TLBI operand by address: VA bits 55:12, ASID in 63:48. */
static u64 tlbi_operand(vaddr_t va, unsigned int tag)
{
	return (va >> 12 & (BIT(44) - 1)) | (u64)tag << TTBR_TAG_SHIFT;
}

static void tlbi_address(const struct arch_flush *f, bool shared, vaddr_t va)
{
	if (f->tag == LEDGER_ALL_TAGS)
		TLBI("vaae1", shared, tlbi_operand(va, 0));
	else if (f->tables)
		TLBI("vae1", shared, tlbi_operand(va, f->tag));
	else
		TLBI("vale1", shared, tlbi_operand(va, f->tag));
}

#define RANGE_SHIFT(scale) (5 * (scale) + 1)
#define RANGE_NUM 31ULL

/*
 * Ranges (FEAT_TLBIRANGE, D8.17.5): ASID in 63:48, the granule in 47:46, SCALE in 45:44, NUM in
 * 43:39, no hint of a level, the start in 36:0: a page's number, or with TCR_EL1.DS the number of
 * 64 KiB. Each covers (NUM + 1) << (5 SCALE + 1) pages.
 */
static void tlbi_range(const struct arch_flush *f, bool shared, vaddr_t va, u64 scale, u64 num)
{
	const u64 granule = (PAGE_SHIFT - 10) / 2; /* 1, 2, 3 for 4, 16 and 64 KiB */
	u64 x = granule << 46 | scale << 44 | num << 39 | (va >> range_shift & (BIT(37) - 1));

	if (f->tag == LEDGER_ALL_TAGS)
		TLBI_RANGE(RVAAE1, shared, x);
	else if (f->tables)
		TLBI_RANGE(RVAE1, shared, x | (u64)f->tag << TTBR_TAG_SHIFT);
	else
		TLBI_RANGE(RVALE1, shared, x | (u64)f->tag << TTBR_TAG_SHIFT);
}

/*
 * Where ranges that cover f start. With TCR_EL1.DS that is at a multiple of 64 KiB (DDI 0487 D19,
 * TCR_EL1): a few pages too many are dropped, rather than each of the first by itself.
 */
static vaddr_t range_start(const struct arch_flush *f)
{
	return f->start >> range_shift << range_shift;
}

/*
 * The largest first: all but the last are multiples of 64 pages, so that each starts where it may.
 */
static void drop_pages(const struct arch_flush *f, bool shared)
{
	vaddr_t va = range_start(f);
	u64 left = (f->end - va) >> PAGE_SHIFT;

	for (int scale = 3; scale >= 0; scale--) {
		u64 n = left >> RANGE_SHIFT(scale) & RANGE_NUM;

		if (!n)
			continue;
		tlbi_range(f, shared, va, (u64)scale, n - 1);
		va += n << RANGE_SHIFT(scale) << PAGE_SHIFT;
	}
	if (left & 1)
		tlbi_address(f, shared, va);
}

/* Fewer addresses than this are as quick one by one. */
#define RANGE_LEAST 4

static bool uses_range(const struct arch_flush *f)
{
	return has_range && (f->end - f->start) >> f->stride_shift >= RANGE_LEAST &&
	       (f->end - range_start(f)) >> PAGE_SHIFT >> RANGE_SHIFT(4) == 0;
}

static bool is_all(const struct arch_flush *f)
{
	return f->start == 0 && f->end == ~0ULL;
}

static void drop_all(unsigned int tag, bool shared)
{
	if (tag != LEDGER_ALL_TAGS)
		TLBI("aside1", shared, tlbi_operand(0, tag));
	else if (shared)
		__asm__ __volatile__("tlbi vmalle1is" ::: "memory");
	else
		__asm__ __volatile__("tlbi vmalle1" ::: "memory");
}

static __always_inline void drop(const struct arch_flush *f, bool shared)
{
	if (is_all(f))
		drop_all(f->tag, shared);
	else if (uses_range(f))
		drop_pages(f, shared);
	else
		for (vaddr_t va = f->start; va < f->end; va += 1ULL << f->stride_shift)
			tlbi_address(f, shared, va);
}

/*
 * Order: see the head of this file, and DDI 0487 D8, on completion of TLB maintenance. Pairs with
 * hardware: the first DSB with the walks of the CPUs that are told, the later ones with the end of
 * their accesses.
 */
static __always_inline void invalidate(const struct arch_flush *f, bool shared)
{
	if (shared)
		dsb(ishst);
	else
		dsb(nshst);
	/* Twice where one DSB does not wait for all that it should: see repeat_tlbi. */
	for (int turn = 0; turn <= (int)repeat_tlbi; turn++) {
		drop(f, shared);
		if (shared)
			dsb(ish);
		else
			dsb(nsh);
	}
	isb();
}

static void tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f)
{
	struct ledger_drop drop = { .since = since, .cpus = cpus, .tag = f->tag };

	drop.start = f->start;
	drop.end = f->end;
	/* A range is of pages, whatever was asked for. */
	drop.stride_shift = !is_all(f) && uses_range(f) ? PAGE_SHIFT : (u8)f->stride_shift;
	drop.caches = f->tables ? LEDGER_TABLES : LEDGER_LEAVES;
	ledger_invalidated(&drop);
}

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	invalidate(f, false);
	tell_ledger(since, cpumask_of(smp_processor_id()), f);
}

/*
 * The hardware tells every CPU of the domain; those outside mask lose entries that they have not,
 * or may have again. [G1, G2]
 */
void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	u64 since = ledger_now();

	invalidate(f, true);
	tell_ledger(since, cpu_possible_mask, f);
}

void arch_tlb_flush_local_all(void)
{
	struct arch_flush all = { .tag = LEDGER_ALL_TAGS, .end = ~0ULL };

	all.stride_shift = PAGE_SHIFT;
	arch_tlb_flush_local(&all);
}

/* By address for all ASIDs: kernel entries are global, but that is the codec's choice. */
void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	if (end - start > KERNEL_FLUSH_CEILING * PAGE_SIZE) {
		arch_tlb_flush_local_all();
		return;
	}
	struct arch_flush f = { .tag = LEDGER_ALL_TAGS, .start = start, .end = end };

	f.stride_shift = PAGE_SHIFT;
	f.tables = true;
	arch_tlb_flush_local(&f);
}
