// SPDX-License-Identifier: MIT
/*
 * A freer that polls for a grace period which its own CPU begins: what it does behind the period's
 * end comes behind every reader.
 *
 * Rules: R1, R3.
 */
#include "sim_test.h"

#define READER 1
#define FREED 2

static u64 object, *shared = &object;
static u64 stored, freed, seen;

static void setup(void)
{
}

static void driver(void)
{
	synchronize_rcu();
}

static void reader(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p) {
		sim_check(READ_ONCE(*p) != FREED, "R1", "a reader finds what it read freed");
		WRITE_ONCE(*p, READER);
		WRITE_ONCE(stored, 1);
	}
	local_irq_restore(on);
	thread_yield();
}

static void freer(void)
{
	WRITE_ONCE(shared, NULL);
	u64 snap = rcu_seq_snap();

	thread_yield();
	if (!rcu_seq_done(snap))
		return;
	seen = READ_ONCE(object);
	WRITE_ONCE(object, FREED);
	freed = 1;
}

static void check(void)
{
	if (!freed)
		return;
	sim_check(object == FREED, "R1", "a reader's store lands in what was freed");
	sim_check(!stored || seen == READER, "R1", "the freer does not see what a reader stored");
}

SCENARIO(rcu_done) = {
	.name = "rcu_done",
	.what = "what comes behind a grace period that is polled for",
	.cpus = 2,
	.delays = 1,
	.setup = setup,
	.roles = { { 0, freer, false }, { 0, driver, false }, { 1, reader, false } },
	.check = check,
};
