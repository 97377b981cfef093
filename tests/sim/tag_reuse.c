// SPDX-License-Identifier: MIT
/*
 * A tag that comes back after a roll-over: what stands under it is another address space's.
 *
 * Rules: T5.
 */
#include "sim_test.h"

static struct mm *other, *fresh;

static void setup(void)
{
	other = mm_create();
	fresh = mm_create();
	BUG_ON(!other || !fresh);
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void switcher(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
	kthread_use_mm(other);
	context_force_rollover();
	kthread_unuse_mm();
	kthread_use_mm(fresh);
	sim_check(!sim_load(VA_A, &value), "T5", "a page of another address space is read");
	kthread_unuse_mm();
}

SCENARIO(tag_reuse) = {
	.name = "tag_reuse",
	.what = "a tag that comes back after a roll-over",
	.cpus = 1,
	.setup = setup,
	.roles = { { 0, switcher, false } },
};
