// SPDX-License-Identifier: MIT
/*
 * Reader-writer semaphores: many readers or one writer.
 *
 * Why a fast path: every mmap, munmap and madvise takes mmap_lock, on every CPU, and so do faults
 * that do not get their VMA without it. One atomic change of the state is enough as long as nobody
 * waits; a spinlock there would make all of them queue.
 * Why not first come, first served throughout: a semaphore that is handed to a sleeper stays unused
 * until that one runs, and everybody who comes meanwhile queues too. With more virtual CPUs than
 * real ones that made each hand-over cost milliseconds. So whoever runs may take it, and nobody
 * loses twice.
 * Locks: s->lock, a spinlock, for the queue; run-queue locks are taken under it. Thread context
 * only.
 * See also: mutex.c, tests/test_locks.c.
 *
 * The race of releasing and queueing. Both change the one word atomically, so one of them sees the
 * other:
 *
 *   last holder                            thread that comes
 *   state -= READER                        lock; state |= WAITERS
 *   saw WAITERS? then lock, wake the       free by now? then takes it
 *     first waiter                         sleeps, unlocks
 */
#include <bug.h>
#include <lockdep.h>
#include <mutex.h>
#include <thread.h>

struct rwsem_waiter {
	struct thread *thread;
	struct list_head node;
	bool write;
};

void rwsem_init_at(struct rwsem *s, vaddr_t place)
{
	s->state = 0;
	WRITE_ONCE(s->writer, NULL);
	spin_lock_init_at(&s->lock, lock_inner(place));
	lock_init(&s->class, place);
	list_init(&s->waiters);
}

/*
 * Readers hold it and a writer waits. Another reader does not join them then: readers that overlap
 * for ever would keep the writer out for ever.
 */
static bool held_with_waiters(u32 state)
{
	return (state & RWSEM_WAITERS) && state >= RWSEM_READER;
}

/*
 * Takes it if it is free; the first waiter also takes what is kept for it. Inline: each caller says
 * what it wants, so most of the questions are answered when it is compiled. Full barrier if it
 * succeeds: orders the critical section behind. Pairs with the RMWs in up_read(), up_write(),
 * downgrade_write().
 */
static __always_inline bool take(struct rwsem *s, bool write, bool first)
{
	u32 busy = RWSEM_WRITER | (write ? ~(RWSEM_READER - 1) : 0) | (first ? 0 : RWSEM_HANDOFF);
	u32 old = READ_ONCE(s->state);

	while (!(old & busy) && (first || !held_with_waiters(old))) {
		u32 kept = old & ~(first ? RWSEM_HANDOFF : 0);
		u32 new = kept + (write ? RWSEM_WRITER : RWSEM_READER);
		u32 seen = cmpxchg(&s->state, old, new);

		if (seen == old) {
			if (write)
				WRITE_ONCE(s->writer, current);
			return true;
		}
		old = seen;
	}
	return false;
}

static struct rwsem_waiter *first_waiter(struct rwsem *s)
{
	return list_first_entry(&s->waiters, struct rwsem_waiter, node);
}

/* The first waiter's thread, with a reference, or NULL. s->lock held. */
static struct thread *first_thread(struct rwsem *s)
{
	if (list_empty(&s->waiters))
		return NULL;
	struct thread *t = first_waiter(s)->thread;

	thread_get(t);
	return t;
}

/*
 * Drops s->lock, then wakes t, if any: a wake-up takes long, and whoever comes meanwhile would
 * spin. The reference keeps a thread that has gone on by itself.
 */
static void unlock_and_wake(struct rwsem *s, struct thread *t)
{
	spin_unlock(&s->lock);
	if (!t)
		return;
	thread_wake(t);
	thread_put(t);
}

static __noinline void release_slow(struct rwsem *s)
{
	spin_lock(&s->lock);
	unlock_and_wake(s, first_thread(s));
}

/* The first waiter's attempt; one that lost although it was woken has it kept. s->lock held. */
static bool take_first(struct rwsem *s, const struct rwsem_waiter *w, bool lost_before)
{
	if (first_waiter(s) != w)
		return false;
	if (take(s, w->write, true))
		return true;
	if (!lost_before || READ_ONCE(s->state) & RWSEM_HANDOFF)
		return false;
	/* Full barrier: released before "kept" was seen? Look again. Pairs with up_read(). */
	fetch_or(&s->state, RWSEM_HANDOFF);
	return take(s, w->write, true);
}

static __noinline void wait_for_turn(struct rwsem *s, bool write)
{
	struct rwsem_waiter w = { .thread = current, .write = write };
	bool lost = false;

	BUG_ON(READ_ONCE(s->writer) == current); /* another's may come and go meanwhile */
	count_lock_wait();
	spin_lock(&s->lock);
	list_add_tail(&w.node, &s->waiters);
	/*
	 * Full barrier: orders "somebody waits" before the look at the holders. Pairs with
	 * up_read() and up_write().
	 */
	fetch_or(&s->state, RWSEM_WAITERS);
	while (!take_first(s, &w, lost)) {
		lost = lost || first_waiter(s) == &w;
		thread_prepare_sleep();
		spin_unlock(&s->lock);
		schedule();
		spin_lock(&s->lock);
	}
	thread_cancel_sleep();
	list_del(&w.node);
	if (list_empty(&s->waiters))
		fetch_and(&s->state, ~RWSEM_WAITERS);
	/* A reader wakes the next, who may be another, and can come in beside us. */
	unlock_and_wake(s, write ? NULL : first_thread(s));
}

/* The locks' checker is asked before the lock is: it reports what would never come. */
static bool try_take(struct rwsem *s, bool write, vaddr_t ip)
{
	if (!lock_acquire(&s->class, LOCK_SLEEPS | LOCK_TRY, ip))
		return false;
	BUG_ON(in_interrupt());
	if (take(s, write, false))
		return true;
	(void)lock_release(&s->class, ip);
	return false;
}

static inline void take_or_wait(struct rwsem *s, bool write, vaddr_t ip)
{
	if (!lock_acquire(&s->class, LOCK_SLEEPS, ip))
		return;
	if (!take(s, write, false))
		wait_for_turn(s, write);
}

void down_read(struct rwsem *s)
{
	might_sleep();
	take_or_wait(s, false, caller_address());
}

bool down_read_trylock(struct rwsem *s)
{
	return try_take(s, false, caller_address());
}

void up_read(struct rwsem *s)
{
	if (!lock_release(&s->class, caller_address()))
		return;
	BUG_ON(in_interrupt());
	/*
	 * Full barrier: the reader's accesses come before. Pairs with take(), take_first() and
	 * wait_for_turn().
	 */
	u32 old = fetch_add(&s->state, -RWSEM_READER);

	BUG_ON(old < RWSEM_READER);
	if (unlikely(old & RWSEM_WAITERS) && old < 2 * RWSEM_READER)
		release_slow(s);
}

void down_write(struct rwsem *s)
{
	might_sleep();
	take_or_wait(s, true, caller_address());
}

bool down_write_trylock(struct rwsem *s)
{
	return try_take(s, true, caller_address());
}

void up_write(struct rwsem *s)
{
	if (!lock_release(&s->class, caller_address()))
		return;
	BUG_ON(in_interrupt() || s->writer != current);
	WRITE_ONCE(s->writer, NULL);
	/* Full barrier, as in up_read(). Pairs with take() and wait_for_turn(). */
	if (unlikely(fetch_and(&s->state, ~RWSEM_WRITER) & RWSEM_WAITERS))
		release_slow(s);
}

void downgrade_write(struct rwsem *s)
{
	BUG_ON(in_interrupt() || s->writer != current);
	WRITE_ONCE(s->writer, NULL);
	/* Full barrier: what was written is seen by readers that come now. Pairs with take(). */
	if (unlikely(fetch_add(&s->state, RWSEM_READER - RWSEM_WRITER) & RWSEM_WAITERS))
		release_slow(s);
}

bool rwsem_is_locked(const struct rwsem *s)
{
	return READ_ONCE(s->state) & ~(RWSEM_WAITERS | RWSEM_HANDOFF);
}

bool rwsem_is_write_locked(const struct rwsem *s)
{
	return READ_ONCE(s->state) & RWSEM_WRITER;
}
