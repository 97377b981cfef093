// SPDX-License-Identifier: MIT
/*
 * synchronize_rcu() against a reader that stores: what it stored is there before the grace period
 * ends, and never lands behind it.
 *
 * Rules: R1, F1.
 */
#include "sim_test.h"

#define READER 1
#define FREED 2

static u64 object, *shared = &object;
static u64 stored, seen;

static void setup(void)
{
}

static void reader(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p) {
		WRITE_ONCE(*p, READER);
		WRITE_ONCE(stored, 1);
	}
	local_irq_restore(on);
	thread_yield();
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	seen = READ_ONCE(object);
	WRITE_ONCE(object, FREED);
}

static void check(void)
{
	sim_check(object == FREED, "R1", "a reader's store lands in what was freed");
	sim_check(!stored || seen == READER, "R1", "the freer does not see what a reader stored");
}

SCENARIO(rcu_store) = {
	.name = "rcu_store",
	.what = "synchronize_rcu against a reader that stores",
	.cpus = 2,
	.delays = 1,
	.ticks = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false } },
	.check = check,
};
