/* SPDX-License-Identifier: MIT */
/*
 * What threads do to memory that CPUs share, counted: in builds with BUILD=count, for benchmarks.
 *
 * Every atomic read-modify-write of <atomic.h> and every wait for a lock is announced here; in all
 * other builds the announcements are empty. kernel/contention.c.
 */
#ifndef GRACE_CONTENTION_H
#define GRACE_CONTENTION_H

#include <types.h>

/* In no build that is measured otherwise. */
#ifdef GRACE_COUNT
#define count_build true
void count_rmw(const volatile void *p);
void count_lock_wait(void);
/*
 * Nests. What is not of the thread's own making: the scheduler when it is preempted, an interrupt
 * that is sent again since its target is late.
 */
void count_pause(bool on);
#else
#define count_build false
static inline void count_rmw(const volatile void *p)
{
}
static inline void count_lock_wait(void)
{
}
static inline void count_pause(bool on)
{
}
#endif

/*
 * From the first to the second call, what the calling thread does is counted, on this CPU's
 * account, which goes on from one such stretch to the next; interrupts and the scheduler are not.
 * Thread context, pinned.
 */
void contention_begin(void);
void contention_end(void);
/* Empties every account. Nobody counts. */
void contention_reset(void);

struct contention {
	u64 rmw;	/* atomic read-modify-writes */
	u64 shared;	/* of these: on cache lines on which another CPU's account has one too */
	u64 lock_waits; /* locks that were not to be had at once: spinlock, mutex, rwsem */
	u64 lost; /* read-modify-writes for whose line there was no room: the sums are wrong */
};
/* The sum of all accounts. A CPU may still be counting: its lock_waits are as they are. */
void contention_sum(struct contention *sum);

#endif
