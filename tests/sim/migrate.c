// SPDX-License-Identifier: MIT
/*
 * An unmapper that may be moved to another CPU between deciding whom to tell and its own part.
 *
 * Another thread of the address space takes over its CPU; CPU 1 has nothing to do and pulls.
 * Rules: T9.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void unmapper(void)
{
	thread_set_allowed(current, BIT(0) | BIT(1));
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

static void user(void)
{
	sim_user(BIT(0));
}

static void bystander(void)
{
}

SCENARIO(migrate) = {
	.name = "migrate",
	.what = "an unmapper that moves to another CPU",
	.cpus = 2,
	.setup = setup,
	.roles = {
		{ 0, unmapper, true },
		{ 0, user, true },
		{ 0, bystander, false },
		{ 1, bystander, false },
	},
};
