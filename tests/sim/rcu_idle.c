// SPDX-License-Identifier: MIT
/*
 * A grace period against a reader in an interrupt that came from idle.
 *
 * Rules: R1, R4.
 */
#include "sim_test.h"

#include <smp.h>

static u64 object = 1, *shared = &object;
static u64 freed;

static void setup(void)
{
}

static void handler(void *unused)
{
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(!READ_ONCE(freed), "R4", "a handler finds what it read freed");
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(freed, 1);
}

static void caller(void)
{
	smp_call(1, handler, NULL, false);
}

SCENARIO(rcu_idle) = {
	.name = "rcu_idle",
	.what = "a grace period against an interrupt from idle",
	.cpus = 3,
	.setup = setup,
	.roles = { { 0, freer, false }, { 2, caller, false } },
};
