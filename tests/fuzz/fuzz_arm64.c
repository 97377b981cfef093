// SPDX-License-Identifier: MIT
/*
 * arm64: the port's own reading of the device tree (CPUs, GIC, UART, timer, PSCI), and a firmware
 * that answers each PSCI call as it likes.
 *
 * The input: the firmware's answers (shim.h), the boot CPU's MPIDR (8 bytes), the device tree.
 */
#include "shim.h"

#include <asm/port.h>
#include <asm/smccc.h>
#include <asm/sysreg.h>
#include <boot.h>
#include <bug.h>
#include <console.h>
#include <gic.h>
#include <kmap.h>
#include <psci.h>
#include <string.h>
#include <thread.h>
#include <trap.h>
#include <uart.h>

/* ---- What the port has in files that cannot be here ---------------------------------------- */

bool boot_entered_el2;
char emergency_stack_top[1];
DEFINE_PER_CPU(vaddr_t, emergency_sp);
static u64 mpidr;

void features_add(const char *fmt, ...)
{
}

phys_t image_pa(const void *p)
{
	return 0x40200000;
}

u64 mmu_entry_format(void)
{
	return 0;
}

phys_t mmu_hw_kernel_root(void)
{
	return 0;
}

vaddr_t stack_alloc(void)
{
	return VMALLOC_START;
}

void secondary_entry(void)
{
}

void probe_hvc(u64 function)
{
}

void probe_smc(u64 function)
{
}

void spurious_interrupt(u32 nr, bool (*mask)(u32 nr))
{
}

void timer_interrupt(struct trap_frame *tf)
{
}

u64 shim_sysreg(const char *name)
{
	if (strcmp(name, "mpidr_el1") == 0)
		return mpidr;
	if (strcmp(name, "ctr_el0") == 0)
		return 0x84448004;
	return strcmp(name, "icc_sre_el1") == 0 ? 7 : 1023;
}

s64 smccc_call(bool smc, u64 function, u64 a, u64 b, u64 c)
{
	return shim_answer(0);
}

/* ---- The boot ------------------------------------------------------------------------------ */

static void start_console(void)
{
	const struct uart_ops *uart;
	volatile void *regs;

	if (boot.console.type == CONSOLE_NONE)
		return;
	regs = ioremap(boot.console.base, 0x1000);
	if (!regs)
		boot_fail("too little memory: the console's registers cannot be mapped");
	uart = boot.console.type == CONSOLE_PL011 ?
		       uart_pl011_init(regs) :
		       uart_16550_init_mmio(regs, boot.console.reg_shift);
	(void)uart->getc();
	uart->enable_rx_irq();
}

static void handler(struct trap_frame *tf)
{
}

static void start_cpus(void)
{
	static struct thread idle;

	for (unsigned int cpu = 1; cpu < boot.nr_cpus; cpu++) {
		int err = arch_cpu_start(cpu, &idle);

		FUZZ_CHECK(err <= 0 && err > -200);
		(void)arch_cpu_stopped(cpu);
	}
	gic_init_cpu();
	gic_send_sgi(boot.nr_cpus == MAX_CPUS ? ~0ULL : BIT(boot.nr_cpus) - 1, GIC_SGI_IPI);
	psci_cpu_off();
	psci_system_off();
}

void fuzz_one(const u8 *data, size_t size)
{
	struct input in = { data, size };
	static struct fdt f;

	input_answers(&in);
	mpidr = input_number(&in, 8);
	arch.timer_hz = mpidr & BIT(63) ? 0 : 62500000;
	boot_entered_el2 = mpidr & BIT(62);
	shim_open_tree(&f, &in);
	start_console();
	psci_init(&f);
	cpus_init(&f);
	gic_init(&f);
	boot.nr_cpus = min(boot.nr_cpus, gic_max_cpus());
	shim_check_cpus();
	gic_set_handler(GIC_SGI_IPI, handler);
	if (boot.console.irq)
		gic_set_handler(boot.console.irq, handler);
	timer_init_boot(&f);
	shim_check_boot();
	start_cpus();
}
