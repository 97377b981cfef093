/* SPDX-License-Identifier: MIT */
/*
 * <lockdep.h> without the order of locks: its books are shared by all CPUs, and would make every
 * two steps depend on each other; the search finds deadlocks by itself. What is kept is that a lock
 * which was destroyed is nobody's [F3], and that who waits for other CPUs may [T4].
 */
#ifndef SIM_LOCKDEP_H
#define SIM_LOCKDEP_H

#include <bug.h>
#include <types.h>

#pragma push_macro("GRACE_DEBUG")
#undef GRACE_DEBUG
#define lock_class_t lock_class_none_t
#define lock_init lock_init_none
#define lock_destroy lock_destroy_none
#define lock_acquire lock_acquire_none
#define lock_may_wait lock_may_wait_none
#include_next <lockdep.h>
#undef lock_class_t
#undef lock_init
#undef lock_destroy
#undef lock_acquire
#undef lock_may_wait
#undef LOCK_CLASS_INIT
#pragma pop_macro("GRACE_DEBUG")

typedef struct {
	u16 nr;
} lock_class_t;
#define LOCK_CLASS_INIT                                                                            \
	{                                                                                          \
		0                                                                                  \
	}
#define LOCK_DESTROYED 0xdead

/* A debug build's threads have room for the books. */
struct lock_stack {
	u8 unused;
};

/* arch/sim/kernel.c: the findings. */
void sim_lock_dead(void);
bool lock_may_wait(const char *function);

static inline void lock_init(lock_class_t *lock, vaddr_t place)
{
	lock->nr = 0;
}

static inline void lock_destroy(lock_class_t *lock, bool held)
{
	if (held || lock->nr == LOCK_DESTROYED)
		sim_lock_dead();
	lock->nr = LOCK_DESTROYED;
}

static inline bool lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip)
{
	if (lock->nr == LOCK_DESTROYED)
		sim_lock_dead();
	return true;
}

static inline bool lock_release_checked(const lock_class_t *lock, vaddr_t ip)
{
	return true;
}
#define lock_release(lock, ip) lock_release_checked(lock, ip)

#endif
