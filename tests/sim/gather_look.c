// SPDX-License-Identifier: MIT
/*
 * Two gathers of one address space; the second finds empty, without a lock, what the first cleared.
 *
 * As unmapping does with an entry that points to no table any more. On machines whose loads come
 * late, only the barrier in tlb_finish_mmu() makes it see the first.
 * Rules: G5.
 */
#include "sim_test.h"

#include <mmu_gather.h>

static pte_t *leaf;

static void setup(void)
{
	unsigned int level;

	sim_new_mm();
	sim_map(VA_A, 1);
	leaf = pt_walk(sim_mm, VA_A, &level);
}

static void dropper(void)
{
	(void)mm_madvise_dontneed(sim_mm, VA_A, PAGE_SIZE);
}

static void looker(void)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, sim_mm);
	pte_t pte = pte_read(leaf);

	tlb_finish_mmu(&tlb);
	if (pte_none(pte))
		sim_unreachable(VA_A, "G5");
}

static void user(void)
{
	sim_user(BIT(0) | BIT(1));
}

SCENARIO(gather_look) = {
	.name = "gather_look",
	.what = "a gather that finds empty what another has cleared",
	.cpus = 3,
	.delays = 1,
	.delayed = 1,
	.setup = setup,
	.roles = { { 0, dropper, true }, { 1, looker, true }, { 2, user, true } },
};
