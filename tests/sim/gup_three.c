// SPDX-License-Identifier: MIT
/*
 * Three walkers against one unmapper.
 *
 * What page_gup shows of one walker, with others beside it: references of walkers that meet at one
 * page, and a frame that goes when the last of them is dropped. Rules: U3, U4, G1.
 */
#include "walkers.h"

SCENARIO(gup_three) = {
	.name = "gup_three",
	.what = "unmap a page against three walkers",
	.cpus = 4,
	.setup = walkers_setup,
	.roles = { { 0, walkers_unmap, true },
		   { 1, walkers_walk, true },
		   { 2, walkers_walk, true },
		   { 3, walkers_walk, true } },
};
