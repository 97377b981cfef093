// SPDX-License-Identifier: MIT
/*
 * RCU's callbacks: what runs after a grace period without a thread that waits for it.
 *
 * Terms. Each CPU has a queue of callbacks in segments, one for each period that they may wait for,
 * and a thread that runs those whose period has ended. A thread is parked when its CPU is down.
 * Why a thread: a callback may free a lot, and what frees shall be preempted like everybody else.
 * Rules: R1, R3 (a callback waits for the period that was asked for when it was queued), H2.
 * Locks: queue.lock, irqs off, never two of them, and never together with gp.lock; `moving`, a
 * mutex, around it. See also: rcu.c, hotplug.c, tests/test_rcu.c, tests/test_hotplug.c.
 *
 * Why rcu_barrier() and a CPU that goes down exclude each other with `moving`. A barrier queues a
 * callback of its own behind the others of each queue; what moves to a queue that it has passed,
 * out of one that it has not come to, would be missed:
 *
 *   CPU 0 (rcu_barrier)                    CPU 2 (takes CPU 1's callbacks over)
 *   queues a callback on CPU 2
 *                                          moves CPU 1's to the end of its own
 *   CPU 1 has none
 *   waits for CPU 2's callback, not for those behind it
 */
#include "rcu.h"

#include <irqflags.h>
#include <mutex.h>
#include <oracle.h>
#include <percpu.h>
#include <rules.h>
#include <smp.h>
#include <spinlock.h>
#include <trace.h>
#include <wait.h>

/* Callbacks that all wait for the same grace period. */
struct cb_list {
	struct rcu_head *head, **tail;
	u64 seq;
};

/* To run now; after the period that WAIT.seq names; after the next. */
enum { CB_DONE, CB_WAIT, CB_NEXT, NR_CB };

struct cb_queue {
	/* Immutable once threads run. */
	struct thread *thread;

	spinlock_t lock;
	struct cb_list cbs[NR_CB];
	u64 pending; /* queued and not yet run through; lock */
	u64 queued, run;
	bool parked;  /* the thread takes nothing; lock */
	bool running; /* it runs a callback now; lock */

	wait_queue_head_t wq; /* the thread, and who parks it */
	struct rcu_head barrier_head;
};
static DEFINE_PER_CPU(struct cb_queue, cb_queue);

/* Held while callbacks change queues, and while somebody looks which queues have any. */
static MUTEX(moving);

/* ---- Lists; queue.lock ----------------------------------------------------------------------- */

static void cb_list_init(struct cb_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void cb_append(struct cb_list *l, struct rcu_head *head)
{
	head->next = NULL;
	*l->tail = head;
	l->tail = &head->next;
}

static void cb_splice(struct cb_list *from, struct cb_list *to)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	cb_list_init(from);
}

/* Moves callbacks whose period has ended to DONE. */
static void cb_advance(struct cb_queue *q)
{
	while (q->cbs[CB_WAIT].head && rcu_seq_done(q->cbs[CB_WAIT].seq)) {
		cb_splice(&q->cbs[CB_WAIT], &q->cbs[CB_DONE]);
		q->cbs[CB_WAIT].seq = q->cbs[CB_NEXT].seq;
		cb_splice(&q->cbs[CB_NEXT], &q->cbs[CB_WAIT]);
	}
}

/*
 * Where a callback goes that waits for period snap: it never runs earlier, perhaps one later. Two
 * waiting segments are enough: while a callback waits for period S, seq is S - 3 at least, so no
 * snapshot can be above S + 2.
 */
static struct cb_list *cb_segment(struct cb_queue *q, u64 snap)
{
	struct cb_list *l = &q->cbs[CB_WAIT];

	if (l->head && l->seq < snap) {
		l = &q->cbs[CB_NEXT];
		BUG_ON_RULE(RCU_NEXT_PERIOD, l->head && l->seq > snap);
	}
	if (!l->head || l->seq < snap)
		l->seq = snap;
	return l;
}

/* ---- Queueing -------------------------------------------------------------------------------- */

static void call_rcu_on(unsigned int cpu, struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

	head->fn = fn;
	u64 snap = rcu_gp_request();
	bool on = spin_lock_irqsave(&q->lock);

	trace(CALL_RCU, 0, (u64)head, snap);
	cb_advance(q);
	cb_append(cb_segment(q, snap), head);
	q->pending++;
	q->queued++;
	spin_unlock_irqrestore(&q->lock, on);
}

void call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	preempt_disable();
	call_rcu_on(smp_processor_id(), head, fn);
	preempt_enable();
}

/* ---- The threads ----------------------------------------------------------------------------- */

/* Takes one finished callback, or NULL. */
static struct rcu_head *cb_take(struct cb_queue *q)
{
	bool on = spin_lock_irqsave(&q->lock);
	struct cb_list *done = &q->cbs[CB_DONE];

	cb_advance(q);
	struct rcu_head *head = q->parked ? NULL : done->head;

	if (head) {
		done->head = head->next;
		if (!done->head)
			cb_list_init(done);
		q->running = true;
	}
	spin_unlock_irqrestore(&q->lock, on);
	return head;
}

static void cb_run(struct cb_queue *q, struct rcu_head *head)
{
	trace(CALLBACK, 0, (u64)head, 0);
	head->fn(head);
	bool on = spin_lock_irqsave(&q->lock);
	bool parked = q->parked;

	q->pending--;
	q->run++;
	/* Orders what fn did before the end. Pairs with rcu_callback_park(). */
	smp_store_release(&q->running, false);
	spin_unlock_irqrestore(&q->lock, on);
	if (parked)
		wake_up_all(&q->wq);
}

static bool cb_ready(struct cb_queue *q)
{
	/* Hints without the lock: the tick asks again, and cb_take() looks under it. */
	if (READ_ONCE(q->parked))
		return false;
	return READ_ONCE(q->cbs[CB_DONE].head) ||
	       (READ_ONCE(q->cbs[CB_WAIT].head) && rcu_seq_done(READ_ONCE(q->cbs[CB_WAIT].seq)));
}

/* One a CPU, pinned to it. */
static void cb_thread(void *arg)
{
	struct cb_queue *q = arg;

	for (;;) {
		struct rcu_head *head;

		wait_event(q->wq, cb_ready(q));
		while ((head = cb_take(q))) {
			cb_run(q, head);
			cond_resched();
		}
	}
}

static void cb_kick(struct cb_queue *q)
{
	if (cb_ready(q))
		wake_up_all(&q->wq);
}

void rcu_callback_tick(void)
{
	cb_kick(this_cpu_ptr(&cb_queue));
}

void rcu_callback_kick(unsigned int cpu)
{
	cb_kick(per_cpu_ptr(&cb_queue, cpu));
}

bool rcu_needs_cpu(void)
{
	return READ_ONCE(this_cpu(cb_queue).pending) != 0;
}

/* ---- CPUs that go down, and come back ------------------------------------------------------- */

static bool set_parked(struct cb_queue *q, bool parked)
{
	bool on = spin_lock_irqsave(&q->lock);
	bool running = q->running;

	q->parked = parked;
	spin_unlock_irqrestore(&q->lock, on);
	return running;
}

void rcu_callback_unpin(unsigned int cpu)
{
	thread_set_allowed(per_cpu(cb_queue, cpu).thread, ~0ULL);
}

void rcu_callback_park(unsigned int cpu)
{
	struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

	(void)set_parked(q, true);
	/* Orders the end of the last callback before the handing over. Pairs with cb_run(). */
	wait_event(q->wq, !smp_load_acquire(&q->running));
}

void rcu_callback_unpark(unsigned int cpu)
{
	struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

	thread_set_allowed(q->thread, cpumask_of(cpu));
	(void)set_parked(q, false);
	wake_up_all(&q->wq);
}

/* Takes everything out of a queue; returns how many callbacks that is. */
static u64 take_all(struct cb_queue *q, struct cb_list lists[NR_CB])
{
	bool on = spin_lock_irqsave(&q->lock);
	u64 nr = q->pending;

	BUG_ON(q->running);
	for (unsigned int i = 0; i < NR_CB; i++) {
		cb_list_init(&lists[i]);
		lists[i].seq = q->cbs[i].seq;
		cb_splice(&q->cbs[i], &lists[i]);
	}
	q->pending = 0;
	spin_unlock_irqrestore(&q->lock, on);
	return nr;
}

static void put_all(struct cb_queue *q, struct cb_list lists[NR_CB], u64 nr)
{
	bool on = spin_lock_irqsave(&q->lock);

	cb_advance(q);
	cb_splice(&lists[CB_DONE], &q->cbs[CB_DONE]);
	for (unsigned int i = CB_WAIT; i < NR_CB; i++)
		if (lists[i].head)
			cb_splice(&lists[i], cb_segment(q, lists[i].seq));
	q->pending += nr;
	spin_unlock_irqrestore(&q->lock, on);
}

/*
 * RACE H2. What is queued on a CPU that went down:
 *   CPU 0                                  CPU 1
 *   .                                      call_rcu
 *   takes CPU 1 down                       off: no tick, no thread
 *   table is never freed; or, taken        .
 *   for ready, too early for a reader      .
 */
void rcu_callback_take_over(unsigned int cpu)
{
	struct cb_list lists[NR_CB];

	if (!rule(OFFLINE_HANDS_OVER))
		return; /* knocked out: they stay where nobody runs them */
	mutex_lock(&moving);
	u64 nr = take_all(per_cpu_ptr(&cb_queue, cpu), lists);

	preempt_disable();
	struct cb_queue *q = this_cpu_ptr(&cb_queue);

	put_all(q, lists, nr);
	wake_up_all(&q->wq);
	preempt_enable();
	mutex_unlock(&moving);
}

/* ---- Barriers -------------------------------------------------------------------------------- */

static struct {
	struct mutex mutex;
	atomic_t count;
	struct completion done;
} barrier_state = { .mutex = MUTEX_INIT(barrier_state.mutex),
		    .done = COMPLETION_INIT(barrier_state.done) };

static void barrier_callback(struct rcu_head *head)
{
	if (atomic_dec_and_test(&barrier_state.count))
		complete(&barrier_state.done);
}

static bool cb_pending(struct cb_queue *q)
{
	/* Under the lock, so that it sees every callback queued before this call. */
	bool on = spin_lock_irqsave(&q->lock);
	bool pending = q->pending != 0;

	spin_unlock_irqrestore(&q->lock, on);
	return pending;
}

void rcu_barrier(void)
{
	unsigned int cpu;

	if (!lock_may_wait(__func__))
		return;
	might_sleep();
	mutex_lock(&barrier_state.mutex);
	/*
	 * One for ourselves, so that the count cannot reach zero while callbacks are being queued.
	 */
	atomic_set(&barrier_state.count, 1);
	mutex_lock(&moving);
	/* Possible, not online: a CPU that is just going down may have some still. */
	for_each_possible_cpu(cpu) {
		struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

		if (!cb_pending(q))
			continue;
		atomic_inc(&barrier_state.count);
		call_rcu_on(cpu, &q->barrier_head, barrier_callback);
		sched_kick(cpu); /* it may just have gone idle with nothing to do: it has now */
	}
	mutex_unlock(&moving);
	if (!atomic_dec_and_test(&barrier_state.count))
		wait_for_completion(&barrier_state.done);
	mutex_unlock(&barrier_state.mutex);
}

/* ---- Start and statistics -------------------------------------------------------------------- */

void rcu_callback_init(void)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

		spin_lock_init(&q->lock);
		wait_queue_init(&q->wq);
		for (i = 0; i < NR_CB; i++)
			cb_list_init(&q->cbs[i]);
	}
}

void rcu_init_threads(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

		q->thread = thread_create(cb_thread, q, cpumask_of(cpu), "rcu/%u", cpu);
		if (!q->thread)
			boot_fail("too little memory: no room for RCU's threads");
		thread_wake(q->thread);
	}
}

struct rcu_callback_stats rcu_callback_get_stats(unsigned int cpu)
{
	const struct cb_queue *q = per_cpu_ptr(&cb_queue, cpu);

	return (struct rcu_callback_stats){ READ_ONCE(q->queued), READ_ONCE(q->run),
					    READ_ONCE(q->pending) };
}
