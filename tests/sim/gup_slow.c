// SPDX-License-Identifier: MIT
/*
 * get_user_pages() against the second half of munmap(), both under mmap_lock for reading. The page
 * is not there, but another has made its table.
 *
 * Rules: L1, F1.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 2);
	BUG_ON(mm_madvise_dontneed(sim_mm, VA_A, PAGE_SIZE) != 0);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void walker(void)
{
	struct page *got = NULL;

	if (get_user_pages(VA_A, 1, FOLL_WRITE, &got) == 1)
		put_page(got);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, 2 * PAGE_SIZE);
}

SCENARIO(gup_slow) = {
	.name = "gup_slow",
	.what = "get_user_pages against munmap",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, walker, true } },
};
