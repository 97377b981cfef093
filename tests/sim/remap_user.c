// SPDX-License-Identifier: MIT
/*
 * Unmapping a page and mapping another at the same address, against accesses there.
 *
 * What is read after the address was mapped anew is the new page's zero.
 * Rules: G1, G4, A1.
 */
#include "sim_test.h"

#define OLD 0x1111

static u64 mapped_anew;

static void setup(void)
{
	unsigned int level;

	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_cookie(pte_page(pte_read(pt_walk(sim_mm, VA_A, &level))), OLD);
}

static void user(void)
{
	bool anew = smp_load_acquire(&mapped_anew);
	u64 value = 0;

	if (sim_load(VA_A, &value) && anew)
		sim_check(value == 0, "G1", "the old page is read at an address mapped anew");
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
	if (mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED) >= 0)
		smp_store_release(&mapped_anew, 1);
}

SCENARIO(remap_user) = {
	.name = "remap_user",
	.what = "unmap and map again at the same address",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, user, true } },
};
