// SPDX-License-Identifier: MIT
/*
 * Starting the other harts, stopping and interrupting them.
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

_Static_assert(offsetof(struct start_record, ready) == START_READY, "boot.S");
_Static_assert(offsetof(struct start_record, hart) == START_HART, "boot.S");
_Static_assert(offsetof(struct start_record, satp) == START_SATP, "boot.S");
_Static_assert(offsetof(struct start_record, sp) == START_SP, "boot.S");
_Static_assert(offsetof(struct start_record, tp) == START_TP, "boot.S");
_Static_assert(offsetof(struct start_record, entry) == START_ENTRY, "boot.S");
_Static_assert(sizeof(struct start_record) == START_SIZE, "boot.S");

/*
 * One for each CPU, so that a hart that comes late finds its own. Not in .bss, which is not cleared
 * yet when a hart that the firmware released too early looks for its record.
 */
struct start_record __section(".data") start_records[MAX_CPUS];

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	struct start_record *r = &start_records[cpu];
	int err = 0;

	idle->ctx.percpu_offset = percpu_offset[cpu];
	*r = (struct start_record){
		.hart = boot.hwid[cpu],
		.satp = mmu_satp(kernel_root, 0),
		.sp = idle->stack + STACK_SIZE,
		.tp = (u64)idle,
		.entry = (u64)secondary_high,
	};
	/*
	 * Release: orders the record, and all that this CPU has set up, before the mark. Pairs with
	 * the fence in boot.S, secondary_wait(), which is in a loop over the records.
	 */
	smp_store_release(&r->ready, 1);
	if (sbi_has(SBI_HSM))
		err = sbi_hart_start(boot.hwid[cpu], image_to_phys(secondary_entry), 0);
	/* Firmware that releases all harts at once has it waiting in boot.S already. */
	return err == -EBUSY ? 0 : err;
}

__noreturn void arch_cpu_stop(void)
{
	csr_write(sie, 0);
	timer_quiet_cpu();
	sbi_hart_stop();
	for (;;)
		__asm__ __volatile__("wfi" ::: "memory");
}

bool arch_cpu_stopped(unsigned int cpu)
{
	return sbi_hart_stopped(boot.hwid[cpu]);
}

void arch_send_ipi(cpumask_t mask)
{
	/*
	 * Orders the reason before the interrupt, which this CPU or the firmware raises by a store
	 * to a device. Pairs with irq_software() in irq.c. Pairs with imsic_interrupt() in
	 * drivers/imsic.c.
	 */
	arch_io_mb();
	irq_send_ipi(mask);
}

/* S-mode cannot interrupt a CPU whose S-mode interrupts are off (Smrnmi is M-mode's alone). */
void arch_send_nmi(unsigned int cpu)
{
}
