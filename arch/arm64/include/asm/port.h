/* SPDX-License-Identifier: MIT */
/*
 * What the files of this port share with each other and with nobody else.
 */
#ifndef ASM_PORT_H
#define ASM_PORT_H

#include <arch.h>
#include <fdt.h>
#include <percpu.h>

/* Physical address of something in the image. */
phys_t image_pa(const void *p);

/* start.c, from boot.S: where device tree and image are, and the exception level at entry. */
__noreturn void arch_start(phys_t fdt, phys_t image, u64 entry_level);
/* The kernel came from EL2: an HVC would reach nobody, and SMC is the only conduit. */
extern bool boot_entered_el2;
/* Adds " words" to arch.features. */
void features_add(const char *fmt, ...) __printf(1, 2);

/* boot.S: the boot tables, for all CPUs to come: identity map of the image's first 2 MiB. */
extern pte_t boot_top[], boot_direct[], empty_root[];
extern char emergency_stack_top[];
void boot_swap_ttbr1(phys_t root, phys_t empty, u64 tcr);
void secondary_entry(void);
extern char vectors[];

/* trap.S's way from user mode to current; the stack that takes over when one has overflowed. */
DECLARE_PER_CPU(struct thread *, kernel_current);
DECLARE_PER_CPU(vaddr_t, emergency_sp);

/* mmu.c. */
bool mmu_has_52_bits(void);	     /* user addresses of 52 bits, with this size of pages */
void mmu_init(unsigned int va_bits); /* boot CPU, from arch_start(): levels, tags, kernel_root */
void mmu_init_cpu(void);	     /* each CPU: kernel root and empty user root, TLB emptied */
phys_t mmu_hw_kernel_root(void);     /* what TTBR1 holds, now that kernel_root is final */
u64 mmu_entry_format(void);	     /* TCR_EL1.DS, if the final tables are such */

/* smp.c: fills boot.hwid[] and the counts; after psci_init(). */
void cpus_init(const struct fdt *f);

/* time.c. */
void timer_init_boot(const struct fdt *f); /* sets arch.timer_hz; after gic_init() */
void timer_init_cpu(void);

/* trap.c, trap.S, switch.S. */
void trap_sync(struct trap_frame *tf);
void trap_irq(struct trap_frame *tf);
__noreturn void trap_bad(struct trap_frame *tf, u64 kind);
void thread_entry(void);

/* uaccess.S. */
bool probe_read32(vaddr_t addr, u32 *value);
bool probe_write32(vaddr_t addr, u32 value);
void semihosting_exit(const u64 block[2]);
void probe_hvc(u64 function);
void probe_smc(u64 function);

#endif
