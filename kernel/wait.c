// SPDX-License-Identifier: MIT
/*
 * Wait queues and completions.
 *
 * Terms. A waiter is an entry on the stack of the thread that waits; it is in the queue from
 * prepare_to_wait() to finish_wait(), and only its own thread takes it out. An exclusive waiter is
 * one of many of which a wake-up of one is enough.
 * Why no wake-up is lost. The waker always takes the queue's lock. If it had it before the waiter,
 * then the waiter, which takes it to queue itself and tests its condition after that, sees the
 * change. If it had it after, it finds the waiter, and thread_wake() does the rest (see sched.c).
 * Locks: the queue's lock, irqs off; run-queue locks are taken under it. See also: sched.c.
 */
#include <thread.h>
#include <time.h>
#include <wait.h>

void wait_queue_init_at(wait_queue_head_t *wq, vaddr_t place)
{
	spin_lock_init_at(&wq->lock, place);
	list_init(&wq->waiters);
}

void prepare_to_wait(wait_queue_head_t *wq, struct wait_entry *w, bool exclusive)
{
	bool on = spin_lock_irqsave(&wq->lock);

	w->thread = current;
	w->exclusive = exclusive;
	list_add_tail(&w->node, &wq->waiters);
	spin_unlock_irqrestore(&wq->lock, on);
	/* The full barrier in it orders the queueing before the caller's test. */
	thread_prepare_sleep();
}

void finish_wait(wait_queue_head_t *wq, struct wait_entry *w)
{
	thread_cancel_sleep();
	/* Also waits for a waker that is just looking at w: after this, w may go. */
	bool on = spin_lock_irqsave(&wq->lock);

	list_del(&w->node);
	spin_unlock_irqrestore(&wq->lock, on);
}

/*
 * Wakes the first nr exclusive waiters that sleep, and all others. One that has been woken before
 * and is yet to take itself out does not count. wq->lock held.
 */
static void wake_locked(wait_queue_head_t *wq, unsigned int nr)
{
	struct wait_entry *w;

	list_for_each_entry(w, &wq->waiters, node) {
		if (w->exclusive && nr == 0)
			continue;
		/* WHY SAFE: the waiter cannot leave finish_wait() without the lock that we hold. */
		if (thread_wake(w->thread) && w->exclusive)
			nr--;
	}
}

void wake_up_all(wait_queue_head_t *wq)
{
	bool on = spin_lock_irqsave(&wq->lock);

	wake_locked(wq, ~0u);
	spin_unlock_irqrestore(&wq->lock, on);
}

void wake_up_one(wait_queue_head_t *wq)
{
	bool on = spin_lock_irqsave(&wq->lock);

	wake_locked(wq, 1);
	spin_unlock_irqrestore(&wq->lock, on);
}

/* ---- Completions ---------------------------------------------------------------------------- */

#define DONE_FOR_ALL ~0u

void completion_init_at(struct completion *c, vaddr_t place)
{
	c->done = 0;
	wait_queue_init_at(&c->wq, place);
}

void complete(struct completion *c)
{
	/*
	 * done changes under the lock, and who waits returns with it: c is not touched after that.
	 */
	bool on = spin_lock_irqsave(&c->wq.lock);

	if (c->done != DONE_FOR_ALL)
		c->done++;
	wake_locked(&c->wq, 1);
	spin_unlock_irqrestore(&c->wq.lock, on);
}

void complete_all(struct completion *c)
{
	bool on = spin_lock_irqsave(&c->wq.lock);

	c->done = DONE_FOR_ALL;
	wake_locked(&c->wq, ~0u);
	spin_unlock_irqrestore(&c->wq.lock, on);
}

/* Takes one complete() if there is one. */
static bool completion_take(struct completion *c)
{
	bool on = spin_lock_irqsave(&c->wq.lock);
	bool done = c->done != 0;

	if (done && c->done != DONE_FOR_ALL)
		c->done--;
	spin_unlock_irqrestore(&c->wq.lock, on);
	return done;
}

/* Sleeps until woken, or until end (time_ns(); ~0: for ever), unless c is done already. */
static void completion_sleep(struct completion *c, u64 end)
{
	struct wait_entry w;
	u64 now = time_ns();

	prepare_to_wait(&c->wq, &w, true);
	/* Without the lock: it is only a reason not to sleep. */
	if (READ_ONCE(c->done) == 0 && now < end) {
		if (end == ~0ULL)
			schedule();
		else
			(void)schedule_timeout(end - now);
	}
	finish_wait(&c->wq, &w);
}

static bool wait_until(struct completion *c, u64 end)
{
	might_sleep();
	while (!completion_take(c)) {
		if (end != ~0ULL && time_ns() >= end)
			return completion_take(c);
		completion_sleep(c, end);
	}
	return true;
}

void wait_for_completion(struct completion *c)
{
	(void)wait_until(c, ~0ULL);
}

bool wait_for_completion_timeout(struct completion *c, u64 ns)
{
	u64 now = time_ns();

	return wait_until(c, ns < ~0ULL - now ? now + ns : ~0ULL);
}
