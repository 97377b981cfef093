// SPDX-License-Identifier: MIT
/*
 * From boot.S to kernel_main(): what the firmware and the device tree say, into `boot` and `arch`.
 *
 * Contexts: boot CPU, high addresses, boot tables, irqs off.
 * See also: boot.S, kernel/main.c.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <bug.h>
#include <console.h>
#include <kmap.h>
#include <printk.h>
#include <uart.h>

phys_t image_phys_base;

/* No tree is larger; a size beyond it comes from a broken header. */
#define FDT_MAX MiB(16)

phys_t image_to_phys(const void *p)
{
	return (vaddr_t)p - KERNEL_VA + image_phys_base;
}

/* A load that may fault: the boot tables map everything, whether there is memory or not. */
static bool is_readable(const volatile u8 *p)
{
	u64 ok;

	__asm__ __volatile__("li	%0, 0\n"
			     "1:	lbu	zero, (%1)\n"
			     "	li	%0, 1\n"
			     "2:\n\t" EX_TABLE("1b", "2b")
			     : "=&r"(ok)
			     : "r"(p)
			     : "memory");
	return ok;
}

/* How many of size bytes from p on can be read, to a page. */
static size_t readable_size(const u8 *p, size_t size)
{
	size_t n = 0;

	while (n < size && is_readable(p + n))
		n = ALIGN_UP((vaddr_t)p + n + 1, PAGE_SIZE) - (vaddr_t)p;
	return min(n, size);
}

static void open_tree(struct fdt *f, phys_t pa)
{
	const u8 *blob = phys_to_virt(pa);
	const size_t magic_and_size = 8;
	const char *why;
	size_t max;

	if (pa % 8 != 0 || pa >= DIRECT_MAP_SIZE - FDT_MAX)
		boot_fail("device tree at %#llx: not an address that it can have",
			  (unsigned long long)pa);
	if (readable_size(blob, magic_and_size) < magic_and_size)
		boot_fail("device tree at %#llx: no memory there", (unsigned long long)pa);
	max = readable_size(blob, min((u64)fdt_cell(blob, 1), FDT_MAX));
	if (fdt_open(f, blob, max(max, magic_and_size), &why) != 0)
		boot_fail("device tree at %#llx: %s", (unsigned long long)pa, why);
}

/* The UART with its interrupt, if that leads anywhere; a machine without a known UART has SBI's. */
static void start_console(bool have_irq)
{
	static struct uart_ops ops;
	void *regs = NULL;

	if (boot.console.type == CONSOLE_16550_MMIO)
		regs = ioremap(boot.console.base, 8UL << boot.console.reg_shift);
	if (!regs) {
		boot.console.type = CONSOLE_NONE;
		console_register(sbi_console());
		return;
	}
	ops = *uart_16550_init_mmio(regs, boot.console.reg_shift);
	if (!have_irq)
		ops.enable_rx_irq = NULL; /* console.c polls */
	console_register(&ops);
}

void arch_start(u64 hart, phys_t fdt, phys_t base)
{
	static struct fdt f;
	static u32 intc[MAX_CPUS];
	const char *missing;

	csr_write(stvec, (u64)trap_entry);
	image_phys_base = base;
	boot.image_start = base;
	boot.image_end = base + (u64)(image_end - image_start);
	boot.mapped_start = 0;
	boot.mapped_end = DIRECT_MAP_SIZE;
	arch.name = "riscv64";
	arch.unmaskable = (struct tlb_transport){ .name = "sbi" };

	missing = sbi_init();
	arch.cpu_stop = sbi_has(SBI_HSM);
	if (missing)
		boot_fail("the firmware lacks SBI's %s extension", missing);
	if (boot.image_end > DIRECT_MAP_SIZE)
		boot_fail("image at %#llx: above what Grace maps", (unsigned long long)base);
	open_tree(&f, fdt);
	fdt_fill_boot(&f);
	boot_limit_memory();
	cpu_fill_boot(&f, hart, intc);
	mmu_init();
	power_init(&f);
	start_console(irq_init(&f, intc));
	time_init(&f);
	sbi_report();
	kernel_main();
}
