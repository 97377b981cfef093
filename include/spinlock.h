/* SPDX-License-Identifier: MIT */
/*
 * Fair spinlocks (tickets). Holding one keeps preemption off. A lock that an interrupt handler
 * takes is always taken with the _irqsave form. Debug builds check order and context of all but the
 * raw_ ones: <lockdep.h>. Differs from Linux: spin_lock_irqsave() returns whether interrupts were
 * on.
 */
#ifndef GRACE_SPINLOCK_H
#define GRACE_SPINLOCK_H

#include <atomic.h>
#include <irqflags.h>
#include <lockdep.h>
#include <thread.h>

typedef struct {
	u32 next;  /* the next ticket to give out; a word, as not every port has smaller atomics */
	u16 owner; /* the ticket being served, its lower bits */
	lock_class_t class;
} spinlock_t;

#define SPINLOCK_INIT                                                                              \
	{                                                                                          \
		.next = 0, .owner = 0, .class = LOCK_CLASS_INIT                                    \
	}

/* place: for <lockdep.h>, where the lock is initialised. */
static inline void spin_lock_init_at(spinlock_t *l, vaddr_t place)
{
	l->next = 0;
	l->owner = 0;
	lock_init(&l->class, place);
}

#define spin_lock_init(l) spin_lock_init_at(l, lock_place())

/* Acquire. Pairs with the release in raw_spin_unlock(). */
static inline void raw_spin_lock(spinlock_t *l)
{
	u16 me = (u16)fetch_add_relaxed(&l->next, 1);

	if (count_build && READ_ONCE(l->owner) != me)
		count_lock_wait();
	while (smp_load_acquire(&l->owner) != me)
		cpu_relax();
}

/*
 * Acquire. Pairs with the release in raw_spin_unlock(). Nobody has the ticket that is served as
 * long as it is the next.
 */
static inline bool raw_spin_trylock(spinlock_t *l)
{
	u32 me = READ_ONCE(l->next);

	return smp_load_acquire(&l->owner) == (u16)me &&
	       cmpxchg_acquire(&l->next, me, me + 1) == me;
}

/* Release. Pairs with the acquire in raw_spin_lock() or raw_spin_trylock() of the next owner. */
static inline void raw_spin_unlock(spinlock_t *l)
{
	smp_store_release(&l->owner, (u16)(l->owner + 1));
}

static inline bool spin_is_locked(const spinlock_t *l)
{
	return (u16)READ_ONCE(l->next) != READ_ONCE(l->owner);
}

/* Ends a lock's life: whoever takes it later is reported (debug builds). Nobody holds it. */
static inline void spin_lock_destroy(spinlock_t *l)
{
	lock_destroy(&l->class, spin_is_locked(l));
}

/* With the checks they are large, so debug builds have them out of line: kernel/spinlock.c. */
#ifdef GRACE_DEBUG
#define SPINLOCK_FN
void spin_lock(spinlock_t *l);
bool spin_trylock(spinlock_t *l);
void spin_unlock(spinlock_t *l);
bool spin_lock_irqsave(spinlock_t *l);
void spin_unlock_irqrestore(spinlock_t *l, bool on);
#else
#define SPINLOCK_FN static inline
#endif

#if !defined(GRACE_DEBUG) || defined(SPINLOCK_BODIES)
/* ip: who takes it. */
static inline void spin_lock_at(spinlock_t *l, vaddr_t ip)
{
	preempt_disable();
	if (lock_acquire(&l->class, 0, ip))
		raw_spin_lock(l);
}

SPINLOCK_FN void spin_lock(spinlock_t *l)
{
	spin_lock_at(l, caller_address());
}

SPINLOCK_FN bool spin_trylock(spinlock_t *l)
{
	preempt_disable();
	(void)lock_acquire(&l->class, LOCK_TRY, caller_address());
	if (raw_spin_trylock(l))
		return true;
	(void)lock_release(&l->class, caller_address());
	preempt_enable();
	return false;
}

SPINLOCK_FN void spin_unlock(spinlock_t *l)
{
	if (lock_release(&l->class, caller_address()))
		raw_spin_unlock(l);
	preempt_enable();
}

SPINLOCK_FN bool spin_lock_irqsave(spinlock_t *l)
{
	bool on = local_irq_save();

	spin_lock_at(l, caller_address());
	return on;
}

SPINLOCK_FN void spin_unlock_irqrestore(spinlock_t *l, bool on)
{
	if (lock_release(&l->class, caller_address()))
		raw_spin_unlock(l);
	preempt_enable_no_resched();
	local_irq_restore(on);
	if (on && unlikely(READ_ONCE(current->need_resched)) && current->preempt_count == 0)
		preempt_schedule();
}
#endif

#endif
