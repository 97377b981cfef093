// SPDX-License-Identifier: MIT
/*
 * The lock checker's hooks: what each thread holds, and what may be done with that held.
 *
 * Terms. Each thread has a stack of the locks that it holds, and each CPU one for the interrupt it
 * may be in: interrupts do not nest, and must not disturb a thread's stack half-way through a
 * change. A class is a set of locks that are used alike: see lockdep_graph.c, which also keeps the
 * orders seen between classes.
 * Why. A deadlock needs two threads at two places at once; the mistake that makes it possible is
 * there in each of them alone, every time.
 * Why the stacks are kept while oracles are off: a lock may be taken before they are switched on
 * and dropped after it, so only then there is no false report.
 * Rules: T4, F3. Contexts: any but NMI; preemption goes off for each change of a stack, since a
 * preemption takes locks itself.
 * Outside are locks taken by raw_spin_lock(): those of the run queues (dropped by another thread
 * than took them; leaves, in order of CPU number), of timers, slabs' and frames' lists on a CPU
 * (leaves under interrupts off), of printk() and backtraces (which reports need), and of this
 * checker.
 * See also: lockdep_report.c, tests/test_lockdep.c.
 */
#include "lockdep_private.h"
#include "sched.h"

#include <boot.h>
#include <irqflags.h>
#include <oracle.h>
#include <printk.h>
#include <thread.h>

#ifdef GRACE_DEBUG
DEFINE_PER_CPU(struct lock_stack, irq_locks);

/* Preemption off. */
static struct lock_stack *this_stack(void)
{
	return in_interrupt() ? this_cpu_ptr(&irq_locks) : &current->locks;
}

static struct held_lock *find_held(struct lock_stack *s, const lock_class_t *lock)
{
	for (unsigned int i = s->depth; i-- > 0;)
		if (s->held[i].lock == lock)
			return &s->held[i];
	return NULL;
}

/* ---- The life of a lock ------------------------------------------------------------------- */

void lock_init(lock_class_t *lock, vaddr_t place)
{
	lock->nr = lock_class_of(place, 0);
}

void lock_destroy(lock_class_t *lock, bool held)
{
	if (oracles() && held)
		lock_report(LOCK_HELD_AT_END, lock, "a lock is destroyed while somebody holds it");
	WRITE_ONCE(lock->nr, CLASS_DEAD);
}

static bool in_image(const lock_class_t *lock)
{
	return (const char *)lock >= data_start && (const char *)lock < image_end;
}

/* The lock's class; CLASS_NONE, after a report, if it is no lock. */
static u8 resolve(lock_class_t *lock, vaddr_t ip)
{
	u16 nr = READ_ONCE(lock->nr);

	if (likely(nr >= CLASS_FIRST && nr < NR_CLASSES))
		return (u8)nr;
	if (nr == CLASS_STATIC) {
		if (in_image(lock))
			WRITE_ONCE(lock->nr, nr = lock_class_of((vaddr_t)lock, ip));
		return (u8)nr;
	}
	lock_report(LOCK_DEAD, lock, "%s takes a lock that %s", lock_place_name(ip).text,
		    nr == CLASS_DEAD   ? "was destroyed" :
		    nr == CLASS_NONE ? "was never initialised" :
				       "is none: its memory has another use");
	return CLASS_NONE;
}

/* ---- Taking and dropping ------------------------------------------------------------------- */

/* An order that may be new. Either end may be a lock that is in no class. */
static void note_edge(u8 from, u8 to, u32 held_ip, u32 ip)
{
	struct lock_edge e = { .held_ip = held_ip, .ip = ip, .from = from, .to = to };
	struct lock_path path;

	if (from <= CLASS_STATIC || to <= CLASS_STATIC || likely(lock_edge_known(from, to)))
		return;
	if (!lock_edge_add(&e, &path))
		lock_report_order(&e, &path);
}

/*
 * The orders that taking h makes: behind what is held. Not behind all of it: the last lock that was
 * waited for is behind the others already, so whoever finds a path finds it through that one.
 */
static void note_orders(const struct lock_stack *s, const struct held_lock *h)
{
	for (unsigned int i = s->depth; i-- > 0;) {
		const struct held_lock *outer = &s->held[i];

		note_edge(outer->class, h->class, outer->ip, h->ip);
		if (!(outer->how & LOCK_TRY) && outer->class > CLASS_STATIC)
			return;
	}
	if (in_interrupt())
		note_edge(CLASS_IRQ, h->class, h->ip, h->ip);
}

/* A spinlock is held with interrupts on: one may come, and what it takes is behind the lock. */
static void note_irqs_on(const struct held_lock *h)
{
	if (!(h->how & LOCK_SLEEPS) && !lock_edge_known(h->class, CLASS_IRQ) && !irqs_disabled())
		note_edge(h->class, CLASS_IRQ, h->ip, h->ip);
}

/* Whether what is held allows to wait for this lock; else, after a report, it never comes. */
static bool may_take(struct lock_stack *s, const struct held_lock *h, vaddr_t ip)
{
	if (h->how & LOCK_SLEEPS && in_interrupt()) {
		lock_report(LOCK_CONTEXT, h->lock, "%s takes a sleeping lock in an interrupt",
			    lock_place_name(ip).text);
		return false;
	}
	if (h->how & LOCK_TRY)
		return true;
	const struct held_lock *twice = find_held(s, h->lock);

	if (likely(!twice && !(in_interrupt() && (twice = find_held(&current->locks, h->lock)))))
		return true;
	lock_report(LOCK_TWICE, h->lock, "%s takes what it holds since %s: %s",
		    lock_place_name(ip).text,
		    lock_place_name((vaddr_t)image_start + twice->ip).text,
		    lock_class_name(h->class).text);
	return false;
}

static bool check_acquire(struct lock_stack *s, struct held_lock *h, lock_class_t *lock, vaddr_t ip)
{
	h->class = resolve(lock, ip);
	if (!may_take(s, h, ip))
		return false;
	if (!(h->how & LOCK_TRY))
		note_orders(s, h);
	note_irqs_on(h);
	return true;
}

/* An interrupt may look between any two lines: it finds no entry that is not whole. */
static void push(struct lock_stack *s, const struct held_lock *h)
{
	if (s->depth == LOCK_DEPTH)
		panic("locks: more than %u held", LOCK_DEPTH);
	s->held[s->depth] = *h;
	barrier();
	s->depth++;
}

static void take_out(struct lock_stack *s, struct held_lock *h)
{
	s->depth--;
	barrier();
	for (; h < &s->held[s->depth]; h++)
		*h = h[1];
}

bool lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip)
{
	struct held_lock h = { .lock = lock, .how = (u8)how };

	h.ip = (u32)(ip - (vaddr_t)image_start);
	preempt_disable();
	struct lock_stack *s = this_stack();
	bool take = !oracles() || check_acquire(s, &h, lock, ip);

	if (take)
		push(s, &h);
	preempt_enable();
	return take;
}

bool lock_release(const lock_class_t *lock, vaddr_t ip)
{
	bool held = true;

	preempt_disable();
	struct lock_stack *s = this_stack();
	struct held_lock *h = find_held(s, lock);

	if (likely(h)) {
		if (oracles())
			note_irqs_on(h);
		take_out(s, h);
	} else if (oracles()) {
		lock_report(LOCK_NOT_HELD, lock, "%s drops a lock that it does not hold",
			    lock_place_name(ip).text);
		held = false;
	}
	preempt_enable();
	return held;
}

bool lock_is_held(const lock_class_t *lock)
{
	preempt_disable();
	bool held = find_held(this_stack(), lock) != NULL;

	preempt_enable_no_resched();
	return held;
}

/* ---- Waiting and sleeping ------------------------------------------------------------------- */

static const struct held_lock *held_spinlock(const struct lock_stack *s)
{
	for (unsigned int i = s->depth; i-- > 0;)
		if (!(s->held[i].how & LOCK_SLEEPS))
			return &s->held[i];
	return NULL;
}

bool lock_may_wait(const char *function)
{
	const struct held_lock *h = held_spinlock(&current->locks);

	if (!oracles() || !sched_running())
		return true;
	if (h)
		lock_report(LOCK_WAIT, NULL, "%s() waits for other CPUs and holds, since %s, %s",
			    function, lock_place_name((vaddr_t)image_start + h->ip).text,
			    lock_class_name(h->class).text);
	else if (irqs_disabled() || in_interrupt())
		lock_report(LOCK_WAIT, NULL, "%s() waits for other CPUs %s", function,
			    in_interrupt() ? "in an interrupt" : "with interrupts off");
	else
		return true;
	return false;
}

void lock_report_sleep(const char *file, int line)
{
	lock_report(LOCK_SLEEP, NULL, "%s:%d: may not sleep here: preempt_count %#x, irqs %s", file,
		    line, current->preempt_count, irqs_disabled() ? "off" : "on");
}

/* ---- For reports and tests ------------------------------------------------------------------ */

static void print_stack(const struct lock_stack *s, const char *whose)
{
	for (unsigned int i = s->depth; i-- > 0;)
		printk("locks: %s holds, since %s: %s", whose,
		       lock_place_name((vaddr_t)image_start + s->held[i].ip).text,
		       lock_class_name(s->held[i].class).text);
}

void lock_print_held(void)
{
	if (in_interrupt())
		print_stack(this_cpu_ptr(&irq_locks), "the interrupt");
	print_stack(&current->locks, "the thread");
}

bool lock_mistake_expected(enum lock_mistake m)
{
	struct lock_stack *s = &current->locks;

	if (!s->expect)
		return false;
	if (s->seen == LOCK_FINE)
		s->seen = (u8)m;
	return true;
}

void lock_expect_begin(void)
{
	current->locks.seen = LOCK_FINE;
	current->locks.expect = true;
}

enum lock_mistake lock_expect_end(void)
{
	current->locks.expect = false;
	return current->locks.seen;
}
#endif
