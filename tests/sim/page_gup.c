// SPDX-License-Identifier: MIT
/*
 * Unmapping a page against gup_fast(): the page goes, and the next owner takes its frame.
 *
 * Rules: U3, U4, G1.
 */
#include "walkers.h"

SCENARIO(page_gup) = {
	.name = "page_gup",
	.what = "unmap a page against gup_fast",
	.cpus = 2,
	.delays = 1,
	.setup = walkers_setup,
	.roles = { { 0, walkers_unmap, true }, { 1, walkers_walk, true } },
};
