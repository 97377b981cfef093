// SPDX-License-Identifier: MIT
/*
 * call_rcu() against a walker and an idle CPU: the callback frees what the walker reads.
 *
 * Rules: R1, R3, F1.
 */
#include "sim_test.h"

static u64 object = 1, *shared = &object;
static u64 freed;
static struct rcu_head head;

static void setup(void)
{
}

static void reader(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(!READ_ONCE(freed), "R1", "a walker finds what it read freed");
	local_irq_restore(on);
}

static void callback(struct rcu_head *unused)
{
	WRITE_ONCE(freed, 1);
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	call_rcu(&head, callback);
}

static void check(void)
{
	sim_check(freed, "R1", "the callback never ran");
}

SCENARIO(rcu_callback) = {
	.name = "rcu_callback",
	.what = "call_rcu against a walker and an idle CPU",
	.cpus = 3,
	.ticks = 1,
	.check = check,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false } },
};
