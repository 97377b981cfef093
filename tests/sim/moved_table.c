// SPDX-License-Identifier: MIT
/*
 * A leaf table is moved as a whole, entries as they are, and its page goes, against gup_fast().
 *
 * Nothing in the kernel moves tables yet; the role does it as whoever does will.
 * Rules: U5.
 */
#include "sim_test.h"

#define COOKIE 0x1111
#define FOREIGN 0x2222

static struct page *page;
static pte_t *above;

static void setup(void)
{
	unsigned int level;

	sim_new_mm();
	sim_map(VA_A, 1);
	page = pte_page(pte_read(pt_walk(sim_mm, VA_A, &level)));
	above = pt_walk_alloc(sim_mm, VA_A, 1);
	sim_cookie(page, COOKIE);
}

static void walker(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) != 1)
		return;
	sim_check(sim_cookie_of(got) == COOKIE, "U5", "the walker got a page of another owner");
	put_page(got);
}

static void mover(void)
{
	(void)pte_get_and_clear(above);
	tlb_flush_mm(sim_mm, true);
	atomic_dec(&page->mapcount);
	page_entry_count(page, 0, -1); /* its entry is in no tree any more */
	put_page(page);
	sim_cookie(alloc_page(GFP_KERNEL), FOREIGN);
}

SCENARIO(moved_table) = {
	.name = "moved_table",
	.what = "a table is taken away with its entries against gup_fast",
	.cpus = 2,
	.delays = 1,
	.setup = setup,
	.roles = { { 0, mover, true }, { 1, walker, true } },
};
