// SPDX-License-Identifier: MIT
/*
 * Unmapping all that a leaf table serves against gup_fast(): the table goes too.
 *
 * A neighbour keeps the table above where it is.
 * Rules: F1, F4, G2, G3, G10, U1, U3, U2.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void walker(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) == 1)
		put_page(got);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(table_gup) = {
	.name = "table_gup",
	.what = "unmap a leaf table against gup_fast",
	.cpus = 2,
	.ticks = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, walker, true } },
};
