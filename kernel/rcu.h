/* SPDX-License-Identifier: MIT */
/*
 * Private to rcu.c (grace periods) and rcu_callback.c (what waits for them without a thread).
 */
#ifndef GRACE_KERNEL_RCU_H
#define GRACE_KERNEL_RCU_H

#include <rcu.h>

/* rcu.c: asks for grace periods up to one that begins after now; returns its number. */
u64 rcu_gp_request(void);

/* rcu_callback.c: boot CPU, before the first call_rcu(). */
void rcu_callback_init(void);
/* From this CPU's tick: wakes its callback thread if there is work for it. irqs off. */
void rcu_callback_tick(void);
/* Has cpu's callback thread look now, not at its tick, for what it may run. */
void rcu_callback_kick(unsigned int cpu);
/*
 * Takes what the dead CPU's queue holds over to the caller's, each callback with the grace period
 * that it still has to wait for. Its thread is parked. Thread context, may sleep. [H2]
 */
void rcu_callback_take_over(unsigned int cpu);

/* Since boot, but for pending. A callback that was taken over is run by another CPU's thread. */
struct rcu_callback_stats {
	u64 queued, run, pending;
};
struct rcu_callback_stats rcu_callback_get_stats(unsigned int cpu);

#endif
