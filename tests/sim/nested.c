// SPDX-License-Identifier: MIT
/*
 * Two gathers over the same page: the second finds empty what the first has cleared.
 *
 * Whoever returns from madvise() may count on nobody reaching the old page any more.
 * Rules: G5, G8.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void dropper(void)
{
	(void)mm_madvise_dontneed(sim_mm, VA_A, PAGE_SIZE);
	sim_unreachable(VA_A, "G5");
}

static void user(void)
{
	sim_user(BIT(0) | BIT(1));
}

SCENARIO(nested) = {
	.name = "nested",
	.what = "two gathers over one page against user code",
	.cpus = 3,
	.setup = setup,
	.roles = { { 0, dropper, true }, { 1, dropper, true }, { 2, user, true } },
};
