// SPDX-License-Identifier: MIT
/*
 * The lock checker: each kind of mistake is made once, on locks of its own, and must be noticed;
 * and what is right must not be.
 *
 * Mistakes are noted instead of reported between lock_expect_begin() and lock_expect_end(). What
 * would hang does not happen then: the lock is not taken, or not dropped, a second time.
 */
#include "testlib.h"

#include <irqflags.h>
#include <lockdep.h>
#include <mutex.h>
#include <oracle.h>
#include <rcu.h>
#include <smp.h>
#include <spinlock.h>
#include <wait.h>

/* False, with the test skipped, where nothing is checked. */
static bool checked(void)
{
	if (!debug_build)
		test_skip("a release build does not check locks");
	else if (!oracles())
		test_skip("oracles are off");
	return oracles();
}

static __noinline void expect_end(enum lock_mistake m, int line)
{
	enum lock_mistake seen = lock_expect_end();

	if (seen != m)
		test_fail(__FILE__, line, "mistake %u was noted, expected %u", seen, m);
}

#define EXPECT_MISTAKE(m, code)                                                                    \
	do {                                                                                       \
		lock_expect_begin();                                                               \
		code;                                                                              \
		expect_end(m, __LINE__);                                                           \
	} while (0)

static __noinline void nest(spinlock_t *outer, spinlock_t *inner)
{
	spin_lock(outer);
	spin_lock(inner);
	spin_unlock(inner);
	spin_unlock(outer);
}

/* ---- Order -------------------------------------------------------------------------------- */

TEST(locks_order, two_spinlocks)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, nest(&a, &b));
	EXPECT_MISTAKE(LOCK_ORDER, nest(&b, &a));
	EXPECT_MISTAKE(LOCK_ORDER, nest(&b, &a)); /* it did not become an order */
	EXPECT_MISTAKE(LOCK_FINE, nest(&a, &b));
}

TEST(locks_order, longer_circle)
{
	static spinlock_t l[5] = { SPINLOCK_INIT, SPINLOCK_INIT, SPINLOCK_INIT, SPINLOCK_INIT,
				   SPINLOCK_INIT };

	if (!checked())
		return;
	for (unsigned int i = 0; i + 1 < ARRAY_SIZE(l); i++)
		EXPECT_MISTAKE(LOCK_FINE, nest(&l[i], &l[i + 1]));
	EXPECT_MISTAKE(LOCK_FINE, nest(&l[1], &l[4]));
	EXPECT_MISTAKE(LOCK_ORDER, nest(&l[4], &l[0]));
}

static void init_two(spinlock_t l[2])
{
	spin_lock_init(&l[0]);
	spin_lock_init(&l[1]);
}

/* Seen with one object, broken with another: what counts is where the locks were initialised. */
TEST(locks_order, locks_of_one_place_are_a_class)
{
	spinlock_t l[2][2]; /* of two objects */

	if (!checked())
		return;
	init_two(l[0]);
	init_two(l[1]);
	EXPECT_MISTAKE(LOCK_FINE, nest(&l[0][0], &l[0][1]));
	EXPECT_MISTAKE(LOCK_ORDER, nest(&l[1][1], &l[1][0]));
	EXPECT_MISTAKE(LOCK_ORDER, nest(&l[0][0], &l[1][0])); /* which first? */
}

static void mutex_then_read(struct mutex *m, struct rwsem *s)
{
	mutex_lock(m);
	down_read(s);
	up_read(s);
	mutex_unlock(m);
}

static void read_then_mutex(struct mutex *m, struct rwsem *s)
{
	down_read(s);
	mutex_lock(m);
	mutex_unlock(m);
	up_read(s);
}

static void write_then_mutex(struct mutex *m, struct rwsem *s)
{
	down_write(s);
	mutex_lock(m);
	downgrade_write(s);
	mutex_unlock(m);
	up_read(s);
}

TEST(locks_order, mutex_and_rwsem)
{
	struct mutex m;
	struct rwsem s;

	if (!checked())
		return;
	mutex_init(&m);
	rwsem_init(&s);
	EXPECT_MISTAKE(LOCK_FINE, mutex_then_read(&m, &s));
	EXPECT_MISTAKE(LOCK_ORDER, write_then_mutex(&m, &s));
	EXPECT_MISTAKE(LOCK_ORDER, read_then_mutex(&m, &s));
}

/* Readers keep each other out too, once a writer waits between them. */
TEST(locks_order, readers_of_two_rwsems)
{
	static struct rwsem a = RWSEM_INIT(a), b = RWSEM_INIT(b);

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, ({
			       down_read(&a);
			       down_read(&b);
			       up_read(&a);
			       up_read(&b);
		       }));
	EXPECT_MISTAKE(LOCK_ORDER, ({
			       down_read(&b);
			       down_read(&a);
			       up_read(&a);
			       up_read(&b);
		       }));
}

/* ---- Interrupts --------------------------------------------------------------------------- */

struct in_irq {
	struct timer timer; /* first */
	void (*fn)(void *);
	void *arg;
	bool done;
};

static void irq_run(struct timer *t)
{
	struct in_irq *i = container_of(t, struct in_irq, timer);

	i->fn(i->arg);
	WRITE_ONCE(i->done, true);
}

/* Runs fn in an interrupt of the calling thread. */
static __noinline void in_irq(void (*fn)(void *), void *arg)
{
	struct in_irq i = { .fn = fn, .arg = arg };

	timer_init(&i.timer, irq_run);
	preempt_disable();
	timer_start(&i.timer, 0);
	EXPECT(SPIN_UNTIL(READ_ONCE(i.done)));
	preempt_enable();
	timer_stop(&i.timer);
}

static __noinline void take_irqsave(void *lock)
{
	bool on = spin_lock_irqsave(lock);

	spin_unlock_irqrestore(lock, on);
}

static __noinline void take(void *lock)
{
	spin_lock(lock);
	spin_unlock(lock);
}

TEST(locks_order, interrupt_takes_what_is_held_with_interrupts_on)
{
	static spinlock_t first = SPINLOCK_INIT, then = SPINLOCK_INIT;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, take(&first));
	EXPECT_MISTAKE(LOCK_IRQ, in_irq(take_irqsave, &first));
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take_irqsave, &then));
	EXPECT_MISTAKE(LOCK_FINE, take_irqsave(&then));
	EXPECT_MISTAKE(LOCK_IRQ, take(&then));
}

static __noinline void take_under_irqsave(spinlock_t *outer, spinlock_t *inner)
{
	bool on = spin_lock_irqsave(outer);

	take(inner);
	spin_unlock_irqrestore(outer, on);
}

/* The interrupt waits for `outer`; its holder for `inner`; whose holder was interrupted. */
TEST(locks_order, interrupt_waits_for_what_it_interrupted_by_another)
{
	static spinlock_t outer = SPINLOCK_INIT, inner = SPINLOCK_INIT;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take_irqsave, &outer));
	EXPECT_MISTAKE(LOCK_FINE, take(&inner));
	EXPECT_MISTAKE(LOCK_IRQ, take_under_irqsave(&outer, &inner));
}

/* For a part of the time: they come on while it is held, or go off. */
TEST(locks_order, interrupts_switched_while_it_is_held)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT;
	bool on;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take_irqsave, &a));
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take_irqsave, &b));
	EXPECT_MISTAKE(LOCK_IRQ, ({
			       on = spin_lock_irqsave(&a);
			       local_irq_restore(on);
			       spin_unlock(&a);
		       }));
	EXPECT_MISTAKE(LOCK_IRQ, ({
			       spin_lock(&b);
			       on = local_irq_save();
			       spin_unlock_irqrestore(&b, on);
		       }));
}

TEST(locks_order, interrupt_takes_what_the_thread_holds)
{
	static spinlock_t l = SPINLOCK_INIT;

	if (!checked())
		return;
	spin_lock(&l);
	EXPECT_MISTAKE(LOCK_TWICE, in_irq(take, &l));
	spin_unlock(&l);
}

static void trylocks(void *arg)
{
	struct mutex *m = arg;

	EXPECT(!mutex_trylock(m));
}

static void read_trylocks(void *arg)
{
	struct rwsem *s = arg;

	EXPECT(!down_read_trylock(s) && !down_write_trylock(s));
}

TEST(locks_order, sleeping_lock_in_interrupt)
{
	static MUTEX(m);
	static struct rwsem s = RWSEM_INIT(s);

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_CONTEXT, in_irq(trylocks, &m));
	EXPECT_MISTAKE(LOCK_CONTEXT, in_irq(read_trylocks, &s));
	EXPECT(!mutex_is_locked(&m) && !rwsem_is_locked(&s));
}

/* ---- Sleeping and waiting ------------------------------------------------------------------- */

static void sleep_here(void *unused)
{
	might_sleep();
}

static __noinline void lock_mutex(void *arg)
{
	mutex_lock(arg);
	mutex_unlock(arg);
}

static __noinline void lock_rwsem(void *arg)
{
	down_read(arg);
	up_read(arg);
	down_write(arg);
	up_write(arg);
}

static void wait_for_nothing(void *arg)
{
	wait_queue_head_t *wq = arg;

	wait_event(*wq, true);
}

static __noinline void with_spinlock(void (*fn)(void *), void *arg)
{
	static spinlock_t l = SPINLOCK_INIT;

	spin_lock(&l);
	fn(arg);
	spin_unlock(&l);
}

static __noinline void with_irqs_off(void (*fn)(void *), void *arg)
{
	bool on = local_irq_save();

	fn(arg);
	local_irq_restore(on);
}

static __noinline void with_preemption_off(void (*fn)(void *), void *arg)
{
	rcu_read_lock();
	fn(arg);
	rcu_read_unlock();
}

TEST(locks_order, sleeping_where_it_may_not)
{
	static MUTEX(m);
	static struct rwsem s = RWSEM_INIT(s);
	static WAIT_QUEUE(wq);

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_SLEEP, with_spinlock(sleep_here, NULL));
	EXPECT_MISTAKE(LOCK_SLEEP, with_spinlock(lock_mutex, &m));
	EXPECT_MISTAKE(LOCK_SLEEP, with_spinlock(lock_rwsem, &s));
	EXPECT_MISTAKE(LOCK_SLEEP, with_spinlock(wait_for_nothing, &wq));
	EXPECT_MISTAKE(LOCK_SLEEP, with_irqs_off(sleep_here, NULL));
	EXPECT_MISTAKE(LOCK_SLEEP, with_preemption_off(sleep_here, NULL));
	EXPECT_MISTAKE(LOCK_SLEEP, in_irq(sleep_here, NULL));
	EXPECT_MISTAKE(LOCK_FINE, sleep_here(NULL));
}

static void nothing(void *unused)
{
}

static void call_others(void *unused)
{
	smp_call_all(nothing, NULL, true);
}

static void wait_for_readers(void *unused)
{
	synchronize_rcu();
}

static void wait_for_readers_expedited(void *unused)
{
	synchronize_rcu_expedited();
}

static void wait_for_callbacks(void *unused)
{
	rcu_barrier();
}

TEST(locks_order, T4_waiting_for_cpus)
{
	static void (*const waits[])(void *) = { call_others, wait_for_readers,
						 wait_for_readers_expedited, wait_for_callbacks };

	if (!checked() || !test_needs_cpus(2))
		return;
	for (unsigned int i = 0; i < ARRAY_SIZE(waits); i++) {
		EXPECT_MISTAKE(LOCK_WAIT, with_spinlock(waits[i], NULL));
		EXPECT_MISTAKE(LOCK_WAIT, with_irqs_off(waits[i], NULL));
		EXPECT_MISTAKE(LOCK_WAIT, in_irq(waits[i], NULL));
		EXPECT_MISTAKE(LOCK_FINE, waits[i](NULL));
	}
	EXPECT_MISTAKE(LOCK_FINE, with_preemption_off(call_others, NULL));
}

/* ---- Taking and dropping -------------------------------------------------------------------- */

TEST(locks_order, taking_twice)
{
	static spinlock_t l = SPINLOCK_INIT;
	static MUTEX(m);
	static struct rwsem s = RWSEM_INIT(s);

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_TWICE, nest(&l, &l));
	EXPECT_MISTAKE(LOCK_TWICE, ({
			       mutex_lock(&m);
			       lock_mutex(&m);
			       mutex_unlock(&m);
		       }));
	EXPECT_MISTAKE(LOCK_TWICE, ({
			       down_read(&s);
			       lock_rwsem(&s);
			       up_read(&s);
		       }));
	EXPECT(!spin_is_locked(&l) && !mutex_is_locked(&m) && !rwsem_is_locked(&s));
}

static MUTEX(held_mutex);
static struct rwsem held_rwsem = RWSEM_INIT(held_rwsem);

static void drop_of_another(void *unused)
{
	EXPECT_MISTAKE(LOCK_NOT_HELD, mutex_unlock(&held_mutex));
	EXPECT_MISTAKE(LOCK_NOT_HELD, up_read(&held_rwsem));
	EXPECT_MISTAKE(LOCK_NOT_HELD, up_write(&held_rwsem));
}

TEST(locks_order, dropping_what_is_not_held)
{
	static spinlock_t l = SPINLOCK_INIT;

	if (!checked())
		return;
	preempt_disable(); /* spin_unlock() drops it, whatever it finds */
	EXPECT_MISTAKE(LOCK_NOT_HELD, spin_unlock(&l));
	EXPECT_MISTAKE(LOCK_NOT_HELD, mutex_unlock(&held_mutex));
	EXPECT(!spin_is_locked(&l));
	mutex_lock(&held_mutex);
	down_read(&held_rwsem);
	test_run_on(test_cpu(0), drop_of_another, NULL);
	EXPECT_MISTAKE(LOCK_FINE, up_read(&held_rwsem));
	EXPECT_MISTAKE(LOCK_FINE, mutex_unlock(&held_mutex));
}

TEST(locks_order, F3_end_of_a_lock)
{
	static spinlock_t never;
	spinlock_t l;

	if (!checked())
		return;
	spin_lock_init(&l);
	spin_lock(&l);
	EXPECT_MISTAKE(LOCK_HELD_AT_END, spin_lock_destroy(&l));
	spin_unlock(&l);
	EXPECT_MISTAKE(LOCK_DEAD, take(&l));
	EXPECT_MISTAKE(LOCK_DEAD, EXPECT(spin_trylock(&l)));
	spin_unlock(&l);
	spin_lock_init(&l);
	EXPECT_MISTAKE(LOCK_FINE, take(&l));
	EXPECT_MISTAKE(LOCK_FINE, spin_lock_destroy(&l));
	EXPECT_MISTAKE(LOCK_DEAD, take(&never));
}

/* ---- What is right -------------------------------------------------------------------------- */

/* What does not wait cannot be stuck; but it is held then, and makes an order of its own. */
TEST(locks_order, trylock_the_other_way_round)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT, c = SPINLOCK_INIT;
	static spinlock_t other = SPINLOCK_INIT;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, nest(&a, &b));
	EXPECT_MISTAKE(LOCK_FINE, nest(&c, &a)); /* c, a, b */
	EXPECT_MISTAKE(LOCK_FINE, ({
			       spin_lock(&b);
			       EXPECT(spin_trylock(&a));
			       EXPECT(!spin_trylock(&a));
			       spin_unlock(&a);
			       spin_unlock(&b);
		       }));
	EXPECT(spin_trylock(&a));
	EXPECT_MISTAKE(LOCK_ORDER, take(&c));
	spin_unlock(&a);
	/* Nor does it hide what is held beside it. */
	spin_lock(&b);
	EXPECT(spin_trylock(&other));
	EXPECT_MISTAKE(LOCK_ORDER, take(&c));
	spin_unlock(&other);
	spin_unlock(&b);
}

static void read_beside(void *arg)
{
	lock_expect_begin();
	down_read(arg);
	EXPECT(down_read_trylock(arg));
	up_read(arg);
	up_read(arg);
	expect_end(LOCK_FINE, __LINE__);
}

TEST(locks_order, readers_beside_each_other)
{
	static struct rwsem s = RWSEM_INIT(s);

	if (!checked())
		return;
	down_read(&s);
	test_run_on_few(2, read_beside, &s);
	EXPECT_MISTAKE(LOCK_FINE, up_read(&s));
	EXPECT_MISTAKE(LOCK_FINE, lock_rwsem(&s));
}

TEST(locks_order, irqsave_everywhere)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT;

	if (!checked())
		return;
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take_irqsave, &a));
	EXPECT_MISTAKE(LOCK_FINE, in_irq(take, &b));
	EXPECT_MISTAKE(LOCK_FINE, take_irqsave(&a));
	EXPECT_MISTAKE(LOCK_FINE, take_under_irqsave(&a, &b));
	EXPECT_MISTAKE(LOCK_FINE, with_spinlock(take_irqsave, &a));
}

/* Not the last one first, and again after that. */
TEST(locks_order, dropping_in_any_order)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT, c = SPINLOCK_INIT;

	if (!checked())
		return;
	lock_expect_begin();
	spin_lock(&a);
	spin_lock(&b);
	spin_lock(&c);
	spin_unlock(&a);
	spin_unlock(&b);
	spin_unlock(&c);
	nest(&a, &c);
	expect_end(LOCK_FINE, __LINE__);
	EXPECT_EQ(current->preempt_count, 0);
}

static void switch_oracles(bool on)
{
#ifdef GRACE_DEBUG
	WRITE_ONCE(oracles_on, on);
#endif
}

/* Held while the checker is switched, either way; and what it did not see is no order. */
TEST(locks_order, switching_makes_no_false_report)
{
	static spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT;

	if (!checked())
		return;
	lock_expect_begin();
	spin_lock(&a);
	switch_oracles(false);
	spin_unlock(&a);
	nest(&b, &a);
	spin_lock(&b);
	switch_oracles(true);
	spin_unlock(&b);
	nest(&a, &b);
	expect_end(LOCK_FINE, __LINE__);
	EXPECT_MISTAKE(LOCK_ORDER, nest(&b, &a));
}

TEST(locks_order, there_is_room_for_classes)
{
	unsigned int max, nr = lock_classes(&max);

	if (!checked())
		return;
	test_note("%u classes of %u", nr, max);
	EXPECT(nr < max);
}
