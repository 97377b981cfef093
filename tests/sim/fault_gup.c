// SPDX-License-Identifier: MIT
/*
 * A fault that makes a table against gup_fast(): frames come with what their last owner left.
 *
 * Rules: A1.
 */
#include "sim_test.h"

#define FOREIGN 0x2222

static void setup(void)
{
	struct page *foreign = alloc_page(GFP_KERNEL), *junk = alloc_page(GFP_KERNEL);
	pte_t *entry = page_to_virt(junk);

	sim_new_mm();
	BUG_ON(mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED) < 0);
	sim_watch(VA_A);
	sim_cookie(foreign, FOREIGN);
	entry[pt_index(VA_A, 0)] =
	    arch_pte_leaf(page_to_phys(foreign),
			  PA_USER | PA_READ | PA_WRITE | PA_ACCESSED | PA_DIRTY, 0);
	free_pages(junk, 0);
}

static void walker(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) != 1)
		return;
	sim_check(sim_cookie_of(got) != FOREIGN, "A1", "the walker followed what was no entry");
	put_page(got);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
}

SCENARIO(fault_gup) = {
	.name = "fault_gup",
	.what = "a fault that makes tables against gup_fast",
	.cpus = 2,
	.delays = 1,
	.setup = setup,
	.roles = { { 0, user, true }, { 1, walker, true } },
};
