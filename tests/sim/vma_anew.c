// SPDX-License-Identifier: MIT
/*
 * A fault against unmapping of its page and mapping of another, by the same struct vma.
 *
 * The fault has found the VMA of the first place, and may lock that of the second.
 * Rules: L4, L3.
 */
#include "own_vma.h"

#define ELSEWHERE (VA_A + 2 * PAGE_SIZE)

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
	BUG_ON(mm_mmap(sim_mm, ELSEWHERE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void check(void)
{
	own_vma_gone("L4");
}

SCENARIO(vma_anew) = {
	.name = "vma_anew",
	.what = "a fault against a VMA that becomes another",
	.cpus = 2,
	.setup = own_vma_setup,
	.check = check,
	.roles = { { 0, unmapper, true }, { 1, own_vma_user, true } },
};
