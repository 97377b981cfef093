/* SPDX-License-Identifier: MIT */
/*
 * What the kernel takes from ACPI's fixed tables (ACPI 6.5, chapter 5). No bytecode is run.
 */
#ifndef GRACE_ACPI_H
#define GRACE_ACPI_H

#include <cpumask.h>
#include <types.h>

#define ACPI_MAX_IOAPICS 8
#define ACPI_MAX_OVERRIDES 16

struct acpi_ioapic {
	phys_t base;
	u32 gsi_base; /* the number of its first input */
};
/* An ISA interrupt that arrives at an input of another number, or not as on the ISA bus. */
struct acpi_override {
	u32 irq, gsi;
	bool active_low, level;
};

struct acpi_info {
	phys_t lapic_base;	   /* 0: not said */
	u32 cpus[MAX_CPUS];	   /* APIC ids of enabled CPUs, each once, in the table's order */
	unsigned int nr_cpus;	   /* in cpus[] */
	unsigned int nr_cpus_seen; /* those that had no room in it too */
	struct acpi_ioapic ioapics[ACPI_MAX_IOAPICS];
	unsigned int nr_ioapics;
	struct acpi_override overrides[ACPI_MAX_OVERRIDES];
	unsigned int nr_overrides;
	u32 nmi_lint;		    /* the pin of local APICs that a machine's NMI comes to */
	u16 pm_timer, pm1a_control; /* I/O ports, or 0 */
	phys_t sleep_control, hpet; /* memory, or 0 */
};
extern struct acpi_info acpi;

/* Searches the BIOS areas for the root pointer; 0 if there is none. Boot page tables. */
phys_t acpi_find_rsdp(void);
/*
 * Fills acpi. 0: no ACPI, which leaves it empty and says so. Tables that contradict themselves end
 * the boot with a line: boot_fail(). Boot CPU, once, boot page tables.
 */
void acpi_read(phys_t rsdp);

#endif
