// SPDX-License-Identifier: MIT
/*
 * A fault against unmapping of the very page, in a table that a neighbour keeps.
 *
 * When munmap() has returned nothing is mapped there, and nothing comes to be.
 * Rules: L3.
 */
#include "own_vma.h"

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

static void check(void)
{
	own_vma_gone("L3");
}

SCENARIO(fault_munmap) = {
	.name = "fault_munmap",
	.what = "a fault against unmapping of its page",
	.cpus = 2,
	.setup = own_vma_setup,
	.check = check,
	.roles = { { 0, unmapper, true }, { 1, own_vma_user, true } },
};
