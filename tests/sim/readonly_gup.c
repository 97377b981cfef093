// SPDX-License-Identifier: MIT
/*
 * gup_fast() for writing against mprotect() that takes the permission away.
 *
 * Rules: U6.
 */
#include "sim_test.h"

static u64 protected;

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void walker(void)
{
	bool before = smp_load_acquire(&protected);
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) != 1)
		return;
	sim_check(!before, "U6", "a walker may write where the owner may only read");
	put_page(got);
}

static void protector(void)
{
	(void)mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ);
	smp_store_release(&protected, 1);
}

SCENARIO(readonly_gup) = {
	.name = "readonly_gup",
	.what = "mprotect against gup_fast for writing",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, protector, true }, { 1, walker, true } },
};
