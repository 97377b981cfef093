// SPDX-License-Identifier: MIT
/*
 * A grace period that was under way when the freer asked: it must not count.
 *
 * Rules: R1, R3.
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
		sim_check(!READ_ONCE(freed), "R3", "a reader finds what it read freed");
	rcu_read_unlock();
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(freed, 1);
}

static void other(void)
{
	synchronize_rcu();
}

SCENARIO(rcu_two) = {
	.name = "rcu_two",
	.what = "two grace periods against a reader",
	.cpus = 3,
	.ticks = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false }, { 2, other, false } },
};
