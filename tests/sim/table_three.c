// SPDX-License-Identifier: MIT
/*
 * Unmapping a leaf table against three walkers.
 *
 * Rules: F1, F4, U1.
 */
#include "table_walkers.h"

SCENARIO(table_three) = {
	.name = "table_three",
	.what = "unmap a leaf table against three walkers",
	.cpus = 4,
	.bound = 1,
	.setup = table_walkers_setup,
	.roles = { { 0, table_walkers_unmap, true },
		   { 1, table_walkers_walk, true },
		   { 2, table_walkers_walk, true },
		   { 3, table_walkers_walk, true } },
};
