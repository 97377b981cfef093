// SPDX-License-Identifier: MIT
/*
 * The benchmarks' command, their clock, and what they share.
 *
 * Why instructions. An emulator's time says more about the host than about the kernel; under
 * -icount each instruction is one tick of the clock, and a run repeats to the digit.
 * Rules: none. Contexts: thread; alone on the machine. See also: bench.h, scripts/bench.py.
 */
#include "bench.h"

#include <boot.h>
#include <console.h>
#include <printk.h>
#include <rcu.h>
#include <slab.h>

static u64 overhead; /* instructions between the two readings of an empty meter */
static unsigned int failures;

/* ---- Rows ------------------------------------------------------------------------------ */

void bench_row(const char *name, u64 total, u64 ops)
{
	print_line("BENCH %s %llu %llu", name, (unsigned long long)total, (unsigned long long)ops);
}

u64 meter_least(const struct meter *m)
{
	return m->least - overhead;
}

void bench_meter_row(const char *name, const struct meter *m, u64 ops)
{
	bench_row(name, meter_least(m), ops);
}

void bench_sweep_row(const char *sweep, u64 x, u64 total, u64 ops)
{
	char name[48];

	snprintf(name, sizeof(name), "%s/%llu", sweep, (unsigned long long)x);
	bench_row(name, total, ops);
}

void bench_fail(const char *fmt, ...)
{
	char text[160];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_line("BENCH-FAILED %s", text);
	failures++;
}

unsigned int bench_failures(void)
{
	return failures;
}

/* ---- The clock ------------------------------------------------------------------------- */

/* Two instructions a turn on every port: count down, branch. */
static __noinline u64 empty_loop(unsigned long turns)
{
	u64 start = arch_instructions();

	do
		__asm__ __volatile__("" : "+r"(turns));
	while (--turns);
	return arch_instructions() - start;
}

/* The meter's own cost, and the loop's for 1000 turns. */
static u64 calibrate(void)
{
	struct meter m = METER_INIT;
	u64 once = ~0ULL, twice = ~0ULL;

	for (unsigned int i = 0; i < BENCH_TURNS; i++) {
		meter_start(&m);
		meter_stop(&m);
		once = min(once, empty_loop(1000));
		twice = min(twice, empty_loop(2000));
	}
	overhead = m.least;
	return twice - min(once, twice);
}

void bench_clock(void)
{
	u64 loop = calibrate();

	bench_row("clock", loop, 1000);
	if (loop != 2000)
		bench_fail("the counter does not count instructions: 1000 turns of two are %llu; "
			   "run under -accel tcg,thread=single -icount shift=0,sleep=off",
			   (unsigned long long)loop);
}

#define PROBE_TURNS 1000000

/* What a turn of two instructions takes, in cycles: is this a machine, or an interpreter? */
void bench_probe(void)
{
	bench_row("probe", empty_loop(PROBE_TURNS), PROBE_TURNS);
}

/* The counter runs with time here: how many of its ticks a nanosecond has. */
void bench_ticks(void)
{
	u64 ns = time_ns(), ticks = arch_instructions();

	(void)calibrate();
	udelay(20 * NSEC_PER_MSEC / NSEC_PER_USEC);
	ticks = arch_instructions() - ticks;
	bench_row("ticks", ticks, time_ns() - ns);
}

/* From the kernel's first instruction to here, which is where the first test would begin. */
void bench_boot(void)
{
	bench_row("boot", cycles_to_ns(arch_cycles() - boot_entry_cycles), 1);
}

/* ---- Memory ---------------------------------------------------------------------------- */

vaddr_t bench_window(unsigned int n)
{
	return 2 * pt_span(2) + n * pt_span(1);
}

void bench_populate(struct mm *mm, vaddr_t va, u64 nr)
{
	int err = test_fault_in(mm, va, nr);

	if (err)
		bench_fail("no memory for %llu pages: error %d", (unsigned long long)nr, err);
}

void bench_map(struct mm *mm, vaddr_t va, u64 nr)
{
	s64 at = mm_mmap(mm, va, nr * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_POPULATE);

	if (at != (s64)va)
		bench_fail("mm_mmap of %llu pages gives %lld", (unsigned long long)nr,
			   (long long)at);
}

void bench_settle(void)
{
	rcu_barrier();
	slab_drain();
	page_alloc_drain();
}

/* ---- The command ----------------------------------------------------------------------- */

struct bench_set {
	const char *name;
	unsigned int cpus; /* needs exactly so many */
	unsigned int on;   /* the CPU that it runs on */
	void (*const *run)(void);
};

static void (*const insn[])(void) = {
	bench_boot,	bench_clock, bench_gup,	 bench_irqoff, bench_zap, bench_munmap,
	bench_mapunmap, bench_fault, bench_page, bench_table,  NULL,
};
static void (*const sweep[])(void) = { bench_clock, bench_munmap_sweep, bench_vma_sweep, NULL };
static void (*const period[])(void) = { bench_clock, bench_period, NULL };
static void (*const ipi[])(void) = { bench_clock, bench_ipi, NULL };
static void (*const expedited[])(void) = { bench_clock, bench_expedited, NULL };

static void (*const probe[])(void) = { bench_probe, NULL };
static void (*const wall[])(void) = { bench_ticks,  bench_gup,	    bench_zap,
				      bench_munmap, bench_mapunmap, bench_fault,
				      bench_page,   bench_table,    NULL };

static const struct bench_set sets[] = {
	{ "insn", 1, 0, insn }, { "sweep", 1, 0, sweep }, { "period", 2, 1, period },
	{ "ipi", 2, 0, ipi },	{ "expedited", 2, 0, expedited },
	{ "probe", 1, 0, probe }, { "time", 1, 0, wall },
};

static int run_set(const struct bench_set *s)
{
	unsigned int online = cpumask_weight(READ_ONCE(cpu_online_mask));

	if (s->cpus != online) {
		print_line("bench %s: needs %u CPUs, %u online", s->name, s->cpus, online);
		return -EINVAL;
	}
	thread_set_allowed(current, cpumask_of(test_cpu(s->on)));
	failures = 0;
	for (unsigned int i = 0; s->run[i]; i++) {
		s->run[i]();
		bench_settle();
	}
	thread_set_allowed(current, ~0ULL);
	print_line("BENCH-END %s %u", s->name, failures);
	return failures ? -EIO : 0;
}

static int cmd_bench(int argc, char **argv)
{
	for (unsigned int i = 0; argc == 2 && i < sizeof(sets) / sizeof(sets[0]); i++)
		if (strcmp(argv[1], sets[i].name) == 0)
			return run_set(&sets[i]);
	return -EINVAL;
}
COMMAND(bench, "bench",
	"bench insn|sweep|period|ipi|probe|time  what operations cost; scripts/bench.py reads it",
	cmd_bench);
