// SPDX-License-Identifier: MIT
/*
 * Unmapping a page against gup_fast(): the page goes, and the next owner takes its frame.
 *
 * The walker must get the page as it was, or nothing. A second page in the same table keeps the
 * table where it is.
 * Rules: U3, U4, G1.
 */
#include "sim_test.h"

#define COOKIE 0x1111
#define FOREIGN 0x2222

static struct page *page;

static void setup(void)
{
	unsigned int level;

	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	page = pte_page(pte_read(pt_walk(sim_mm, VA_A, &level)));
	sim_cookie(page, COOKIE);
}

static void walker(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) != 1)
		return;
	sim_check(sim_cookie_of(got) == COOKIE, "U4", "the walker got a page of another owner");
	put_page(got);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);

	struct page *next = alloc_page(GFP_KERNEL);

	sim_cookie(next, FOREIGN);
}

SCENARIO(page_gup) = {
	.name = "page_gup",
	.what = "unmap a page against gup_fast",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, walker, true } },
};
