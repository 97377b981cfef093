// SPDX-License-Identifier: MIT
/*
 * Unmapping a leaf table against two walkers.
 *
 * What table_gup shows of one, with another walker beside it: the grace period is for both.
 * Rules: F1, F4, U1.
 */
#include "table_walkers.h"

SCENARIO(table_two) = {
	.name = "table_two",
	.what = "unmap a leaf table against two walkers",
	.cpus = 3,
	.setup = table_walkers_setup,
	.roles = { { 0, table_walkers_unmap, true },
		   { 1, table_walkers_walk, true },
		   { 2, table_walkers_walk, true } },
};
