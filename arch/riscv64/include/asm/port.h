/* SPDX-License-Identifier: MIT */
/*
 * What the files of this port say to each other.
 */
#ifndef GRACE_ASM_PORT_H
#define GRACE_ASM_PORT_H

/* A hart's start record, which boot.S reads with the MMU off. Offsets; smp.c checks them. */
#define START_READY 0
#define START_HART 8
#define START_SATP 16
#define START_SP 24
#define START_TP 32
#define START_ENTRY 40
#define START_SIZE 48

#define EARLY_EXIT_STATUS 2 /* EXIT_BAD_BOOT; power.c checks it */
#define TEST_DEVICE_GUESS 0x100000 /* where QEMU's virt machine has its test device */

#define SATP_MODE_SHIFT 60
#define SATP_ASID_SHIFT 44
#define SATP_SV39 8
#define SATP_SV48 9
#define SATP_SV57 10

#ifndef __ASSEMBLY__
#include <arch.h>
#include <fdt.h>
#include <types.h>

struct start_record {
	u64 ready; /* the rest is valid */
	u64 hart, satp, sp, tp, entry;
};
extern struct start_record start_records[MAX_CPUS];

/* boot.S */
void secondary_entry(void);
void secondary_high(void);
void trap_entry(void); /* trap.S */

/* The physical address of something in the image. */
phys_t image_to_phys(const void *p);

/* start.c: called by boot.S. base: where the image was loaded. */
__noreturn void arch_start(u64 hart, phys_t fdt, phys_t base);

/* cpu.c: fills boot.hwid, arch's numbers from /cpus. intc gets each CPU's controller's phandle. */
void cpu_fill_boot(const struct fdt *f, u64 boot_hart, u32 intc[MAX_CPUS]);
/* True if every usable CPU's ISA has the extension (a name of more than one letter). */
bool cpu_isa_has(const char *extension);
/* Appends a word to arch.features. */
void cpu_feature(const char *fmt, ...) __printf(1, 2);

/* mmu.c: from the boot tables' widest mode to the one asked for; then levels and tags. */
void mmu_init(void);
u64 mmu_satp(phys_t root, unsigned int tag);
void boot_build_tables(phys_t base);

/* time.c */
void time_init(const struct fdt *f);
void timer_init_cpu(void);
void timer_quiet_cpu(void); /* it interrupts no more: the CPU is going to be stopped */
void timer_mask(void);

/*
 * irq.c: finds the interrupt controllers; how CPUs interrupt each other. True if the console's line
 * reaches CPU 0. intc: each CPU's own controller. Boot CPU.
 */
bool irq_init(const struct fdt *f, const u32 *intc);
/*
 * Lets a device's line interrupt CPU 0, by whichever controller. On that CPU, irqs off. -ENODEV
 * where no controller was found, -EINVAL for a line that it does not have.
 */
int irq_unmask(unsigned int line);
void irq_init_cpu(unsigned int cpu); /* this CPU takes interrupts; irqs off */
void irq_send_ipi(cpumask_t mask);   /* any context; orders nothing */
/* Between irq_enter() and irq_exit(): a software or external interrupt came; or one may be lost. */
void irq_software(void);
void irq_external(void);
void irq_poll(void);

/* power.c */
void power_init(const struct fdt *f);
#endif

#endif
