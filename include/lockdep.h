/* SPDX-License-Identifier: MIT */
/*
 * The lock-order checker: reports a mistake with locks at its first occurrence, not at the deadlock
 * it leads to one day. Debug builds; a release build's calls are empty and true.
 *
 * Who calls it: spin_lock() and its kin, mutexes and rwsems, might_sleep(), and whoever waits for
 * other CPUs. Everybody else only takes locks. Locks taken by raw_spin_lock() are outside: see
 * kernel/lockdep.c.
 */
#ifndef GRACE_LOCKDEP_H
#define GRACE_LOCKDEP_H

#include <bug.h>
#include <types.h>

/* The kinds of mistake. */
enum lock_mistake {
	LOCK_FINE,
	LOCK_ORDER,	  /* taken against an order seen before, of two locks or more */
	LOCK_IRQ,	  /* an interrupt may wait for what it interrupted: see lockdep_graph.c */
	LOCK_SLEEP,	  /* sleeps where it may not */
	LOCK_WAIT,	  /* waits for other CPUs with a spinlock held or interrupts off [T4] */
	LOCK_TWICE,	  /* takes what it holds */
	LOCK_NOT_HELD,	  /* drops what it does not hold */
	LOCK_CONTEXT,	  /* a sleeping lock in an interrupt */
	LOCK_DEAD,	  /* takes a lock that was destroyed, or never initialised [F3] */
	LOCK_HELD_AT_END, /* destroys a lock that somebody holds [F3] */
};

/* Stands for the place in the source, see lock_init(); inner: for a spinlock inside the lock. */
#ifdef GRACE_DEBUG
#define LOCK_LINE(line) #line
#define LOCK_AT(file, line) file ":" LOCK_LINE(line)
#define lock_place()                                                                               \
	({                                                                                         \
		static const char lock_at[] = LOCK_AT(__FILE__, __LINE__);                         \
		(vaddr_t)lock_at;                                                                  \
	})
#define lock_inner(place) ((place) ^ BIT(62)) /* no place in the image differs in this bit */
#else
#define lock_place() 0
#define lock_inner(place) (place)
#endif
/* Where the calling function goes back to. */
#define caller_address() ((vaddr_t)__builtin_return_address(0))

/* How a lock is taken: bits. */
#define LOCK_TRY 1u    /* it does not wait, so it closes no cycle; what is taken under it may */
#define LOCK_SLEEPS 2u /* a mutex or rwsem */

#ifdef GRACE_DEBUG
/* A member of each lock, and its identity: the number of its class. */
typedef struct {
	u16 nr;
} lock_class_t;
/* The class of a lock that is initialised by the compiler: each such lock in the image is one. */
#define LOCK_CLASS_INIT                                                                            \
	{                                                                                          \
		1                                                                                  \
	}

/* What a thread, or the interrupt on a CPU, holds. This thread, or this CPU in an interrupt. */
#define LOCK_DEPTH 16
struct held_lock {
	const lock_class_t *lock;
	u32 ip; /* where it was taken: distance from image_start */
	u8 class;
	u8 how;
};
struct lock_stack {
	struct held_lock held[LOCK_DEPTH];
	u8 depth;
	/* A thread's: see lock_expect(). */
	bool expect;
	u8 seen; /* enum lock_mistake */
};

/* The lock begins its life. All that are initialised at one lock_place() are one class. */
void lock_init(lock_class_t *lock, vaddr_t place);
/* Ends it: whoever takes the lock later is reported. `held`: somebody holds it now. */
void lock_destroy(lock_class_t *lock, bool held);

/*
 * Before the lock is taken, by who goes on at ip. False: it must not be, since a test wanted to see
 * the report; it does not count as held then. Any context but NMI.
 */
bool lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip);
/* Before the lock is dropped, or after a try that failed. False as above: it must not be. */
bool lock_release(const lock_class_t *lock, vaddr_t ip);

/*
 * Reports whoever may not wait for other CPUs here, by the name of the function that does [T4]:
 * with a spinlock held, interrupts off, or in one. False: a test saw the report, do not wait.
 */
bool lock_may_wait(const char *function);
/* True if this thread, or the interrupt on it, holds the lock; preemption off then. Any context. */
bool lock_is_held(const lock_class_t *lock);
/* The report of might_sleep(). */
void lock_report_sleep(const char *file, int line);

/*
 * For tests: from begin to end, mistakes of the calling thread, and of interrupts that come while
 * it runs, are noted instead of reported. end: the first one, or LOCK_FINE.
 */
void lock_expect_begin(void);
enum lock_mistake lock_expect_end(void);
/* Classes that there are, and room for; beyond it, order is not checked. */
unsigned int lock_classes(unsigned int *max);
#else
typedef struct {
} lock_class_t;
#define LOCK_CLASS_INIT                                                                            \
	{                                                                                          \
	}
static inline void lock_init(lock_class_t *lock, vaddr_t place)
{
}
static inline void lock_destroy(lock_class_t *lock, bool held)
{
}
static inline bool lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip)
{
	return true;
}
static inline bool lock_release(const lock_class_t *lock, vaddr_t ip)
{
	return true;
}
static inline bool lock_may_wait(const char *function)
{
	return true;
}
static inline bool lock_is_held(const lock_class_t *lock)
{
	return true;
}
static inline void lock_report_sleep(const char *file, int line)
{
}
static inline void lock_expect_begin(void)
{
}
static inline enum lock_mistake lock_expect_end(void)
{
	return LOCK_FINE;
}
static inline unsigned int lock_classes(unsigned int *max)
{
	*max = 0;
	return 0;
}
#endif

#endif
