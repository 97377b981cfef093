// SPDX-License-Identifier: MIT
/*
 * Spinlocks, mutexes, reader-writer semaphores, atomics, per-CPU data.
 *
 * Order of service is tested by queueing waiters one at a time, each seen to be queued before the
 * next comes, and then letting go.
 */
#include "testlib.h"

#include <irqflags.h>
#include <mutex.h>
#include <percpu.h>
#include <smp.h>
#include <spinlock.h>

/* ---- Exclusion: many threads, an increment that is not atomic ---------------------------- */

#define ROUNDS 2000
#define CONTENDERS 4
static u64 counter, expected;
static unsigned int inside, clashes;

static void critical_section(void)
{
	u64 was = READ_ONCE(counter);

	if (fetch_add(&inside, 1) != 0)
		fetch_add(&clashes, 1);
	cpu_relax();
	WRITE_ONCE(counter, was + 1);
	fetch_add(&inside, -1);
}

static void start_counting(void)
{
	counter = 0;
	expected = 0;
	inside = 0;
	clashes = 0;
}

static void expect_counted(void)
{
	EXPECT(expected > 0);
	EXPECT_EQ(counter, expected);
	EXPECT_EQ(clashes, 0);
}

static spinlock_t lock = SPINLOCK_INIT;

static void lock_often(void *unused)
{
	for_bounded_rounds(i, ROUNDS) {
		fetch_add(&expected, 1);
		spin_lock(&lock);
		critical_section();
		spin_unlock(&lock);
	}
}

TEST(locks, spinlock_excludes)
{
	start_counting();
	test_run_on_few(CONTENDERS, lock_often, NULL);
	expect_counted();
	EXPECT(!spin_is_locked(&lock));
}

static spinlock_t irq_lock = SPINLOCK_INIT;

static void lock_in_handler(void *unused)
{
	bool on = spin_lock_irqsave(&irq_lock);

	critical_section();
	spin_unlock_irqrestore(&irq_lock, on);
}

/* Held with irqs off, and taken by handlers on the same CPU: no deadlock, nothing lost. */
static void lock_irqsave_often(void *unused)
{
	for_bounded_rounds(i, 20) {
		fetch_add(&expected, 1 + cpumask_weight(cpu_online_mask));
		bool on = spin_lock_irqsave(&irq_lock);

		critical_section();
		spin_unlock_irqrestore(&irq_lock, on);
		smp_call_all(lock_in_handler, NULL, true);
	}
}

TEST(locks, spinlock_irqsave_excludes_handlers)
{
	start_counting();
	test_run_on_few(CONTENDERS, lock_irqsave_often, NULL);
	expect_counted();
}

TEST(locks, spin_trylock)
{
	spinlock_t l = SPINLOCK_INIT;

	EXPECT(spin_trylock(&l));
	EXPECT_EQ(current->preempt_count, PREEMPT_ONE);
	EXPECT(spin_is_locked(&l));
	EXPECT(!spin_trylock(&l));
	EXPECT_EQ(current->preempt_count, PREEMPT_ONE);
	spin_unlock(&l);
	EXPECT_EQ(current->preempt_count, 0);
	EXPECT(!spin_is_locked(&l));
}

TEST(locks, spin_lock_irqsave_nests)
{
	spinlock_t a = SPINLOCK_INIT, b = SPINLOCK_INIT;
	bool outer = spin_lock_irqsave(&a), inner = spin_lock_irqsave(&b);

	EXPECT(outer && !inner);
	EXPECT(irqs_disabled());
	spin_unlock_irqrestore(&b, inner);
	EXPECT(irqs_disabled());
	spin_unlock_irqrestore(&a, outer);
	EXPECT(!irqs_disabled());
}

/* Tickets run over the 16 bits of the one that is served, and over the word, without harm. */
static void wrap_from(u32 next)
{
	spinlock_t l = SPINLOCK_INIT;

	l.next = next;
	l.owner = (u16)next;

	for (unsigned int i = 0; i < 3; i++) {
		spin_lock(&l);
		EXPECT(!raw_spin_trylock(&l));
		spin_unlock(&l);
	}
	EXPECT_EQ(l.owner, 2);
	EXPECT_EQ(l.next, next + 3);
}

TEST(locks, spinlock_ticket_wraps)
{
	wrap_from(0xffff);
	wrap_from(0xffffffff);
}

struct arrival {
	unsigned int number;
	struct thread *thread;
};
static unsigned int order[MAX_CPUS], nr_served;

static void serve_me(unsigned int number)
{
	order[fetch_add(&nr_served, 1)] = number;
}

static void lock_once(void *arg)
{
	struct arrival *a = arg;

	spin_lock(&lock);
	serve_me(a->number);
	spin_unlock(&lock);
}

static void expect_served_in_order(unsigned int n)
{
	EXPECT_EQ(nr_served, n);
	for (unsigned int i = 0; i < n; i++)
		EXPECT_EQ(order[i], i);
}

TEST(locks, spinlock_is_fair)
{
	struct arrival a[8];
	unsigned int n = min(cpumask_weight(cpu_online_mask) - 1, 8u);

	if (!test_needs_cpus(3))
		return;
	nr_served = 0;
	for (unsigned int i = 0; i < n; i++) {
		a[i].number = i;
		a[i].thread = thread_create(lock_once, &a[i], cpumask_of(test_cpu(n - i)), "test");
		if (!EXPECT(a[i].thread != NULL))
			n = i;
	}
	spin_lock(&lock);
	u32 ticket = READ_ONCE(lock.next);

	for (unsigned int i = 0; i < n; i++) {
		thread_wake(a[i].thread);
		EXPECT(SPIN_UNTIL(READ_ONCE(lock.next) == ticket + i + 1));
	}
	spin_unlock(&lock);
	for (unsigned int i = 0; i < n; i++)
		thread_join(a[i].thread);
	expect_served_in_order(n);
}

/* ---- Mutex ------------------------------------------------------------------------------- */

static MUTEX(mutex);

static void mutex_often(void *unused)
{
	for_bounded_rounds(i, 300) {
		fetch_add(&expected, 1);
		mutex_lock(&mutex);
		critical_section();
		if (i % 64 == 0)
			thread_sleep(NSEC_PER_USEC); /* a holder may sleep */
		mutex_unlock(&mutex);
	}
}

TEST(locks, mutex_excludes)
{
	start_counting();
	test_run_on_few(CONTENDERS, mutex_often, NULL);
	expect_counted();
	EXPECT(!mutex_is_locked(&mutex));
}

TEST(locks, mutex_trylock)
{
	struct mutex m;

	mutex_init(&m);
	EXPECT(!mutex_is_locked(&m));
	EXPECT(mutex_trylock(&m));
	EXPECT(mutex_is_locked(&m));
	EXPECT(!mutex_trylock(&m));
	mutex_unlock(&m);
	EXPECT(!mutex_is_locked(&m));
}

static unsigned int waiters_of(spinlock_t *l, struct list_head *waiters)
{
	unsigned int n = 0;
	struct list_head *pos;
	bool on = spin_lock_irqsave(l);

	list_for_each(pos, waiters)
		n++;
	spin_unlock_irqrestore(l, on);
	return n;
}

static void mutex_once(void *arg)
{
	struct arrival *a = arg;

	mutex_lock(&mutex);
	serve_me(a->number);
	mutex_unlock(&mutex);
}

TEST(locks, mutex_is_fair)
{
	struct arrival a[6];
	unsigned int n = ARRAY_SIZE(a);

	nr_served = 0;
	mutex_lock(&mutex);
	for (unsigned int i = 0; i < n; i++) {
		a[i].number = i;
		a[i].thread = test_thread(~0ULL, mutex_once, &a[i]);
		if (!a[i].thread)
			n = i;
		else
			EXPECT(WAIT_UNTIL(waiters_of(&mutex.lock, &mutex.waiters) == i + 1));
	}
	EXPECT_EQ(nr_served, 0);
	mutex_unlock(&mutex);
	for (unsigned int i = 0; i < n; i++)
		thread_join(a[i].thread);
	expect_served_in_order(n);
}

/* ---- Reader-writer semaphore ------------------------------------------------------------- */

static struct rwsem sem = RWSEM_INIT(sem);
static unsigned int readers_inside, most_readers;

static void read_and_write_often(void *unused)
{
	for_bounded_rounds(i, 200) {
		if (i % 4 == 0) {
			fetch_add(&expected, 1);
			down_write(&sem);
			critical_section();
			if (READ_ONCE(readers_inside))
				fetch_add(&clashes, 1);
			up_write(&sem);
		} else {
			down_read(&sem);
			fetch_add(&readers_inside, 1);
			if (READ_ONCE(inside))
				fetch_add(&clashes, 1);
			fetch_add(&readers_inside, -1);
			up_read(&sem);
		}
	}
}

TEST(locks, rwsem_excludes)
{
	start_counting();
	readers_inside = 0;
	test_run_on_few(CONTENDERS, read_and_write_often, NULL);
	expect_counted();
	EXPECT(!rwsem_is_locked(&sem));
}

static void read_until_two(void *unused)
{
	down_read(&sem);
	fetch_add(&most_readers, 1);
	WAIT_UNTIL(READ_ONCE(most_readers) >= 2);
	up_read(&sem);
}

TEST(locks, rwsem_readers_share)
{
	u64 start = time_ns();
	struct thread *t[2];

	most_readers = 0;
	for (unsigned int i = 0; i < 2; i++)
		t[i] = test_thread(~0ULL, read_until_two, NULL);
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(most_readers, 2);
	EXPECT(time_ns() - start < TEST_PATIENCE / 2); /* not one after the other */
}

TEST(locks, rwsem_trylocks_and_state)
{
	struct rwsem s;

	rwsem_init(&s);
	EXPECT(!rwsem_is_locked(&s) && !rwsem_is_write_locked(&s));
	EXPECT(down_read_trylock(&s));
	EXPECT(down_read_trylock(&s));
	EXPECT(!down_write_trylock(&s));
	EXPECT(rwsem_is_locked(&s) && !rwsem_is_write_locked(&s));
	up_read(&s);
	EXPECT(!down_write_trylock(&s));
	up_read(&s);
	EXPECT(down_write_trylock(&s));
	EXPECT(rwsem_is_locked(&s) && rwsem_is_write_locked(&s));
	EXPECT(!down_read_trylock(&s) && !down_write_trylock(&s));
	downgrade_write(&s);
	EXPECT(rwsem_is_locked(&s) && !rwsem_is_write_locked(&s));
	EXPECT(down_read_trylock(&s) && !down_write_trylock(&s));
	up_read(&s);
	up_read(&s);
	EXPECT(!rwsem_is_locked(&s));
}

static void read_once(void *arg)
{
	struct arrival *a = arg;

	down_read(&sem);
	serve_me(a->number);
	up_read(&sem);
}

static void write_once(void *arg)
{
	struct arrival *a = arg;

	down_write(&sem);
	serve_me(a->number);
	up_write(&sem);
}

static bool queue_on_sem(struct arrival *a, unsigned int number, void (*fn)(void *))
{
	a->number = number;
	a->thread = test_thread(~0ULL, fn, a);
	return a->thread && EXPECT(WAIT_UNTIL(waiters_of(&sem.lock, &sem.waiters) == number + 1));
}

/*
 * A reader holds it: a writer queues, and the reader that comes after the writer queues behind it.
 */
TEST(locks, rwsem_writer_is_not_starved)
{
	struct arrival a[3] = { { 0 } };

	nr_served = 0;
	down_read(&sem);
	if (queue_on_sem(&a[0], 0, write_once) && queue_on_sem(&a[1], 1, read_once))
		queue_on_sem(&a[2], 2, write_once);
	EXPECT(!down_read_trylock(&sem));
	EXPECT_EQ(nr_served, 0);
	up_read(&sem);
	for (unsigned int i = 0; i < 3; i++)
		if (a[i].thread)
			thread_join(a[i].thread);
	expect_served_in_order(3);
}

/* The writer becomes a reader: a queued reader may come in beside it, a queued writer may not. */
TEST(locks, rwsem_downgrade_lets_readers_in)
{
	struct arrival a[2] = { { 0 } };

	nr_served = 0;
	down_write(&sem);
	queue_on_sem(&a[0], 0, read_once);
	queue_on_sem(&a[1], 1, write_once);
	downgrade_write(&sem);
	EXPECT(WAIT_UNTIL(READ_ONCE(nr_served) == 1));
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(nr_served) > 1));
	up_read(&sem);
	for (unsigned int i = 0; i < 2; i++)
		if (a[i].thread)
			thread_join(a[i].thread);
	expect_served_in_order(2);
}

/* ---- Atomics ----------------------------------------------------------------------------- */

static atomic_t shared_count;
static atomic64_t shared_count64;
static u64 shared_bits;

static void count_up(void *unused)
{
	preempt_disable();
	u64 mine = cpumask_of(smp_processor_id());

	for (unsigned int i = 0; i < 1000; i++) {
		atomic_inc(&shared_count);
		atomic64_add_return(&shared_count64, BIT(32));
		if (i % 2)
			fetch_and(&shared_bits, ~mine);
		else
			fetch_or(&shared_bits, mine);
	}
	preempt_enable();
}

TEST(locks, atomics_lose_nothing)
{
	unsigned int n = cpumask_weight(cpu_online_mask);

	atomic_set(&shared_count, 0);
	atomic64_set(&shared_count64, 0);
	shared_bits = ~0ULL;
	test_run_on_each(count_up, NULL);
	EXPECT_EQ(atomic_read(&shared_count), 1000 * n);
	EXPECT_EQ(atomic64_read(&shared_count64), (s64)BIT(32) * 1000 * n);
	EXPECT_EQ(shared_bits, ~cpu_online_mask);
}

TEST(locks, atomic_results)
{
	atomic_t a = ATOMIC_INIT(1);
	u64 word = 5;

	EXPECT(atomic_inc_not_zero(&a) && atomic_read(&a) == 2);
	EXPECT(!atomic_dec_and_test(&a) && atomic_dec_and_test(&a));
	EXPECT(!atomic_inc_not_zero(&a) && atomic_read(&a) == 0);
	EXPECT_EQ(atomic_cmpxchg(&a, 1, 9), 0);
	EXPECT_EQ(atomic_cmpxchg(&a, 0, 9), 0);
	EXPECT_EQ(atomic_xchg(&a, 4), 9);
	EXPECT_EQ(cmpxchg(&word, 6, 7), 5);
	EXPECT_EQ(cmpxchg(&word, 5, 7), 5);
	EXPECT_EQ(xchg(&word, 1), 7);
	EXPECT_EQ(fetch_add(&word, 2), 1);
	EXPECT_EQ(word, 3);
}

/* ---- Per-CPU data ------------------------------------------------------------------------ */

static DEFINE_PER_CPU_INIT(u64, own_count) = 77;

static void count_own(void *unused)
{
	for (unsigned int i = 0; i < 500; i++) {
		preempt_disable();
		this_cpu(own_count)++;
		preempt_enable();
	}
}

TEST(locks, percpu_data_is_apart)
{
	unsigned int cpu, other;
	u64 before[MAX_CPUS];

	for_each_possible_cpu(cpu) {
		before[cpu] = per_cpu(own_count, cpu);
		EXPECT(before[cpu] >= 77); /* each copy starts with the initial value */
		for_each_possible_cpu(other)
			EXPECT(cpu == other ||
			       per_cpu_ptr(&own_count, cpu) != per_cpu_ptr(&own_count, other));
	}
	test_run_on_each(count_own, NULL);
	for_each_online_cpu(cpu)
		EXPECT_EQ(per_cpu(own_count, cpu), before[cpu] + 500);
}
