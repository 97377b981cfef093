/* SPDX-License-Identifier: MIT */
/*
 * Fair spinlocks (tickets). Holding one keeps preemption off. A lock that an interrupt handler
 * takes is always taken with the _irqsave form. Differs from Linux: spin_lock_irqsave() returns
 * whether interrupts were on.
 */
#ifndef GRACE_SPINLOCK_H
#define GRACE_SPINLOCK_H

#include <atomic.h>
#include <irqflags.h>
#include <thread.h>

typedef struct {
	u16 next;  /* the next ticket to give out */
	u16 owner; /* the ticket being served */
} spinlock_t;

#define SPINLOCK_INIT                                                                              \
	{                                                                                          \
		0, 0                                                                               \
	}

static inline void spin_lock_init(spinlock_t *l)
{
	l->next = 0;
	l->owner = 0;
}

/* Acquire. Pairs with the release in raw_spin_unlock(). */
static inline void raw_spin_lock(spinlock_t *l)
{
	u16 me = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);

	while (smp_load_acquire(&l->owner) != me)
		cpu_relax();
}

static inline bool raw_spin_trylock(spinlock_t *l)
{
	u16 me = READ_ONCE(l->owner);

	return cmpxchg_acquire(&l->next, me, (u16)(me + 1)) == me &&
	       smp_load_acquire(&l->owner) == me;
}

/* Release. Pairs with the acquire in raw_spin_lock() of the next owner. */
static inline void raw_spin_unlock(spinlock_t *l)
{
	smp_store_release(&l->owner, (u16)(l->owner + 1));
}

static inline bool spin_is_locked(const spinlock_t *l)
{
	return READ_ONCE(l->next) != READ_ONCE(l->owner);
}

static inline void spin_lock(spinlock_t *l)
{
	preempt_disable();
	raw_spin_lock(l);
}

static inline bool spin_trylock(spinlock_t *l)
{
	preempt_disable();
	if (raw_spin_trylock(l))
		return true;
	preempt_enable();
	return false;
}

static inline void spin_unlock(spinlock_t *l)
{
	raw_spin_unlock(l);
	preempt_enable();
}

static inline bool spin_lock_irqsave(spinlock_t *l)
{
	bool on = local_irq_save();

	spin_lock(l);
	return on;
}

static inline void spin_unlock_irqrestore(spinlock_t *l, bool on)
{
	raw_spin_unlock(l);
	preempt_enable_no_resched();
	local_irq_restore(on);
	if (on && unlikely(READ_ONCE(current->need_resched)) && current->preempt_count == 0)
		preempt_schedule();
}

#endif
