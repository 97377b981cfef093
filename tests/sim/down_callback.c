// SPDX-License-Identifier: MIT
/*
 * A CPU with callbacks in its queue is taken down, while another one reads.
 *
 * Each callback runs all the same, and not before the reader is through. Rules: H2, R1.
 */
#include "sim_test.h"

#include <hotplug.h>

static struct rcu_head head;
static u64 object, *shared = &object;
static u64 run;

static void setup(void)
{
}

static void callback(struct rcu_head *unused)
{
	WRITE_ONCE(object, 1);
	run++;
}

static void taker(void)
{
	sim_check(cpu_down(1) == 0, "H2", "the CPU does not go down");
}

static void reader(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(READ_ONCE(*p) == 0, "R1", "a reader finds what it read freed");
	local_irq_restore(on);
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	call_rcu(&head, callback);
}

static void check(void)
{
	sim_check(run == 1, "H2", "what was queued on a CPU that went down has not run once");
}

SCENARIO(down_callback) = {
	.name = "down_callback",
	.what = "a CPU that goes down with callbacks in its queue",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, taker, false }, { 0, reader, false }, { 1, freer, false } },
	.check = check,
};
