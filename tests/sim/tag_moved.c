// SPDX-License-Identifier: MIT
/*
 * A second flush of an address space that has another tag than at the first one.
 *
 * What the CPU holds by then stands under the new tag, and the flush must name that one.
 * Rules: T7.
 */
#include "switching.h"

static struct mm *third;

static void setup(void)
{
	switching_setup();
	third = mm_create();
	BUG_ON(!third);
}

static void switcher(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	(void)mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ); /* a flush, under the first tag */
	kthread_unuse_mm();
	kthread_use_mm(switching_other);
	context_force_rollover();
	kthread_unuse_mm();
	kthread_use_mm(third); /* takes the number that the first tag had */
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
	sim_check(!sim_load(VA_A, &value), "T7", "a page that was unmapped is read");
	kthread_unuse_mm();
}

SCENARIO(tag_moved) = {
	.name = "tag_moved",
	.what = "two flushes with a roll-over of tags between",
	.cpus = 1,
	.setup = setup,
	.roles = { { 0, switcher, false } },
};
