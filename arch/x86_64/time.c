// SPDX-License-Identifier: MIT
/*
 * Time: the TSC is the clock, the local APIC's one-shot timer (or TSC-deadline) the alarm.
 *
 * The TSC's rate comes from the first of: CPUID leaf 0x15, the hypervisor's leaf 0x40000010, the
 * PIT, the ACPI timer. A comparison with one of the last two is made several times, and the lowest
 * rate is taken: a virtual CPU that does not run for a while in between may miss a whole turn of
 * the PIT's 16-bit counter, and then the TSC seems too fast, never too slow.
 * Contexts: calibration on the boot CPU, irqs off. See also: kernel/time.c.
 */
#include <acpi.h>
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <bug.h>
#include <percpu.h>
#include <printk.h>
#include <trap.h>

#define PIT_HZ 1193182
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define ACPI_TIMER_HZ 3579545
#define RUNS 3
#define RUN_DIVISOR 100	 /* a run takes 1 / 100 s */
#define READ_TRIES 4	 /* a sample is the quickest of so many */
#define PATIENCE 1000000 /* reads of a counter that does not move */

/* ---- The rate of the TSC ------------------------------------------------------------------ */

/* A counter of known rate. The count goes up, modulo mask + 1. */
struct reference {
	const char *name;
	u32 hz, mask;
	u32 (*read)(void);
};

/* Latched, so that both halves are of one moment; it counts down. */
static u32 pit_read(void)
{
	u32 low;

	outb(PIT_COMMAND, 0x00);
	low = inb(PIT_CHANNEL0);
	return 0xffff - (low | (u32)inb(PIT_CHANNEL0) << 8);
}

/* Channel 0, which needs no gate: rate generator, 65536. Its interrupt is masked everywhere. */
static void pit_start(void)
{
	outb(PIT_COMMAND, 0x34);
	outb(PIT_CHANNEL0, 0);
	outb(PIT_CHANNEL0, 0);
}

static u32 acpi_timer_read(void)
{
	return inl(acpi.pm_timer) & 0xffffff; /* 24 bits are always there */
}

struct sample {
	u64 tsc;
	u32 count;
};

static struct sample take_sample(const struct reference *r)
{
	struct sample best = { 0 };
	u64 quickest = ~0ULL;

	for (unsigned int i = 0; i < READ_TRIES; i++) {
		u64 before = arch_cycles();
		u32 count = r->read();
		u64 after = arch_cycles();

		if (after - before < quickest) {
			quickest = after - before;
			best = (struct sample){ before + (after - before) / 2, count };
		}
	}
	return best;
}

/* Cycles a second by one comparison, or 0 if the counter does not count. */
static u64 compare(const struct reference *r)
{
	struct sample start = take_sample(r), end;
	u32 want = r->hz / RUN_DIVISOR, patience = PATIENCE;

	while (((r->read() - start.count) & r->mask) < want)
		if (--patience == 0)
			return 0;
	end = take_sample(r);
	return (end.tsc - start.tsc) * r->hz / ((end.count - start.count) & r->mask);
}

static u64 rate_by(const struct reference *r)
{
	u64 lowest = 0;

	for (unsigned int i = 0; i < RUNS; i++) {
		u64 hz = compare(r);

		if (hz == 0)
			return 0;
		if (lowest == 0 || hz < lowest)
			lowest = hz;
	}
	return lowest;
}

/* What the CPU says: the ratio to a crystal, if the crystal's rate is given too. */
static u64 rate_by_cpuid(void)
{
	struct cpuid ratio = cpuid_leaf(0x15);

	return ratio.a && ratio.b ? (u64)ratio.c * ratio.b / ratio.a : 0;
}

/* What the hypervisor says, in kHz, if there is one and it knows that leaf. */
static u64 rate_by_hypervisor(void)
{
	if (!(cpuid(1, 0).c & BIT(31)))
		return 0;
	return (u64)cpuid_leaf(0x40000010).a * 1000;
}

void time_calibrate(void)
{
	const struct reference pit = { "PIT", PIT_HZ, 0xffff, pit_read };
	const struct reference pm = { "ACPI timer", ACPI_TIMER_HZ, 0xffffff, acpi_timer_read };
	const char *by = "CPUID";
	u64 hz = rate_by_cpuid();

	if (!hz) {
		by = "the hypervisor";
		hz = rate_by_hypervisor();
	}
	if (!hz) {
		by = pit.name;
		pit_start();
		hz = rate_by(&pit);
	}
	if (!hz && acpi.pm_timer) {
		by = pm.name;
		hz = rate_by(&pm);
	}
	if (hz < 1000000)
		boot_fail("no clock: neither CPUID nor PIT nor ACPI timer tells the TSC's rate");
	arch.timer_hz = hz;
	printk("time: TSC at %llu kHz by %s; the alarm is the local APIC's %s",
	       (unsigned long long)hz / 1000, by,
	       features.tsc_deadline ? "TSC deadline" : "counter");
}

/* ---- The alarm ---------------------------------------------------------------------------- */

#define APIC_COUNT_MAX 0xffffffffULL
/* APIC timer counts a cycle, and the longest time that its counter holds in cycles. */
static u64 counts_per_cycle_32; /* << 32 */
static u64 longest;

/* When this CPU's timer_interrupt() is due; ~0: never. */
static DEFINE_PER_CPU(u64, timer_due);

void time_calibrate_apic(void)
{
	u64 start, end, lowest = ~0ULL;

	if (features.tsc_deadline)
		return;
	for (unsigned int i = 0; i < RUNS; i++) {
		start = arch_cycles();
		apic_timer_count((u32)APIC_COUNT_MAX);
		do
			end = arch_cycles();
		while (end - start < arch.timer_hz / RUN_DIVISOR);
		u64 counts = APIC_COUNT_MAX - apic_timer_left();

		lowest = min(lowest, (counts << 32) / (end - start));
	}
	apic_timer_count(0);
	if (lowest == 0)
		boot_fail("the local APIC's timer does not count");
	counts_per_cycle_32 = lowest;
	longest = (APIC_COUNT_MAX << 30) / lowest;
}

void time_setup_cpu(void)
{
	this_cpu(timer_due) = ~0ULL;
	apic_timer_setup(features.tsc_deadline);
}

/* An alarm that rings too early is set again, so the count need not be exact. */
static void set_alarm(u64 when)
{
	u64 now = arch_cycles();
	u64 cycles = when > now ? when - now : 0;

	if (features.tsc_deadline) {
		wrmsr(MSR_TSC_DEADLINE, when == ~0ULL ? 0 : max(when, 1ULL));
	} else if (when == ~0ULL) {
		apic_timer_count(0);
	} else {
		cycles = min(cycles, longest);
		apic_timer_count((u32)((cycles * counts_per_cycle_32) >> 32) + 1);
	}
}

void arch_timer_set(u64 when)
{
	this_cpu(timer_due) = when;
	set_alarm(when);
}

void time_handle_interrupt(struct trap_frame *tf)
{
	u64 due = this_cpu(timer_due);

	if (arch_cycles() >= due)
		timer_interrupt(tf);
	else
		set_alarm(due);
}
