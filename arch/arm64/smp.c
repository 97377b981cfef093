// SPDX-License-Identifier: MIT
/*
 * Which CPUs there are, and how they are started and stopped.
 *
 * The device tree lists them by MPIDR affinity; firmware starts them (PSCI CPU_ON), with the MMU
 * off. A CPU then needs a root, a stack, a thread and its per-CPU area before it can use its
 * caches, so these are handed over through memory: struct secondary_boot, cleaned from the caches
 * first.
 * Contexts: boot CPU; arch_send_ipi() anywhere.
 * See also: boot.S (secondary_entry), drivers/psci.c.
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <boot.h>
#include <bug.h>
#include <errno.h>
#include <gic.h>
#include <kmap.h>
#include <layout.h>
#include <printk.h>
#include <psci.h>
#include <string.h>
#include <thread.h>

#define MPIDR_AFFINITY 0xff00ffffffULL

/* boot.S knows the offsets. One cache line each at least, so that cleaning one cleans it whole. */
struct secondary_boot {
	u64 ttbr1;
	vaddr_t stack;
	struct thread *thread;
	u64 percpu;
	u64 tcr; /* what boot.S has not by itself */
} __aligned(64);
static struct secondary_boot secondary_boot[MAX_CPUS];

/* A tree that names a CPU twice does not make two of it. */
static bool cpu_known(u64 mpidr)
{
	for (unsigned int i = 0; i < boot.nr_cpus; i++)
		if (boot.hwid[i] == mpidr)
			return true;
	return false;
}

static void add_cpu(u64 mpidr)
{
	if (boot.nr_cpus < MAX_CPUS)
		boot.hwid[boot.nr_cpus++] = mpidr;
}

/* A node of /cpus that is a CPU which PSCI can start, or is running this. */
static bool usable_cpu(const struct fdt *f, int node)
{
	const char *method = fdt_string(f, node, "enable-method");

	return fdt_enabled(f, node) && method && strcmp(method, "psci") == 0 && psci_present();
}

/* The affinity that a node of /cpus names: one or two cells, as the parent says. */
static bool cpu_mpidr(const struct fdt *f, int node, unsigned int cells, u64 *mpidr)
{
	const char *type = fdt_string(f, node, "device_type");
	u32 len;
	const void *reg = fdt_prop(f, node, "reg", &len);

	if (!type || strcmp(type, "cpu") != 0 || !reg || len < cells * 4)
		return false;
	*mpidr = cells == 1 ? fdt_cell(reg, 0) : (u64)fdt_cell(reg, 0) << 32 | fdt_cell(reg, 1);
	*mpidr &= MPIDR_AFFINITY;
	return true;
}

void cpus_init(const struct fdt *f)
{
	u64 self = read_sysreg(mpidr_el1) & MPIDR_AFFINITY, mpidr;
	int cpus = fdt_path(f, "/cpus"), node;
	unsigned int cells = fdt_u32(f, cpus, "#address-cells", 1);

	if (cpus < 0 || cells < 1 || cells > 2)
		boot_fail("device tree: no /cpus that can be understood");
	add_cpu(self);
	for (node = fdt_first_child(f, cpus); node >= 0; node = fdt_next_sibling(f, node)) {
		if (!cpu_mpidr(f, node, cells, &mpidr))
			continue;
		boot.nr_cpus_seen++;
		if (!cpu_known(mpidr) && usable_cpu(f, node))
			add_cpu(mpidr);
	}
	if (boot.nr_cpus_seen == 0)
		boot_fail("device tree: no CPU in /cpus");
}

/*
 * Cleans to the point of coherency: what a CPU with its caches off reads is what was written
 * (DDI 0487 D7, on cache maintenance). And invalidates, since a Cortex-A 53 up to r0p2 may get a
 * clean alone wrong (errata notice: 826319, 827319, 824069, 819472).
 */
static void clean_to_memory(const void *p, size_t size)
{
	u64 line = 4ULL << (read_sysreg(ctr_el0) >> 16 & 0xf);

	for (vaddr_t a = ALIGN_DOWN((vaddr_t)p, line); a < (vaddr_t)p + size; a += line)
		__asm__ __volatile__("dc civac, %0" ::"r"(a) : "memory");
}

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	struct secondary_boot *sb = &secondary_boot[cpu];
	vaddr_t emergency = per_cpu(emergency_sp, cpu);

	/* The copy of CPU 0's value means: none of its own yet. */
	if (emergency == (vaddr_t)emergency_stack_top) {
		emergency = stack_alloc();
		if (!emergency)
			return -ENOMEM;
		per_cpu(emergency_sp, cpu) = emergency + STACK_SIZE;
	}
	sb->ttbr1 = mmu_hw_kernel_root();
	sb->stack = idle->stack + STACK_SIZE;
	sb->thread = idle;
	sb->percpu = percpu_offset[cpu];
	sb->tcr = mmu_entry_format();
	clean_to_memory(sb, sizeof(*sb));
	/*
	 * Orders the cleaned lines, and everything that the new CPU will read through its caches,
	 * before the call that starts it. Pairs with secondary_entry in boot.S, which reads with
	 * its MMU off.
	 */
	dsb(sy);
	return psci_cpu_on(boot.hwid[cpu], image_pa(secondary_entry), image_pa(sb));
}

/* Firmware writes back what this CPU's caches hold, and answers for it until it is off. */
__noreturn void arch_cpu_stop(void)
{
	__asm__ __volatile__("msr daifset, #0xf" ::: "memory");
	timer_init_cpu();
	gic_stop_cpu();
	/* Orders all stores before the call. Pairs with hardware. */
	dsb(sy);
	psci_cpu_off();
	for (;;)
		__asm__ __volatile__("wfi" ::: "memory");
}

bool arch_cpu_stopped(unsigned int cpu)
{
	return psci_cpu_is_off(boot.hwid[cpu]);
}

void arch_send_ipi(cpumask_t mask)
{
	gic_send_sgi(mask, GIC_SGI_IPI);
}

/* Needs GICv3 priorities as masks, or FEAT_NMI; the port uses neither: arch.nmi is false. */
void arch_send_nmi(unsigned int cpu)
{
}
