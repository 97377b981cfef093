/* SPDX-License-Identifier: MIT */
/*
 * CPU 1 switches to the address space, away, and back, while a page of it is unmapped.
 *
 * It must not see the page after that. A second page in the same table keeps the table where it is.
 */
#ifndef SIM_SWITCHING_H
#define SIM_SWITCHING_H

#include "sim_test.h"

static struct mm *switching_other;

static void switching_setup(void)
{
	switching_other = mm_create();
	BUG_ON(!switching_other);
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static inline void switching_switch(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
	kthread_use_mm(switching_other);
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
}

static inline void switching_unmap(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

#endif
