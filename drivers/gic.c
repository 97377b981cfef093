// SPDX-License-Identifier: MIT
/*
 * Interrupt controller: which one there is, and who handles an interrupt.
 *
 * The versions differ in how a CPU talks to its interface and in how CPUs are named; what is done
 * with an interrupt is the same and stands here.
 * Locks and contexts: handlers are set at boot and constant then; gic_handle() with interrupts off.
 * See also: gic_v2.c, gic_v3.c.
 */
#include <asm/port.h>
#include <bug.h>
#include <errno.h>
#include <gic.h>
#include <kmap.h>
#include <percpu.h>
#include <printk.h>
#include <trap.h>

#define MAX_HANDLERS 8

static const struct gic_chip *chip;
static int gic_node;
static struct {
	u32 intid;
	gic_handler fn;
} handlers[MAX_HANDLERS];
static unsigned int nr_handlers;

static const struct {
	const char *compatible;
	const struct gic_chip *(*init)(const struct fdt *f, int node);
} versions[] = {
	{ "arm,gic-v3", gic_v3_init },
	{ "arm,cortex-a15-gic", gic_v2_init },
	{ "arm,gic-400", gic_v2_init },
};

void gic_init(const struct fdt *f)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(versions) && !chip; i++) {
		gic_node = fdt_next_compatible(f, -1, versions[i].compatible);
		if (gic_node >= 0 && fdt_enabled(f, gic_node))
			chip = versions[i].init(f, gic_node);
	}
	if (!chip)
		boot_fail("device tree: no GICv2 or GICv3 interrupt controller");
	printk("irq: %s for CPUs and for devices, up to %u CPUs", chip->name,
	       chip->max_cpus);
}

volatile void *gic_map(const struct fdt *f, int node, unsigned int n, u64 least, u64 *size)
{
	volatile void *regs = NULL;
	u64 addr;

	if (fdt_reg(f, node, n, &addr, size) == 0 && *size >= least && addr % sizeof(u64) == 0)
		regs = ioremap(addr, *size);
	if (!regs)
		boot_fail("interrupt controller: registers %u are missing or cannot be mapped", n);
	return regs;
}

void gic_dist_quiet(volatile void *dist, u32 groups)
{
	unsigned int nr = ((gic_read(dist, GICD_TYPER) & 0x1f) + 1) * 32;

	for (unsigned int i = GIC_NR_PRIVATE; i < nr; i += 32) {
		gic_write(dist, GICD_ICENABLER + i / 8, ~0u);
		gic_write(dist, GICD_IGROUPR + i / 8, groups);
	}
	for (unsigned int i = GIC_NR_PRIVATE; i < nr; i += 16)
		gic_write(dist, GICD_ICFGR + i / 4, 0);
	for (unsigned int i = GIC_NR_PRIVATE; i < nr; i += 4)
		gic_write(dist, GICD_IPRIORITYR + i, GIC_PRIORITY);
}

unsigned int gic_max_cpus(void)
{
	return chip->max_cpus;
}

void gic_init_cpu(void)
{
	chip->init_cpu();
	for (unsigned int i = 0; i < nr_handlers; i++)
		if (handlers[i].intid < GIC_NR_PRIVATE || smp_processor_id() == 0)
			chip->enable(handlers[i].intid);
}

void gic_stop_cpu(void)
{
	chip->stop_cpu();
}

int gic_fdt_irq(const struct fdt *f, int node, unsigned int n)
{
	u32 cells = fdt_u32(f, gic_node, "#interrupt-cells", 0), len;
	const u8 *spec = node < 0 ? NULL : fdt_prop(f, node, "interrupts", &len);

	if (!spec || cells < 3 || (u64)cells * 4 * (n + 1) > len)
		return -ENOENT;
	return fdt_gic_intid(spec + 4ULL * cells * n);
}

void gic_set_handler(u32 intid, gic_handler fn)
{
	BUG_ON(nr_handlers == MAX_HANDLERS);
	handlers[nr_handlers].intid = intid;
	handlers[nr_handlers++].fn = fn;
}

/* Also from a panic before there is a controller: then nobody can be told. */
void gic_send_sgi(cpumask_t mask, u32 intid)
{
	if (chip && mask)
		chip->send_sgi(mask, intid);
}

void gic_unmask(u32 intid)
{
	chip->enable(intid);
}

/* The distributor may have this one going already: it comes once more at most. */
static bool mask_line(unsigned int intid)
{
	chip->disable(intid);
	return true;
}

static void run_handler(struct trap_frame *tf, u32 intid)
{
	for (unsigned int i = 0; i < nr_handlers; i++)
		if (handlers[i].intid == intid) {
			handlers[i].fn(tf);
			return;
		}
	spurious_interrupt(intid, mask_line);
}

/*
 * A software-generated interrupt ends before it is handled: one sent meanwhile is pending again at
 * once, and a handler that never returns (a CPU being stopped) leaves nothing active. A level ends
 * after its handler has made the device quiet. One at a time: what else is pending interrupts again
 * on the way out, and looking for it would make each that comes alone dearer.
 */
void gic_handle(struct trap_frame *tf)
{
	u32 ack = chip->ack(), intid = ack & chip->id_mask;
	bool sgi = intid < 16;

	if (intid >= 1020 && intid <= 1023) /* nothing pending (any more) */
		return;
	if (sgi)
		chip->eoi(ack);
	run_handler(tf, intid);
	if (!sgi)
		chip->eoi(ack);
}
