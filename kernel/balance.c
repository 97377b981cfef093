// SPDX-License-Identifier: MIT
/*
 * Which CPU a thread runs on.
 *
 * A thread that wakes up goes to the CPU it ran on last if that is idle, else to an idle one, else
 * to the least loaded. A CPU with nothing to do pulls a waiting thread from the busiest; every 50
 * ms a busy CPU does so too, and one with threads waiting wakes an idle CPU that may take one.
 * A CPU that goes down is left: its threads go elsewhere, and one that was pinned to it alone may
 * run anywhere from then on.
 * Why. Without it the threads of the race would end up one behind the other, and meet no more.
 * Locks: two run-queue locks to move a thread (see sched.c); all decisions read hints without them
 * and are looked at again under them. irqs off throughout. See also: sched.c.
 */
#include "sched.h"

#include <time.h>

#define BALANCE_TICKS (HZ / 20)

unsigned int rq_load(const struct runqueue *rq)
{
	return READ_ONCE(rq->nr_queued) + (READ_ONCE(rq->curr) != rq->idle);
}

unsigned int sched_select_cpu(const struct thread *t)
{
	cpumask_t mask = READ_ONCE(t->allowed), active = READ_ONCE(cpu_active_mask);
	unsigned int cpu, best = READ_ONCE(t->cpu), load, least = ~0u;

	/* A thread may be pinned to a CPU that is yet to come up, and waits there until it does. */
	mask &= (mask & active) ? active : cpu_possible_mask;
	BUG_ON(!mask);
	if (cpumask_has(mask, best)) {
		least = rq_load(cpu_rq(best));
		mask &= ~cpumask_of(best);
	}
	for_each_cpu(cpu, mask) {
		if (least == 0)
			break;
		load = rq_load(cpu_rq(cpu));
		if (load < least) {
			best = cpu;
			least = load;
		}
	}
	return best;
}

/* The last in from's queue that may run on cpu, or NULL. from->lock held. */
static struct thread *find_movable(struct runqueue *from, unsigned int cpu)
{
	struct list_head *n;

	for (n = from->queue.prev; n != &from->queue; n = n->prev) {
		struct thread *t = list_entry(n, struct thread, rq_node);

		if (cpumask_has(t->allowed, cpu))
			return t;
	}
	return NULL;
}

static bool uneven(const struct runqueue *from, const struct runqueue *me)
{
	return rq_load(from) >= rq_load(me) + 2;
}

/*
 * Both locks, if nobody has them. Pulling can wait; and idle CPUs that queued up for the lock of a
 * busy one would make it wait for all of them, over and over where a host runs them by turns.
 */
static bool trylock_two(struct runqueue *me, struct runqueue *from)
{
	if (!raw_spin_trylock(&me->lock))
		return false;
	if (raw_spin_trylock(&from->lock))
		return true;
	raw_spin_unlock(&me->lock);
	return false;
}

static bool pull_from(struct runqueue *me, struct runqueue *from)
{
	struct thread *t = NULL;

	if (!trylock_two(me, from))
		return false;
	if (uneven(from, me) && sched_cpu_active(me->cpu))
		t = find_movable(from, me->cpu);
	if (t) {
		rq_dequeue(from, t);
		rq_enqueue(me, t, false);
	}
	rq_unlock_two(me, from);
	return t != NULL;
}

static struct runqueue *busiest(cpumask_t mask)
{
	struct runqueue *most = NULL;
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		if (!most || rq_load(cpu_rq(cpu)) > rq_load(most))
			most = cpu_rq(cpu);
	return most;
}

bool sched_pull(struct runqueue *me)
{
	cpumask_t others = READ_ONCE(cpu_active_mask) & ~cpumask_of(me->cpu);

	if (!sched_cpu_active(me->cpu))
		return false;
	while (others) {
		struct runqueue *from = busiest(others);

		if (!uneven(from, me))
			return false;
		if (pull_from(me, from))
			return true;
		others &= ~cpumask_of(from->cpu);
	}
	return false;
}

/* Where the threads that wait on rq may run. */
static cpumask_t queued_allowed(struct runqueue *rq)
{
	cpumask_t mask = 0;
	struct thread *t;

	raw_spin_lock(&rq->lock);
	list_for_each_entry(t, &rq->queue, rq_node)
		mask |= t->allowed;
	raw_spin_unlock(&rq->lock);
	return mask;
}

static void wake_idle_cpu(struct runqueue *rq)
{
	unsigned int cpu;

	for_each_cpu(cpu, queued_allowed(rq) & READ_ONCE(cpu_active_mask)) {
		if (rq_load(cpu_rq(cpu)) == 0) {
			sched_kick(cpu); /* its idle loop pulls */
			return;
		}
	}
}

void sched_balance_tick(struct runqueue *rq)
{
	if (++rq->balance_ticks < BALANCE_TICKS)
		return;
	rq->balance_ticks = 0;
	if (READ_ONCE(rq->nr_queued))
		wake_idle_cpu(rq);
	else if (rq->curr != rq->idle)
		sched_pull(rq);
}

/* ---- CPUs that come and go ------------------------------------------------------------------ */

static u64 fallbacks;

u64 sched_fallbacks(void)
{
	return READ_ONCE(fallbacks);
}

void sched_fall_back(struct thread *t)
{
	t->allowed = ~0ULL;
	fetch_add_relaxed(&fallbacks, 1);
}

/* A thread that could run on cpu alone. Idle threads stay what they are. */
static void free_from(struct thread *t, unsigned int cpu)
{
	bool on = local_irq_save();
	struct runqueue *home = sched_lock_home(t);

	if (cpumask_has(t->allowed, cpu) && !(t->allowed & READ_ONCE(cpu_active_mask)) &&
	    t != cpu_rq(cpu)->idle)
		sched_fall_back(t);
	raw_spin_unlock(&home->lock);
	local_irq_restore(on);
}

static void free_threads_from(unsigned int cpu)
{
	struct thread *t;
	s64 id = -1;

	while ((t = thread_next(id))) {
		free_from(t, cpu);
		id = t->id;
		thread_put(t);
	}
}

/* The first in cpu's queue that must not stay, with a reference, or NULL; is it idle then? */
static struct thread *find_leaver(unsigned int cpu, bool *idle)
{
	struct runqueue *rq = cpu_rq(cpu);
	struct thread *t, *found = NULL;
	bool on = local_irq_save();

	raw_spin_lock(&rq->lock);
	list_for_each_entry(t, &rq->queue, rq_node) {
		if (!sched_may_queue(t, cpu)) {
			found = t;
			thread_get(t);
			break;
		}
	}
	*idle = rq->curr == rq->idle;
	raw_spin_unlock(&rq->lock);
	local_irq_restore(on);
	return found;
}

void sched_leave(unsigned int cpu)
{
	struct thread *t;
	bool idle = false;

	/*
	 * Who queues a thread there under the queue's lock, after we have had that lock, sees the
	 * bit clear; what was queued before, we see.
	 */
	fetch_and(&cpu_active_mask, ~cpumask_of(cpu));
	free_threads_from(cpu);
	for (;;) {
		while ((t = find_leaver(cpu, &idle))) {
			sched_move_queued(t);
			thread_put(t);
		}
		if (idle)
			return;
		sched_kick(cpu); /* what runs there leaves at its next pass */
		thread_sleep(NSEC_PER_MSEC);
	}
}

struct thread *sched_idle_again(unsigned int cpu)
{
	struct runqueue *rq = cpu_rq(cpu);
	struct thread *t = rq->idle;

	if (!t)
		return sched_make_idle(cpu);
	/* It ended in its loop, and begins anew on the same stack. Nobody else looks at these. */
	t->preempt_count = PREEMPT_ONE;
	WRITE_ONCE(t->need_resched, false);
	t->switched_in = arch_cycles();
	WRITE_ONCE(rq->waiting, false);
	return t;
}
