// SPDX-License-Identifier: MIT
/*
 * The readers of RCU's torture: sections composed at random.
 *
 * Terms. A section begins with a hold (rcu_read_lock(), preemption off, interrupts off) and goes on
 * while holds come and go in any order and one of them at least is there. What a reader saw first
 * is its sight: the object, and which grace period would be the first to begin after that.
 * Why. RCU has to see every section as one, in a thread as in a handler, whatever it is made of.
 * Some last longer than a tick, so that a grace period has every reason to end without them.
 * Rules: none of its own; watches R1, R2, R3 and R4. Contexts: any but NMI.
 * See also: tests/torture_rcu.c, the updaters and the run.
 */
#include "torture.h"

#include <irqflags.h>
#include <oracle.h>
#include <printk.h>
#include <rcu.h>
#include <string.h>
#include <thread.h>
#include <time.h>

#define MAX_REPORTS 5
#define MAX_DEPTH 6

/* Too early: the kernel is wrong, and what CPUs do at this moment is the best witness. */
static void too_early(const char *what, u64 number)
{
	if (debug_build)
		oracle_report(ORACLE_AGES, RULE_RCU_ALL_CPUS, NULL,
			      "a reader in a %s %s %llu; torture_rcu, seed %llu",
			      in_interrupt() ? "handler" : "thread", what,
			      (unsigned long long)number, (unsigned long long)rt.seed);
	if (fetch_add(&rt.failures, 1) < MAX_REPORTS)
		print_line("torture_rcu: a reader on CPU %u %s %llu", smp_processor_id(), what,
			   (unsigned long long)number);
}

/* ---- Holds ----------------------------------------------------------------------------------- */

struct section {
	u64 *rng;
	unsigned int held[NR_HOLDS]; /* how deep */
	bool irqs_were_on;
};

void torture_spin(u64 ns)
{
	u64 start = time_ns();

	while (time_ns() - start < ns)
		cpu_relax();
}

void torture_linger(u64 *rng)
{
	u64 r = rand_next(rng) >> 16;

	if (r % 1024 < 3)
		torture_spin(TICK_NS + (r >> 16) % TICK_NS);
	else if (r % 32 == 9)
		torture_spin((r >> 16) % (200 * NSEC_PER_USEC));
	else if (r % 4 == 0)
		torture_spin((r >> 16) % (5 * NSEC_PER_USEC));
}

static void take(struct section *s, enum hold what)
{
	if (what == HOLD_LOCK)
		rcu_read_lock();
	else if (what == HOLD_PREEMPT)
		preempt_disable();
	else if (s->held[HOLD_IRQS] == 0)
		s->irqs_were_on = local_irq_save();
	s->held[what]++;
}

static void let_go(struct section *s, enum hold what)
{
	s->held[what]--;
	if (what == HOLD_LOCK)
		rcu_read_unlock();
	else if (what == HOLD_PREEMPT)
		preempt_enable();
	else if (s->held[HOLD_IRQS] == 0)
		local_irq_restore(s->irqs_were_on);
}

static unsigned int depth(const struct section *s)
{
	return s->held[HOLD_LOCK] + s->held[HOLD_PREEMPT] + s->held[HOLD_IRQS];
}

/* Takes one more hold, or lets one go that is not the last. */
static void change(struct section *s)
{
	u64 r = rand_next(s->rng) >> 16;
	enum hold what = (enum hold)(r % NR_HOLDS);

	if (r & BIT(20) && depth(s) < MAX_DEPTH)
		take(s, what);
	else if (s->held[what] && depth(s) > 1)
		let_go(s, what);
}

static void let_all_go(struct section *s)
{
	while (depth(s)) {
		enum hold what = (enum hold)((rand_next(s->rng) >> 16) % NR_HOLDS);

		if (s->held[what])
			let_go(s, what);
	}
}

/* ---- Sights ---------------------------------------------------------------------------------- */

/* What a reader saw first, and has to see until it leaves. */
struct sight {
	const struct object *o;
	u64 uses, period;
	bool watch_period, one_runs; /* one_runs: the period before that, which may end any time */
};

static struct sight look(u64 *rng)
{
	u64 r = rand_next(rng) >> 16;
	/*
	 * WHY SAFE: the caller holds something that no grace period passes, so the object is at age
	 * 1 at most until it lets go; the memory itself stays to the end of the run. The address
	 * orders the load of what is in it. Pairs with replace() in torture_rcu.c.
	 */
	struct sight t = { .o = rcu_dereference(rt.slots[r % NR_SLOTS]) };

	if (t.o)
		t.uses = READ_ONCE(t.o->uses);
	t.watch_period = r & BIT(20); /* not always: the snapshot is a full barrier */
	if (t.watch_period) {
		t.period = rcu_seq_snap();
		t.one_runs = !rcu_seq_done(t.period - 2);
	}
	return t;
}

/* A period that begins now has to wait for this reader, so it cannot have ended. */
static void check_period(const struct sight *t)
{
	if (!t->watch_period)
		return;
	if (rcu_seq_done(t->period))
		too_early("saw the end of a later grace period:", t->period);
	if (t->one_runs && rcu_seq_done(t->period - 2))
		torture_count(&rt.met_end);
}

static void check_object(const struct sight *t)
{
	if (!t->o)
		return;
	unsigned int age = READ_ONCE(t->o->age);

	torture_count(&rt.ages[min(age, (unsigned int)LAST_AGE)]);
	if (age > 1)
		too_early("holds an object of age", age);
	if (READ_ONCE(t->o->uses) != t->uses)
		too_early("holds an object that was used again, use", t->o->uses);
}

void torture_read(u64 *rng)
{
	struct section s = { .rng = rng };
	u64 r = rand_next(rng) >> 16;
	enum hold first = (enum hold)(r % NR_HOLDS);

	take(&s, first);
	torture_count(&rt.begun_with[first]);
	struct sight t = look(rng);

	for (unsigned int steps = (r >> 8) % 6; steps; steps--) {
		torture_linger(rng);
		change(&s);
	}
	torture_linger(rng);
	check_period(&t);
	check_object(&t);
	let_all_go(&s);
}
