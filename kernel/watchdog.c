// SPDX-License-Identifier: MIT
/*
 * The watchdog: reports a CPU with interrupts off, a thread that never yields, and a stalled grace
 * period, each once per event, with the backtrace of the CPU in question.
 *
 * Why. Each of these is a hang without a word otherwise.
 * How time is measured. The host may stop a virtual CPU, or all of them, for long. So nothing is
 * concluded from one reading of the clock: an observer looks at short intervals and adds up the
 * time for which it saw no progress, and a longer gap between two looks of its own counts as one
 * interval.
 * How an idle CPU is told from one with interrupts off, as both may not tick: it says that it waits
 * for an interrupt. For all others progress is any interrupt taken, ticks and IPIs alike; a CPU
 * without progress for half the limit is sent an IPI, so that a timer that died is not taken for
 * interrupts off.
 * Locks: `looking`, a try-lock, so that one CPU at a time looks at the others. From the tick, irqs
 * off.
 * See also: tests/test_watchdog.c.
 */
#include <atomic.h>
#include <bug.h>
#include <cmdline.h>
#include <errno.h>
#include <percpu.h>
#include <printk.h>
#include <rcu.h>
#include <smp.h>
#include <spinlock.h>
#include <string.h>
#include <symbols.h>
#include <thread.h>
#include <time.h>
#include <watchdog.h>

u64 watchdog_ns = 10 * NSEC_PER_SEC;
unsigned int watchdog_irqs_off, watchdog_no_yield, watchdog_rcu_stall, watchdog_expected;

/* Progress of something, as an observer has seen it. */
struct progress {
	u64 last;  /* what advances */
	u64 stuck; /* ns seen without advance */
	bool reported;
};

/* An observer looks this many times within the limit. */
#define LOOKS 8

static bool started;

/* One CPU at a time looks at the others; the rest belongs to it. */
static u32 looking;
static u64 last_look;
static struct progress cpus[MAX_CPUS];
static struct progress grace_period;

/* This CPU's own thread; its tick, irqs off. */
static DEFINE_PER_CPU(struct progress, own_thread);

static int parse_watchdog(const char *value)
{
	u64 seconds;
	int err = parse_u64(value, &seconds);

	if (err)
		return err;
	if (seconds > 3600)
		return -ERANGE;
	watchdog_ns = seconds * NSEC_PER_SEC;
	return 0;
}
CMDLINE_OPTION(watchdog, "watchdog", "watchdog=SECONDS  report hangs after this long (10); 0: no",
	       parse_watchdog);

/*
 * Adds a look of length ns at something that stands at now; true if it has stood there for the
 * limit, once per event.
 */
static bool stuck(struct progress *p, u64 now, u64 ns)
{
	if (p->last != now) {
		*p = (struct progress){ .last = now };
		return false;
	}
	p->stuck += ns;
	if (p->reported || p->stuck < watchdog_ns)
		return false;
	p->reported = true;
	return true;
}

static void count_report(unsigned int *counter)
{
	fetch_add_relaxed(counter, 1);
	if (READ_ONCE(watchdog_expected) == 0)
		fetch_add_relaxed(&warn_count, 1);
}

static unsigned long long ms(u64 ns)
{
	return ns / NSEC_PER_MSEC;
}

/* ---- A thread that never yields: each CPU for itself ---------------------------------------- */

static void check_own_thread(struct trap_frame *tf)
{
	struct progress *p = this_cpu_ptr(&own_thread);
	struct thread *t = current;

	/* A tick here shows that this CPU runs, so each one counts in full. */
	if (!READ_ONCE(t->need_resched))
		p->last = ~0ULL;
	else if (stuck(p, sched_passes(smp_processor_id()), TICK_NS)) {
		printk("watchdog: thread %s on CPU %u does not yield: %llu ms with preemption off "
		       "(preempt_count %#x)",
		       t->name, smp_processor_id(), ms(p->stuck), t->preempt_count - HARDIRQ_ONE);
		backtrace_print_trap(tf);
		count_report(&watchdog_no_yield);
	}
}

/* ---- Interrupts off: the looking CPU for all others ------------------------------------------ */

static void check_cpu(unsigned int cpu, u64 ns)
{
	struct progress *p = &cpus[cpu];

	if (sched_cpu_waiting(cpu)) {
		p->last = ~0ULL;
	} else if (stuck(p, tick_count(cpu) + smp_ipis_taken(cpu), ns)) {
		printk("watchdog: CPU %u has interrupts off for %llu ms", cpu, ms(p->stuck));
		backtrace_print_cpu(cpu);
		count_report(&watchdog_irqs_off);
	} else if (p->stuck >= watchdog_ns / 2 && !p->reported) {
		smp_send(cpumask_of(cpu), IPI_RESCHED);
	}
}

/* ---- A stalled grace period ------------------------------------------------------------------ */

static void report_stall(const struct rcu_stats *s, u64 ns, struct trap_frame *tf)
{
	unsigned int cpu;

	printk("watchdog: RCU grace period %llu stalled for %llu ms, waiting for CPUs %#llx",
	       (unsigned long long)s->grace_periods, ms(ns), (unsigned long long)s->waiting);
	for_each_cpu(cpu, s->waiting) {
		if (cpu == smp_processor_id())
			backtrace_print_trap(tf); /* not of the watchdog itself */
		else
			backtrace_print_cpu(cpu);
	}
	count_report(&watchdog_rcu_stall);
}

static void check_grace_period(u64 ns, struct trap_frame *tf)
{
	struct rcu_stats s;

	rcu_get_stats(&s);
	if (s.gp_age_ns == 0)
		grace_period.last = ~0ULL;
	else if (stuck(&grace_period, s.grace_periods, ns))
		report_stall(&s, grace_period.stuck, tf);
}

/* ---------------------------------------------------------------------------------------------- */

/* How much of the time since the last look counts, or 0 if it is too early for another. */
static u64 look_length(void)
{
	u64 interval = max(watchdog_ns / LOOKS, (u64)TICK_NS);
	u64 now = time_ns(), ns = now - last_look;

	if (ns < interval)
		return 0;
	last_look = now;
	return min(ns, 2 * interval);
}

static void look_at_others(struct trap_frame *tf)
{
	unsigned int cpu;
	u64 ns = look_length();

	if (ns == 0)
		return;
	for_each_online_cpu(cpu)
		if (cpu != smp_processor_id())
			check_cpu(cpu, ns);
	check_grace_period(ns, tf);
}

void watchdog_tick(struct trap_frame *tf)
{
	if (!READ_ONCE(started) || READ_ONCE(watchdog_ns) == 0)
		return;
	check_own_thread(tf);
	/*
	 * Acquire: orders the last looker's records before ours. Pairs with the release below: read
	 * first, since the word is shared by all CPUs and written by few.
	 */
	if (READ_ONCE(looking) || cmpxchg_acquire(&looking, 0, 1))
		return;
	look_at_others(tf);
	smp_store_release(&looking, 0); /* Pairs with the acquire above. */
}

void watchdog_init(void)
{
	last_look = time_ns();
	WRITE_ONCE(started, true);
}
