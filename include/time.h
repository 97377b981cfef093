/* SPDX-License-Identifier: MIT */
/*
 * Time since boot, the per-CPU tick, and timers.
 *
 * Each CPU has a one-shot hardware timer. While it runs a thread it ticks HZ times a second; an
 * idle CPU sleeps until its earliest timer, unless RCU still needs it (rcu_needs_cpu()).
 */
#ifndef GRACE_TIME_H
#define GRACE_TIME_H

#include <list.h>
#include <types.h>

#define HZ 250
#define TICK_NS (NSEC_PER_SEC / HZ)

/* Nanoseconds since the first call, at boot. Any context, any CPU. */
u64 time_ns(void);
u64 cycles_to_ns(u64 cycles);
u64 ns_to_cycles(u64 ns);
/* Spins. Any context. */
void udelay(u64 us);

struct timer {
	u64 expires; /* arch_cycles() */
	void (*fn)(struct timer *t);
	struct list_head node;
	unsigned int cpu;
	bool pending;
};

void timer_init(struct timer *t, void (*fn)(struct timer *));
/*
 * Makes fn run once, in interrupt context of this CPU, ns from now. Replaces an earlier setting.
 * Any context; fn may start its own timer again. Start and stop of one timer are the owner's, one
 * at a time: two CPUs never call them together, nor start it while fn might.
 */
void timer_start(struct timer *t, u64 ns);
/*
 * After it returns the timer is not pending and its fn runs nowhere. Not from fn itself. irqs on,
 * and no lock held that fn takes.
 */
void timer_stop(struct timer *t);

void time_init_cpu(void); /* each CPU, irqs off: starts the tick, each time it comes up */
/* Takes the timers of a dead CPU over to the caller's CPU. One at a time. */
void time_take_over(unsigned int cpu);
/*
 * irqs off; from the idle loop, or a thread that has the CPU to itself. enter: slows the tick to a
 * rare one, which looks after the other CPUs (watchdog.c), unless RCU needs the CPU; exit: the tick
 * is back on its grid. Both may be repeated.
 */
void tick_idle_enter(void);
void tick_idle_exit(void);
/* Ticks taken by cpu. */
u64 tick_count(unsigned int cpu);

#endif
