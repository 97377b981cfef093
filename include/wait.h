/* SPDX-License-Identifier: MIT */
/*
 * Wait queues and completions: sleep until a condition holds.
 * Differs from Linux: wait_event_timeout() takes ns and returns whether the condition held.
 */
#ifndef GRACE_WAIT_H
#define GRACE_WAIT_H

#include <list.h>
#include <spinlock.h>

typedef struct wait_queue_head {
	spinlock_t lock;
	struct list_head waiters;
} wait_queue_head_t;

struct wait_entry {
	struct thread *thread;
	struct list_head node;
	bool exclusive;
};

#define WAIT_QUEUE_INIT(name)                                                                      \
	{                                                                                          \
		SPINLOCK_INIT, LIST_HEAD_INIT((name).waiters)                                      \
	}
#define WAIT_QUEUE(name) wait_queue_head_t name = WAIT_QUEUE_INIT(name)

void wait_queue_init_at(wait_queue_head_t *wq, vaddr_t place);
#define wait_queue_init(wq) wait_queue_init_at(wq, lock_place())
/* Queues the caller and sets it sleeping: what is tested after this is not missed. */
void prepare_to_wait(wait_queue_head_t *wq, struct wait_entry *w, bool exclusive);
void finish_wait(wait_queue_head_t *wq, struct wait_entry *w);
/*
 * Wakes every waiter, or one exclusive and all others. Any context. Orders earlier stores before.
 */
void wake_up_all(wait_queue_head_t *wq);
void wake_up_one(wait_queue_head_t *wq);

/* Sleeps until cond is true; cond is tested often. Thread context. */
#define wait_event(wq, cond)                                                                       \
	do {                                                                                       \
		might_sleep();                                                                     \
		struct wait_entry wait_w;                                                          \
		while (!(cond)) {                                                                  \
			prepare_to_wait(&(wq), &wait_w, false);                                    \
			if (!(cond))                                                               \
				schedule();                                                        \
			finish_wait(&(wq), &wait_w);                                               \
		}                                                                                  \
	} while (0)
/* The same for at most ns nanoseconds; true if cond became true. */
#define wait_event_timeout(wq, cond, ns)                                                           \
	({                                                                                         \
		might_sleep();                                                                     \
		struct wait_entry wait_w;                                                          \
		u64 wait_end = time_ns() + (ns);                                                   \
		bool wait_ok;                                                                      \
		while (!(wait_ok = (cond))) {                                                      \
			u64 wait_now = time_ns();                                                  \
			if (wait_now >= wait_end)                                                  \
				break;                                                             \
			prepare_to_wait(&(wq), &wait_w, false);                                    \
			if (!(cond))                                                               \
				(void)schedule_timeout(wait_end - wait_now);                       \
			finish_wait(&(wq), &wait_w);                                               \
		}                                                                                  \
		wait_ok;                                                                           \
	})

struct completion {
	unsigned int done;
	wait_queue_head_t wq;
};

#define COMPLETION_INIT(name)                                                                      \
	{                                                                                          \
		0, WAIT_QUEUE_INIT((name).wq)                                                      \
	}
#define COMPLETION(name) struct completion name = COMPLETION_INIT(name)

void completion_init_at(struct completion *c, vaddr_t place);
#define completion_init(c) completion_init_at(c, lock_place())
/* Lets one waiter, or every waiter now and later, pass. Any context. The completion may be on the
 * waiter's stack: it is not touched after the waiter can go on. */
void complete(struct completion *c);
void complete_all(struct completion *c);
/* Waits for a complete() and takes it. Thread context. */
void wait_for_completion(struct completion *c);
bool wait_for_completion_timeout(struct completion *c, u64 ns);

#endif
