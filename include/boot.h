/* SPDX-License-Identifier: MIT */
/*
 * What the firmware said, in one port-independent form.
 *
 * The port's arch_start() fills `boot` from the device tree or ACPI, then calls kernel_main().
 */
#ifndef GRACE_BOOT_H
#define GRACE_BOOT_H

#include <cpumask.h>
#include <types.h>

struct mem_range {
	phys_t start, end; /* end exclusive */
};

#define BOOT_MAX_RANGES 64
#define BOOT_CMDLINE_MAX 1024

enum console_type { CONSOLE_NONE, CONSOLE_16550_PORT, CONSOLE_16550_MMIO, CONSOLE_PL011 };

struct boot_info {
	const char *firmware; /* "PVH", "device tree", ... for the boot log */
	struct mem_range mem[BOOT_MAX_RANGES]; /* usable memory, sorted, not overlapping */
	unsigned int nr_mem;
	struct mem_range reserved[BOOT_MAX_RANGES]; /* inside or outside mem, any order */
	unsigned int nr_reserved;
	phys_t mapped_end; /* physical memory below this is in the boot-time direct map */
	phys_t mapped_start;
	phys_t image_start, image_end; /* the kernel image, bss included */
	char cmdline[BOOT_CMDLINE_MAX];
	bool cmdline_truncated;

	unsigned int nr_cpus;	  /* usable CPUs that the firmware describes, MAX_CPUS at most */
	unsigned int nr_cpus_seen; /* all that it describes */
	u64 hwid[MAX_CPUS];	  /* APIC id, MPIDR affinity, hart id; [0] is the boot CPU's */

	struct {
		enum console_type type;
		phys_t base;	    /* or I/O port */
		u32 reg_shift, irq; /* irq: the controller's number for it */
		u32 irq_parent;	    /* in a device tree, the controller's phandle */
	} console;

	const void *fdt; /* the device tree in the direct map, or NULL */
	size_t fdt_size;
	phys_t rsdp; /* ACPI root, or 0 */
};
extern struct boot_info boot;
/* arch_cycles() at the kernel's first instructions. */
extern u64 boot_entry_cycles;

/*
 * Notes who loaded the kernel, and prints the first line with the port and that name. The port
 * calls it once, with arch.name filled, before it reads anything else that the loader said.
 */
void boot_begin(const char *firmware);
/* Adds a range; drops empty ones; merges and keeps mem sorted. Says so when the table is full. */
void boot_add_mem(phys_t start, phys_t end);
void boot_reserve(phys_t start, phys_t end);
/*
 * Cuts mem down to what mem= on the command line allows, from below. Before the first boot_alloc().
 */
void boot_limit_memory(void);
/* Copies at most max bytes of a command line; appends to what is there, with a space between. */
void boot_set_cmdline(const char *s, size_t max);
/* Whether accessed=software asks for no marks by the CPU. As cmdline_peek(). */
bool boot_wants_soft_marks(void);

/*
 * The port calls this once `boot` and `arch` are filled: high addresses, boot page table, irqs off.
 */
__noreturn void kernel_main(void);
/* Every other CPU arrives here, on its idle thread's stack, irqs off. */
__noreturn void secondary_main(void);

/*
 * Says in one line each what was found and chosen: CPU features, levels, tags, memory, transport.
 */
void boot_report(void);

/* Linker symbols. */
extern char image_start[], text_start[], text_end[], rodata_start[], rodata_end[], data_start[],
	percpu_start[], percpu_end[], bss_start[], bss_end[], image_end[];

/* Offset between image addresses and where the firmware put it: pa = va - KERNEL_VA + this. */
extern phys_t image_phys_base;

#endif
