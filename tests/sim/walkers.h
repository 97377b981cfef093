/* SPDX-License-Identifier: MIT */
/*
 * Walkers that want one page, and an unmapper that takes it and gives its frame to somebody else.
 *
 * The walker must get the page as it was, or nothing. A second page in the same table keeps the
 * table where it is.
 */
#ifndef SIM_WALKERS_H
#define SIM_WALKERS_H

#include "sim_test.h"

#ifndef WALKERS_MAP
#define WALKERS_MAP sim_map
#endif
#define COOKIE 0x1111
#define FOREIGN 0x2222

static void walkers_setup(void)
{
	unsigned int level;

	sim_new_mm();
	WALKERS_MAP(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_cookie(pte_page(pte_read(pt_walk(sim_mm, VA_A, &level))), COOKIE);
}

static void walkers_walk(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) != 1)
		return;
	sim_check(sim_cookie_of(got) == COOKIE, "U4", "the walker got a page of another owner");
	put_page(got);
}

static void walkers_unmap(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);

	struct page *next = alloc_page(GFP_KERNEL);

	sim_cookie(next, FOREIGN);
}

#endif
