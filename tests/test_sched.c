// SPDX-License-Identifier: MIT
/*
 * Threads and the scheduler: starting, joining, pinning, preemption, fairness, balancing, sleeping.
 */
#include "testlib.h"

#include <irqflags.h>

/* ---- Starting and joining ---------------------------------------------------------------- */

static void set_flag(void *arg)
{
	WRITE_ONCE(*(bool *)arg, true);
}

TEST(sched, thread_runs_and_is_joined)
{
	bool flag = false;
	struct thread *t = thread_create(set_flag, &flag, ~0ULL, "named %d", 7);

	ASSERT(t != NULL);
	EXPECT_EQ(strcmp(t->name, "named 7"), 0);
	thread_sleep(5 * NSEC_PER_MSEC);
	EXPECT(!flag); /* not before thread_wake() */
	EXPECT(thread_wake(t));
	thread_join(t);
	EXPECT(flag);
}

TEST(sched, spawned_thread_runs)
{
	static bool flag;

	WRITE_ONCE(flag, false);
	ASSERT_EQ(thread_spawn(set_flag, &flag, ~0ULL, "spawned"), 0);
	EXPECT(WAIT_UNTIL(READ_ONCE(flag)));
}

static void exit_early(void *arg)
{
	set_flag(arg);
	thread_exit();
}

TEST(sched, thread_exit_ends_it)
{
	bool flag = false;
	struct thread *t = test_thread(~0ULL, exit_early, &flag);

	ASSERT(t != NULL);
	thread_join(t);
	EXPECT(flag);
}

/* Twenty at a time, again and again: nothing is lost or left (the census of the run looks). */
TEST(sched, many_threads_come_and_go)
{
	struct thread *t[20];
	bool flags[20];

	for (unsigned int round = 0; round < 5; round++) {
		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			flags[i] = false;
			t[i] = test_thread(~0ULL, set_flag, &flags[i]);
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(t); i++) {
			if (!t[i])
				continue;
			thread_join(t[i]);
			EXPECT(flags[i]);
		}
	}
}

/* ---- Pinning ----------------------------------------------------------------------------- */

struct pinned {
	unsigned int cpu, rounds, wrong;
};

static void check_own_cpu(void *arg)
{
	struct pinned *p = arg;

	for (; p->rounds < 200; p->rounds++) {
		preempt_disable();
		p->wrong += smp_processor_id() != p->cpu;
		preempt_enable();
		thread_yield();
	}
}

TEST(sched, pinned_threads_stay)
{
	struct pinned p[MAX_CPUS] = { { 0 } };
	struct thread *t[MAX_CPUS] = { NULL };
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		p[cpu].cpu = cpu;
		t[cpu] = test_thread(cpumask_of(cpu), check_own_cpu, &p[cpu]);
	}
	for_each_online_cpu(cpu) {
		if (!t[cpu])
			continue;
		thread_join(t[cpu]);
		EXPECT_EQ(p[cpu].rounds, 200);
		EXPECT_EQ(p[cpu].wrong, 0);
	}
}

TEST(sched, caller_moves_when_pinned)
{
	unsigned int cpu;

	for_bounded_rounds(round, 10) {
		for_each_online_cpu(cpu) {
			thread_set_allowed(current, cpumask_of(cpu));
			EXPECT_EQ(smp_processor_id(), cpu);
		}
	}
	thread_set_allowed(current, ~0ULL);
}

static void note_cpu_until_told(void *arg)
{
	struct pinned *p = arg;

	while (!READ_ONCE(p->wrong)) {
		preempt_disable();
		WRITE_ONCE(p->cpu, smp_processor_id());
		preempt_enable();
		fetch_add_relaxed(&p->rounds, 1);
	}
}

TEST(sched, running_thread_can_be_moved)
{
	struct pinned p = { .cpu = MAX_CPUS };

	if (!test_needs_cpus(2))
		return;
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), note_cpu_until_told, &p);

	ASSERT(t != NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(p.cpu) == test_cpu(1)));
	thread_set_allowed(t, cpumask_of(test_cpu(0)));
	EXPECT(WAIT_UNTIL(READ_ONCE(p.cpu) == test_cpu(0)));
	thread_set_allowed(t, cpumask_of(test_cpu(1)));
	EXPECT(WAIT_UNTIL(READ_ONCE(p.cpu) == test_cpu(1)));
	WRITE_ONCE(p.wrong, 1);
	thread_join(t);
}

/* ---- Preemption -------------------------------------------------------------------------- */

static void spin_until_flag(void *arg)
{
	(void)SPIN_UNTIL(READ_ONCE(*(bool *)arg));
}

/* The first never gives the CPU up; the second can only run if it is taken away. */
TEST(sched, spinning_thread_is_preempted)
{
	bool flag = false;
	u64 start = time_ns();
	struct thread *a = test_thread(cpumask_of(test_cpu(0)), spin_until_flag, &flag);
	struct thread *b = test_thread(cpumask_of(test_cpu(0)), set_flag, &flag);

	if (a)
		thread_join(a);
	if (b)
		thread_join(b);
	EXPECT(flag);
	EXPECT(time_ns() - start < TEST_PATIENCE / 2);
}

TEST(sched, preemption_off_is_not_preempted)
{
	bool flag = false;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	struct thread *t = thread_create(set_flag, &flag, cpumask_of(test_cpu(0)), "test");

	ASSERT(t != NULL);
	preempt_disable();
	thread_wake(t);
	u64 end = time_ns() + TEST_WATCH;

	while (time_ns() < end)
		cpu_relax();
	bool ran = READ_ONCE(flag);

	preempt_enable();
	EXPECT(!ran);
	thread_join(t);
	EXPECT(flag);
}

TEST(sched, preempt_enable_gives_way)
{
	bool flag = false;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	struct thread *t = thread_create(set_flag, &flag, cpumask_of(test_cpu(0)), "test");

	ASSERT(t != NULL);
	preempt_disable();
	thread_wake(t);
	EXPECT(SPIN_UNTIL(READ_ONCE(current->need_resched))); /* by the tick at the latest */
	preempt_enable();
	EXPECT(WAIT_UNTIL(READ_ONCE(flag)));
	thread_join(t);
}

struct sharer {
	bool go, stop;
	u64 work[3];
	unsigned int ready;
};
static struct sharer sharer;

static void work_until_stop(void *arg)
{
	u64 *work = arg;

	while (!READ_ONCE(sharer.stop))
		fetch_add_relaxed(work, 1);
}

/* Three that never sleep share a CPU: each gets its turns. */
TEST(sched, turns_are_shared)
{
	struct thread *t[3];

	sharer = (struct sharer){ .go = true };
	for (unsigned int i = 0; i < 3; i++)
		t[i] = test_thread(cpumask_of(test_cpu(0)), work_until_stop, &sharer.work[i]);
	EXPECT(WAIT_UNTIL(READ_ONCE(sharer.work[0]) && READ_ONCE(sharer.work[1]) &&
			  READ_ONCE(sharer.work[2])));
	u64 before[3];

	for (unsigned int i = 0; i < 3; i++)
		before[i] = READ_ONCE(sharer.work[i]);
	EXPECT(WAIT_UNTIL(READ_ONCE(sharer.work[0]) > before[0] &&
			  READ_ONCE(sharer.work[1]) > before[1] &&
			  READ_ONCE(sharer.work[2]) > before[2]));
	WRITE_ONCE(sharer.stop, true);
	for (unsigned int i = 0; i < 3; i++)
		if (t[i])
			thread_join(t[i]);
}

/* ---- Balancing --------------------------------------------------------------------------- */

static cpumask_t cpus_seen;
static bool spread_stop;

static void be_seen(void *unused)
{
	while (!READ_ONCE(spread_stop)) {
		preempt_disable();
		if (!cpumask_has(READ_ONCE(cpus_seen), smp_processor_id()))
			fetch_or(&cpus_seen, cpumask_of(smp_processor_id()));
		preempt_enable();
		cpu_relax();
	}
}

/* Two threads for each CPU, all made on one: every CPU comes to run some. */
TEST(sched, load_spreads_over_cpus)
{
	struct thread *t[2 * MAX_CPUS];
	unsigned int n = min(2 * cpumask_weight(cpu_online_mask), 32u);

	if (!test_needs_cpus(2))
		return;
	WRITE_ONCE(cpus_seen, 0);
	WRITE_ONCE(spread_stop, false);
	for (unsigned int i = 0; i < n; i++)
		t[i] = test_thread(~0ULL, be_seen, NULL);
	if (!EXPECT(WAIT_UNTIL(cpumask_weight(READ_ONCE(cpus_seen)) >=
			       min(cpumask_weight(cpu_online_mask), n / 2))))
		test_note("seen on CPUs %#llx", (unsigned long long)cpus_seen);
	WRITE_ONCE(spread_stop, true);
	for (unsigned int i = 0; i < n; i++)
		if (t[i])
			thread_join(t[i]);
}

/* One CPU has two, then another falls idle: it pulls one over. */
TEST(sched, idle_cpu_pulls)
{
	struct pinned p[2] = { { .cpu = MAX_CPUS }, { .cpu = MAX_CPUS } };
	struct thread *t[2];

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 0; i < 2; i++)
		t[i] = test_thread(cpumask_of(test_cpu(1)), note_cpu_until_told, &p[i]);
	EXPECT(WAIT_UNTIL(READ_ONCE(p[0].rounds) && READ_ONCE(p[1].rounds)));
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_set_allowed(t[i], ~0ULL);
	/* The caller sleeps, so CPU 0 is idle most of the time. */
	EXPECT(WAIT_UNTIL(READ_ONCE(p[0].cpu) != READ_ONCE(p[1].cpu)));
	WRITE_ONCE(p[0].wrong, 1);
	WRITE_ONCE(p[1].wrong, 1);
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_join(t[i]);
}

/* ---- Sleeping ---------------------------------------------------------------------------- */

TEST(sched, sleep_lasts_at_least)
{
	for (u64 ns = NSEC_PER_USEC; ns <= 20 * NSEC_PER_MSEC; ns *= 20) {
		u64 start = time_ns();

		thread_sleep(ns);
		EXPECT(time_ns() - start >= ns);
	}
}

TEST(sched, schedule_timeout_runs_out)
{
	u64 start = time_ns();

	thread_prepare_sleep();
	EXPECT(!schedule_timeout(10 * NSEC_PER_MSEC));
	EXPECT(time_ns() - start >= 10 * NSEC_PER_MSEC);
}

struct napper {
	bool asleep, woken;
};

static void nap_long(void *arg)
{
	struct napper *n = arg;

	thread_prepare_sleep();
	WRITE_ONCE(n->asleep, true);
	n->woken = schedule_timeout(10 * TEST_PATIENCE);
}

TEST(sched, schedule_timeout_is_cut_short)
{
	struct napper n = { false, false };
	struct thread *t = test_thread(~0ULL, nap_long, &n);

	ASSERT(t != NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(n.asleep)));
	EXPECT(thread_wake(t)); /* between the two or after: it is not missed */
	thread_join(t);
	EXPECT(n.woken);
}

TEST(sched, wake_between_prepare_and_schedule)
{
	thread_prepare_sleep();
	EXPECT(thread_wake(current));
	schedule(); /* returns, or the test hangs */
	EXPECT_EQ(current->state, THREAD_RUNNABLE);
	EXPECT(!thread_wake(current)); /* it runs */
}

TEST(sched, cancelled_sleep)
{
	thread_prepare_sleep();
	thread_cancel_sleep();
	EXPECT_EQ(current->state, THREAD_RUNNABLE);
	thread_yield();
	cond_resched();
}

static struct thread *pingpong[2];
static u64 pingpong_turn, pingpong_end;
static bool pingpong_over;

/* One turn, or the last if it is late enough. */
static void hit(u64 me)
{
	if (fetch_add(&pingpong_turn, 1) >= 400 || time_ns() >= pingpong_end)
		WRITE_ONCE(pingpong_over, true);
	thread_wake(READ_ONCE(pingpong[1 - me]));
}

static void play(void *arg)
{
	u64 me = (u64)arg;

	while (!READ_ONCE(pingpong_over)) {
		thread_prepare_sleep();
		if (READ_ONCE(pingpong_turn) % 2 != me && !READ_ONCE(pingpong_over))
			schedule();
		thread_cancel_sleep();
		if (READ_ONCE(pingpong_turn) % 2 == me)
			hit(me);
	}
	thread_wake(READ_ONCE(pingpong[1 - me]));
}

/* A lost wake-up would stop the game; on one CPU and across two. */
static void pingpong_on(unsigned int cpu0, unsigned int cpu1)
{
	WRITE_ONCE(pingpong_turn, 0);
	WRITE_ONCE(pingpong_over, false);
	pingpong_end = time_ns() + TEST_EFFORT;
	pingpong[0] = thread_create(play, (void *)0, cpumask_of(cpu0), "ping");
	pingpong[1] = thread_create(play, (void *)1, cpumask_of(cpu1), "pong");
	if (!EXPECT(pingpong[0] && pingpong[1]))
		return;
	thread_get(pingpong[0]); /* each may wake the other after that has ended */
	thread_get(pingpong[1]);
	thread_wake(pingpong[0]);
	thread_wake(pingpong[1]);
	EXPECT(WAIT_UNTIL(READ_ONCE(pingpong_over)));
	EXPECT(pingpong_turn >= 1);
	thread_join(pingpong[0]);
	thread_join(pingpong[1]);
	thread_put(pingpong[0]);
	thread_put(pingpong[1]);
}

TEST(sched, no_wakeup_is_lost)
{
	pingpong_on(test_cpu(0), test_cpu(0));
	if (cpumask_weight(cpu_online_mask) > 1) {
		pingpong_on(test_cpu(0), test_cpu(1));
		pingpong_on(test_cpu(1), test_cpu(0));
	}
}

TEST(sched, idle_cpu_is_known)
{
	if (!test_needs_cpus(2))
		return;
	EXPECT(!sched_cpu_idle(test_cpu(0)));
	EXPECT(WAIT_UNTIL(sched_cpu_idle(test_cpu(1))));
	struct holder h;

	if (!hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL))
		return;
	EXPECT(!sched_cpu_idle(test_cpu(1)));
	EXPECT(sched_cpu_current(test_cpu(1)) == h.thread);
	hold_end(&h);
}
