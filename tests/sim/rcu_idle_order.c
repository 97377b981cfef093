// SPDX-License-Identifier: MIT
/*
 * A reader just before idle, against synchronize_rcu(): who is seen idle is not waited for, so what
 * it stored is there by then.
 * Rules: R1, R4.
 */
#include "sim_test.h"

#define READER 1
#define FREED 2

static u64 object, *shared = &object;

static void setup(void)
{
}

static void idler(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p)
		WRITE_ONCE(*p, READER);
	rcu_idle_enter();
	rcu_idle_exit();
	local_irq_restore(on);
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(object, FREED);
}

static void check(void)
{
	sim_check(object == FREED, "R1", "a reader's store lands in what was freed");
}

SCENARIO(rcu_idle_order) = {
	.name = "rcu_idle_order",
	.what = "synchronize_rcu against a reader before idle",
	.cpus = 2,
	.delays = 1,
	.ticks = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, idler, false } },
	.check = check,
};
