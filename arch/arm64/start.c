// SPDX-License-Identifier: MIT
/*
 * From boot.S to kernel_main(): what the device tree says of this machine.
 *
 * The boot tables map the image and the GiB that holds it. This file adds the device tree's GiB,
 * then memory that follows the image's, chooses the number of levels, and maps the console;
 * whatever is wrong with what the firmware gave ends in one line and boot_fail().
 * Contexts: boot CPU, interrupts off, boot tables.
 * See also: boot.S, drivers/fdt_boot.c.
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <boot.h>
#include <bug.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <fdt.h>
#include <gic.h>
#include <kmap.h>
#include <page.h>
#include <pgtable.h>
#include <printk.h>
#include <psci.h>
#include <string.h>
#include <trap.h>
#include <uart.h>

#define FDT_MAX MiB(2) /* the boot protocol's limit */

phys_t image_phys_base;
bool boot_entered_el2;

phys_t image_pa(const void *p)
{
	return (vaddr_t)p - KERNEL_VA + image_phys_base;
}

void features_add(const char *fmt, ...)
{
	size_t len = strlen(arch.features);
	va_list ap;

	if (len && len + 1 < sizeof(arch.features))
		arch.features[len++] = ' ';
	va_start(ap, fmt);
	vsnprintf(arch.features + len, sizeof(arch.features) - len, fmt, ap);
	va_end(ap);
}

/* The guessed console: its flags and data registers, as a PL011 has them. */
#define EARLY_UART_DR (EARLY_UART_VA)
#define EARLY_UART_FR (EARLY_UART_VA + 0x18)
#define EARLY_UART_FULL 0x20
#define EARLY_UART_SPINS 1000000

/* False if nothing answers there. */
static bool early_putc(char c)
{
	u32 flags = 0;

	for (unsigned int i = 0; i < EARLY_UART_SPINS; i++)
		if (!probe_read32(EARLY_UART_FR, &flags) || !(flags & EARLY_UART_FULL))
			break;
	return probe_write32(EARLY_UART_DR, (u8)c);
}

void arch_early_print(const char *s)
{
	while (*s && early_putc(*s))
		s++;
}

/* Puts the GiB numbered gib into the boot direct map, if it can be there and is not. */
static bool map_gib(u64 gib)
{
	if (gib >= DIRECT_MAP_SIZE >> 30)
		return false;
	for (u64 pa = gib << 30; pa < (gib + 1) << 30; pa += BIT(BOOT_DIRECT_SHIFT)) {
		pte_t *ptep = &boot_direct[pa >> BOOT_DIRECT_SHIFT];

		/* What was invalid cannot be in the TLB: publishing it is enough. */
		if (!pte_present(*ptep))
			arch_pte_publish(ptep, (pte_t){ pa | BOOT_DIRECT_BLOCK }, true);
	}
	return true;
}

static void open_fdt(struct fdt *f, phys_t pa)
{
	const char *why = "";

	if (pa == 0)
		boot_fail("no device tree: the firmware passed 0 in x0");
	if (pa & 7)
		boot_fail("device tree at %#llx: not at a multiple of 8", (unsigned long long)pa);
	if (!map_gib(pa >> 30) || !map_gib((pa + FDT_MAX - 1) >> 30))
		boot_fail("device tree at %#llx: above the first 128 GiB", (unsigned long long)pa);
	if (!probe_read32((vaddr_t)phys_to_virt(pa), &(u32){ 0 }))
		boot_fail("device tree at %#llx: there is no memory", (unsigned long long)pa);
	if (fdt_open(f, phys_to_virt(pa), FDT_MAX, &why) != 0)
		boot_fail("device tree at %#llx: %s", (unsigned long long)pa, why);
}

static bool gib_is_memory(u64 gib)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++)
		if (boot.mem[i].start <= gib << 30 && boot.mem[i].end >= (gib + 1) << 30)
			return true;
	return false;
}

/* Extends the direct map over whole GiBs of memory behind the image's, for boot_alloc(). */
static void map_more_memory(void)
{
	while (gib_is_memory(boot.mapped_end >> 30) && map_gib(boot.mapped_end >> 30))
		boot.mapped_end += GiB(1);
}

#define VA_BITS_DEFAULT 48 /* 52 would be a level more, or entries of another format */

/* The size of the user half that a value asks for, or 0. */
static unsigned int va_bits_of(const char *value)
{
	u64 bits;

	if (parse_u64(value, &bits) != 0 || (bits != 39 && bits != 48 && bits != 52))
		return 0;
	return (unsigned int)bits;
}

/*
 * va_bits= is needed long before cmdline_parse(), which refuses what is not possible; there such a
 * value is as none.
 */
static int parse_va_bits(const char *value)
{
	unsigned int bits = va_bits_of(value);

	if (bits == 52 && !mmu_has_52_bits())
		boot_fail("va_bits=52: this CPU has no addresses of 52 bits with pages of %lu KiB "
			  "(%s)", PAGE_SIZE / 1024, PAGE_SHIFT == 16 ? "LVA" : "LPA2");
	return bits ? 0 : -EINVAL;
}
CMDLINE_OPTION(va_bits, "va_bits",
	       "va_bits=39|48|52  size of the user half (default 48; 52 on a CPU with LPA2, or LVA "
	       "if pages have 64 KiB)",
	       parse_va_bits);

static unsigned int wanted_va_bits(void)
{
	char value[4];
	unsigned int bits = 0;

	if (cmdline_peek("va_bits", value, sizeof(value)))
		bits = va_bits_of(value);
	return bits && (bits != 52 || mmu_has_52_bits()) ? bits : VA_BITS_DEFAULT;
}

static void start_console(void)
{
	volatile void *regs;

	if (boot.console.type != CONSOLE_PL011 && boot.console.type != CONSOLE_16550_MMIO)
		boot_fail("device tree: no console that this kernel has a driver for");
	regs = ioremap(boot.console.base, 0x1000);
	if (!regs)
		boot_fail("too little memory: the console's registers cannot be mapped");
	if (boot.console.type == CONSOLE_PL011)
		console_register(uart_pl011_init(regs));
	else
		console_register(uart_16550_init_mmio(regs, boot.console.reg_shift));
}

static void fill_start(phys_t image)
{
	image_phys_base = image;
	boot.image_start = image;
	boot.image_end = image_pa(image_end);
	boot.mapped_start = ALIGN_DOWN(boot.image_start, GiB(1));
	boot.mapped_end = ALIGN_UP(boot.image_end, GiB(1));
	arch.name = "arm64";
	arch.timer_hz = read_sysreg(cntfrq_el0);
	arch.unmaskable = (struct tlb_transport){ "broadcast", false };
	arch.default_unmaskable = true;
	arch.leaf_flush_spares_walk_caches = true;
}

static void ipi_handler(struct trap_frame *tf)
{
	handle_ipi();
}

static void console_handler(struct trap_frame *tf)
{
	console_interrupt();
}

static void start_interrupts(const struct fdt *f)
{
	gic_init(f);
	boot.nr_cpus = min(boot.nr_cpus, gic_max_cpus());
	gic_set_handler(GIC_SGI_IPI, ipi_handler);
	if (boot.console.irq)
		gic_set_handler(boot.console.irq, console_handler);
}

void arch_start(phys_t fdt_pa, phys_t image, u64 entry_level)
{
	struct fdt fdt;

	boot_entered_el2 = entry_level == 2;
	fill_start(image);
	open_fdt(&fdt, fdt_pa);
	fdt_fill_boot(&fdt);
	boot_limit_memory();
	map_more_memory();
	mmu_init(wanted_va_bits());
	start_console();
	printk("firmware: %s, entered at EL%u", boot.firmware, (unsigned int)entry_level);
	psci_init(&fdt);
	arch.cpu_stop = psci_present();
	cpus_init(&fdt);
	start_interrupts(&fdt);
	timer_init_boot(&fdt);
	kernel_main();
}
