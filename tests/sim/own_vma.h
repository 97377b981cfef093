/* SPDX-License-Identifier: MIT */
/*
 * A VMA that nobody has touched, in a table that a neighbour keeps; a fault in it; and that nothing
 * is mapped there when it has gone.
 */
#ifndef SIM_OWN_VMA_H
#define SIM_OWN_VMA_H

#include "sim_test.h"

static void own_vma_setup(void)
{
	sim_new_mm();
	sim_map(VA_A + PAGE_SIZE, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
	sim_watch(VA_A);
}

static void own_vma_user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
}

static void own_vma_gone(const char *rule)
{
	sim_check(mm_count_mapped(sim_mm, VA_A, VA_A + PAGE_SIZE) == 0, rule,
		  "a page is mapped where there is no VMA");
}

#endif
