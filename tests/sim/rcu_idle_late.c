// SPDX-License-Identifier: MIT
/*
 * A reader just behind idle, against synchronize_rcu(): who was seen idle is not waited for, so
 * what it loads is no older than its coming out.
 * Rules: R1, R4.
 */
#include "sim_test.h"

#define FREED 2

static u64 object, *shared = &object;

static void setup(void)
{
}

static void idler(void)
{
	bool on = local_irq_save();

	rcu_idle_enter();
	rcu_idle_exit();
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(READ_ONCE(*p) != FREED, "R1", "a reader finds what it read freed");
	local_irq_restore(on);
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(object, FREED);
}

SCENARIO(rcu_idle_late) = {
	.name = "rcu_idle_late",
	.what = "synchronize_rcu against a reader behind idle",
	.cpus = 2,
	.delays = 1,
	.ticks = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, idler, false } },
};
