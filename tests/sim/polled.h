/* SPDX-License-Identifier: MIT */
/*
 * A freer that polls for a grace period which another thread waits for, against a reader that
 * stores: what the freer does behind the period's end comes behind every reader.
 */
#ifndef SIM_POLLED_H
#define SIM_POLLED_H

#include "sim_test.h"

#define READER 1
#define FREED 2

static u64 object, *shared = &object;
static u64 stored, freed, seen;

static void polled_setup(void)
{
}

static void polled_driver(void)
{
	synchronize_rcu();
}

static void polled_reader(void)
{
	bool on = local_irq_save();
	u64 *p = READ_ONCE(shared);

	if (p) {
		sim_check(READ_ONCE(*p) != FREED, "R1", "a reader finds what it read freed");
		WRITE_ONCE(*p, READER);
		WRITE_ONCE(stored, 1);
	}
	local_irq_restore(on);
}

static void polled_freer(void)
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

static void polled_check(void)
{
	if (!freed)
		return;
	sim_check(object == FREED, "R1", "a reader's store lands in what was freed");
	sim_check(!stored || seen == READER, "R1", "the freer does not see what a reader stored");
}

#endif
