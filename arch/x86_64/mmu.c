// SPDX-License-Identifier: MIT
/*
 * Roots, tags and local invalidation.
 *
 * User and kernel share a root: the kernel half of each is the same few entries. Tag 0 is the
 * kernel's and that of "no user root"; nothing of a user half is ever cached under it while tags
 * are in use. What each instruction drops: SDM vol. 3, 4.10.4.1. INVLPG and every write of CR3 drop
 * the paging-structure caches of the current tag too; INVPCID those of the tag it names, and by
 * address those that lead to it. So leaves and tables cost the same here.
 * Rules: none of its own; mm/tlb.c and mm/context.c decide. Contexts: irqs or preemption off, and
 * the NMI of smp_nmi_flush(): each function may be interrupted by another one of this file.
 */
#include <arch.h>
#include <asm/cpu.h>
#include <kmap.h>
#include <layout.h>
#include <ledger.h>
#include <page.h>
#include <pgtable.h>
#include <string.h>

#define CR3_KEEP_TLB BIT(63)
/* Beyond so many addresses, everything of the tag is dropped at once. */
#define ADDRESSES_MAX 64

enum invpcid_type { INVPCID_ADDRESS = 0, INVPCID_TAG = 1, INVPCID_ALL_AND_GLOBAL = 2 };

static void invpcid(enum invpcid_type type, u64 tag, vaddr_t va)
{
	const struct {
		u64 tag, va;
	} what = { tag, va };

	__asm__ __volatile__("invpcid %0, %1" ::"m"(what), "r"((u64)type) : "memory");
}

static void invlpg(vaddr_t va)
{
	__asm__ __volatile__("invlpg (%0)" ::"r"(va) : "memory");
}

/* ---- Roots -------------------------------------------------------------------------------- */

void arch_root_init(pte_t *root)
{
	const unsigned int half = PTRS_PER_TABLE / 2;

	memcpy(root + half, (pte_t *)phys_to_virt(kernel_root) + half, half * sizeof(*root));
}

/*
 * A write of CR3 is a serializing instruction: it orders every store before it, so the walker sees
 * them, and every access after it uses the new root.
 */
void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	struct arch_flush all = { .tag = tag, .end = ~0ULL };
	bool keep = features.pcid && !flush;
	u64 since = ledger_now();

	write_cr3(root | tag | (keep ? CR3_KEEP_TLB : 0));
	if (!keep)
		mmu_tell_ledger(since, cpumask_of(smp_processor_id()), &all);
}

phys_t arch_root_current(void)
{
	phys_t root = read_cr3() & PTE_ADDR_MASK;

	return root == kernel_root ? 0 : root;
}

void arch_root_load_none(void)
{
	arch_root_load(kernel_root, 0, !features.pcid);
}

/* ---- Invalidation ------------------------------------------------------------------------- */

static void drop_address(unsigned int tag, vaddr_t va)
{
	if (features.pcid)
		invpcid(INVPCID_ADDRESS, tag, va);
	else
		invlpg(va);
}

static void drop_tag(unsigned int tag)
{
	if (features.pcid)
		invpcid(INVPCID_TAG, tag, 0);
	else
		write_cr3(read_cr3());
}

static vaddr_t first_address(const struct arch_flush *f)
{
	return ALIGN_DOWN(f->start, 1ULL << f->stride_shift);
}

static bool drops_whole_tag(const struct arch_flush *f)
{
	return (f->end - first_address(f)) >> f->stride_shift >= ADDRESSES_MAX;
}

/* Each of these instructions is serializing: after earlier stores, before later accesses. */
void mmu_flush(const struct arch_flush *f)
{
	if (drops_whole_tag(f)) {
		drop_tag(f->tag);
		return;
	}
	for (vaddr_t va = first_address(f); va < f->end; va += 1ULL << f->stride_shift)
		drop_address(f->tag, va);
}

void mmu_tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f)
{
	struct ledger_drop drop = { .since = since, .cpus = cpus, .tag = f->tag, .end = ~0ULL };

	if (!drops_whole_tag(f)) {
		drop.start = first_address(f);
		drop.end = f->end;
		drop.stride_shift = (u8)f->stride_shift;
		drop.caches = features.pcid ? LEDGER_TABLES : LEDGER_TABLES_ALL;
	}
	ledger_invalidated(&drop);
}

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	mmu_flush(f);
	mmu_tell_ledger(since, cpumask_of(smp_processor_id()), f);
}

/* Changing CR4.PGE drops everything of every tag; the second write does if an NMI did the first. */
void arch_tlb_flush_local_all(void)
{
	struct arch_flush all = { .tag = LEDGER_ALL_TAGS, .end = ~0ULL };
	u64 cr4 = read_cr4(), since = ledger_now();

	if (features.pcid) {
		invpcid(INVPCID_ALL_AND_GLOBAL, 0, 0);
	} else {
		write_cr4(cr4 & ~(u64)CR4_PGE);
		write_cr4(cr4 | CR4_PGE);
	}
	mmu_tell_ledger(since, cpumask_of(smp_processor_id()), &all);
}

/* INVLPG drops a global entry under every tag, but walk caches under the current one only. */
void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	if (features.pcid || end - start > ADDRESSES_MAX * PAGE_SIZE) {
		arch_tlb_flush_local_all();
		return;
	}
	struct arch_flush f = { .start = start, .end = end, .stride_shift = PAGE_SHIFT };

	arch_tlb_flush_local(&f); /* by INVLPG */
}
