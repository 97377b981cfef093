// SPDX-License-Identifier: MIT
/*
 * Unmapping a page while another CPU goes over from its own tree to the shared one.
 *
 * In no table's mask, and yet it reaches everything.
 * Rules: P3.
 */
#include "trees.h"

static void user(void)
{
	cpu_tree_share(sim_mm);
	sim_user(BIT(0));
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(tree_share) = {
	.name = "tree_share",
	.what = "unmap a page against a CPU that goes over to the shared tree",
	.cpus = 2,
	.setup = trees_setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
