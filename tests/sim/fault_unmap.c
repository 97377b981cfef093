// SPDX-License-Identifier: MIT
/*
 * A fault against unmapping of the neighbour, whose table it needs.
 *
 * Rules: F1, G2, A4.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_watch(VA_A + PAGE_SIZE);
}

static void user(void)
{
	u64 value;

	sim_check(sim_load(VA_A + PAGE_SIZE, &value), "fault", "the neighbour is gone");
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(fault_unmap) = {
	.name = "fault_unmap",
	.what = "a fault against unmapping of the neighbour",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
