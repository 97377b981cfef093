// SPDX-License-Identifier: MIT
/*
 * The clock, timers, the tick, and sleeping for a time.
 *
 * Terms. Each CPU has one hardware timer, which is set to the earlier of its next tick and its
 * first pending timer. Ticks stand on a grid of TICK_NS, shifted a little from CPU to CPU so that
 * they do not all come at once. An idle CPU's tick is slowed to IDLE_TICK_NS, unless RCU needs the
 * CPU.
 * Why an idle CPU ticks at all: it may be the only one left that can see another hang (watchdog.c).
 * Locks: base->lock, one a CPU, irqs off, a leaf; timer functions run without it.
 * See also: watchdog.c, idle.c, tests/test_time.c.
 *
 * timer_stop() against the interrupt: the timer is taken off the list and named as `running` under
 * one hold of the lock, so it is seen pending, or running, or it is over.
 *
 *   CPU 1 (timer_interrupt)              CPU 0 (timer_stop)
 *   lock; unlink t; running = t; unlock
 *   t->fn(t)                             lock; not pending; running == t: unlock, try again
 *   lock; running = NULL; unlock         lock; not pending, not running: unlock, done
 */
#include <irqflags.h>
#include <percpu.h>
#include <rcu.h>
#include <spinlock.h>
#include <thread.h>
#include <time.h>
#include <trap.h>

#define IDLE_TICK_NS (200 * NSEC_PER_MSEC)
#define FAR_NS (NSEC_PER_SEC << 27) /* four years: as good as never, and far from overflow */
#define NEVER ~0ULL

struct timer_base {
	spinlock_t lock;
	struct list_head timers; /* by expiry; lock */
	struct timer *running;	 /* lock */

	/* This CPU, irqs off. */
	u64 next_tick, programmed; /* arch_cycles() */
	bool slow;		   /* idle: next_tick is IDLE_TICK_NS away */
	u64 ticks;		   /* others read it */
};
static DEFINE_PER_CPU(struct timer_base, timer_base);

/* ---- The clock ------------------------------------------------------------------------------ */

/* The count at the first look at the clock: boot CPU, before others run. */
static u64 clock_start;

/* Exact, and without overflow for centuries: whole seconds apart. */
u64 cycles_to_ns(u64 cycles)
{
	u64 hz = arch.timer_hz;

	return cycles / hz * NSEC_PER_SEC + cycles % hz * NSEC_PER_SEC / hz;
}

/* Rounded up, so that a wait is never too short. */
u64 ns_to_cycles(u64 ns)
{
	u64 hz = arch.timer_hz;

	return ns / NSEC_PER_SEC * hz + DIV_ROUND_UP(ns % NSEC_PER_SEC * hz, NSEC_PER_SEC);
}

u64 time_ns(void)
{
	if (unlikely(!clock_start)) {
		if (!arch.timer_hz)
			return 0;
		clock_start = arch_cycles();
	}
	return cycles_to_ns(arch_cycles() - clock_start);
}

void udelay(u64 us)
{
	u64 start = time_ns();

	while (time_ns() - start < us * NSEC_PER_USEC)
		cpu_relax();
}

/* ---- Timers --------------------------------------------------------------------------------- */

static struct timer_base *this_base(void)
{
	return this_cpu_ptr(&timer_base);
}

/* Sets the hardware timer. This CPU's base, locked. */
static void program(struct timer_base *base)
{
	u64 when = base->next_tick;

	if (!list_empty(&base->timers))
		when = min(when, list_first_entry(&base->timers, struct timer, node)->expires);
	if (when == base->programmed)
		return;
	base->programmed = when;
	arch_timer_set(when);
}

void timer_init(struct timer *t, void (*fn)(struct timer *))
{
	/*
	 * Here, where it is going to be started as a rule: if all began as CPU 0's, every sleep
	 * would take that CPU's lock first, and a host with fewer cores would hand it on at its own
	 * pace.
	 */
	*t = (struct timer){ .fn = fn, .cpu = smp_processor_id() };
	list_init(&t->node);
}

/* Locks the base that t is or was on: while it is pending there it may be taken over. irqs off. */
static struct timer_base *lock_base(struct timer *t)
{
	for (;;) {
		unsigned int cpu = READ_ONCE(t->cpu);
		struct timer_base *base = per_cpu_ptr(&timer_base, cpu);

		raw_spin_lock(&base->lock);
		if (t->cpu == cpu)
			return base;
		raw_spin_unlock(&base->lock);
	}
}

/* Takes t off its list if it is pending; true if its fn is running. irqs off. */
static bool timer_unlink(struct timer *t)
{
	struct timer_base *base = lock_base(t);

	if (t->pending)
		list_del(&t->node);
	t->pending = false;
	bool running = base->running == t;

	raw_spin_unlock(&base->lock);
	return running;
}

/* base->lock held. */
static void timer_insert(struct timer_base *base, struct timer *t)
{
	struct list_head *pos = base->timers.prev;

	while (pos != &base->timers && list_entry(pos, struct timer, node)->expires > t->expires)
		pos = pos->prev;
	list_add(&t->node, pos);
	t->pending = true;
}

void timer_start(struct timer *t, u64 ns)
{
	bool on = local_irq_save();
	struct timer_base *base = this_base();

	(void)timer_unlink(t);
	raw_spin_lock(&base->lock);
	t->cpu = smp_processor_id();
	t->expires = arch_cycles() + ns_to_cycles(min(ns, FAR_NS));
	timer_insert(base, t);
	program(base);
	raw_spin_unlock(&base->lock);
	local_irq_restore(on);
}

void time_take_over(unsigned int cpu)
{
	struct timer_base *from = per_cpu_ptr(&timer_base, cpu);
	bool on = local_irq_save();
	struct timer_base *to = this_base();

	/* Nobody else takes two of these locks, so the order does not matter. */
	raw_spin_lock(&from->lock);
	raw_spin_lock(&to->lock);
	BUG_ON(from->running);
	while (!list_empty(&from->timers)) {
		struct timer *t = list_first_entry(&from->timers, struct timer, node);

		list_del(&t->node);
		WRITE_ONCE(t->cpu, smp_processor_id());
		timer_insert(to, t);
	}
	program(to);
	raw_spin_unlock(&to->lock);
	raw_spin_unlock(&from->lock);
	local_irq_restore(on);
}

void timer_stop(struct timer *t)
{
	for (;;) {
		bool on = local_irq_save();
		bool running = timer_unlink(t);

		local_irq_restore(on);
		if (!running)
			return;
		BUG_ON(irqs_disabled());
		cpu_relax();
	}
}

/* Takes the first timer that is due off the list and names it as running. */
static struct timer *timer_take_due(struct timer_base *base, u64 now)
{
	struct timer *t = NULL;

	raw_spin_lock(&base->lock);
	if (!list_empty(&base->timers))
		t = list_first_entry(&base->timers, struct timer, node);
	if (t && t->expires > now)
		t = NULL;
	if (t) {
		list_del(&t->node);
		t->pending = false;
	}
	base->running = t;
	raw_spin_unlock(&base->lock);
	return t;
}

static void run_timers(struct timer_base *base)
{
	u64 now = arch_cycles();
	struct timer *t;

	/* The next look under the lock says that fn is over; t itself is not touched after fn. */
	while ((t = timer_take_due(base, now)))
		t->fn(t);
}

/* ---- The tick ------------------------------------------------------------------------------- */

/* The first point of this CPU's grid after now. */
static u64 grid_after(u64 now)
{
	u64 step = arch.timer_hz / HZ;
	u64 shift = step * smp_processor_id() / nr_cpus;

	return (now + step - shift) / step * step + shift;
}

static void set_next_tick(struct timer_base *base)
{
	u64 now = arch_cycles();

	base->next_tick = base->slow ? now + ns_to_cycles(IDLE_TICK_NS) : grid_after(now);
}

static void reprogram(struct timer_base *base)
{
	raw_spin_lock(&base->lock);
	program(base);
	raw_spin_unlock(&base->lock);
}

void timer_interrupt(struct trap_frame *tf)
{
	struct timer_base *base = this_base();

	base->programmed = NEVER; /* it has fired: it is to be set anew */
	run_timers(base);
	if (arch_cycles() >= base->next_tick) {
		WRITE_ONCE(base->ticks, base->ticks + 1);
		set_next_tick(base);
		sched_tick(tf);
	}
	reprogram(base);
}

/* irqs off. */
static void tick_set_slow(bool slow)
{
	struct timer_base *base = this_base();

	if (base->slow == slow)
		return;
	base->slow = slow;
	set_next_tick(base);
	reprogram(base);
}

void tick_idle_enter(void)
{
	tick_set_slow(!rcu_needs_cpu());
}

void tick_idle_exit(void)
{
	tick_set_slow(false);
}

u64 tick_count(unsigned int cpu)
{
	return READ_ONCE(per_cpu(timer_base, cpu).ticks);
}

void time_init_cpu(void)
{
	struct timer_base *base = this_base();

	(void)time_ns();
	if (!base->timers.next) { /* else it was up before, and others may have the lock */
		spin_lock_init(&base->lock);
		list_init(&base->timers);
	}
	base->slow = false;
	base->programmed = NEVER;
	set_next_tick(base);
	reprogram(base);
}

/* ---- Sleeping for a time --------------------------------------------------------------------- */

struct sleeper {
	struct timer timer;
	struct thread *thread;
	bool fired;
};

static void sleeper_fire(struct timer *t)
{
	struct sleeper *s = container_of(t, struct sleeper, timer);

	/*
	 * WHY SAFE: s and its thread stay until timer_stop() in schedule_timeout(), which waits for
	 * us.
	 */
	WRITE_ONCE(s->fired, true);
	thread_wake(s->thread);
}

bool schedule_timeout(u64 ns)
{
	struct sleeper s = { .thread = current };

	timer_init(&s.timer, sleeper_fire);
	timer_start(&s.timer, ns);
	schedule();
	timer_stop(&s.timer);
	return !READ_ONCE(s.fired);
}

void thread_sleep(u64 ns)
{
	u64 start = time_ns(), slept = 0;

	might_sleep();
	while (slept < ns) {
		thread_prepare_sleep();
		(void)schedule_timeout(ns - slept);
		slept = time_ns() - start;
	}
	thread_cancel_sleep();
}
