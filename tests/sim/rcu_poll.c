// SPDX-License-Identifier: MIT
/*
 * A freer that polls for a grace period which others begin: its unhooking comes before its
 * question.
 *
 * Rules: R1, R3.
 */
#include "polled.h"

SCENARIO(rcu_poll) = {
	.name = "rcu_poll",
	.what = "a grace period that is polled for against a reader",
	.cpus = 2,
	.delays = 1,
	.setup = polled_setup,
	.roles = { { 0, polled_freer, false },
		   { 1, polled_driver, false },
		   { 1, polled_reader, false } },
	.check = polled_check,
};
