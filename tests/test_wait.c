// SPDX-License-Identifier: MIT
/*
 * Wait queues and completions.
 */
#include "testlib.h"

#include <smp.h>
#include <wait.h>

static WAIT_QUEUE(queue);
static bool condition;
static unsigned int arrived, passed;

static void reset(void)
{
	condition = false;
	arrived = 0;
	passed = 0;
}

static void wait_for_condition(void *unused)
{
	fetch_add(&arrived, 1);
	wait_event(queue, READ_ONCE(condition));
	fetch_add(&passed, 1);
}

static unsigned int nr_waiting(wait_queue_head_t *wq)
{
	unsigned int n = 0;
	struct list_head *pos;
	bool on = spin_lock_irqsave(&wq->lock);

	list_for_each(pos, &wq->waiters)
		n++;
	spin_unlock_irqrestore(&wq->lock, on);
	return n;
}

TEST(wait, event_wakes_all)
{
	struct thread *t[4];

	reset();
	for (unsigned int i = 0; i < 4; i++)
		t[i] = test_thread(~0ULL, wait_for_condition, NULL);
	EXPECT(WAIT_UNTIL(nr_waiting(&queue) == 4));
	wake_up_all(&queue); /* the condition does not hold: all go to sleep again */
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(passed) != 0));
	WRITE_ONCE(condition, true);
	wake_up_all(&queue);
	for (unsigned int i = 0; i < 4; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(passed, 4);
	EXPECT_EQ(nr_waiting(&queue), 0);
}

TEST(wait, event_that_holds_does_not_sleep)
{
	reset();
	condition = true;
	wait_event(queue, READ_ONCE(condition));
	EXPECT(wait_event_timeout(queue, READ_ONCE(condition), 0));
	EXPECT_EQ(nr_waiting(&queue), 0);
}

TEST(wait, event_timeout_runs_out)
{
	u64 start = time_ns();

	reset();
	EXPECT(!wait_event_timeout(queue, READ_ONCE(condition), 15 * NSEC_PER_MSEC));
	EXPECT(time_ns() - start >= 15 * NSEC_PER_MSEC);
	EXPECT_EQ(nr_waiting(&queue), 0);
}

static void fulfil_later(void *unused)
{
	thread_sleep(5 * NSEC_PER_MSEC);
	WRITE_ONCE(condition, true);
	wake_up_all(&queue);
}

TEST(wait, event_timeout_is_cut_short)
{
	reset();
	struct thread *t = test_thread(~0ULL, fulfil_later, NULL);

	ASSERT(t != NULL);
	EXPECT(wait_event_timeout(queue, READ_ONCE(condition), TEST_PATIENCE));
	thread_join(t);
}

static void wait_exclusive(void *unused)
{
	struct wait_entry w;

	prepare_to_wait(&queue, &w, true);
	fetch_add(&arrived, 1);
	schedule();
	finish_wait(&queue, &w);
	fetch_add(&passed, 1);
}

TEST(wait, wake_one_wakes_one_exclusive)
{
	struct thread *t[3];

	reset();
	for (unsigned int i = 0; i < 3; i++)
		t[i] = test_thread(~0ULL, wait_exclusive, NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(arrived) == 3));
	for (unsigned int i = 1; i <= 3; i++) {
		wake_up_one(&queue);
		EXPECT(WAIT_UNTIL(READ_ONCE(passed) == i));
		if (i == 1)
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(passed) > 1));
	}
	for (unsigned int i = 0; i < 3; i++)
		if (t[i])
			thread_join(t[i]);
	wake_up_one(&queue); /* nobody there */
}

TEST(wait, wake_one_wakes_all_that_are_not_exclusive)
{
	struct thread *t[4];

	reset();
	for (unsigned int i = 0; i < 2; i++)
		t[i] = test_thread(~0ULL, wait_for_condition, NULL);
	for (unsigned int i = 2; i < 4; i++)
		t[i] = test_thread(~0ULL, wait_exclusive, NULL);
	EXPECT(WAIT_UNTIL(nr_waiting(&queue) == 4));
	WRITE_ONCE(condition, true);
	wake_up_one(&queue);
	EXPECT(WAIT_UNTIL(READ_ONCE(passed) == 3));
	wake_up_one(&queue);
	for (unsigned int i = 0; i < 4; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(passed, 4);
}

static void wake_from_handler(void *unused)
{
	WRITE_ONCE(condition, true);
	wake_up_all(&queue);
}

TEST(wait, wake_from_an_interrupt)
{
	reset();
	struct thread *t = test_thread(~0ULL, wait_for_condition, NULL);

	ASSERT(t != NULL);
	EXPECT(WAIT_UNTIL(nr_waiting(&queue) == 1));
	smp_call_all(wake_from_handler, NULL, true);
	thread_join(t);
	EXPECT_EQ(passed, 1);
}

/* A condition that is made true again and again: no wake-up is lost between test and sleep. */
static u64 baton;
static bool baton_down;

static void hand_over(void *arg)
{
	u64 me = (u64)arg;

	for_bounded_rounds(i, 500) {
		wait_event(queue, READ_ONCE(baton) % 2 == me || READ_ONCE(baton_down));
		fetch_add(&baton, 1);
		wake_up_all(&queue);
	}
	WRITE_ONCE(baton_down, true); /* the other need not wait any more */
	wake_up_all(&queue);
}

TEST(wait, no_wakeup_is_lost)
{
	struct thread *t[2];
	unsigned int last = cpumask_weight(cpu_online_mask) - 1;

	WRITE_ONCE(baton, 0);
	WRITE_ONCE(baton_down, false);
	t[0] = test_thread(cpumask_of(test_cpu(0)), hand_over, (void *)0);
	t[1] = test_thread(cpumask_of(test_cpu(last)), hand_over, (void *)1);
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT(baton >= 4);
}

/* ---- Completions ------------------------------------------------------------------------- */

TEST(wait, completion_counts)
{
	COMPLETION(c);

	complete(&c);
	complete(&c);
	wait_for_completion(&c);
	wait_for_completion(&c);
	EXPECT(!wait_for_completion_timeout(&c, NSEC_PER_MSEC));
	complete(&c);
	EXPECT(wait_for_completion_timeout(&c, NSEC_PER_MSEC));
	completion_init(&c);
	EXPECT(!wait_for_completion_timeout(&c, 0));
}

static void wait_completion(void *arg)
{
	wait_for_completion(arg);
	fetch_add(&passed, 1);
}

TEST(wait, complete_lets_one_pass)
{
	COMPLETION(c);
	struct thread *t[3];

	reset();
	for (unsigned int i = 0; i < 3; i++)
		t[i] = test_thread(~0ULL, wait_completion, &c);
	EXPECT(WAIT_UNTIL(nr_waiting(&c.wq) == 3));
	complete(&c);
	EXPECT(WAIT_UNTIL(READ_ONCE(passed) == 1));
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(passed) > 1));
	complete_all(&c);
	for (unsigned int i = 0; i < 3; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(passed, 3);
	wait_for_completion(&c); /* now and later */
	wait_for_completion(&c);
}

struct request {
	struct completion done;
	u64 canary;
};
static struct request *mailbox;
static bool mailbox_closed;

static void answer_requests(void *unused)
{
	while (!READ_ONCE(mailbox_closed)) {
		struct request *r = xchg(&mailbox, NULL);

		if (r)
			complete(&r->done);
		else
			cpu_relax();
	}
}

static __noinline bool ask_once(u64 i)
{
	struct request r = { .canary = i };

	completion_init(&r.done);
	xchg(&mailbox, &r);
	wait_for_completion(&r.done);
	bool ok = r.canary == i;

	/*
	 * What complete() might still write to after this return would land in the next caller's
	 * frame.
	 */
	memset(&r, 0xff, sizeof(r));
	barrier();
	return ok;
}

static __noinline bool untouched(void)
{
	volatile u8 frame[sizeof(struct request) + 64];
	bool ok = true;

	for (size_t i = 0; i < sizeof(frame); i++)
		frame[i] = 0x5a;
	for (unsigned int i = 0; i < 20; i++)
		cpu_relax();
	for (size_t i = 0; i < sizeof(frame); i++)
		ok &= frame[i] == 0x5a;
	return ok;
}

TEST(wait, completion_on_the_stack)
{
	bool ok = true;

	if (!test_needs_cpus(2))
		return;
	WRITE_ONCE(mailbox_closed, false);
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), answer_requests, NULL);

	ASSERT(t != NULL);
	for_bounded_rounds(i, 1000)
		ok = ok && ask_once(i) && untouched();
	EXPECT(ok);
	WRITE_ONCE(mailbox_closed, true);
	thread_join(t);
}
