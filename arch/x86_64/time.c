// SPDX-License-Identifier: MIT
/*
 * Time: the TSC is the clock, the local APIC's one-shot timer (or TSC-deadline) the alarm.
 *
 * The TSC's rate comes from the first of: CPUID leaf 0x15, the hypervisor's leaf 0x40000010, the
 * HPET, the ACPI timer, the PIT. A comparison with one of the last three goes on until what reading
 * them may have cost is a thousandth of it.
 * Contexts: calibration on the boot CPU, irqs off. See also: kernel/time.c.
 */
#include <acpi.h>
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <bug.h>
#include <hpet.h>
#include <percpu.h>
#include <printk.h>
#include <trap.h>

#define PIT_HZ 1193182
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define ACPI_TIMER_HZ 3579545
#define ACCURACY 1000	/* a comparison is good to one part in so many */
#define READ_TRIES 4	/* a sample is the quickest of so many */
#define PATIENCE 100000 /* samples, however slow the counter is */
#define PIT_RUNS 3

/* ---- Comparing ---------------------------------------------------------------------------- */

/* A counter. It goes up, modulo mask + 1. */
struct counter {
	u32 mask;
	u32 (*read)(void);
};

struct sample {
	u64 tsc;
	u64 width; /* cycles in which the counter was read */
	u32 count;
};

static struct sample take_sample(const struct counter *c)
{
	struct sample best = { .width = ~0ULL };

	for (unsigned int i = 0; i < READ_TRIES; i++) {
		u64 before = arch_cycles();
		u32 count = c->read();
		u64 width = arch_cycles() - before;

		if (width < best.width)
			best = (struct sample){ before + width / 2, width, count };
	}
	return best;
}

/* What went by in the same time; counts is 0 if the counter does not count. */
struct comparison {
	u64 cycles;
	u32 counts;
};

/* Ends when it is accurate, or the counter is about to come round, or patience is at its end. */
static struct comparison compare(const struct counter *c)
{
	struct sample start = take_sample(c), end;
	struct comparison done = { 0 };

	for (unsigned int i = 0; i < PATIENCE; i++) {
		end = take_sample(c);
		done.cycles = end.tsc - start.tsc;
		done.counts = (end.count - start.count) & c->mask;
		if (done.counts > c->mask / 2 ||
		    (done.counts >= ACCURACY &&
		     done.cycles >= ACCURACY * (start.width + end.width)))
			break;
	}
	return done;
}

/* ---- The rate of the TSC ------------------------------------------------------------------ */

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

static u64 rate_by(const struct counter *c, u32 hz)
{
	struct comparison done = compare(c);

	return done.counts ? done.cycles * hz / done.counts : 0;
}

static u64 rate_by_hpet(void)
{
	const struct counter hpet = { 0xffffffff, hpet_read };
	u32 hz = hpet_start();

	return hz ? rate_by(&hpet, hz) : 0;
}

static u64 rate_by_acpi(void)
{
	const struct counter timer = { 0xffffff, acpi_timer_read };

	return acpi.pm_timer ? rate_by(&timer, ACPI_TIMER_HZ) : 0;
}

/*
 * It comes round every 55 ms. A virtual CPU that does not run for so long misses a turn, and then
 * the TSC seems too fast, never too slow: so the lowest of some rates.
 */
static u64 rate_by_pit(void)
{
	const struct counter pit = { 0xffff, pit_read };
	u64 lowest = ~0ULL;

	pit_start();
	for (unsigned int i = 0; i < PIT_RUNS; i++)
		lowest = min(lowest, rate_by(&pit, PIT_HZ));
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
	static const struct {
		const char *name;
		u64 (*rate)(void);
	} sources[] = {
		{ "CPUID", rate_by_cpuid }, { "the hypervisor", rate_by_hypervisor },
		{ "HPET", rate_by_hpet },   { "ACPI timer", rate_by_acpi },
		{ "PIT", rate_by_pit },
	};
	unsigned int i = 0;
	u64 hz = 0;

	while (i < ARRAY_SIZE(sources) && (hz = sources[i].rate()) == 0)
		i++;
	if (hz < 1000000)
		boot_fail("no clock: neither CPUID nor HPET nor ACPI timer nor PIT tells the TSC's "
			  "rate");
	arch.timer_hz = hz;
	printk("time: TSC at %llu kHz by %s; the alarm is the local APIC's %s",
	       (unsigned long long)hz / 1000, sources[i].name,
	       features.tsc_deadline ? "TSC deadline" : "counter");
}

/* ---- The alarm ---------------------------------------------------------------------------- */

#define APIC_COUNT_MAX 0xffffffffULL
/* APIC timer counts a cycle, and the longest time that its counter holds in cycles. */
static u64 counts_per_cycle_32; /* << 32 */
static u64 longest;

/* When this CPU's timer_interrupt() is due; ~0: never. */
static DEFINE_PER_CPU(u64, timer_due);

static u32 apic_counted(void)
{
	return (u32)APIC_COUNT_MAX - apic_timer_left();
}

void time_calibrate_apic(void)
{
	const struct counter timer = { (u32)APIC_COUNT_MAX, apic_counted };
	struct comparison done;

	if (features.tsc_deadline)
		return;
	apic_timer_count((u32)APIC_COUNT_MAX);
	done = compare(&timer);
	apic_timer_count(0);
	if (done.counts == 0)
		boot_fail("the local APIC's timer does not count");
	counts_per_cycle_32 = ((u64)done.counts << 32) / done.cycles;
	longest = (APIC_COUNT_MAX << 30) / counts_per_cycle_32;
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
