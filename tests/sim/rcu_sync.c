// SPDX-License-Identifier: MIT
/*
 * synchronize_rcu() against a reader with preemption off, which interrupts may hit.
 *
 * Rules: R1, R2.
 */
#include "sim_test.h"

static u64 object = 1, *shared = &object;
static u64 freed;

static void setup(void)
{
}

static void reader(void)
{
	rcu_read_lock();
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(!READ_ONCE(freed), "R1", "a reader finds what it read freed");
	rcu_read_unlock();
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(freed, 1);
}

SCENARIO(rcu_sync) = {
	.name = "rcu_sync",
	.what = "synchronize_rcu against a reader",
	.cpus = 2,
	.ticks = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false } },
};
