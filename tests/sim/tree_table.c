// SPDX-License-Identifier: MIT
/*
 * Unmapping a table that hangs, or is about to hang, in the tree of another CPU too.
 *
 * Cut out of the shared tree alone, it stays on the way of that CPU's MMU.
 * Rules: P2, G2.
 */
#include "trees.h"

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(tree_table) = {
	.name = "tree_table",
	.what = "unmap a table that hangs in two trees",
	.cpus = 2,
	.setup = trees_setup,
	.roles = { { 0, unmapper, true }, { 1, trees_user, true } },
};
