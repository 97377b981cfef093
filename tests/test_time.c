// SPDX-License-Identifier: MIT
/*
 * Time since boot, the tick, timers.
 */
#include "testlib.h"

#include <irqflags.h>
#include <percpu.h>

TEST(time, monotonic_on_one_cpu)
{
	u64 last = time_ns();

	for (unsigned int i = 0; i < 20000; i++) {
		u64 now = time_ns();

		if (!EXPECT(now >= last))
			break;
		last = now;
	}
}

TEST(time, units_agree)
{
	EXPECT_EQ(cycles_to_ns(arch.timer_hz), NSEC_PER_SEC);
	EXPECT_EQ(ns_to_cycles(NSEC_PER_SEC), arch.timer_hz);
	/* A year does not overflow. */
	u64 year = 365 * 24 * 3600 * NSEC_PER_SEC, back = cycles_to_ns(ns_to_cycles(year));

	EXPECT(back >= year - NSEC_PER_USEC && back <= year + NSEC_PER_USEC);
	/* Short times are not cut to nothing. */
	EXPECT(ns_to_cycles(1) <= ns_to_cycles(NSEC_PER_USEC));
	EXPECT(ns_to_cycles(NSEC_PER_MSEC) >= arch.timer_hz / 1000 - 1);
}

TEST(time, udelay_waits_long_enough)
{
	u64 start = time_ns();

	udelay(2000);
	EXPECT(time_ns() - start >= 2 * NSEC_PER_MSEC);
}

/* A reading is handed from CPU to CPU: none may be earlier than the one before it. */
static struct {
	u64 turn, last, backwards;
} relay;
#define RELAY_TURNS 400

static void relay_time(void *arg)
{
	u64 me = (u64)arg;

	u64 end = time_ns() + TEST_EFFORT;

	while (READ_ONCE(relay.turn) < RELAY_TURNS && time_ns() < end) {
		/*
		 * Orders the turn before reading last. Pairs with the release below on the other
		 * CPU.
		 */
		if (smp_load_acquire(&relay.turn) % 2 != me) {
			cpu_relax();
			continue;
		}
		u64 now = time_ns();

		if (now < relay.last)
			relay.backwards++;
		relay.last = now;
		/* Orders last before the turn. Pairs with the acquire above in relay_time(). */
		smp_store_release(&relay.turn, relay.turn + 1);
	}
}

TEST(time, in_step_between_cpus)
{
	struct thread *t[2];

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 1; i < min(cpumask_weight(cpu_online_mask), 4u); i++) {
		relay.turn = relay.backwards = relay.last = 0;
		t[0] = test_thread(cpumask_of(test_cpu(0)), relay_time, (void *)0);
		t[1] = test_thread(cpumask_of(test_cpu(i)), relay_time, (void *)1);
		for (unsigned int j = 0; j < 2; j++)
			if (t[j])
				thread_join(t[j]);
		EXPECT(relay.turn >= 2);
		EXPECT_EQ(relay.backwards, 0);
	}
}

/* ---- Timers ------------------------------------------------------------------------------ */

struct timed {
	struct timer timer;
	u64 ran, when;
	unsigned int cpu;
	bool in_irq, irqs_on;
};

static void note(struct timer *t)
{
	struct timed *d = container_of(t, struct timed, timer);

	d->when = time_ns();
	d->cpu = smp_processor_id();
	d->in_irq = in_interrupt();
	d->irqs_on = arch_irqs_enabled();
	fetch_add(&d->ran, 1);
}

TEST(time, timer_runs_once_here_in_an_interrupt)
{
	struct timed d = { .ran = 0 };

	thread_set_allowed(current, cpumask_of(test_cpu(cpumask_weight(cpu_online_mask) - 1)));
	timer_init(&d.timer, note);
	u64 start = time_ns();

	timer_start(&d.timer, 3 * NSEC_PER_MSEC);
	EXPECT(WAIT_UNTIL(READ_ONCE(d.ran) == 1));
	EXPECT(d.when - start >= 3 * NSEC_PER_MSEC);
	EXPECT_EQ(d.cpu, smp_processor_id());
	EXPECT(d.in_irq && !d.irqs_on);
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(d.ran) > 1));
	timer_stop(&d.timer);
}

TEST(time, timer_start_replaces)
{
	struct timed d = { .ran = 0 };

	timer_init(&d.timer, note);
	u64 start = time_ns();

	preempt_disable();
	timer_start(&d.timer, 100 * TEST_PATIENCE);
	timer_start(&d.timer, NSEC_PER_MSEC);
	preempt_enable();
	EXPECT(WAIT_UNTIL(READ_ONCE(d.ran) == 1));
	EXPECT(d.when - start >= NSEC_PER_MSEC);
	timer_stop(&d.timer);
}

TEST(time, timer_stop_stops)
{
	struct timed d = { .ran = 0 };

	timer_init(&d.timer, note);
	timer_stop(&d.timer); /* never started */
	for (unsigned int i = 0; i < 10; i++) {
		timer_start(&d.timer, 4 * NSEC_PER_MSEC);
		u64 before = d.ran;

		timer_stop(&d.timer);
		/* It may have run before the stop if the host was slow; after it, never. */
		u64 after = READ_ONCE(d.ran);

		EXPECT(!d.timer.pending);
		EXPECT(after <= before + 1);
		if (i == 0)
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(d.ran) != after));
	}
}

/*
 * Many at once, started out of order, run in the order in which they are due: which a host that is
 * slow between two starts may have changed.
 */
static u64 sequence;

static void note_sequence(struct timer *t)
{
	note(t);
	container_of(t, struct timed, timer)->when = fetch_add(&sequence, 1);
}

TEST(time, timers_run_in_order)
{
	static struct timed d[8];

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	sequence = 0;
	bool on = local_irq_save(); /* so that none runs before all are set */

	for (unsigned int i = 0; i < 8; i++) {
		unsigned int k = i * 5 % 8;

		d[k].ran = 0;
		timer_init(&d[k].timer, note_sequence);
		timer_start(&d[k].timer, 20 * NSEC_PER_MSEC + k * 500 * NSEC_PER_USEC);
	}
	local_irq_restore(on);
	for (unsigned int i = 0; i < 8; i++) {
		EXPECT(WAIT_UNTIL(READ_ONCE(d[i].ran) == 1));
		timer_stop(&d[i].timer);
	}
	for (unsigned int i = 0; i < 8; i++)
		for (unsigned int j = 0; j < 8; j++)
			EXPECT(d[i].timer.expires >= d[j].timer.expires || d[i].when < d[j].when);
}

/* ---- The tick ---------------------------------------------------------------------------- */

TEST(time, busy_cpu_ticks)
{
	preempt_disable();
	unsigned int cpu = smp_processor_id();
	u64 ticks = tick_count(cpu);

	EXPECT(SPIN_UNTIL(tick_count(cpu) >= ticks + 5));
	preempt_enable();
}

/* A quarter of a second is 62 ticks; an idle CPU sleeps through most of them. */
TEST(time, idle_cpu_does_not_tick)
{
	u64 least = ~0ULL;

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 0; i < 5 && least > 20; i++) {
		rcu_barrier();
		u64 ticks = tick_count(test_cpu(1));

		thread_sleep(250 * NSEC_PER_MSEC);
		least = min(least, tick_count(test_cpu(1)) - ticks);
	}
	EXPECT(least <= 20);
}
