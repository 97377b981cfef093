// SPDX-License-Identifier: MIT
/*
 * GICv3: a distributor for shared interrupts, a redistributor for each CPU's private ones, and
 * system registers as the CPU interface (IHI 0069).
 *
 * CPUs are named by affinity, as in MPIDR. Interrupts are non-secure group 1.
 * Locks and contexts: interrupts off; a redistributor is touched by its own CPU only.
 */
#include <asm/sysreg.h>
#include <atomic.h>
#include <boot.h>
#include <bug.h>
#include <gic.h>
#include <percpu.h>

#define GICD_CTLR_GRP1 BIT(1)
#define GICD_CTLR_ARE BIT(4)
#define GICD_CTLR_RWP BIT(31)
#define GICD_IROUTER 0x6000
#define GICD_SIZE 0x10000

#define GICR_CTLR 0x0000
#define GICR_TYPER 0x0008
#define GICR_WAKER 0x0014
#define GICR_CTLR_RWP BIT(3)
#define GICR_TYPER_VLPIS BIT(1)
#define GICR_TYPER_LAST BIT(4)
#define GICR_WAKER_SLEEP BIT(1)
#define GICR_WAKER_CHILDREN_ASLEEP BIT(2)
#define GICR_SGI_BASE 0x10000 /* second frame: private interrupts, as in the distributor */
#define GICR_FRAMES 0x20000
#define GICR_FRAMES_VLPIS 0x40000

#define SPINS 1000000
#define MAX_REGIONS 8
#define SGI_LIST_BITS 4 /* Aff0's low bits choose a bit of the target list */

static volatile void *dist;
static struct {
	volatile void *base;
	u64 size;
} regions[MAX_REGIONS];
static unsigned int nr_regions;
static u64 stride; /* of the redistributors, 0: as each says */

/* This CPU's redistributor. Written and read by that CPU. */
static DEFINE_PER_CPU(volatile void *, redist);

static void wait_clear(volatile void *base, u32 reg, u32 bits)
{
	for (unsigned int i = 0; i < SPINS; i++)
		if (!(gic_read(base, reg) & bits))
			return;
	boot_fail("GICv3: register %#x does not settle", reg);
}

static u64 read_typer(volatile void *base)
{
	return gic_read(base, GICR_TYPER) | (u64)gic_read(base, GICR_TYPER + 4) << 32;
}

/* Aff3 to Aff0 in 32 bits, as GICR_TYPER has them. */
static u32 pack_affinity(u64 mpidr)
{
	return (mpidr >> 8 & 0xff000000) | (mpidr & 0xffffff);
}

static volatile void *find_in_region(unsigned int r, u32 affinity)
{
	volatile u8 *p = regions[r].base;
	u64 off = 0, typer, step;

	do {
		typer = read_typer(p + off);
		if (typer >> 32 == affinity)
			return p + off;
		step = typer & GICR_TYPER_VLPIS ? GICR_FRAMES_VLPIS : GICR_FRAMES;
		off += stride ? stride : step;
	} while (!(typer & GICR_TYPER_LAST) && off + GICR_FRAMES <= regions[r].size);
	return NULL;
}

static volatile void *find_redist(void)
{
	u32 affinity = pack_affinity(boot.hwid[smp_processor_id()]);

	for (unsigned int r = 0; r < nr_regions; r++) {
		volatile void *p = find_in_region(r, affinity);

		if (p)
			return p;
	}
	boot_fail("GICv3: no redistributor for CPU %u (affinity %#x)", smp_processor_id(),
		  affinity);
}

static void init_redist(volatile void *rd)
{
	volatile void *sgi = (volatile u8 *)rd + GICR_SGI_BASE;

	gic_write(rd, GICR_WAKER, gic_read(rd, GICR_WAKER) & ~GICR_WAKER_SLEEP);
	wait_clear(rd, GICR_WAKER, GICR_WAKER_CHILDREN_ASLEEP);
	gic_write(sgi, GICD_ICENABLER, ~0u);
	wait_clear(rd, GICR_CTLR, GICR_CTLR_RWP);
	gic_write(sgi, GICD_IGROUPR, ~0u);
	for (u32 i = 0; i < GIC_NR_PRIVATE; i += 4)
		gic_write(sgi, GICD_IPRIORITYR + i, GIC_PRIORITY);
	gic_write(sgi, GICD_ISENABLER, 0xffff); /* SGIs */
}

static void v3_init_cpu(void)
{
	write_sysreg(icc_sre_el1, 7);
	isb();
	if (!(read_sysreg(icc_sre_el1) & 1))
		boot_fail("GICv3: the firmware keeps its system registers off");
	this_cpu(redist) = find_redist();
	init_redist(this_cpu(redist));
	write_sysreg(icc_pmr_el1, GIC_PRIORITY_MASK);
	write_sysreg(icc_bpr1_el1, 0);
	write_sysreg(icc_ctlr_el1, 0); /* one write to EOIR both drops and deactivates */
	write_sysreg(icc_igrpen1_el1, 1);
	isb();
}

/* The redistributor's sleep is the firmware's business. */
static void v3_stop_cpu(void)
{
	write_sysreg(icc_igrpen1_el1, 0);
	isb();
}

static void v3_enable(u32 intid)
{
	volatile u8 *p = dist;

	if (intid < GIC_NR_PRIVATE) {
		gic_write((volatile u8 *)this_cpu(redist) + GICR_SGI_BASE, GICD_ISENABLER,
			  1u << intid);
		return;
	}
	*(volatile u64 *)(p + GICD_IROUTER + 8 * (u64)intid) = boot.hwid[0];
	gic_write(dist, GICD_ISENABLER + intid / 32 * 4, 1u << intid % 32);
}

/* RWP is clear once nobody sees the line enabled any more (IHI 0069, GICD_CTLR and GICR_CTLR). */
static void v3_disable(u32 intid)
{
	volatile void *rd = this_cpu(redist);

	if (intid < GIC_NR_PRIVATE) {
		gic_write((volatile u8 *)rd + GICR_SGI_BASE, GICD_ICENABLER, 1u << intid);
		wait_clear(rd, GICR_CTLR, GICR_CTLR_RWP);
		return;
	}
		gic_write(dist, GICD_ICENABLER + intid / 32 * 4, 1u << intid % 32);
	wait_clear(dist, GICD_CTLR, GICD_CTLR_RWP);
}

/* ICC_SGI1R_EL1 takes up to 16 CPUs that differ in the low bits of Aff0 only. */
static u64 sgi_register(u64 mpidr, u32 intid)
{
	u64 aff3 = mpidr >> 32 & 0xff, aff2 = mpidr >> 16 & 0xff, aff1 = mpidr >> 8 & 0xff;
	u64 range = (mpidr & 0xff) >> SGI_LIST_BITS;

	return aff3 << 48 | range << 44 | aff2 << 32 | (u64)intid << 24 | aff1 << 16;
}

static void v3_send_sgi(cpumask_t mask, u32 intid)
{
	/*
	 * Orders what the handlers will read before the write that makes it pending, which as a
	 * system register is not ordered by itself (IHI 0069, on observability). Pairs with
	 * v3_ack() on the target.
	 */
	dsb(ishst);
	while (mask) {
		unsigned int cpu = (unsigned int)__builtin_ctzll(mask);
		u64 group = boot.hwid[cpu] >> SGI_LIST_BITS;
		u64 value = sgi_register(boot.hwid[cpu], intid);
		cpumask_t done = 0;

		for_each_cpu(cpu, mask)
			if (boot.hwid[cpu] >> SGI_LIST_BITS == group) {
				value |= BIT(boot.hwid[cpu] & 0xf);
				done |= cpumask_of(cpu);
			}
		write_sysreg(icc_sgi1r_el1, value);
		mask &= ~done;
	}
	isb(); /* the interrupts go out now, not when this CPU next synchronises */
}

static u32 v3_ack(void)
{
	u32 ack = (u32)read_sysreg(icc_iar1_el1);

	/*
	 * The acknowledge takes effect (IHI 0069, "Observability"), and what the handler reads
	 * comes after it. Pairs with v3_send_sgi().
	 */
	dsb(sy);
	return ack;
}

static void v3_eoi(u32 ack)
{
	/* What the handler told the device comes before the end. Pairs with hardware. */
	dsb(sy);
	write_sysreg(icc_eoir1_el1, ack);
	isb();
}

static const struct gic_chip gic_v3 = {
	.name = "gicv3",
	.max_cpus = MAX_CPUS,
	.id_mask = 0xffffff,
	.init_cpu = v3_init_cpu,
	.stop_cpu = v3_stop_cpu,
	.enable = v3_enable,
	.disable = v3_disable,
	.send_sgi = v3_send_sgi,
	.ack = v3_ack,
	.eoi = v3_eoi,
};

/* Affinity routing first: it changes what the other registers mean. */
static void init_dist(void)
{
	gic_write(dist, GICD_CTLR, 0);
	wait_clear(dist, GICD_CTLR, GICD_CTLR_RWP);
	gic_write(dist, GICD_CTLR, GICD_CTLR_ARE);
	wait_clear(dist, GICD_CTLR, GICD_CTLR_RWP);
	gic_dist_quiet(dist, ~0u);
	wait_clear(dist, GICD_CTLR, GICD_CTLR_RWP);
	gic_write(dist, GICD_CTLR, GICD_CTLR_ARE | GICD_CTLR_GRP1);
	wait_clear(dist, GICD_CTLR, GICD_CTLR_RWP);
}

const struct gic_chip *gic_v3_init(const struct fdt *f, int node)
{
	u64 size;
	u32 len, wanted = fdt_u32(f, node, "#redistributor-regions", 1);
	const void *p = fdt_prop(f, node, "redistributor-stride", &len);

	if (p && (len == 4 || len == 8))
		stride = fdt_cell(p, len / 4 - 1);
	if (stride % GICR_SGI_BASE != 0 || (stride && stride < GICR_FRAMES))
		boot_fail("GICv3: redistributors cannot be %#llx bytes apart",
			  (unsigned long long)stride);
	dist = gic_map(f, node, 0, GICD_SIZE, &size);
	for (; nr_regions < wanted && nr_regions < MAX_REGIONS; nr_regions++)
		regions[nr_regions].base =
			gic_map(f, node, 1 + nr_regions, GICR_FRAMES, &regions[nr_regions].size);
	init_dist();
	return &gic_v3;
}
