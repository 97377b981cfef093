// SPDX-License-Identifier: MIT
/*
 * Unmapping all that a leaf table serves against gup_fast(): the table goes too.
 *
 * A neighbour keeps the table above where it is.
 * Rules: F1, F4, G2, G3, G10, U1, U3, U2.
 */
#include "table_walkers.h"

SCENARIO(table_gup) = {
	.name = "table_gup",
	.what = "unmap a leaf table against gup_fast",
	.cpus = 2,
	.ticks = 2,
	.setup = table_walkers_setup,
	.roles = { { 0, table_walkers_unmap, true }, { 1, table_walkers_walk, true } },
};
