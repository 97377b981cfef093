/* SPDX-License-Identifier: MIT */
/*
 * Arm Generic Interrupt Controller, versions 2 (IHI 0048) and 3 (IHI 0069).
 *
 * Interrupts are named by INTID: 0 to 15 software-generated, 16 to 31 private to each CPU, 32 up
 * shared.
 */
#ifndef GRACE_GIC_H
#define GRACE_GIC_H

#include <cpumask.h>
#include <fdt.h>
#include <types.h>

struct trap_frame;

#define GIC_SGI_IPI 0 /* the software-generated interrupt that carries IPIs */
#define GIC_NR_PRIVATE 32

typedef void (*gic_handler)(struct trap_frame *tf);

/* Finds the controller in the device tree, maps it, quiets it; or boot_fail(). Boot CPU, once. */
void gic_init(const struct fdt *f);
/* How many CPUs the controller can serve. */
unsigned int gic_max_cpus(void);
/*
 * This CPU's part; enables what has a handler: private interrupts on this CPU, shared ones, on the
 * boot CPU, towards it. irqs off.
 */
void gic_init_cpu(void);
/* Stops its interrupts from reaching this CPU, which is going to be switched off. irqs off. */
void gic_stop_cpu(void);
/* INTID of the n-th entry of a node's "interrupts", or -ENOENT. */
int gic_fdt_irq(const struct fdt *f, int node, unsigned int n);

/* Sets what handles an INTID, inside irq_enter()..irq_exit(). Boot CPU, before gic_init_cpu(). */
void gic_set_handler(u32 intid, gic_handler fn);
/* Lets a line interrupt, a shared one the boot CPU, a private one this CPU. irqs off. */
void gic_unmask(u32 intid);
/* Makes SGI intid pending on each CPU of mask. Any context. Orders earlier stores before it. */
void gic_send_sgi(cpumask_t mask, u32 intid);
/* Handles one interrupt that is pending on this CPU. Between irq_enter() and irq_exit(). */
void gic_handle(struct trap_frame *tf);

/* What a version supplies. */
struct gic_chip {
	const char *name;
	unsigned int max_cpus;
	u32 id_mask; /* the INTID in what ack() returns */
	void (*init_cpu)(void);
	void (*stop_cpu)(void);
	void (*enable)(u32 intid);
	void (*disable)(u32 intid); /* returns once it has taken effect */
	void (*send_sgi)(cpumask_t mask, u32 intid);
	u32 (*ack)(void);
	void (*eoi)(u32 ack);
};
const struct gic_chip *gic_v2_init(const struct fdt *f, int node);
const struct gic_chip *gic_v3_init(const struct fdt *f, int node);

/* Maps the n-th "reg" of the controller's node; boot_fail() if there is none of `least` bytes. */
volatile void *gic_map(const struct fdt *f, int node, unsigned int n, u64 least, u64 *size);
/* Distributor: what both versions do alike. */
#define GICD_CTLR 0x000
#define GICD_TYPER 0x004
#define GICD_IGROUPR 0x080
#define GICD_ISENABLER 0x100
#define GICD_ICENABLER 0x180
#define GICD_IPRIORITYR 0x400
#define GICD_ITARGETSR 0x800
#define GICD_ICFGR 0xc00
#define GICD_SGIR 0xf00

#define GIC_PRIORITY 0xa0a0a0a0u /* one for all, above the CPU's mask */
#define GIC_PRIORITY_MASK 0xf0

/*
 * All shared interrupts off, of one priority, level-triggered, and of the groups given (a bit
 * each).
 */
void gic_dist_quiet(volatile void *dist, u32 groups);

static inline u32 gic_read(volatile void *base, u32 reg)
{
	return *(volatile u32 *)((volatile u8 *)base + reg);
}
static inline void gic_write(volatile void *base, u32 reg, u32 value)
{
	*(volatile u32 *)((volatile u8 *)base + reg) = value;
}

#endif
