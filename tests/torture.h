/* SPDX-License-Identifier: MIT */
/*
 * The torture of RCU: what readers and updaters share. torture_rcu.c says what it is about.
 */
#ifndef GRACE_TORTURE_H
#define GRACE_TORTURE_H

#include <atomic.h>
#include <list.h>
#include <rcu.h>
#include <types.h>

#define NR_SLOTS 8
#define LAST_AGE 6

struct object {
	struct rcu_head head;
	struct list_head node; /* in the pool, or in the list of an updater that waits */
	u64 uses;	       /* how often it went back into the pool */
	unsigned int age;
};

/* What keeps a grace period from ending. */
enum hold { HOLD_LOCK, HOLD_PREEMPT, HOLD_IRQS, NR_HOLDS };
enum update { BY_CALLBACK, BY_WAITING, BY_EXPEDITED, BY_HANDLER, NR_UPDATES };

/* One run at a time: the console's. */
struct torture_rcu {
	struct object *slots[NR_SLOTS];
	bool stop;
	u64 seed;
	unsigned int failures; /* atomic */

	/* Statistics: atomic, relaxed. */
	u64 ages[LAST_AGE + 1], updates[NR_UPDATES], begun_with[NR_HOLDS];
	u64 in_handlers, met_end, reused, floods, barriers;
};
extern struct torture_rcu rt;

static inline void torture_count(u64 *n)
{
	fetch_add_relaxed(n, 1);
}

/* Any context. */
void torture_spin(u64 ns);
/* Mostly nothing; sometimes longer than a call to another CPU; now and then longer than a tick. */
void torture_linger(u64 *rng);
/* One section. Any context but NMI, irqs in any state. */
void torture_read(u64 *rng);

#endif
