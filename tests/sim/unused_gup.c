// SPDX-License-Identifier: MIT
/*
 * Unmapping a page that nobody has used yet against gup_fast(): no flush is sent, so none waits for
 * the walker, whatever the transport.
 *
 * Rules: U3, U4.
 */
#define WALKERS_MAP sim_map_unused /* instead of sim_map() */
#include "walkers.h"

SCENARIO(unused_gup) = {
	.name = "unused_gup",
	.what = "unmap a page that nobody used against gup_fast",
	.cpus = 2,
	.delays = 1,
	.setup = walkers_setup,
	.roles = { { 0, walkers_unmap, true }, { 1, walkers_walk, true } },
};
