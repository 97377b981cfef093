// SPDX-License-Identifier: MIT
/*
 * Grace periods beside walkers on all other CPUs: how long, and how much waits for them.
 *
 * Under -icount, where one clock counts the instructions of all CPUs and every run is the same. The
 * CPU that waits is the last, and a walker halts after each batch of walks until its tick: where
 * QEMU does not take PAUSE for a wait (riscv64), a CPU that spins keeps later ones from running.
 * Rules: none. Contexts: thread; nothing else runs. See also: tests/bench/bench_pair.c, which does
 * this beside one CPU that does not walk; kernel/rcu.c, mm/table_limit.c.
 */
#include "count.h"

#include <console.h>
#include <errno.h>
#include <gup.h>
#include <printk.h>
#include <rcu.h>
#include <table_limit.h>

#define PHASES 16
#define MANY 64
#define WALKS 16 /* a batch */
#define UNMAPPINGS 2000

static bool stop;
static struct page *pages[MAX_CPUS][MANY];

static void walk(void *arg)
{
	struct page **mine = arg;

	kthread_use_mm(mm);
	while (!READ_ONCE(stop)) {
		for (unsigned int i = 0; i < WALKS; i++) {
			unsigned int got = gup_fast(shared_page(), MANY, FOLL_WRITE, mine);

			BENCH_CHECK(got == MANY);
			while (got > 0)
				put_page(mine[--got]);
		}
		halt();
	}
	kthread_unuse_mm();
}

/* Begun at PHASES places of a tick: none of them is luckier than the others. */
static void periods(void)
{
	u64 sum = 0, most = 0;

	for (unsigned int i = 0; i < PHASES; i++) {
		udelay(i * TICK_NS / PHASES / NSEC_PER_USEC);
		u64 start = time_ns();

		synchronize_rcu();
		sum += time_ns() - start;
		most = max(most, time_ns() - start);
	}
	count_row("period", "mean", sum, PHASES);
	count_row("period", "longest", most, 1);
}

/* Of another mm, so that no flush waits for a walker: what waits, waits for the periods alone. */
static void waiting(void)
{
	struct table_limit_stats before, after;
	struct mm *other = test_mm_enter();

	bench_settle();
	table_limit_reset_peaks();
	table_limit_get_stats(&before);
	for (unsigned int i = 0; i < UNMAPPINGS; i++) {
		bench_map(other, bench_window(0), 1);
		BENCH_CHECK(mm_munmap(other, bench_window(0), PAGE_SIZE) == 0);
	}
	table_limit_get_stats(&after);
	count_row("period", "bytes", after.peak, 1);
	count_row("period", "limited", after.waits - before.waits, UNMAPPINGS);
	test_mm_leave(other);
}

static void beside_walkers(void)
{
	struct thread *walkers[MAX_CPUS];

	WRITE_ONCE(stop, false);
	for (unsigned int i = 0; i < cpus - 1; i++)
		walkers[i] = test_thread(cpumask_of(test_cpu(i)), walk, pages[i]);
	thread_sleep(2 * TICK_NS); /* until they walk */
	periods();
	waiting();
	WRITE_ONCE(stop, true);
	for (unsigned int i = 0; i < cpus - 1; i++)
		if (BENCH_CHECK(walkers[i] != NULL))
			thread_join(walkers[i]);
}

static int cmd_bench_period(int argc, char **argv)
{
	unsigned int failed = bench_failures();

	cpus = cpumask_weight(READ_ONCE(cpu_online_mask));
	transport = "clock";
	if (cpus < 2)
		return -EINVAL;
	thread_set_allowed(current, cpumask_of(test_cpu(cpus - 1)));
	mm = mm_create();
	if (BENCH_CHECK(mm != NULL)) {
		bench_map(mm, shared_page(), MANY);
		beside_walkers();
		mmput(mm);
	}
	thread_set_allowed(current, ~0ULL);
	failed = bench_failures() - failed;
	print_line("BENCH-END period %u", failed);
	return failed ? -EIO : 0;
}
COMMAND(bench_period, "bench-period",
	"bench-period  grace periods beside walkers; scripts/bench_smp.py reads it",
	cmd_bench_period);
