// SPDX-License-Identifier: MIT
/*
 * Taking the write permission away while user code may write.
 *
 * When mprotect() returns, no TLB allows it any more.
 * Rules: G12.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void user(void)
{
	sim_user(BIT(0));
}

static void protector(void)
{
	(void)mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ);
	sim_unwritable(VA_A, "G12");
}

SCENARIO(protect_user) = {
	.name = "protect_user",
	.what = "mprotect against user code",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, protector, true }, { 1, user, true } },
};
