/* SPDX-License-Identifier: MIT */
/*
 * Walkers that want the one page of a leaf table, and an unmapper that takes page and table away.
 *
 * A neighbour keeps the table above where it is.
 */
#ifndef SIM_TABLE_WALKERS_H
#define SIM_TABLE_WALKERS_H

#include "sim_test.h"

static void table_walkers_setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void table_walkers_walk(void)
{
	struct page *got = NULL;

	if (gup_fast(VA_A, 1, FOLL_WRITE, &got) == 1)
		put_page(got);
}

static void table_walkers_unmap(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

#endif
