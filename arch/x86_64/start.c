// SPDX-License-Identifier: MIT
/*
 * From boot.S to kernel_main(): the first C code, on the boot page tables.
 *
 * The order matters: traps first, so that a fault prints; then the console, so that it prints at
 * once; then what the firmware says, which may be nonsense and then ends the boot with a line.
 * Contexts: boot CPU, irqs off. See also: boot.S, firmware.c, kernel/main.c.
 */
#include <acpi.h>
#include <arch.h>
#include <asm/cpu.h>
#include <asm/link.h>
#include <boot.h>
#include <console.h>
#include <kmap.h>
#include <page.h>
#include <printk.h>
#include <uart.h>

phys_t image_phys_base = LINK_PHYS;

void arch_start(void);

/* ---- The console -------------------------------------------------------------------------- */

#define COM1 0x3f8
#define COM_DATA 0
#define COM_STATUS 5
#define COM_ROOM BIT(5)
#define COM_PATIENCE 100000 /* reads of the status; then the character is lost */

static u16 com_port = COM1;
static struct uart_ops com_ops;

void arch_early_print(const char *s)
{
	for (; *s; s++) {
		unsigned int n = COM_PATIENCE;

		while (!(inb(com_port + COM_STATUS) & COM_ROOM) && --n)
			cpu_relax();
		outb(com_port + COM_DATA, (u8)*s);
	}
}

static u8 com_read(unsigned int reg)
{
	return inb((u16)(com_port + reg));
}

static void com_write(unsigned int reg, u8 value)
{
	outb((u16)(com_port + reg), value);
}

/*
 * The first word of the BIOS data area is the first serial port, if a BIOS wrote it. The second and
 * the fourth port of a PC share interrupt 3, the others 4.
 */
static void start_console(void)
{
	static const struct uart_16550_access access = { com_read, com_write };
	u16 port = *(const volatile u16 *)phys_to_virt(0x400);

	if (port == 0x3f8 || port == 0x2f8 || port == 0x3e8 || port == 0x2e8)
		com_port = port;
	boot.console.type = CONSOLE_16550_PORT;
	boot.console.base = com_port;
	boot.console.irq = com_port & 0x100 ? 4 : 3;
	com_ops = *uart_16550_init(&access);
	console_register(&com_ops);
}

/* ---- CPUs --------------------------------------------------------------------------------- */

static void add_cpu(u32 id)
{
	boot.nr_cpus_seen++;
	if (id >= 255 && !features.x2apic) {
		printk("cpu: APIC id %u cannot be reached without x2APIC: left out", id);
		return;
	}
	if (boot.nr_cpus < MAX_CPUS)
		boot.hwid[boot.nr_cpus++] = id;
}

/* The CPU that runs this comes first; it is there, whatever ACPI says. */
static void find_cpus(void)
{
	u32 self = cpu_apic_id();

	add_cpu(self);
	for (unsigned int i = 0; i < acpi.nr_cpus; i++)
		if (acpi.cpus[i] != self)
			add_cpu(acpi.cpus[i]);
	boot.nr_cpus_seen += acpi.nr_cpus_seen - acpi.nr_cpus;
}

void arch_start(void)
{
	kernel_root = read_cr3() & PTE_ADDR_MASK;
	boot.mapped_start = 0;
	boot.mapped_end = GiB(4);
	boot.image_start = LINK_PHYS;
	boot.image_end = LINK_PHYS + (phys_t)(image_end - image_start);
	cpu_tables_load();
	features_detect();
	start_console();
	firmware_read(&boot_registers);
	boot_limit_memory();
	acpi_read(boot.rsdp);
	printk("firmware: %s; ACPI's root at %#llx", boot.firmware, (unsigned long long)boot.rsdp);
	if (acpi.nr_ioapics == 0) /* nothing would route the interrupt: the console polls */
		com_ops.enable_rx_irq = NULL;
	find_cpus();
	printk("irq: local APICs%s for CPUs; I/O APICs for devices: %u",
	       features.x2apic ? " (x2APIC)" : "", acpi.nr_ioapics);
	time_calibrate();
	smp_prepare();
	kernel_main();
}
