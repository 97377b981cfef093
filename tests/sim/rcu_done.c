// SPDX-License-Identifier: MIT
/*
 * A freer that polls for a grace period which its own CPU begins: what it does behind the period's
 * end comes behind every reader.
 *
 * Rules: R1, R3.
 */
#include "polled.h"

static void reader(void)
{
	polled_reader();
	thread_yield();
}

SCENARIO(rcu_done) = {
	.name = "rcu_done",
	.what = "what comes behind a grace period that is polled for",
	.cpus = 2,
	.delays = 1,
	.setup = polled_setup,
	.roles = { { 0, polled_freer, false }, { 0, polled_driver, false }, { 1, reader, false } },
	.check = polled_check,
};
