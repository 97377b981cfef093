// SPDX-License-Identifier: MIT
/*
 * An expedited grace period, whose waiter spins or sleeps, against a reader that the interrupt
 * hits.
 *
 * Rules: R2, F2.
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
		sim_check(!READ_ONCE(freed), "R2", "a reader finds what it read freed");
	rcu_read_unlock();
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu_expedited();
	WRITE_ONCE(freed, 1);
}

SCENARIO(rcu_expedited) = {
	.name = "rcu_expedited",
	.what = "an expedited grace period against a reader",
	.cpus = 2,
	.inject = BIT(INJECT_IMPATIENT),
	.fails = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false } },
};
