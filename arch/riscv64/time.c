// SPDX-License-Identifier: MIT
/*
 * The time CSR, and each CPU's timer: stimecmp (Sstc) where there is one, else the firmware's.
 *
 * Either interrupts as long as time >= its value, so the handler masks it until it is set again.
 *
 * Locks and contexts: irqs off.
 * See also: kernel/time.c, trap.c.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <boot.h>
#include <bug.h>
#include <printk.h>

#define NEVER (~0ULL)

static bool have_sstc;

/* Whether M-mode lets S-mode have stimecmp (menvcfg.STCE): if not, the write traps. */
static bool stimecmp_works(void)
{
	u64 ok;

	/* clang-format off */
	__asm__ __volatile__("	li	%0, 0\n"
			     "1:	csrw	" csr_str(CSR_STIMECMP) ", %1\n"
			     "	li	%0, 1\n"
			     "2:\n\t" EX_TABLE("1b", "2b")
			     : "=&r"(ok)
			     : "r"(NEVER)
			     : "memory");
	/* clang-format on */
	return ok;
}

/* /cpus has the rate, or, in old trees, each CPU. */
static u64 timebase(const struct fdt *f)
{
	int cpus = fdt_path(f, "/cpus");
	u32 len, hz = fdt_u32(f, cpus, "timebase-frequency", 0);
	const void *wide = fdt_prop(f, cpus, "timebase-frequency", &len);

	if (wide && len == 8)
		return (u64)fdt_cell(wide, 0) << 32 | fdt_cell(wide, 1);
	return hz ? hz : fdt_u32(f, fdt_first_child(f, cpus), "timebase-frequency", 0);
}

void time_init(const struct fdt *f)
{
	arch.timer_hz = timebase(f);
	if (arch.timer_hz < 1000)
		boot_fail("device tree: no usable timebase-frequency in /cpus");
	have_sstc = cpu_isa_has("sstc") && stimecmp_works();
	if (!have_sstc && !sbi_has(SBI_TIME))
		boot_fail("no timer: the CPU lacks Sstc, the firmware SBI's TIME extension");
	if (have_sstc)
		cpu_feature("sstc");
	printk("time: time CSR at %llu kHz; the alarm is %s",
	       (unsigned long long)arch.timer_hz / 1000, have_sstc ? "stimecmp" : "SBI's");
}

static void set(u64 when)
{
	if (have_sstc)
		csr_write(CSR_STIMECMP, when);
	else
		sbi_set_timer(when);
}

void timer_init_cpu(void)
{
	set(NEVER);
	csr_set(sie, SIE_STIE);
}

void timer_quiet_cpu(void)
{
	timer_mask();
	set(NEVER);
}

void timer_mask(void)
{
	csr_clear(sie, SIE_STIE);
}

void arch_timer_set(u64 when)
{
	set(when);
	csr_set(sie, SIE_STIE);
}
