// SPDX-License-Identifier: MIT
/*
 * Starting the other harts, and interrupting them.
 *
 * Locks and contexts: see arch.h [21], [23], [24].
 * See also: boot.S (secondary_entry), sbi.c, kernel/smp.c.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <errno.h>
#include <kmap.h>
#include <percpu.h>
#include <thread.h>

_Static_assert(offsetof(struct start_record, satp) == START_SATP, "boot.S");
_Static_assert(offsetof(struct start_record, sp) == START_SP, "boot.S");
_Static_assert(offsetof(struct start_record, tp) == START_TP, "boot.S");
_Static_assert(offsetof(struct start_record, entry) == START_ENTRY, "boot.S");

/* One for each CPU, so that a hart that comes late finds its own. */
static struct start_record start_records[MAX_CPUS];

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	struct start_record *r = &start_records[cpu];

	if (!sbi_has(SBI_HSM))
		return -ENODEV;
	idle->ctx.percpu_offset = percpu_offset[cpu];
	*r = (struct start_record){
		.satp = mmu_satp(kernel_root, 0),
		.sp = idle->stack + STACK_SIZE,
		.tp = (u64)idle,
		.entry = (u64)secondary_high,
	};
	/* Orders the record, and all that this CPU has set up, before the hart's first loads. */
	smp_mb();
	return sbi_hart_start(boot.hwid[cpu], image_to_phys(secondary_entry), image_to_phys(r));
}

/*
 * How an IPI leaves this CPU. The firmware does it for now; a port that finds an IMSIC or the
 * ACLINT's SSWI device points this at a store to it, and sets arch.default_unmaskable to false.
 */
static void (*ipi_send_hw)(cpumask_t mask) = sbi_send_ipi;

void arch_send_ipi(cpumask_t mask)
{
	/*
	 * Orders the reason before the interrupt, which the firmware raises by a store to a device.
	 * Pairs with the fence in trap_ipi() in trap.c.
	 */
	arch_io_mb();
	ipi_send_hw(mask);
}

/* S-mode cannot interrupt a CPU whose S-mode interrupts are off (Smrnmi is M-mode's alone). */
void arch_send_nmi(unsigned int cpu)
{
}
