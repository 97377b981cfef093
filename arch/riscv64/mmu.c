// SPDX-License-Identifier: MIT
/*
 * Translation: the boot tables, the mode, roots and tags, invalidation.
 *
 * Sv39, Sv48 and Sv57 are radix trees of 3, 4 and 5 levels in which the kernel half lies under the
 * last entries (layout.h). So one table of 1 GiB entries serves all three: it is Sv39's root, and
 * Sv48's and Sv57's roots lead to it through their last entry. That also lets the mode change under
 * the running kernel: no kernel address changes its meaning.
 *
 * SFENCE.VMA with an address orders leaf entries only (privileged specification, 4.2.1): where a
 * table was freed, the form without an address is needed. Generic code asks for it [G10].
 *
 * Locks and contexts: see arch.h [12] to [20].
 * See also: include/asm/arch.h, mm/kmap.c, mm/tlb.c.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <bug.h>
#include <cmdline.h>
#include <errno.h>
#include <kmap.h>
#include <ledger.h>
#include <pgtable.h>
#include <string.h>

/* An entry of this level maps 1 GiB: where the three modes' trees become the same. */
#define GIGA_LEVEL 2

#define BOOT_TABLE __section(".bss.page_aligned") __aligned(1UL << PAGE_SHIFT)
/* Named by boot.S, which loads the widest that the CPU has. */
extern pte_t boot_l2[], boot_l3[], boot_l4[];
BOOT_TABLE pte_t boot_l2[1 << PT_INDEX_BITS];
BOOT_TABLE pte_t boot_l3[1 << PT_INDEX_BITS];
BOOT_TABLE pte_t boot_l4[1 << PT_INDEX_BITS];
static BOOT_TABLE pte_t boot_image[1 << PT_INDEX_BITS]; /* 2 MiB entries from KERNEL_VA on */

static u64 satp_mode;

/* Written by mmu_init(). */
static bool have_svinval;
u64 pte_device_bits = PTE_SOFT_DEVICE;

/* ---- Boot tables ------------------------------------------------------------------------- */

/*
 * Fills them. The MMU is off: addresses of symbols are physical, which is what entries hold. base:
 * of the image, which is writable and executable until arch_cpu_init() leaves these tables.
 */
void boot_build_tables(phys_t base)
{
	const u64 rwx = PA_READ | PA_WRITE | PA_EXEC | PA_GLOBAL;
	const u64 marks = PA_ACCESSED | PA_DIRTY;
	const unsigned int last = (1 << PT_INDEX_BITS) - 1;

	for (unsigned int i = 0; i <= last; i++)
		boot_image[i] = arch_pte_leaf(base + i * pt_span(1), rwx | marks, 1);
	for (phys_t pa = 0; pa < DIRECT_MAP_SIZE; pa += pt_span(GIGA_LEVEL))
		boot_l2[pt_index(DIRECT_MAP + pa, GIGA_LEVEL)] =
		    arch_pte_leaf(pa, PA_READ | PA_WRITE | PA_GLOBAL | marks, GIGA_LEVEL);
	boot_l2[pt_index(KERNEL_VA, GIGA_LEVEL)] = arch_pte_table((phys_t)boot_image, false);
	boot_l3[last] = arch_pte_table((phys_t)boot_l2, false);
	boot_l4[last] = arch_pte_table((phys_t)boot_l3, false);
}

/* ---- Mode -------------------------------------------------------------------------------- */

static u64 mode_of(u64 bits)
{
	return bits == 39 ? SATP_SV39 : bits == 48 ? SATP_SV48 : bits == 57 ? SATP_SV57 : 0;
}

/*
 * The mode that sv= asks for, which has to be known before there are tables that depend on it. 0 if
 * it is not there; what is wrong with it is said later.
 */
static u64 peek_mode(void)
{
	char value[4];
	u64 bits;

	if (!cmdline_peek("sv", value, sizeof(value)) || parse_u64(value, &bits) != 0)
		return 0;
	return mode_of(bits);
}

static int parse_sv(const char *value)
{
	u64 bits;

	return parse_u64(value, &bits) == 0 && mode_of(bits) ? 0 : -EINVAL;
}
CMDLINE_OPTION(sv, "sv",
	       "sv=39|48|57  the widest addresses to use (riscv64; default: all there is)",
	       parse_sv);

u64 mmu_satp(phys_t root, unsigned int tag)
{
	return satp_mode << SATP_MODE_SHIFT | (u64)tag << SATP_ASID_SHIFT | root >> PAGE_SHIFT;
}

static void flush_all(void)
{
	__asm__ __volatile__("sfence.vma" ::: "memory");
}

static void flush_tag(unsigned int tag)
{
	__asm__ __volatile__("sfence.vma zero, %0" ::"r"((u64)tag) : "memory");
}

static void flush_page(vaddr_t va, unsigned int tag)
{
	__asm__ __volatile__("sfence.vma %0, %1" ::"r"(va), "r"((u64)tag) : "memory");
}

/*
 * Svinval (privileged specification, chapter of that name): SINVAL.VMA does what SFENCE.VMA does
 * but for the order, which SFENCE.W.INVAL gives for the stores before a series of them, and
 * SFENCE.INVAL.IR for the walks behind it. By number: older assemblers do not know the names.
 */
static void inval_begin(void)
{
	__asm__ __volatile__(".4byte 0x18000073" ::: "memory");
}

static void inval_page(vaddr_t va, unsigned int tag)
{
	__asm__ __volatile__(".insn r 0x73, 0, 0x0b, x0, %0, %1" ::"r"(va), "r"((u64)tag)
			     : "memory");
}

static void inval_end(void)
{
	__asm__ __volatile__(".4byte 0x18100073" ::: "memory");
}

/* How many bits of satp's tag hold what is written. Tags are used from the lowest bit up. */
static unsigned int probe_tag_bits(void)
{
	u64 satp = mmu_satp(kernel_root, 0), got;

	csr_write(satp, satp | 0xffffULL << SATP_ASID_SHIFT);
	got = csr_read(satp) >> SATP_ASID_SHIFT & 0xffff;
	csr_write(satp, satp);
	flush_all();
	return (unsigned int)__builtin_ctzll(~got);
}

/*
 * Whether this CPU sets the marks, or faults where they are not (privileged specification, 4.3.1):
 * it may do either, and firmware may have chosen (Svadu: menvcfg.ADUE); what the device tree lists
 * does not tell. So it is tried, by a load through an entry without them: the image's in the direct
 * map, where nobody looks yet. A CPU that does otherwise than the boot CPU is served all the same,
 * by the fault handler.
 */
static bool cpu_sets_marks(void)
{
	vaddr_t va = (vaddr_t)phys_to_virt(image_phys_base);
	pte_t *ptep = &boot_l2[pt_index(va, GIGA_LEVEL)], old = pte_read(ptep);
	u64 handler;

	WRITE_ONCE(ptep->val, old.val & ~PTE_MARKS);
	flush_all();
	/* clang-format off */
	__asm__ __volatile__("	la	%0, 1f\n"
			     "	csrrw	%0, stvec, %0\n" /* a fault goes to 1 */
			     "	lb	zero, (%1)\n"
			     "	.balign 4\n"
			     "1:	csrw	stvec, %0\n"
			     : "=&r"(handler)
			     : "r"(va)
			     : "memory");
	/* clang-format on */
	bool set = pte_read(ptep).val & PTE_A;

	WRITE_ONCE(ptep->val, old.val);
	flush_all();
	return set;
}

void mmu_init(void)
{
	const pte_t *roots[] = { boot_l2, boot_l3, boot_l4 };
	u64 wanted = peek_mode();
	unsigned int bits;

	satp_mode = csr_read(satp) >> SATP_MODE_SHIFT;
	if (wanted && wanted < satp_mode)
		satp_mode = wanted;
	kernel_root = image_to_phys(roots[satp_mode - SATP_SV39]);
	arch_root_load_none();
	flush_all();

	arch.pt_levels = 3 + (unsigned int)(satp_mode - SATP_SV39);
	arch.va_bits = PAGE_SHIFT + PT_INDEX_BITS * arch.pt_levels - 1; /* half is the kernel's */
	arch.leaf_levels = BIT(arch.pt_levels) - 1;
	bits = probe_tag_bits();
	/* Fewer tags than this are all in use at a roll-over, which then helps nobody. */
	arch.tag_bits = (1u << bits) > 2 * boot.nr_cpus ? bits : 0;
	arch.leaf_flush_spares_walk_caches = true;
	arch.range_flush_spares_walk_caches = true;
	arch.caches_invalid = !cpu_isa_has("svvptc");
	arch.cpu_marks = cpu_sets_marks() ? PA_ACCESSED | PA_DIRTY : 0;
	have_svinval = cpu_isa_has("svinval");
	/* Firmware that lists Svpbmt has enabled it for S-mode (privileged, Svpbmt: menvcfg). */
	pte_device_bits |= cpu_isa_has("svpbmt") ? PTE_PBMT_IO : 0;
	cpu_feature("sv%u asid%u%s%s%s", arch.va_bits + 1, bits,
		    arch.caches_invalid ? "" : " svvptc", have_svinval ? " svinval" : "",
		    pte_device_bits & PTE_PBMT_IO ? " svpbmt" : "");
}

/* ---- Roots ------------------------------------------------------------------------------- */

void arch_root_init(pte_t *root)
{
	const pte_t *from = phys_to_virt(kernel_root);

	for (unsigned int i = PTRS_PER_TABLE / 2; i < PTRS_PER_TABLE; i++)
		root[i] = pte_read(&from[i]);
}

static void tell_ledger_all(u64 since, cpumask_t cpus, unsigned int tag)
{
	struct ledger_drop drop = { .since = since, .cpus = cpus, .tag = tag, .end = ~0ULL };

	ledger_invalidated(&drop);
}

void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	u64 since = ledger_now();

	/*
	 * Orders earlier stores to tables before this CPU's walks through the new root: they have
	 * left the store buffer. Pairs with the MMU's own loads. What the TLB remembers as
	 * absent from an earlier use of the tag is in the user half only, where a fault is tried
	 * again: see fault_in() in mm/fault.c.
	 */
	smp_mb();
	csr_write(satp, mmu_satp(root, tag));
	/* Behind the write, when a tag changes hands (privileged specification, 4.2.1). */
	if (flush) {
		flush_tag(tag);
		tell_ledger_all(since, cpumask_of(smp_processor_id()), tag);
	}
}

phys_t arch_root_current(void)
{
	phys_t root = (csr_read(satp) & (BIT(SATP_ASID_SHIFT) - 1)) << PAGE_SHIFT;

	return root == kernel_root ? 0 : root;
}

/* The kernel's own root has an empty user half. Without tags, what is cached of it must go. */
void arch_root_load_none(void)
{
	arch_root_load(kernel_root, 0, !arch.tag_bits);
}

/* ---- Invalidation ------------------------------------------------------------------------ */

/* Beyond this many fences one for the whole tag is cheaper. */
#define MAX_FENCES 64

static bool flush_whole_tag(const struct arch_flush *f)
{
	return (f->end - f->start) >> f->stride_shift > MAX_FENCES;
}

static void tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f, u8 stride_shift)
{
	struct ledger_drop drop = { .since = since, .cpus = cpus, .tag = f->tag };

	if (flush_whole_tag(f)) {
		tell_ledger_all(since, cpus, f->tag);
		return;
	}
	drop.start = f->start;
	drop.end = f->end;
	drop.stride_shift = stride_shift;
	drop.caches = LEDGER_LEAVES;
	ledger_invalidated(&drop);
}

/*
 * SFENCE.VMA itself orders earlier stores of this CPU before, and its later walks after. A series
 * of them would do so each time.
 */
static void flush_here(const struct arch_flush *f)
{
	u64 step = 1ULL << f->stride_shift;

	if (flush_whole_tag(f)) {
		flush_tag(f->tag);
	} else if (have_svinval && f->end - f->start > step) {
		inval_begin();
		for (vaddr_t va = f->start; va < f->end; va += step)
			inval_page(va, f->tag);
		inval_end();
	} else {
		for (vaddr_t va = f->start; va < f->end; va += step)
			flush_page(va, f->tag);
	}
}

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	flush_here(f);
	tell_ledger(since, cpumask_of(smp_processor_id()), f, (u8)f->stride_shift);
}

void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	cpumask_t me = cpumask_of(smp_processor_id());
	u64 since = ledger_now();

	/* Orders the cleared entries before the fences. Pairs with walks of the targets' MMUs. */
	smp_mb();
	if (mask & me)
		arch_tlb_flush_local(f);
	if (flush_whole_tag(f))
		sbi_remote_sfence(mask & ~me, 0, ~0ULL, f->tag);
	else
		sbi_remote_sfence(mask & ~me, f->start, f->end - f->start, f->tag);
	/* Orders the fences before what is freed then. Pairs with the firmware's reply. */
	smp_mb();
	tell_ledger(since, mask & ~me, f, PAGE_SHIFT); /* the firmware fences every page */
}

void arch_tlb_flush_local_all(void)
{
	u64 since = ledger_now();

	flush_all();
	tell_ledger_all(since, cpumask_of(smp_processor_id()), LEDGER_ALL_TAGS);
}

/* Global entries: SFENCE.VMA with a tag leaves them alone, one with an address the tables. */
void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	arch_tlb_flush_local_all();
}
