// SPDX-License-Identifier: MIT
/*
 * riscv64: the port's own reading of the device tree (harts, PLIC, UART, timer, test device), and
 * a firmware that answers each SBI call as it likes.
 *
 * The input: the firmware's answers (shim.h), the boot hart's id (8 bytes), the device tree.
 */
#include "shim.h"

#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <bug.h>
#include <console.h>
#include <kmap.h>
#include <smp.h>
#include <thread.h>
#include <trap.h>
#include <uart.h>

/* ---- What the port has in files that cannot be here ---------------------------------------- */

void trap_entry(void)
{
}
void secondary_entry(void)
{
}
void secondary_high(void)
{
}
void context_first(void);
void context_first(void)
{
}

phys_t image_to_phys(const void *p)
{
	return 0x80200000;
}

u64 mmu_satp(phys_t root, unsigned int tag)
{
	return 0;
}

void arch_root_load_none(void)
{
}

void arch_tlb_flush_local_all(void)
{
}

void console_interrupt(void)
{
}

void spurious_interrupt(u32 nr, bool (*mask)(u32 nr))
{
}

void handle_ipi(void)
{
}

struct sbi_ret sbi_call(u64 ext, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4)
{
	s64 error = shim_answer(0);

	return (struct sbi_ret){ error, shim_answer(1) };
}

/* ---- The boot ------------------------------------------------------------------------------ */

static void start_console(void)
{
	const struct uart_ops *uart;
	void *regs = NULL;

	if (boot.console.type == CONSOLE_16550_MMIO)
		regs = ioremap(boot.console.base, 8UL << boot.console.reg_shift);
	if (!regs)
		return;
	uart = uart_16550_init_mmio(regs, boot.console.reg_shift);
	uart->putc('x');
	(void)uart->getc();
}

static void start_cpus(void)
{
	static struct thread idle;
	cpumask_t all = boot.nr_cpus == MAX_CPUS ? ~0ULL : BIT(boot.nr_cpus) - 1;

	for (unsigned int cpu = 1; cpu < boot.nr_cpus; cpu++) {
		int err = arch_cpu_start(cpu, &idle);

		FUZZ_CHECK(err <= 0 && err > -200);
		(void)arch_cpu_stopped(cpu);
	}
	sbi_send_ipi(all);
	irq_send_ipi(all);
	sbi_remote_sfence(all, 0, ~0ULL, 0);
	arch_timer_set(0);
}

void fuzz_one(const u8 *data, size_t size)
{
	struct input in = { data, size };
	static u32 intc[MAX_CPUS];
	static struct fdt f;
	const char *missing;
	u64 hart;

	input_answers(&in);
	hart = input_number(&in, 8);
	missing = sbi_init();
	if (missing)
		boot_fail("the firmware lacks SBI's %s extension", missing);
	shim_open_tree(&f, &in);
	cpu_fill_boot(&f, hart, intc);
	shim_check_cpus();
	power_init(&f);
	(void)irq_init(&f, intc);
	irq_init_cpu(0);
	start_console();
	time_init(&f);
	shim_check_boot();
	start_cpus();
}
