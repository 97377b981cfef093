// SPDX-License-Identifier: MIT
/*
 * Unmapping a page against a walker on a CPU that is told nothing.
 *
 * With one tree for all, a flush by IPI waits for every walker in the mm that has interrupts off,
 * and the walker's second look [U4] and its look at the count [U3] are redundant. With trees by CPU
 * the flush passes over a CPU that did not touch the page, though it walks: both are needed.
 * Rules: those of the walker, with trees by CPU.
 */
#include "trees.h"
#include "walkers.h"

/* No CPU has loaded the mm yet. */
static void setup(void)
{
	walkers_setup();
	cpu_tree_give(sim_mm);
	BUG_ON(!sim_mm->trees);
}

SCENARIO(tree_gup) = {
	.name = "tree_gup",
	.what = "unmap a page against a walker whose CPU is not told",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, walkers_unmap, true }, { 1, walkers_walk, true } },
};
