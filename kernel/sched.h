/* SPDX-License-Identifier: MIT */
/*
 * Private to sched.c, balance.c and idle.c: the run queues. The protocol is at the head of sched.c.
 */
#ifndef GRACE_KERNEL_SCHED_H
#define GRACE_KERNEL_SCHED_H

#include <percpu.h>
#include <spinlock.h>
#include <thread.h>

struct runqueue {
	/* Immutable once the CPU may run. */
	unsigned int cpu;
	struct thread *idle; /* NULL: this CPU was never started */

	/* lock, irqs off. curr and nr_queued are also read without it, as hints. */
	spinlock_t lock;
	struct list_head queue; /* runnable threads but for curr and idle */
	unsigned int nr_queued;
	struct thread *curr;
	u64 switches, passes;

	/* This CPU, from the choice of the next thread to finish_switch(). */
	struct mm *drop_mm;	  /* borrowed mm that is left */
	struct thread *misplaced; /* prev, if it may not stay on this CPU */

	/* This CPU; others read. In arch_cpu_idle(), or in an interrupt that ends it. */
	bool waiting;

	/* This CPU's tick. */
	unsigned int balance_ticks;
};
DECLARE_PER_CPU(struct runqueue, runqueue);

static inline struct runqueue *cpu_rq(unsigned int cpu)
{
	return per_cpu_ptr(&runqueue, cpu);
}
/* Preemption or irqs off. */
static inline struct runqueue *this_rq(void)
{
	return this_cpu_ptr(&runqueue);
}

/*
 * Both locks, or the one if they are the same; by CPU number, so that no two movers deadlock. irqs
 * off.
 */
void rq_lock_two(struct runqueue *a, struct runqueue *b);
void rq_unlock_two(struct runqueue *a, struct runqueue *b);
/* Puts t, which is in no queue, first or last in rq's; takes it out. rq->lock held. */
void rq_enqueue(struct runqueue *rq, struct thread *t, bool first);
void rq_dequeue(struct runqueue *rq, struct thread *t);

/*
 * True if t may be in cpu's queue: where it may run, or, if it may not run anywhere now, where it
 * waits for its CPU to come up. Exact under the lock of cpu's queue.
 */
static inline bool sched_may_queue(const struct thread *t, unsigned int cpu)
{
	cpumask_t active = READ_ONCE(cpu_active_mask);

	return cpumask_has(t->allowed, cpu) &&
	       (cpumask_has(active, cpu) || !(t->allowed & active));
}
static inline bool sched_cpu_active(unsigned int cpu)
{
	return cpumask_has(READ_ONCE(cpu_active_mask), cpu);
}

/* sched.c */
/* Locks t's home, which may change until it is locked. irqs off. */
struct runqueue *sched_lock_home(struct thread *t);
/* Moves t, if it is queued where it may not run. */
void sched_move_queued(struct thread *t);

/* balance.c */
/* Threads that want the CPU. Without the lock: a hint. */
unsigned int rq_load(const struct runqueue *rq);
/* Where t, which is about to wake up, should run. irqs off; a hint, since t->allowed may change. */
unsigned int sched_select_cpu(const struct thread *t);
/*
 * Moves a thread here from the busiest CPU if that makes the load more even. irqs off, no rq lock.
 */
bool sched_pull(struct runqueue *me);
/* t may run nowhere: counts it, and allows it every CPU. The lock of t's home is held. */
void sched_fall_back(struct thread *t);
/* From the tick, irqs off, no rq lock. */
void sched_balance_tick(struct runqueue *rq);

/* idle.c: true once threads run, so that might_sleep() can tell early boot from a mistake. */
bool sched_running(void);

/* thread.c: t has switched out for the last time; its stack may go. irqs off, no rq lock. */
void thread_reap(struct thread *t);
/* thread.c: the thread with the lowest id above `above`, with a reference, or NULL. */
struct thread *thread_next(s64 above);
/* thread.c: makes t known to threads_print(). Any context. */
void thread_list_add(struct thread *t);

#endif
