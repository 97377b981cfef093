// SPDX-License-Identifier: MIT
/*
 * The generic timer: the virtual counter, and the virtual timer as a one-shot.
 *
 * CNTVCT_EL0 counts in step on all CPUs at CNTFRQ_EL0. The timer's interrupt is a level that holds
 * as long as the counter is past the comparator, so the handler switches it off before anything
 * else.
 * Contexts: interrupts off.
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <bug.h>
#include <fdt.h>
#include <gic.h>
#include <printk.h>
#include <trap.h>

#define CNTV_CTL_ENABLE 1
#define TIMER_VIRTUAL 2 /* which of the node's interrupts: secure, physical, virtual, hypervisor */

static void timer_handler(struct trap_frame *tf)
{
	write_sysreg(cntv_ctl_el0, 0);
	timer_interrupt(tf);
	/* The line is low before the end of the interrupt is written. Pairs with hardware. */
	isb();
}

void timer_init_boot(const struct fdt *f)
{
	int node = fdt_next_compatible(f, -1, "arm,armv8-timer");
	int irq = gic_fdt_irq(f, node, TIMER_VIRTUAL);

	if (irq < 0)
		boot_fail("device tree: no arm,armv8-timer with a virtual timer interrupt");
	if (arch.timer_hz == 0)
		arch.timer_hz = fdt_u32(f, node, "clock-frequency", 0);
	if (arch.timer_hz == 0)
		boot_fail("the firmware has not set the counter's frequency (CNTFRQ_EL0)");
	gic_set_handler(irq, timer_handler);
	printk("time: virtual counter at %llu kHz; the alarm is the virtual timer, interrupt %d",
	       (unsigned long long)arch.timer_hz / 1000, irq);
}

void timer_init_cpu(void)
{
	write_sysreg(cntv_ctl_el0, 0);
	write_sysreg(cntkctl_el1, 0); /* user mode reads no counter */
	isb();
}

void arch_timer_set(u64 when)
{
	write_sysreg(cntv_cval_el0, when);
	write_sysreg(cntv_ctl_el0, CNTV_CTL_ENABLE);
	isb();
}
