// SPDX-License-Identifier: MIT
/*
 * The torture of RCU: readers of every kind look at objects that updaters replace by every means.
 *
 * Terms. A slot points to an object. An updater puts another in its place; the removed one then
 * ages by one with every grace period that ends, and after LAST_AGE of them it is used again. So a
 * reader may find its object at age 0 (still in its slot) or 1 (removed, the first period runs),
 * and never older: a whole grace period would have passed it by.
 * Why. A grace period that is too short is a table freed under a walker, once in a million. A run
 * in which no section met a removal, or no object came back, proves nothing: it says INVALID.
 * Rules: none of its own; watches R1, R2, R3 and R4. Locks: pool.lock (irqs off).
 * See also: tests/torture_readers.c, kernel/rcu.c, tests/test_rcu.c, scripts/torture.py.
 */
#include "torture.h"

#include <console.h>
#include <errno.h>
#include <page.h>
#include <percpu.h>
#include <printk.h>
#include <rcu.h>
#include <smp.h>
#include <spinlock.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#define NR_OBJECTS 256
#define MAX_THREADS 128
#define FLOOD_ORDER 4 /* of pages full of heads: 4096 of them */
#define FLOOD_HEADS ((PAGE_SIZE << FLOOD_ORDER) / sizeof(struct rcu_head))
#define FLOOD_LIMIT (60 * NSEC_PER_SEC) /* a busy host was seen to stop one CPU for 20 s */

static struct {
	spinlock_t lock;
	struct list_head free; /* last in, first out */
	unsigned int nr;
	struct page *page;
} pool = { .lock = SPINLOCK_INIT };

struct torture_rcu rt;

static struct {
	u64 rng[MAX_THREADS];
	struct thread *thread[MAX_THREADS];
	unsigned int nr;
} threads;

static struct {
	struct page *page; /* full of heads */
	u64 queued, run;   /* callbacks of this flood; atomic */
	u64 longest;	   /* the flooder's */
} fl;

struct handler {
	u64 rng;
	struct timer timer;
};
static DEFINE_PER_CPU(struct handler, handler);

/* ---- Objects --------------------------------------------------------------------------------- */

static struct object *pool_get(void)
{
	struct object *o = NULL;
	bool on = spin_lock_irqsave(&pool.lock);

	if (!list_empty(&pool.free)) {
		o = list_first_entry(&pool.free, struct object, node);
		list_del(&o->node);
		pool.nr--;
	}
	spin_unlock_irqrestore(&pool.lock, on);
	return o;
}

static void pool_put(struct object *o)
{
	WRITE_ONCE(o->uses, o->uses + 1); /* whoever still looks at it sees that */
	bool on = spin_lock_irqsave(&pool.lock);

	list_add(&o->node, &pool.free);
	pool.nr++;
	spin_unlock_irqrestore(&pool.lock, on);
}

/* A grace period has ended. True if o is still too young to be used again. */
static bool grow_older(struct object *o)
{
	WRITE_ONCE(o->age, o->age + 1);
	if (o->age < LAST_AGE)
		return true;
	torture_count(&rt.reused);
	pool_put(o);
	return false;
}

static void age_callback(struct rcu_head *head)
{
	struct object *o = container_of(head, struct object, head);

	if (grow_older(o))
		call_rcu(head, age_callback);
}

/* Puts a fresh object, or none, into the slot; returns what was there, at age 1, or NULL. */
static struct object *replace(unsigned int slot, struct object *fresh)
{
	if (fresh)
		fresh->age = 0;
	/*
	 * Full barrier: orders the object's age before it is found, and its removal before the
	 * asking for a grace period. Pairs with look() in torture_readers.c.
	 */
	struct object *old = xchg(&rt.slots[slot], fresh);

	if (old)
		WRITE_ONCE(old->age, 1);
	return old;
}

/* ---- Readers: see torture_readers.c ---------------------------------------------------------- */

static void read_in_handler(void *unused)
{
	torture_count(&rt.in_handlers);
	torture_read(&this_cpu(handler).rng);
}

/* Between sections, where a grace period may end: nothing, the CPU given up, idle, a long spin. */
static void pause(u64 *rng)
{
	u64 r = rand_next(rng) >> 16;

	if (r % 64 == 1)
		thread_sleep((r >> 8) % (2 * NSEC_PER_MSEC));
	else if (r % 64 == 2)
		torture_spin((r >> 8) % (2 * TICK_NS));
	else if (r % 8 == 3)
		thread_yield();
	else if (r % 16 == 4)
		smp_call(r / 16 % nr_cpus, read_in_handler, NULL, r & BIT(30));
	cond_resched();
}

static void reader(void *arg)
{
	while (!READ_ONCE(rt.stop)) {
		torture_read(arg);
		pause(arg);
	}
}

/* ---- Updaters -------------------------------------------------------------------------------- */

/* False if every object is on its way. Any context. */
static bool update_by_callback(u64 *rng, enum update how)
{
	struct object *fresh = pool_get();

	if (!fresh)
		return false;
	struct object *old = replace((rand_next(rng) >> 16) % NR_SLOTS, fresh);

	if (old)
		call_rcu(&old->head, age_callback);
	torture_count(&rt.updates[how]);
	return true;
}

/* Each CPU's timer: handlers come from idle, from threads and from inside sections. */
static void timer_handler(struct timer *t)
{
	struct handler *h = this_cpu_ptr(&handler);
	u64 r = rand_next(&h->rng) >> 16;

	if (READ_ONCE(rt.stop))
		return;
	if (r % 4 == 0)
		(void)update_by_callback(&h->rng, BY_HANDLER);
	read_in_handler(NULL);
	timer_start(t, 20 * NSEC_PER_USEC + (r >> 8) % (4 * NSEC_PER_MSEC));
}

static void start_timer(void *unused)
{
	struct handler *h = this_cpu_ptr(&handler);

	h->rng = rt.seed + (smp_processor_id() + 1) * 0xd1342543de82ef95ULL;
	h->rng += !h->rng;
	timer_start(&h->timer, NSEC_PER_MSEC);
}

/* Waits for a period and lets all of the list grow older, until its objects are in the pool. */
static void wait_and_age(struct list_head *removed, enum update how)
{
	struct object *o, *next;

	if (how == BY_EXPEDITED)
		synchronize_rcu_expedited();
	else
		synchronize_rcu();
	list_for_each_entry_safe(o, next, removed, node) {
		list_del(&o->node);
		if (grow_older(o))
			list_add_tail(&o->node, removed);
	}
}

/* The removed objects of this updater stay with it, and age whenever it has waited. */
static void update_by_waiting(u64 *rng, struct list_head *removed, enum update how)
{
	struct object *fresh = pool_get(), *old;

	if (fresh && (old = replace((rand_next(rng) >> 16) % NR_SLOTS, fresh)))
		list_add_tail(&old->node, removed);
	torture_count(&rt.updates[how]);
	wait_and_age(removed, how);
}

static void updater(void *arg)
{
	LIST_HEAD(removed);

	while (!READ_ONCE(rt.stop)) {
		u64 r = rand_next(arg) >> 16;

		if (r % 4 == 0)
			update_by_waiting(arg, &removed, r & BIT(10) ? BY_WAITING : BY_EXPEDITED);
		else if (!update_by_callback(arg, BY_CALLBACK))
			thread_sleep(NSEC_PER_MSEC);
		torture_linger(arg);
		if (r % 8 == 1)
			thread_sleep((r >> 16) % (2 * NSEC_PER_MSEC));
		cond_resched();
	}
	while (!list_empty(&removed))
		wait_and_age(&removed, BY_WAITING);
}

/* ---- Floods and barriers --------------------------------------------------------------------- */

static void flood_callback(struct rcu_head *head)
{
	fetch_add(&fl.run, 1);
}

static void flood_one(unsigned int i)
{
	struct rcu_head *heads = page_to_virt(fl.page);

	fetch_add(&fl.queued, 1);
	call_rcu(&heads[i], flood_callback);
}

/* The first heads are for CPUs, one each. */
static void flood_from_handler(void *unused)
{
	flood_one(smp_processor_id());
}

/* Queues thousands at once, from several CPUs in turn, and at last one on every CPU. */
static void flood(u64 *rng)
{
	WRITE_ONCE(fl.run, 0);
	WRITE_ONCE(fl.queued, 0);
	for (unsigned int i = MAX_CPUS; i < FLOOD_HEADS; i++) {
		if (i % (FLOOD_HEADS / 4) == 0)
			thread_set_allowed(current, READ_ONCE(cpu_online_mask) &
							    (rand_next(rng) | cpumask_of(0)));
		flood_one(i);
		cond_resched();
	}
	smp_call_all(flood_from_handler, NULL, true);
	torture_count(&rt.floods);
}

static bool flood_over(void)
{
	return READ_ONCE(fl.run) == READ_ONCE(fl.queued);
}

static void say_not_run(const char *what)
{
	fetch_add(&rt.failures, 1);
	print_line("torture_rcu: %s: %llu of %llu callbacks have run, seed %llu", what,
		   (unsigned long long)fl.run, (unsigned long long)fl.queued,
		   (unsigned long long)rt.seed);
}

/* After a barrier all that were queued before it have run; and without one they do, in time. */
static void flooder(void *arg)
{
	for (bool barrier = true; !READ_ONCE(rt.stop); barrier = !barrier) {
		u64 start = time_ns();

		flood(arg);
		if (barrier) {
			rcu_barrier();
			torture_count(&rt.barriers);
			if (!flood_over())
				say_not_run("after rcu_barrier()");
		}
		while (!flood_over() && time_ns() - start < FLOOD_LIMIT)
			thread_sleep(NSEC_PER_MSEC);
		if (!flood_over()) {
			say_not_run("after the limit of a flood");
			rcu_barrier(); /* the heads are RCU's until then */
		}
		fl.longest = max(fl.longest, time_ns() - start);
		thread_sleep(rand_next(arg) % (100 * NSEC_PER_MSEC));
	}
}

/* ---- The run --------------------------------------------------------------------------------- */

static void add_thread(void (*fn)(void *), cpumask_t allowed, const char *name)
{
	unsigned int i = threads.nr;

	if (i == MAX_THREADS)
		return;
	threads.rng[i] = rt.seed + (i + 1) * 0x9e3779b97f4a7c15ULL;
	threads.rng[i] += !threads.rng[i];
	threads.thread[i] = thread_create(fn, &threads.rng[i], allowed, "rcu %s/%u", name, i);
	if (threads.thread[i])
		threads.nr++; /* a small machine does with fewer */
}

static void start_all(void)
{
	unsigned int cpu, n = cpumask_weight(READ_ONCE(cpu_online_mask));

	add_thread(flooder, ~0ULL, "flooder");
	for (unsigned int i = 0; i < 2 + n / 4; i++)
		add_thread(updater, ~0ULL, "updater");
	for_each_online_cpu(cpu)
		add_thread(reader, cpumask_of(cpu), "reader");
	add_thread(reader, ~0ULL, "reader");
	for_each_possible_cpu(cpu)
		timer_init(&per_cpu(handler, cpu).timer, timer_handler);
	for (unsigned int i = 0; i < threads.nr; i++)
		thread_wake(threads.thread[i]);
	smp_call_all(start_timer, NULL, true);
}

static void nothing(void *unused)
{
}

static void stop_all(void)
{
	unsigned int cpu;

	WRITE_ONCE(rt.stop, true);
	for (unsigned int i = 0; i < threads.nr; i++)
		thread_join(threads.thread[i]);
	smp_call_all(nothing, NULL, true); /* behind the calls that nobody waited for */
	for_each_possible_cpu(cpu)
		timer_stop(&per_cpu(handler, cpu).timer);
}

static u64 sum(const u64 *n, unsigned int nr)
{
	u64 all = 0;

	while (nr--)
		all += READ_ONCE(n[nr]);
	return all;
}

#define U(n) ((unsigned long long)READ_ONCE(n))

static void print_progress(u64 second, const struct rcu_stats *before)
{
	struct rcu_stats now;

	rcu_get_stats(&now);
	print_line("torture_rcu: %3llu s  sections %llu updates %llu used again %llu floods %llu "
		   "grace periods %llu expedited %llu", (unsigned long long)second,
		   (unsigned long long)sum(rt.begun_with, NR_HOLDS),
		   (unsigned long long)sum(rt.updates, NR_UPDATES), U(rt.reused), U(rt.floods),
		   U(now.grace_periods) - U(before->grace_periods),
		   U(now.expedited) - U(before->expedited));
}

static void print_summary(void)
{
	print_line("torture_rcu: sections begun with rcu_read_lock %llu, preemption off %llu, "
		   "interrupts off %llu; in handlers %llu; a period ended inside %llu",
		   U(rt.begun_with[HOLD_LOCK]), U(rt.begun_with[HOLD_PREEMPT]),
		   U(rt.begun_with[HOLD_IRQS]), U(rt.in_handlers), U(rt.met_end));
	print_line("torture_rcu: updates by callback %llu, waiting %llu, expedited %llu, "
		   "in handlers %llu; objects used again %llu", U(rt.updates[BY_CALLBACK]),
		   U(rt.updates[BY_WAITING]), U(rt.updates[BY_EXPEDITED]),
		   U(rt.updates[BY_HANDLER]), U(rt.reused));
	print_line("torture_rcu: floods of %llu callbacks %llu, of them ended by a barrier %llu, "
		   "the longest %llu ms", (unsigned long long)FLOOD_HEADS, U(rt.floods),
		   U(rt.barriers), U(fl.longest) / NSEC_PER_MSEC);
	print_line("torture_rcu: ages seen: 0: %llu, 1: %llu, 2: %llu, 3: %llu, 4: %llu, 5: %llu, "
		   "older: %llu", U(rt.ages[0]), U(rt.ages[1]), U(rt.ages[2]), U(rt.ages[3]),
		   U(rt.ages[4]), U(rt.ages[5]), U(rt.ages[6]));
}

/* What a run has to have met to prove anything; NULL if it has. */
static const char *not_exercised(void)
{
	bool alone = cpumask_weight(READ_ONCE(cpu_online_mask)) == 1;

	/* On one CPU only a handler can remove something under a section, and no period can end. */
	if (!alone && !rt.ages[1])
		return "no section met a removal";
	if (!alone && !rt.met_end)
		return "no grace period ended inside a section";
	if (!rt.reused)
		return "no object was used again";
	if (!rt.floods || !rt.barriers)
		return "no flood was ended by a barrier";
	for (unsigned int i = 0; i < NR_UPDATES; i++)
		if (!rt.updates[i])
			return "a kind of updater did nothing";
	return NULL;
}

static int verdict(void)
{
	const char *why = not_exercised();
	const char *word = rt.failures ? "FAILURE" : why ? "INVALID" : "SUCCESS";

	print_line("torture_rcu: %s%s%s, seed %llu, %u threads on %u CPUs", word,
		   !rt.failures && why ? ": " : "", !rt.failures && why ? why : "",
		   (unsigned long long)rt.seed, threads.nr,
		   cpumask_weight(READ_ONCE(cpu_online_mask)));
	return rt.failures ? -EIO : why ? -EAGAIN : 0;
}

/* Empties the slots and waits until every object is back: none may be lost on its way. */
static void collect(void)
{
	for (unsigned int i = 0; i < NR_SLOTS; i++) {
		struct object *old = replace(i, NULL);

		if (old)
			call_rcu(&old->head, age_callback);
	}
	for (unsigned int i = 0; i < LAST_AGE; i++)
		rcu_barrier(); /* a callback that it waited for may have queued the next */
	if (pool.nr != NR_OBJECTS) {
		rt.failures++;
		print_line("torture_rcu: %u of %u objects are lost", NR_OBJECTS - pool.nr,
			   NR_OBJECTS);
	}
}

static unsigned int pool_order(void)
{
	unsigned int order = 0;

	while (PAGE_SIZE << order < NR_OBJECTS * sizeof(struct object))
		order++;
	return order;
}

static bool set_up(u64 seed)
{
	memset(&rt, 0, sizeof(rt));
	memset(&threads, 0, sizeof(threads));
	memset(&fl, 0, sizeof(fl));
	rt.seed = seed ? seed : time_ns() | 1;
	list_init(&pool.free);
	pool.nr = 0;
	pool.page = alloc_pages(pool_order(), GFP_KERNEL | GFP_ZERO);
	fl.page = alloc_pages(FLOOD_ORDER, GFP_KERNEL);
	if (!pool.page || !fl.page)
		return false;
	for (unsigned int i = 0; i < NR_OBJECTS; i++)
		pool_put((struct object *)page_to_virt(pool.page) + i);
	return true;
}

static void tear_down(void)
{
	if (pool.page)
		free_pages(pool.page, pool_order());
	if (fl.page)
		free_pages(fl.page, FLOOD_ORDER);
}

static int torture_rcu(u64 seconds, u64 seed)
{
	struct rcu_stats before;
	int err = -ENOMEM;

	if (set_up(seed)) {
		print_line("torture_rcu: %llu s, seed %llu", (unsigned long long)seconds,
			   (unsigned long long)rt.seed);
		rcu_get_stats(&before);
		start_all();
		for (u64 s = 1; s <= seconds && !READ_ONCE(rt.failures); s++) {
			thread_sleep(NSEC_PER_SEC);
			print_progress(s, &before);
		}
		stop_all();
		collect();
		print_summary();
		err = verdict();
	}
	tear_down();
	return err;
}

static int torture_rcu_command(int argc, char **argv)
{
	u64 seconds, seed = 0;

	if (argc < 2 || argc > 3 || parse_u64(argv[1], &seconds) != 0 || !seconds ||
	    (argc > 2 && parse_u64(argv[2], &seed) != 0))
		return -EINVAL;
	return torture_rcu(seconds, seed);
}
COMMAND(torture_rcu, "torture_rcu",
	"torture_rcu SECONDS [SEED]  readers and updaters of RCU in every mixture",
	torture_rcu_command);
