// SPDX-License-Identifier: MIT
/*
 * CPUs that are taken down and up again: their threads, timers and callbacks are somewhere else, in
 * time and once.
 *
 * Each test leaves every CPU up. What a rule's knock-out leaves behind on a CPU that is down is
 * there again when it is up, so these tests take it up before they end, and fail without a hang.
 * See also: kernel/hotplug.c, kernel/rcu_callback.c, test_hotplug_mm.c.
 */
#include "hotplug.h"

#include <percpu.h>
#include <rcu.h>
#include <smp.h>

bool is_up(unsigned int cpu)
{
	return cpumask_has(READ_ONCE(cpu_online_mask), cpu);
}

bool needs_victim(unsigned int cpus, unsigned int *cpu)
{
	if (!arch.cpu_stop) {
		test_skip("this machine's firmware cannot stop a CPU");
		return false;
	}
	if (!test_needs_cpus(cpus))
		return false;
	*cpu = test_cpu(1);
	return true;
}

bool take_down(unsigned int cpu)
{
	return EXPECT_EQ(cpu_down(cpu), 0) && EXPECT(!is_up(cpu));
}

bool take_up(unsigned int cpu)
{
	return EXPECT_EQ(cpu_up(cpu), 0) && EXPECT(is_up(cpu));
}

/* Which is the last one too, and the only one that some machines have. */
TEST(hotplug, boot_cpu_stays)
{
	EXPECT_EQ(cpu_down(0), -EBUSY);
	EXPECT_EQ(cpu_up(0), -EALREADY);
	EXPECT_EQ(cpu_down(nr_cpus), -EINVAL);
	EXPECT_EQ(cpu_up(nr_cpus), -EINVAL);
	if (nr_cpus == 1)
		EXPECT_EQ(cpu_toggle_random(1), -EBUSY);
	EXPECT(is_up(0));
}

TEST(hotplug, refuses_what_is_so)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu) || !take_down(cpu))
		return;
	EXPECT_EQ(cpu_down(cpu), -EALREADY);
	take_up(cpu);
	EXPECT_EQ(cpu_up(cpu), -EALREADY);
}

TEST(arch, e44_cpu_stops_and_starts_again)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	EXPECT(!arch_cpu_stopped(cpu));
	if (!take_down(cpu))
		return;
	EXPECT(arch_cpu_stopped(cpu));
	take_up(cpu);
	EXPECT(!arch_cpu_stopped(cpu));
}

/* ---- Threads ----------------------------------------------------------------------------- */

static void work_once(struct worker *w)
{
	u64 value;

	preempt_disable();
	fetch_or(&w->seen, cpumask_of(smp_processor_id()));
	preempt_enable();
	if (w->mm && (test_poke(w->va, w->rounds) != 0 || test_peek(w->va, &value) != 0 ||
		      value != w->rounds))
		w->wrong++;
	WRITE_ONCE(w->rounds, w->rounds + 1);
}

static void work(void *arg)
{
	struct worker *w = arg;

	if (w->mm)
		kthread_use_mm(w->mm);
	while (!READ_ONCE(w->stop)) {
		work_once(w);
		if (READ_ONCE(w->naps))
			thread_sleep(NSEC_PER_MSEC);
		else if (w->rounds % 4 == 0)
			thread_yield();
		cond_resched();
	}
	if (w->mm)
		kthread_unuse_mm();
}

bool worker_start(struct worker *w, cpumask_t allowed, struct mm *mm, vaddr_t va)
{
	*w = (struct worker){ .mm = mm, .va = va };
	w->thread = test_thread(allowed, work, w);
	return w->thread != NULL;
}

static void unmap_often(void *arg)
{
	struct worker *w = arg;

	kthread_use_mm(w->mm);
	while (!READ_ONCE(w->stop)) {
		w->wrong += test_poke(w->va, w->rounds) != 0 ||
			    mm_munmap(w->mm, w->va, PAGE_SIZE) != 0 ||
			    mm_mmap(w->mm, w->va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED) < 0;
		WRITE_ONCE(w->rounds, w->rounds + 1);
		cond_resched();
	}
	kthread_unuse_mm();
}

bool start_unmapping(struct worker *w, cpumask_t allowed, struct mm *mm, vaddr_t va)
{
	*w = (struct worker){ .mm = mm, .va = va };
	w->thread = test_thread(allowed, unmap_often, w);
	return w->thread != NULL;
}

void worker_end(struct worker *w)
{
	WRITE_ONCE(w->stop, true);
	if (w->thread)
		thread_join(w->thread);
	EXPECT_EQ(w->wrong, 0);
}

bool all_work(struct worker *w, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		u64 before = READ_ONCE(w[i].rounds);

		if (!EXPECT(WAIT_UNTIL(READ_ONCE(w[i].rounds) > before + 1)))
			return false;
	}
	return true;
}

cpumask_t all_seen(struct worker *w, unsigned int n)
{
	cpumask_t seen = 0;

	for (unsigned int i = 0; i < n; i++)
		seen |= xchg(&w[i].seen, 0ULL);
	return seen;
}

static void down_and_up(unsigned int cpu, struct worker *w, unsigned int n)
{
	if (!take_down(cpu))
		return;
	(void)all_seen(w, n);
	EXPECT(all_work(w, n));
	EXPECT(!cpumask_has(all_seen(w, n), cpu));
	take_up(cpu);
	EXPECT(WAIT_UNTIL(cpumask_has(all_seen(w, n), cpu)));
}

/* Half of them nap: eight that only spin starve the CPUs of a busy host, and each other. */
TEST(hotplug, threads_go_on_elsewhere_and_come_back)
{
	static struct worker w[WORKERS];
	unsigned int cpu, n = 0;
	struct mm *mm;

	if (!needs_victim(2, &cpu) || !(mm = test_mm_enter()))
		return;
	vaddr_t va = test_map(mm, WORKERS, 0);

	for (; va && n < WORKERS; n++) {
		if (!worker_start(&w[n], ~0ULL, n % 2 ? mm : NULL, va + n * PAGE_SIZE))
			break;
		WRITE_ONCE(w[n].naps, n % 4 < 2);
	}
	if (EXPECT_EQ(n, WORKERS))
		for_bounded_rounds(i, ROUNDS)
			down_and_up(cpu, w, n);
	while (n-- > 0)
		worker_end(&w[n]);
	test_mm_leave(mm);
}

/* A thread pinned to another CPU never notices; one pinned to this CPU alone runs anywhere then. */
TEST(hotplug, pinned_threads)
{
	static struct worker here, there;
	u64 fallbacks = sched_fallbacks();
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	bool both = worker_start(&here, cpumask_of(test_cpu(0)), NULL, 0) &&
		    worker_start(&there, cpumask_of(cpu), NULL, 0);

	if (both && EXPECT(WAIT_UNTIL(READ_ONCE(there.rounds) > 0)) && take_down(cpu)) {
		EXPECT_EQ(sched_fallbacks(), fallbacks + 1);
		(void)all_seen(&there, 1);
		EXPECT(all_work(&there, 1));
		EXPECT(!cpumask_has(all_seen(&there, 1), cpu));
		take_up(cpu);
	}
	EXPECT_EQ(all_seen(&here, 1), cpumask_of(test_cpu(0)));
	worker_end(&here);
	worker_end(&there);
}

static void note_cpu(void *arg)
{
	WRITE_ONCE(*(unsigned int *)arg, smp_processor_id());
}

/* A thread that is pinned to a CPU while that is down waits for it, and finds it. */
TEST(hotplug, thread_waits_for_its_cpu)
{
	unsigned int cpu, ran_on = ~0u;

	if (!needs_victim(2, &cpu) || !take_down(cpu))
		return;
	struct thread *t = test_thread(cpumask_of(cpu), note_cpu, &ran_on);

	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(ran_on) != ~0u));
	take_up(cpu);
	if (t)
		thread_join(t);
	EXPECT_EQ(ran_on, cpu);
}

/* The caller itself is pinned to the CPU that it takes down. */
static void take_own_cpu_down(void *arg)
{
	unsigned int cpu = *(unsigned int *)arg;

	take_down(cpu);
	EXPECT(smp_processor_id() != cpu);
}

TEST(hotplug, thread_takes_its_own_cpu_down)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	test_run_on(cpu, take_own_cpu_down, &cpu);
	take_up(cpu);
}

/* ---- Timers ------------------------------------------------------------------------------ */

struct nap {
	bool asleep;
	u64 slept;
};
#define NAP_NS (150 * NSEC_PER_MSEC)

static void nap(void *arg)
{
	struct nap *n = arg;
	u64 start = time_ns();

	WRITE_ONCE(n->asleep, true);
	thread_sleep(NAP_NS);
	WRITE_ONCE(n->slept, time_ns() - start);
}

/* Its timer is on the CPU that goes; it fires on another one, on time. */
TEST(hotplug, sleeper_wakes_in_time)
{
	struct nap n = { .slept = 0 };
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	struct thread *t = test_thread(cpumask_of(cpu), nap, &n);

	ASSERT(t != NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(n.asleep)));
	thread_sleep(10 * NSEC_PER_MSEC);
	bool down = take_down(cpu);

	EXPECT(READ_ONCE(n.slept) == 0 || n.slept >= NAP_NS);
	EXPECT(WAIT_UNTIL(READ_ONCE(n.slept) != 0));
	EXPECT(n.slept >= NAP_NS);
	if (down)
		take_up(cpu);
	thread_join(t);
}

/* ---- RCU --------------------------------------------------------------------------------- */

struct callback {
	struct rcu_head head;
	u64 place; /* in the order in which they ran, from 1; 0: not yet */
};
#define CALLBACKS 20
static struct callback callbacks[CALLBACKS];
static u64 run;
static cpumask_t run_on;

static void note_place(struct rcu_head *head)
{
	run_on |= cpumask_of(smp_processor_id());
	container_of(head, struct callback, head)->place = fetch_add(&run, 1) + 1;
}

static void queue_all(void *unused)
{
	for (unsigned int i = 0; i < CALLBACKS; i++)
		call_rcu(&callbacks[i].head, note_place);
}

static void forget_callbacks(void)
{
	memset(callbacks, 0, sizeof(callbacks));
	WRITE_ONCE(run, 0);
	run_on = 0;
}

/* As WAIT_UNTIL(), but no longer than it takes to be sure: the knock-out waits in vain. */
static bool run_soon(u64 nr)
{
	u64 end = time_ns() + 2 * NSEC_PER_SEC;

	while (READ_ONCE(run) != nr && time_ns() < end)
		thread_sleep(NSEC_PER_MSEC);
	return READ_ONCE(run) == nr;
}

static void expect_in_order(void)
{
	for (unsigned int i = 0; i < CALLBACKS; i++)
		EXPECT_EQ(callbacks[i].place, i + 1);
}

/* Queued before, while a reader keeps their period from ending: each runs once, here or there. */
TEST(hotplug, callbacks_run_in_order)
{
	struct holder h;
	unsigned int cpu;

	if (!needs_victim(3, &cpu))
		return;
	forget_callbacks();
	if (!hold_start_for(&h, test_cpu(2), HOLD_PREEMPT, NULL, 50 * NSEC_PER_MSEC))
		return;
	smp_call(cpu, queue_all, NULL, true);
	bool down = take_down(cpu);

	rcu_barrier();
	EXPECT_EQ(run, CALLBACKS);
	expect_in_order();
	if (down)
		take_up(cpu);
	hold_end(&h);
}

TEST(hotplug, barrier_waits_for_what_was_handed_over)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu))
		return;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		forget_callbacks();
		smp_call(cpu, queue_all, NULL, true);
		if (!take_down(cpu))
			return;
		rcu_barrier();
		EXPECT_EQ(run, CALLBACKS);
		take_up(cpu);
	}
}

struct down {
	unsigned int cpu;
	int err;
	bool over;
};

static void down_thread(void *arg)
{
	struct down *d = arg;

	d->err = cpu_down(d->cpu);
	WRITE_ONCE(d->over, true);
}

static bool waits_for(unsigned int cpu)
{
	struct rcu_stats s;

	rcu_get_stats(&s);
	return s.waiting == cpumask_of(cpu);
}

/*
 * A first reader holds cpu_down() up in its grace period. Then a second one begins, and callbacks
 * are queued on the CPU, which still takes calls: they wait for the second reader, wherever they
 * are. The CPU can go when the first one ends.
 */
static void queue_in_the_middle(struct down *d, struct holder *one)
{
	struct holder two;

	EXPECT(WAIT_UNTIL(!cpumask_has(READ_ONCE(cpu_active_mask), d->cpu) &&
			  waits_for(one->cpu)));
	bool held = hold_start(&two, test_cpu(3), HOLD_PREEMPT, NULL);

	smp_call(d->cpu, queue_all, NULL, true);
	EXPECT(READ_ONCE(callbacks[0].head.fn) == note_place);
	EXPECT(!READ_ONCE(d->over));
	hold_end(one);
	EXPECT(WAIT_UNTIL(READ_ONCE(d->over)));
	if (!held)
		return;
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(run) != 0));
	hold_end(&two);
}

TEST(rule, H2_callbacks_of_an_offline_cpu_run)
{
	struct down d = { .over = false };
	struct holder one;

	if (!needs_victim(4, &d.cpu))
		return;
	forget_callbacks();
	rcu_barrier();
	struct thread *t = test_thread_new(cpumask_of(test_cpu(0)), down_thread, &d);

	ASSERT(t != NULL);
	bool held = hold_start(&one, test_cpu(2), HOLD_PREEMPT, NULL);

	thread_wake(t);
	if (held)
		queue_in_the_middle(&d, &one);
	thread_join(t);
	EXPECT_EQ(d.err, 0);
	EXPECT(run_soon(held ? CALLBACKS : 0));
	take_up(d.cpu);
	rcu_barrier();
	if (held)
		expect_in_order();
}

/* Nobody waits for a CPU that is down. */
TEST(hotplug, grace_periods_go_on_without_it)
{
	unsigned int cpu;

	if (!needs_victim(2, &cpu) || !take_down(cpu))
		return;
	synchronize_rcu();
	synchronize_rcu_expedited();
	rcu_barrier();
	take_up(cpu);
	synchronize_rcu();
	synchronize_rcu_expedited();
	forget_callbacks();
	smp_call(cpu, queue_all, NULL, true);
	rcu_barrier();
	EXPECT_EQ(run_on, cpumask_of(cpu)); /* by its own thread again, where that belongs */
}
