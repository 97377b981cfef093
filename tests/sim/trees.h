/* SPDX-License-Identifier: MIT */
/* What the scenarios of trees by CPU share: mm/cpu_tree.c. */
#ifndef TREES_H
#define TREES_H

#include "sim_test.h"

#include <cpu_tree.h>

/* A page at VA_A that nobody has touched, in an mm with trees by CPU. */
static inline void trees_setup(void)
{
	sim_new_mm();
	cpu_tree_give(sim_mm);
	BUG_ON(!sim_mm->trees);
	sim_map(VA_A, 1);
}

/* CPU 1 touches the page, if it is there still, and user code goes on until role 0 has ended. */
static inline void trees_user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
	sim_user(BIT(0));
}

#endif
