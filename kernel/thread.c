// SPDX-License-Identifier: MIT
/*
 * The life of a thread: made, started, ended, joined, freed.
 *
 *   thread_create --- thread_wake ---> running --- thread_exit ---> DEAD --- reaper ---> exited
 *   (sleeping, 2 references:                       (switched out for         (stack freed, its own
 *    its own and the creator's)                     the last time)            reference dropped)
 *
 * Why a reaper. A thread cannot free the stack it stands on, and stack_free() may sleep, which
 * finish_switch() may not. So the dead are handed to a thread that frees their stacks, one by one.
 * Locks: list_lock for all threads; a spinlock for the dead, irqs off, under no other lock.
 * See also: sched.c, tests/test_sched.c.
 */
#include "sched.h"

#include <errno.h>
#include <kmap.h>
#include <page.h>
#include <printk.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <time.h>
#include <wait.h>

char init_stack[2 * STACK_SIZE] __aligned(2 * STACK_SIZE);

struct thread init_thread = {
	.preempt_count = PREEMPT_ONE, /* for ever: see idle.c */
	.state = THREAD_RUNNABLE,
	.on_cpu = true,
	.allowed = 1,
	.rq_node = LIST_HEAD_INIT(init_thread.rq_node),
	.name = "idle/0",
	.stack = (vaddr_t)init_stack + STACK_SIZE,
	.all_node = LIST_HEAD_INIT(init_thread.all_node),
	.refs = ATOMIC_INIT(1),
};

static struct kmem_cache *thread_cache;
static unsigned int next_id = 1;

static spinlock_t list_lock = SPINLOCK_INIT;
static LIST_HEAD(all_threads); /* in order of id, nearly */

/* The dead, by rq_node; lock. */
static spinlock_t dead_lock = SPINLOCK_INIT;
static LIST_HEAD(dead_threads);
static WAIT_QUEUE(reaper_wq);
static WAIT_QUEUE(exit_wq);

void thread_list_add(struct thread *t)
{
	bool on = spin_lock_irqsave(&list_lock);

	list_add_tail(&t->all_node, &all_threads);
	spin_unlock_irqrestore(&list_lock, on);
}

static void list_remove(struct thread *t)
{
	bool on = spin_lock_irqsave(&list_lock);

	list_del(&t->all_node);
	spin_unlock_irqrestore(&list_lock, on);
}

void thread_get(struct thread *t)
{
	atomic_inc(&t->refs);
}

void thread_put(struct thread *t)
{
	if (atomic_dec_and_test(&t->refs))
		kmem_cache_free(thread_cache, t);
}

/* ---- Ending ------------------------------------------------------------------------------- */

void thread_reap(struct thread *t)
{
	bool on = spin_lock_irqsave(&dead_lock);

	list_add_tail(&t->rq_node, &dead_threads);
	spin_unlock_irqrestore(&dead_lock, on);
	wake_up_all(&reaper_wq);
}

static struct thread *take_dead(void)
{
	struct thread *t = NULL;
	bool on = spin_lock_irqsave(&dead_lock);

	if (!list_empty(&dead_threads)) {
		t = list_first_entry(&dead_threads, struct thread, rq_node);
		list_del(&t->rq_node);
	}
	spin_unlock_irqrestore(&dead_lock, on);
	return t;
}

/* A hint; take_dead() looks under the lock. */
static bool any_dead(void)
{
	return READ_ONCE(dead_threads.next) != &dead_threads;
}

static void bury(struct thread *t)
{
	stack_free(t->stack);
	list_remove(t);
	/* Orders all that t did, and the freeing, before "exited". Pairs with thread_join(). */
	smp_store_release(&t->exited, true);
	wake_up_all(&exit_wq);
	thread_put(t);
}

static void reaper_thread(void *unused)
{
	for (;;) {
		struct thread *t;

		wait_event(reaper_wq, any_dead());
		while ((t = take_dead()))
			bury(t);
	}
}

__noreturn void thread_exit(void)
{
	struct thread *t = current;

	might_sleep();
	BUG_ON(t->mm);
	BUG_ON(t->user_access);
	/* irqs off: a preemption between the two lines would be the last, and leave t queued. */
	local_irq_disable();
	WRITE_ONCE(t->state, THREAD_DEAD);
	schedule();
	BUG();
}

void thread_join(struct thread *t)
{
	/* The acquire orders "exited" before what the caller does next. Pairs with bury(). */
	wait_event(exit_wq, smp_load_acquire(&t->exited));
	thread_put(t);
}

/* ---- Making -------------------------------------------------------------------------------- */

static struct thread *thread_alloc(void)
{
	struct thread *t = kmem_cache_alloc(thread_cache, GFP_KERNEL);

	if (!t)
		return NULL;
	memset(t, 0, sizeof(*t));
	t->stack = stack_alloc();
	if (!t->stack) {
		kmem_cache_free(thread_cache, t);
		return NULL;
	}
	t->id = fetch_add_relaxed(&next_id, 1);
	list_init(&t->rq_node);
	list_init(&t->all_node);
	return t;
}

static struct thread *create(void (*fn)(void *), void *arg, cpumask_t allowed, const char *fmt,
			     va_list ap)
{
	struct thread *t = thread_alloc();

	BUG_ON(!(allowed & cpu_possible_mask));
	if (!t)
		return NULL;
	vsnprintf(t->name, sizeof(t->name), fmt, ap);
	t->fn = fn;
	t->arg = arg;
	t->allowed = allowed;
	t->state = THREAD_SLEEPING;
	t->cpu = READ_ONCE(current->cpu); /* a hint for thread_wake() */
	atomic_set(&t->refs, 2);
	arch_context_init(t, (void *)(t->stack + STACK_SIZE));
	thread_list_add(t);
	return t;
}

static struct thread *create_named(void (*fn)(void *), void *arg, cpumask_t allowed,
				   const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	struct thread *t = create(fn, arg, allowed, fmt, ap);

	va_end(ap);
	return t;
}

/* The first thread_create(), on the boot CPU alone, brings the cache and the reaper with it. */
static void first_create(void)
{
	struct thread *t = NULL;

	thread_cache = kmem_cache_create("thread", sizeof(struct thread), 64);
	if (thread_cache)
		t = create_named(reaper_thread, NULL, ~0ULL, "reaper");
	if (!t)
		boot_fail("too little memory: no room for the first thread");
	thread_wake(t);
	thread_put(t);
}

static struct thread *create_any(void (*fn)(void *), void *arg, cpumask_t allowed,
				 const char *fmt, va_list ap)
{
	if (unlikely(!thread_cache))
		first_create();
	return create(fn, arg, allowed, fmt, ap);
}

struct thread *thread_create(void (*fn)(void *), void *arg, cpumask_t allowed, const char *name,
			     ...)
{
	va_list ap;

	va_start(ap, name);
	struct thread *t = create_any(fn, arg, allowed, name, ap);

	va_end(ap);
	return t;
}

int thread_spawn(void (*fn)(void *), void *arg, cpumask_t allowed, const char *name, ...)
{
	va_list ap;

	va_start(ap, name);
	struct thread *t = create_any(fn, arg, allowed, name, ap);

	va_end(ap);
	if (!t)
		return -ENOMEM;
	thread_wake(t);
	thread_put(t);
	return 0;
}

struct thread *sched_make_idle(unsigned int cpu)
{
	struct thread *t = thread_alloc();

	if (!t)
		return NULL;
	snprintf(t->name, sizeof(t->name), "idle/%u", cpu);
	t->preempt_count = PREEMPT_ONE;
	t->state = THREAD_RUNNABLE;
	t->on_cpu = true;
	t->cpu = cpu;
	t->allowed = cpumask_of(cpu);
	t->switched_in = arch_cycles();
	atomic_set(&t->refs, 1);
	thread_list_add(t);

	struct runqueue *rq = cpu_rq(cpu);
	bool on = local_irq_save();

	/* Threads pinned to cpu may be queued already, so under the lock. */
	raw_spin_lock(&rq->lock);
	rq->idle = t;
	WRITE_ONCE(rq->curr, t);
	raw_spin_unlock(&rq->lock);
	local_irq_restore(on);
	return t;
}

/* ---- Listing ------------------------------------------------------------------------------- */

struct thread *thread_next(s64 above)
{
	struct thread *t, *found = NULL;
	bool on = spin_lock_irqsave(&list_lock);

	list_for_each_entry(t, &all_threads, all_node)
		if ((s64)t->id > above && (!found || t->id < found->id))
			found = t;
	if (found)
		thread_get(found); /* it leaves the list before its own reference goes */
	spin_unlock_irqrestore(&list_lock, on);
	return found;
}

static const char *state_name(const struct thread *t)
{
	if (READ_ONCE(t->on_cpu))
		return "running";
	if (READ_ONCE(t->on_rq))
		return "queued";
	return READ_ONCE(t->state) == THREAD_DEAD ? "dead" : "sleeping";
}

void threads_print(void)
{
	struct thread *t;
	s64 id = -1;

	print_line("%4s  %-19s %-8s %3s %18s %10s %10s", "ID", "NAME", "STATE", "CPU", "ALLOWED",
		   "TIME ms", "SWITCHES");
	while ((t = thread_next(id))) {
		u64 ms = cycles_to_ns(READ_ONCE(t->run_time)) / NSEC_PER_MSEC;

		print_line("%4u  %-19s %-8s %3u %#18llx %10llu %10llu", t->id, t->name,
			   state_name(t), READ_ONCE(t->cpu),
			   (unsigned long long)(t->allowed & cpu_possible_mask),
			   (unsigned long long)ms, (unsigned long long)READ_ONCE(t->switches));
		id = t->id;
		thread_put(t);
	}
}
