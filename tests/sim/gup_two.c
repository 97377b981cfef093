// SPDX-License-Identifier: MIT
/*
 * Two walkers against one unmapper.
 *
 * What page_gup shows of one walker, with others beside it: references of walkers that meet at one
 * page, and a frame that goes when the last of them is dropped. Rules: U3, U4, G1.
 */
#include "walkers.h"

SCENARIO(gup_two) = {
	.name = "gup_two",
	.what = "unmap a page against two walkers",
	.cpus = 3,
	.setup = walkers_setup,
	.roles = { { 0, walkers_unmap, true },
		   { 1, walkers_walk, true },
		   { 2, walkers_walk, true } },
};
