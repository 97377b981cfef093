// SPDX-License-Identifier: MIT
/*
 * What takes two CPUs: a grace period beside a busy one, the memory that waits for it, and a flush
 * that is asked of another.
 *
 * Under -icount the CPUs take turns and one clock counts the instructions of both, so a wait is in
 * instructions of all CPUs: virtual nanoseconds. A turn ends at the next timer, or where a CPU says
 * that it waits: by an instruction that QEMU takes for one, which riscv64's PAUSE is not. There a
 * CPU that spins keeps a later one from running up to the next timer. So the grace periods are
 * waited for on CPU 1, beside a CPU 0 that halts inside a thread; and row gp-expedited, where a CPU
 * spins until another has answered, is not to be had. Row ipi is: of the target's part alone.
 * See also: kernel/rcu.c, mm/tlb.c, kernel/smp.c.
 */
#include "bench.h"

#include <irqflags.h>
#include <rcu.h>
#include <table_limit.h>
#include <tlb.h>

/* ---- Grace periods --------------------------------------------------------------------- */

#define PHASES 16

/* Waits that begin at PHASES places of a tick: none of them is luckier than the others. */
static void normal_periods(void)
{
	u64 sum = 0, most = 0;

	for (unsigned int i = 0; i < PHASES; i++) {
		udelay(i * TICK_NS / PHASES / NSEC_PER_USEC);
		u64 start = time_ns();

		synchronize_rcu();
		u64 took = time_ns() - start;

		sum += took;
		most = max(most, took);
	}
	bench_row("gp", sum, PHASES);
	bench_row("gp-longest", most, 1);
}

/* As busy as any CPU to RCU and to the scheduler, which only know that a thread runs. */
static void halt_in_thread(void *arg)
{
	const bool *stop = arg;

	while (!READ_ONCE(*stop)) {
		local_irq_disable();
		arch_cpu_idle();
	}
}

/* Keeps the n-th CPU busy so, until busy_end(); NULL with the test failed. */
static struct thread *busy_begin(unsigned int n, bool *stop)
{
	*stop = false;
	struct thread *busy = test_thread(cpumask_of(test_cpu(n)), halt_in_thread, stop);

	if (busy)
		thread_sleep(2 * TICK_NS); /* until it runs */
	return busy;
}

static void busy_end(struct thread *busy, bool *stop)
{
	WRITE_ONCE(*stop, true);
	thread_join(busy);
}

void bench_expedited(void)
{
	struct meter m = METER_INIT;
	bool stop;
	struct thread *busy = busy_begin(1, &stop);

	if (!busy)
		return;
	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&m);
		synchronize_rcu_expedited();
		meter_stop(&m);
	}
	busy_end(busy, &stop);
	bench_meter_row("gp-expedited", &m, 1);
}

/* ---- Memory that waits for a grace period --------------------------------------------- */

#define UNMAPPINGS 4000

/* Where nothing else is mapped: each sets all tables but the root free. */
static void unmap_many(struct mm *mm)
{
	for (unsigned int i = 0; i < UNMAPPINGS; i++) {
		bench_map(mm, bench_window(0), 1);
		BENCH_CHECK(mm_munmap(mm, bench_window(0), PAGE_SIZE) == 0);
	}
}

static void waiting_bytes(void)
{
	struct table_limit_stats before, after;
	struct gather_stats g0, g1;
	struct mm *mm = test_mm_enter();

	bench_settle();
	table_limit_reset_peaks();
	table_limit_get_stats(&before);
	gather_get_stats(&g0);
	unmap_many(mm);
	table_limit_get_stats(&after);
	gather_get_stats(&g1);
	u64 tables = g1.tables_by_rcu - g0.tables_by_rcu;

	BENCH_CHECK(tables == UNMAPPINGS * (arch.pt_levels - 1));
	bench_row("waiting-peak", after.peak, 1);
	bench_row("waiting-limited", after.waits - before.waits, 1);
	bench_row("waiting-table", after.bytes - before.bytes, tables);
	test_mm_leave(mm);
}

void bench_period(void)
{
	bool stop;
	struct thread *busy = busy_begin(0, &stop);

	if (!busy)
		return;
	normal_periods();
	waiting_bytes();
	busy_end(busy, &stop);
}

/* ---- A flush that is asked of another CPU ---------------------------------------------- */

/*
 * The target has interrupts off until the request is there, then lets it in between two readings:
 * what is between them is the interrupt, the flush, the answer, and the way back.
 */
static struct {
	struct mm *mm;
	struct meter m;
	unsigned int in, sent, turn;
	bool stop;
} target;

#define SETTLED 100 /* turns of the asking CPU, which only waits by then */

static void wait_for_request(unsigned int turn)
{
	s64 gen = atomic64_read(&target.mm->tlb_gen);

	/* Release: orders the reading of tlb_gen before it is known. Pairs with ask(). */
	smp_store_release(&target.in, turn);
	while (atomic64_read(&target.mm->tlb_gen) == gen && !READ_ONCE(target.stop))
		cpu_relax();
	for (unsigned int i = 0; i < SETTLED; i++)
		cpu_relax();
}

static void take_requests(void *unused)
{
	u64 value;

	kthread_use_mm(target.mm);
	(void)test_peek(bench_window(0), &value); /* the mm is loaded here, and used */
	for (unsigned int turn = 1; turn <= BENCH_TURNS; turn++) {
		bool on = local_irq_save();

		tick_idle_enter(); /* or it may be pending as well, and be counted */
		wait_for_request(turn);
		meter_start(&target.m);
		local_irq_restore(on);
		(void)READ_ONCE(target.stop); /* x86_64: interrupts come one instruction later */
		meter_stop(&target.m);
		local_irq_disable();
		tick_idle_exit();
		local_irq_restore(on);
	}
	kthread_unuse_mm();
}

static void ask(unsigned int turn)
{
	/* Acquire: orders it before the flush. Pairs with wait_for_request(). */
	BENCH_CHECK(WAIT_UNTIL(smp_load_acquire(&target.in) >= turn));
	BENCH_CHECK(mm_madvise_dontneed(target.mm, bench_window(0), PAGE_SIZE) == 0);
	bench_populate(target.mm, bench_window(0), 1);
}

void bench_ipi(void)
{
	enum tlb_mode old = tlb_mode;

	target.mm = test_mm_enter();
	target.m = (struct meter)METER_INIT;
	bench_map(target.mm, bench_window(0), 1);
	tlb_mode = TLB_IPI;
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), take_requests, NULL);

	for (unsigned int turn = 1; t && turn <= BENCH_TURNS; turn++)
		ask(turn);
	if (t)
		thread_join(t);
	tlb_mode = old;
	bench_meter_row("ipi", &target.m, 1);
	test_mm_leave(target.mm);
}
