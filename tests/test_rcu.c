// SPDX-License-Identifier: MIT
/*
 * RCU-sched: callbacks, waiting, expedited grace periods, barriers, cookies; what is a reader and
 * what is a quiescent state.
 *
 * A reader is made by holding a CPU; then nothing that waits for readers may come to an end before
 * the CPU is let go, and everything must after.
 */
#include "testlib.h"

#include <irqflags.h>
#include <percpu.h>
#include <rcu.h>
#include <rules.h>
#include <slab.h>
#include <smp.h>

struct callback {
	struct rcu_head head;
	u64 ran;
	bool irqs_on, in_irq;
};

static void note_callback(struct rcu_head *head)
{
	struct callback *c = container_of(head, struct callback, head);

	c->irqs_on = arch_irqs_enabled();
	c->in_irq = in_interrupt();
	fetch_add(&c->ran, 1);
}

/* The other ways to wait, each in a thread. */
static u64 waited;

static void wait_normal(void *unused)
{
	synchronize_rcu();
	fetch_add(&waited, 1);
}

static void wait_expedited(void *unused)
{
	synchronize_rcu_expedited();
	fetch_add(&waited, 1);
}

static void wait_barrier(void *unused)
{
	rcu_barrier();
	fetch_add(&waited, 1);
}

TEST(rcu, callback_runs_once_in_a_thread)
{
	struct callback c = { .ran = 0 };

	call_rcu(&c.head, note_callback);
	EXPECT(WAIT_UNTIL(READ_ONCE(c.ran) == 1));
	EXPECT(c.irqs_on && !c.in_irq);
	rcu_barrier();
	EXPECT_EQ(c.ran, 1);
}

TEST(rcu, synchronize_returns)
{
	struct rcu_stats before, after;

	rcu_get_stats(&before);
	for (unsigned int i = 0; i < 3; i++)
		synchronize_rcu();
	rcu_get_stats(&after);
	EXPECT(after.grace_periods >= before.grace_periods + 3);
}

TEST(rcu, expedited_returns)
{
	struct rcu_stats before, after;

	rcu_get_stats(&before);
	for (unsigned int i = 0; i < 20; i++)
		synchronize_rcu_expedited();
	rcu_get_stats(&after);
	EXPECT(after.expedited >= before.expedited + 20);
}

/* ---- Readers hold everything up ---------------------------------------------------------- */

static void check_waits(enum hold_kind kind, void (*wait)(void *))
{
	struct callback c = { .ran = 0 };
	struct holder h;

	waited = 0;
	if (!test_needs_cpus(2))
		return;
	struct thread *t = test_thread_new(cpumask_of(test_cpu(0)), wait, NULL);

	ASSERT(t != NULL);
	bool held = hold_start(&h, test_cpu(1), kind, NULL);

	call_rcu(&c.head, note_callback);
	thread_wake(t);
	if (held) {
		EXPECT(NOT_WITHIN_WATCH(READ_ONCE(c.ran) != 0 || READ_ONCE(waited) != 0));
		hold_end(&h);
	}
	thread_join(t);
	EXPECT_EQ(waited, 1);
	EXPECT(WAIT_UNTIL(READ_ONCE(c.ran) == 1));
	rcu_barrier();
}

TEST(rcu, preempt_off_holds_a_grace_period)
{
	check_waits(HOLD_PREEMPT, wait_normal);
}

TEST(rcu, irqs_off_holds_a_grace_period)
{
	check_waits(HOLD_IRQS, wait_normal);
}

TEST(rcu, preempt_off_holds_an_expedited_one)
{
	check_waits(HOLD_PREEMPT, wait_expedited);
}

TEST(rcu, irqs_off_holds_an_expedited_one)
{
	check_waits(HOLD_IRQS, wait_expedited);
}

TEST(rcu, readers_hold_a_barrier)
{
	check_waits(HOLD_PREEMPT, wait_barrier);
}

/* The rules by name, for the knock-outs. */
TEST(rule, R1_callback_waits_for_every_cpu)
{
	check_waits(HOLD_IRQS, wait_normal);
}

TEST(rule, R2_preempt_off_is_not_quiescent)
{
	check_waits(HOLD_PREEMPT, wait_normal);
	check_waits(HOLD_PREEMPT, wait_expedited);
}

/* A busy CPU that is no reader does not hold a grace period up: the tick finds it preemptible. */
TEST(rcu, preemptible_spinner_is_no_reader)
{
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_NOTHING, NULL))
		return;
	synchronize_rcu();
	synchronize_rcu_expedited();
	EXPECT(READ_ONCE(h.holding) && !READ_ONCE(h.over));
	hold_end(&h);
}

/* No CPU in particular has to be free: each in turn is kept busy by a thread that only spins. */
TEST(rcu, needs_no_particular_cpu)
{
	unsigned int n = min(cpumask_weight(cpu_online_mask), 4u);

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 1; i < n; i++) {
		struct holder h;

		thread_set_allowed(current, cpumask_of(test_cpu(0)));
		if (!hold_start(&h, test_cpu(i), HOLD_NOTHING, NULL))
			return;
		test_run_on(test_cpu(i), wait_normal, NULL); /* shares the CPU with the spinner */
		synchronize_rcu();
		hold_end(&h);
	}
}

static bool handler_go, handler_in;

static void linger(void *unused)
{
	WRITE_ONCE(handler_in, true);
	(void)SPIN_UNTIL(READ_ONCE(handler_go));
}

/* An interrupt handler that came while CPU 1 was idle is a reader. */
static void check_handler_from_idle(void)
{
	if (!test_needs_cpus(2))
		return;
	waited = 0;
	handler_go = false;
	handler_in = false;
	struct thread *a = test_thread_new(cpumask_of(test_cpu(0)), wait_normal, NULL);
	struct thread *b = test_thread_new(cpumask_of(test_cpu(0)), wait_expedited, NULL);

	ASSERT(a && b);
	EXPECT(WAIT_UNTIL(sched_cpu_idle(test_cpu(1))));
	smp_call(test_cpu(1), linger, NULL, false);
	EXPECT(SPIN_UNTIL(READ_ONCE(handler_in)));
	thread_wake(a);
	thread_wake(b);
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(waited) != 0));
	WRITE_ONCE(handler_go, true);
	thread_join(a);
	thread_join(b);
	EXPECT_EQ(waited, 2);
}

TEST(rcu, handler_from_idle_is_a_reader)
{
	check_handler_from_idle();
}

TEST(rule, R4_interrupt_from_idle_is_a_reader)
{
	check_handler_from_idle();
}

TEST(rcu, read_lock_nests_and_is_known)
{
	EXPECT(!rcu_read_lock_held());
	rcu_read_lock();
	rcu_read_lock();
	EXPECT(rcu_read_lock_held());
	rcu_read_unlock();
	EXPECT(rcu_read_lock_held());
	rcu_read_unlock();
	EXPECT(!rcu_read_lock_held());
	bool on = local_irq_save();
	bool held = rcu_read_lock_held();

	local_irq_restore(on);
	EXPECT(held);
	EXPECT_EQ(current->preempt_count, 0);
}

/*
 * R3. CPU 1 holds a first period. When that waits for nobody else, CPU 2 becomes a reader. What is
 * queued now must wait for CPU 2 too, though the first period does not.
 */
TEST(rule, R3_queued_during_a_period_waits_for_the_next)
{
	struct callback first = { .ran = 0 }, second = { .ran = 0 };
	struct holder one, two;
	struct rcu_stats s;

	if (!test_needs_cpus(3) || !hold_start(&one, test_cpu(1), HOLD_PREEMPT, NULL))
		return;
	call_rcu(&first.head, note_callback);
	EXPECT(WAIT_UNTIL((rcu_get_stats(&s), s.waiting == cpumask_of(one.cpu))));
	if (!hold_start(&two, test_cpu(2), HOLD_PREEMPT, NULL)) {
		hold_end(&one);
		rcu_barrier();
		return;
	}
	call_rcu(&second.head, note_callback);
	hold_end(&one);
	EXPECT(WAIT_UNTIL(READ_ONCE(first.ran) == 1));
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(second.ran) != 0));
	hold_end(&two);
	EXPECT(WAIT_UNTIL(READ_ONCE(second.ran) == 1));
	rcu_barrier();
}

/* ---- Idle CPUs --------------------------------------------------------------------------- */

struct quiet {
	u64 ipis, ticks, switches;
};

static struct quiet look(unsigned int cpu)
{
	return (struct quiet){ smp_ipis_taken(cpu), tick_count(cpu), sched_switches(cpu) };
}

/*
 * Grace periods of both kinds come and go while CPU 1 sleeps on; something else may wake it: retry.
 */
TEST(rcu, idle_cpu_is_neither_awaited_nor_woken)
{
	bool slept = false;

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 0; i < 20 && !slept; i++) {
		if (!EXPECT(WAIT_UNTIL(sched_cpu_idle(test_cpu(1)))))
			return;
		thread_sleep(10 * NSEC_PER_MSEC);
		struct quiet before = look(test_cpu(1));

		synchronize_rcu();
		synchronize_rcu_expedited();
		synchronize_rcu();
		struct quiet after = look(test_cpu(1));

		slept = memcmp(&before, &after, sizeof(before)) == 0;
	}
	EXPECT(slept);
}

/* ---- Callbacks from everywhere ----------------------------------------------------------- */

#define CALLBACKS 40
static u64 queued, done;

static void count_and_free(struct rcu_head *head)
{
	fetch_add(&done, 1);
	kfree(head);
}

static void queue_some(void *unused)
{
	for_bounded_rounds(i, CALLBACKS) {
		struct rcu_head *head = kmalloc(sizeof(*head), GFP_KERNEL);

		if (!head)
			continue;
		fetch_add(&queued, 1);
		bool on = i % 2 ? local_irq_save() : true; /* any context, irqs in any state */

		call_rcu(head, count_and_free);
		if (i % 2)
			local_irq_restore(on);
	}
}

TEST(rcu, barrier_waits_for_every_cpu)
{
	for (unsigned int i = 0; i < 5; i++) {
		queued = 0;
		done = 0;
		test_run_on_each(queue_some, NULL);
		rcu_barrier();
		EXPECT_EQ(READ_ONCE(done), queued);
	}
}

static struct callback from_handler[MAX_CPUS];

static void queue_from_handler(void *unused)
{
	call_rcu(&from_handler[smp_processor_id()].head, note_callback);
}

TEST(rcu, call_rcu_from_interrupts_of_idle_cpus)
{
	unsigned int cpu;

	memset(from_handler, 0, sizeof(from_handler));
	smp_call_all(queue_from_handler, NULL, true);
	rcu_barrier();
	for_each_online_cpu(cpu)
		EXPECT_EQ(from_handler[cpu].ran, 1);
}

static u64 requeues;

static void requeue(struct rcu_head *head)
{
	if (fetch_add(&requeues, 1) < 5)
		call_rcu(head, requeue);
}

TEST(rcu, callback_may_queue_itself)
{
	static struct rcu_head head;

	requeues = 0;
	call_rcu(&head, requeue);
	EXPECT(WAIT_UNTIL(READ_ONCE(requeues) == 6));
	rcu_barrier();
}

/* ---- Cookies ----------------------------------------------------------------------------- */

TEST(rcu, cookies_tell_periods)
{
	u64 old = rcu_seq_snap();

	synchronize_rcu();
	EXPECT(rcu_seq_done(old));
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL))
		return;
	u64 snap = rcu_seq_snap();
	struct callback c = { .ran = 0 };

	EXPECT(!rcu_seq_done(snap));
	call_rcu(&c.head, note_callback);
	EXPECT(NOT_WITHIN_WATCH(rcu_seq_done(snap)));
	hold_end(&h);
	EXPECT(WAIT_UNTIL(rcu_seq_done(snap)));
	rcu_barrier();
	EXPECT_EQ(c.ran, 1);
}

/* ---- All together: readers follow a pointer to an object that is replaced and freed ------ */

#define ALIVE 0x600df00d600df00dULL
#define DEAD 0xdeaddeaddeaddeadULL

struct object {
	struct rcu_head head;
	u64 state;
};
static struct object *published;
static bool readers_stop;
static u64 reads, dead_reads;

static void bury_object(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	WRITE_ONCE(o->state, DEAD);
	kfree(o);
}

static void follow(void *unused)
{
	while (!READ_ONCE(readers_stop)) {
		rcu_read_lock();
		/*
		 * WHY SAFE: preemption is off, so the grace period before bury_object() waits for
		 * us [R2].
		 */
		struct object *o = rcu_dereference(published);

		for (unsigned int i = 0; i < 20; i++)
			if (READ_ONCE(o->state) != ALIVE)
				fetch_add(&dead_reads, 1);
		rcu_read_unlock();
		fetch_add_relaxed(&reads, 1);
	}
}

static void replace_often(void *unused)
{
	u64 end = time_ns() + 300 * NSEC_PER_MSEC;

	while (time_ns() < end) {
		struct object *o = kmalloc(sizeof(*o), GFP_KERNEL), *old = published;

		if (!o)
			continue;
		o->state = ALIVE;
		rcu_assign_pointer(published, o);
		call_rcu(&old->head, bury_object);
		cond_resched();
	}
	WRITE_ONCE(readers_stop, true);
}

TEST(rcu, readers_never_see_the_dead)
{
	published = kmalloc(sizeof(*published), GFP_KERNEL);
	ASSERT(published != NULL);
	published->state = ALIVE;
	readers_stop = false;
	reads = 0;
	dead_reads = 0;
	struct thread *t = test_thread(~0ULL, replace_often, NULL);

	if (t) {
		test_run_on_each(follow, NULL);
		thread_join(t);
	}
	EXPECT(reads > 100);
	EXPECT_EQ(dead_reads, 0);
	rcu_barrier();
	kfree(published);
	published = NULL;
}
