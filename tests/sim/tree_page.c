// SPDX-License-Identifier: MIT
/*
 * Taking a page away while another CPU touches its table for the first time.
 *
 * Each CPU has a tree of its own, and only CPUs in the table's mask are told. The table stays.
 * Rules: P1, G1.
 */
#include "trees.h"

static void unmapper(void)
{
	(void)mm_madvise_dontneed(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(tree_page) = {
	.name = "tree_page",
	.what = "take a page away against its table's first touch by a CPU",
	.cpus = 2,
	.setup = trees_setup,
	.roles = { { 0, unmapper, true }, { 1, trees_user, true } },
};
