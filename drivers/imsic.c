// SPDX-License-Identifier: MIT
/*
 * Incoming message-signalled interrupts: one interrupt file for each CPU (RISC-V AIA 1.0, ch. 3).
 *
 * A file is a page, in which a 32-bit store of a number makes that interrupt pending, and a set of
 * registers behind two CSRs of its own hart: which are pending, which enabled, and whether it
 * delivers at all. stopei names the first that is both; swapping it claims that one. Interrupt 1 is
 * the kernel's IPI, the others stand for lines of an APLIC.
 * Some files forget to raise the hart's interrupt now and then when two stores meet (QEMU 7.2's):
 * it is pending and enabled, and the hart does not know until the next store or access. The timer's
 * interrupt therefore looks here too, and kernel/smp.c sends again what is late.
 * Locks and contexts: set-up on the boot CPU; each CPU uses its own registers with irqs off.
 * See also: aplic.c, arch/riscv64/irq.c, include/aia.h.
 */
#include <aia.h>
#include <asm/csr.h>
#include <atomic.h>
#include <errno.h>
#include <kmap.h>
#include <percpu.h>
#include <trap.h>

#define S_EXTERNAL 9u /* the number of the interrupt in a hart's own controller */
#define FILE_SHIFT 12

/* Registers behind siselect and sireg. Of eip and eie, a 64-bit hart has those of even number. */
#define EIDELIVERY 0x70
#define EITHRESHOLD 0x72
#define EIE 0xc0

#define IDENTITY_IPI 1u
#define IDENTITY_LINE(line) (IDENTITY_IPI + (line))
#define MAX_IDENTITY 2047u /* 3.1 */

/* Written before other CPUs run. */
static volatile u32 *files[MAX_CPUS];
static u32 phandle, nr_identities;
static u32 boot_hart; /* as an APLIC numbers it */
static u64 boot_enabled[(MAX_IDENTITY + 1) / 64] = { BIT(IDENTITY_IPI) };

static void file_write(u64 which, u64 value)
{
	csr_write(CSR_SISELECT, which);
	csr_write(CSR_SIREG, value);
}

/* ---- Set-up ------------------------------------------------------------------------------ */

/*
 * The physical address of file number index, 0 if there is none. "reg" lists pieces that hold the
 * files in this order, a hart's with room for its guests' behind it.
 */
static phys_t file_address(const struct fdt *f, int node, u64 index, u32 guest_bits)
{
	u64 stride = 1ULL << (FILE_SHIFT + guest_bits), offset = index * stride, addr, size;

	for (unsigned int n = 0; fdt_reg(f, node, n, &addr, &size) == 0; n++) {
		if (offset < size)
			return size - offset >= 1 << FILE_SHIFT &&
			       IS_ALIGNED(addr, 1 << FILE_SHIFT) ? addr + offset : 0;
		offset -= ALIGN_UP(size, stride);
	}
	return 0;
}

/* The number of bits in which the harts of a group are counted. */
static u32 hart_bits(const struct fdt *f, int node)
{
	u32 len = 0, bits = 0;

	(void)fdt_prop(f, node, "interrupts-extended", &len);
	while (bits < 14 && 8ULL << bits < len)
		bits++;
	return fdt_u32(f, node, "riscv,hart-index-bits", bits);
}

/* A hart's number in messages: that of its group, then its own within the group (AIA 3.6). */
static u32 message_hart(const struct fdt *f, int node, phys_t addr, u32 guest_bits)
{
	u32 bits = hart_bits(f, node), groups = fdt_u32(f, node, "riscv,group-index-bits", 0);
	u32 shift = fdt_u32(f, node, "riscv,group-index-shift", 2 * FILE_SHIFT);
	u64 group = groups < 16 && shift < 64 ? addr >> shift & (BIT(groups) - 1) : 0;

	bits = min(bits, 14u);
	return (u32)(group << bits | (addr >> (FILE_SHIFT + guest_bits) & (BIT(bits) - 1)));
}

static int map_files(const struct fdt *f, int node, const u32 *intc, unsigned int nr_cpus)
{
	u32 guest_bits = fdt_u32(f, node, "riscv,guest-index-bits", 0);

	if (guest_bits > 7)
		return -ENODEV;
	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		int index = fdt_interrupt_index(f, node, intc[cpu], S_EXTERNAL);
		phys_t addr = index < 0 ? 0 : file_address(f, node, (u64)index, guest_bits);

		files[cpu] = addr ? ioremap(addr, 1 << FILE_SHIFT) : NULL;
		if (!files[cpu])
			return -ENODEV;
		if (cpu == 0)
			boot_hart = message_hart(f, node, addr, guest_bits);
	}
	return 0;
}

/* The files of S-mode: M-mode's have a node of the same kind, for another interrupt. */
static int find_node(const struct fdt *f, u32 intc)
{
	const char *name = "riscv,imsics";
	int node = fdt_next_compatible(f, -1, name);

	for (; node >= 0; node = fdt_next_compatible(f, node, name))
		if (fdt_enabled(f, node) && fdt_interrupt_index(f, node, intc, S_EXTERNAL) >= 0)
			return node;
	return -ENODEV;
}

int imsic_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus)
{
	int node = find_node(f, intc[0]);

	if (node < 0)
		return node;
	phandle = fdt_u32(f, node, "phandle", 0);
	nr_identities = min(fdt_u32(f, node, "riscv,num-ids", 63), MAX_IDENTITY);
	return map_files(f, node, intc, nr_cpus);
}

int imsic_enable(u32 parent, unsigned int line, struct imsic_target *t)
{
	if (!parent || parent != phandle)
		return -ENODEV;
	*t = (struct imsic_target){ boot_hart, IDENTITY_LINE(line) };
	if (t->identity > nr_identities || t->identity == IDENTITY_IPI)
		return -EINVAL;
	boot_enabled[t->identity / 64] |= BIT(t->identity % 64);
	return 0;
}

void imsic_init_cpu(unsigned int cpu)
{
	file_write(EIDELIVERY, 0);
	for (u32 i = 0; i <= nr_identities / 64; i++) {
		u64 others = i == IDENTITY_IPI / 64 ? BIT(IDENTITY_IPI) : 0;

		file_write(EIE + 2 * i, cpu == 0 ? boot_enabled[i] : others);
	}
	file_write(EITHRESHOLD, 0); /* all numbers */
	file_write(EIDELIVERY, 1);
}

/* ---- Interrupts -------------------------------------------------------------------------- */

void imsic_send_ipi(cpumask_t mask)
{
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		*files[cpu] = IDENTITY_IPI;
}

void imsic_interrupt(void)
{
	u32 identity;

	while ((identity = csr_swap(CSR_STOPEI, 0) >> 16 & MAX_IDENTITY) != 0) {
		/*
		 * Orders the claim, a CSR access, before the look at the reasons, or at the device:
		 * what is asked for after the look interrupts again. Pairs with arch_send_ipi() in
		 * arch/riscv64/smp.c.
		 */
		arch_io_mb();
		if (identity == IDENTITY_IPI)
			handle_ipi();
		else
			aplic_message(identity - IDENTITY_LINE(0));
	}
}
