// SPDX-License-Identifier: MIT
/*
 * A fault against unmapping of its page and mapping of another, by the same struct vma.
 *
 * The fault has found the VMA of the first place, and may lock that of the second.
 * Rules: L4, L3.
 */
#include "sim_test.h"

#define ELSEWHERE (VA_A + 2 * PAGE_SIZE)

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A + PAGE_SIZE, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_watch(VA_A);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
	BUG_ON(mm_mmap(sim_mm, ELSEWHERE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void check(void)
{
	sim_check(mm_count_mapped(sim_mm, VA_A, VA_A + PAGE_SIZE) == 0, "L4",
		  "a page is mapped where there is no VMA");
}

SCENARIO(vma_anew) = {
	.name = "vma_anew",
	.what = "a fault against a VMA that becomes another",
	.cpus = 2,
	.setup = setup,
	.check = check,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
