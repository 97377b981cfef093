/* SPDX-License-Identifier: MIT */
/*
 * Sleeping locks: mutex, first come, first served; and rwsem, with many readers or one writer,
 * where neither side can starve the other. Thread context only.
 */
#ifndef GRACE_MUTEX_H
#define GRACE_MUTEX_H

#include <list.h>
#include <spinlock.h>

struct mutex {
	spinlock_t lock;
	lock_class_t class;
	struct thread *owner;
	struct list_head waiters;
};

#define MUTEX_INIT(name)                                                                           \
	{                                                                                          \
		.lock = SPINLOCK_INIT, .class = LOCK_CLASS_INIT,                                   \
		.waiters = LIST_HEAD_INIT((name).waiters)                                          \
	}
#define MUTEX(name) struct mutex name = MUTEX_INIT(name)

void mutex_init_at(struct mutex *m, vaddr_t place);
#define mutex_init(m) mutex_init_at(m, lock_place())
void mutex_lock(struct mutex *m);
bool mutex_trylock(struct mutex *m);
void mutex_unlock(struct mutex *m);
bool mutex_is_locked(const struct mutex *m);

/*
 * state: these bits, and RWSEM_READER for each reader. Without contention it is all there is to
 * change. Waiters are served in order of arrival; a thread that runs may take a free semaphore
 * before one that has to be woken first, but only until that one has lost once: then HANDOFF keeps
 * it for the first waiter.
 */
#define RWSEM_WRITER 1u
#define RWSEM_WAITERS 2u
#define RWSEM_HANDOFF 4u
#define RWSEM_READER 8u

struct rwsem {
	u32 state;	       /* atomic; WAITERS and HANDOFF change under lock */
	struct thread *writer; /* the holder for writing, for assertions */
	spinlock_t lock;
	lock_class_t class;
	struct list_head waiters; /* lock */
};

#define RWSEM_INIT(name)                                                                           \
	{                                                                                          \
		.lock = SPINLOCK_INIT, .class = LOCK_CLASS_INIT,                                   \
		.waiters = LIST_HEAD_INIT((name).waiters)                                          \
	}

void rwsem_init_at(struct rwsem *s, vaddr_t place);
#define rwsem_init(s) rwsem_init_at(s, lock_place())
void down_read(struct rwsem *s);
bool down_read_trylock(struct rwsem *s);
void up_read(struct rwsem *s);
void down_write(struct rwsem *s);
bool down_write_trylock(struct rwsem *s);
void up_write(struct rwsem *s);
/* The writer becomes a reader without letting another writer in between. */
void downgrade_write(struct rwsem *s);
bool rwsem_is_locked(const struct rwsem *s);
bool rwsem_is_write_locked(const struct rwsem *s);

#endif
