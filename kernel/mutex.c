// SPDX-License-Identifier: MIT
/*
 * Mutexes: sleeping locks with one owner, served in order of arrival.
 *
 * The unlocker makes the first waiter the owner before it wakes it (hand-off), so a thread that
 * comes later cannot take the lock in between, and nobody starves.
 * Locks: m->lock, a spinlock, for the fields; run-queue locks are taken under it. Thread context
 * only.
 * See also: rwsem.c, tests/test_locks.c.
 */
#include <bug.h>
#include <lockdep.h>
#include <mutex.h>
#include <thread.h>

struct mutex_waiter {
	struct thread *thread;
	struct list_head node;
};

void mutex_init_at(struct mutex *m, vaddr_t place)
{
	spin_lock_init_at(&m->lock, lock_inner(place));
	lock_init(&m->class, place);
	m->owner = NULL;
	list_init(&m->waiters);
}

/* Queues the caller and sleeps until the lock is handed to it. m->lock held; dropped meanwhile. */
static void wait_for_handoff(struct mutex *m)
{
	struct mutex_waiter w = { .thread = current };

	BUG_ON(m->owner == current);
	count_lock_wait();
	list_add_tail(&w.node, &m->waiters);
	while (READ_ONCE(m->owner) != current) {
		thread_prepare_sleep();
		spin_unlock(&m->lock);
		schedule();
		spin_lock(&m->lock);
	}
	thread_cancel_sleep();
}

void mutex_lock(struct mutex *m)
{
	might_sleep();
	if (!lock_acquire(&m->class, LOCK_SLEEPS, caller_address()))
		return;
	spin_lock(&m->lock);
	if (m->owner)
		wait_for_handoff(m);
	else
		m->owner = current;
	spin_unlock(&m->lock);
}

bool mutex_trylock(struct mutex *m)
{
	if (!lock_acquire(&m->class, LOCK_SLEEPS | LOCK_TRY,
			  caller_address()))
		return false;
	BUG_ON(in_interrupt());
	spin_lock(&m->lock);
	bool taken = !m->owner;

	if (taken)
		m->owner = current;
	else
		(void)lock_release(&m->class, caller_address());
	spin_unlock(&m->lock);
	return taken;
}

void mutex_unlock(struct mutex *m)
{
	if (!lock_release(&m->class, caller_address()))
		return;
	BUG_ON(in_interrupt());
	spin_lock(&m->lock);
	BUG_ON(m->owner != current);
	m->owner = NULL;
	if (!list_empty(&m->waiters)) {
		struct mutex_waiter *w = list_first_entry(&m->waiters, struct mutex_waiter, node);
		struct thread *t = w->thread;

		list_del(&w->node);
		m->owner = t;
		/* WHY SAFE: t, and w on its stack, wait for the m->lock that we hold. */
		thread_wake(t);
	}
	spin_unlock(&m->lock);
}

bool mutex_is_locked(const struct mutex *m)
{
	return READ_ONCE(m->owner) != NULL;
}
