// SPDX-License-Identifier: MIT
/*
 * GICv2: registers of distributor and CPU interface in memory, at most 8 CPUs (IHI 0048).
 *
 * A CPU's number at the distributor need not be its number anywhere else: each reads its own from a
 * banked register before it can be interrupted.
 * Locks and contexts: interrupts off; the distributor's enable registers need no lock, as a write
 * of ones sets only those.
 */
#include <asm/sysreg.h>
#include <atomic.h>
#include <gic.h>
#include <percpu.h>

#define GICC_CTLR 0x00
#define GICC_PMR 0x04
#define GICC_BPR 0x08
#define GICC_IAR 0x0c
#define GICC_EOIR 0x10
#define GICC_SIZE 0x14 /* as far as it is used */
#define GICD_SIZE 0x1000
#define GICV2_CPUS 8
/*
 * Group 0 for all. Without security extensions, or in the secure world, a read of IAR returns only
 * group 0; in the other world the groups are the firmware's, and writes to them are ignored.
 */
#define GICV2_GROUPS 0

static volatile void *dist, *cpu_if;

/* This CPU's bit at the distributor. Written by the CPU before it is online, then constant. */
static DEFINE_PER_CPU(u32, target_bit);

/*
 * Registers of the private interrupts are banked: each CPU sets its own. The byte of ITARGETSR for
 * interrupt 0 reads as this CPU's bit; it reads as 0 where there is only one CPU.
 */
static void v2_init_cpu(void)
{
	u32 bit = gic_read(dist, GICD_ITARGETSR) & 0xff;

	this_cpu(target_bit) = bit ? bit : 1;
	gic_write(dist, GICD_ICENABLER, ~0u);
	gic_write(dist, GICD_IGROUPR, GICV2_GROUPS);
	for (u32 i = 0; i < GIC_NR_PRIVATE; i += 4)
		gic_write(dist, GICD_IPRIORITYR + i, GIC_PRIORITY);
	gic_write(dist, GICD_ISENABLER, 0xffff); /* SGIs */
	gic_write(cpu_if, GICC_PMR, GIC_PRIORITY_MASK);
	gic_write(cpu_if, GICC_BPR, 0);
	gic_write(cpu_if, GICC_CTLR, 1); /* the group that is ours, signalled as IRQ */
}

static void v2_stop_cpu(void)
{
	gic_write(cpu_if, GICC_CTLR, 0);
}

static void v2_enable(u32 intid)
{
	u32 shift = intid % 4 * 8, targets;

	if (intid >= GIC_NR_PRIVATE) {
		targets = gic_read(dist, GICD_ITARGETSR + (intid & ~3u)) & ~(0xffu << shift);
		targets |= per_cpu(target_bit, 0) << shift;
		gic_write(dist, GICD_ITARGETSR + (intid & ~3u), targets);
	}
	gic_write(dist, GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

static void v2_disable(u32 intid)
{
	gic_write(dist, GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
}

static void v2_send_sgi(cpumask_t mask, u32 intid)
{
	unsigned int cpu;
	u32 targets = 0;

	for_each_cpu(cpu, mask)
		targets |= per_cpu(target_bit, cpu);
	/*
	 * Orders what the handlers will read before the write that makes it pending. Pairs with
	 * v2_ack() on the target.
	 */
	dsb(ishst);
	gic_write(dist, GICD_SGIR, targets << 16 | intid);
}

static u32 v2_ack(void)
{
	u32 ack = gic_read(cpu_if, GICC_IAR);

	/* Orders the acknowledge before what the handler reads. Pairs with v2_send_sgi(). */
	dsb(ish);
	return ack;
}

static void v2_eoi(u32 ack)
{
	/* What the handler told the device comes before the end. Pairs with hardware. */
	dsb(sy);
	gic_write(cpu_if, GICC_EOIR, ack);
}

static const struct gic_chip gic_v2 = {
	.name = "gicv2",
	.max_cpus = GICV2_CPUS,
	.id_mask = 0x3ff,
	.init_cpu = v2_init_cpu,
	.stop_cpu = v2_stop_cpu,
	.enable = v2_enable,
	.disable = v2_disable,
	.send_sgi = v2_send_sgi,
	.ack = v2_ack,
	.eoi = v2_eoi,
};

const struct gic_chip *gic_v2_init(const struct fdt *f, int node)
{
	u64 size;

	dist = gic_map(f, node, 0, GICD_SIZE, &size);
	cpu_if = gic_map(f, node, 1, GICC_SIZE, &size);
	gic_write(dist, GICD_CTLR, 0);
	gic_dist_quiet(dist, GICV2_GROUPS);
	gic_write(dist, GICD_CTLR, 1);
	return &gic_v2;
}
