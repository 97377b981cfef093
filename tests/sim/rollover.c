// SPDX-License-Identifier: MIT
/*
 * A roll-over of tags against a flush: the number that the mm had may be another's.
 *
 * CPU 1 runs the mm, begins a new generation, and takes up another address space, then the mm
 * again. Rules: T5, T7.
 */
#include "sim_test.h"

static struct mm *other;

static void setup(void)
{
	other = mm_create();
	BUG_ON(!other);
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void switcher(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	kthread_unuse_mm();
	kthread_use_mm(other);
	context_force_rollover();
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(rollover) = {
	.name = "rollover",
	.what = "tag roll-over against a flush",
	.cpus = 2,
	.delays = 1,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, switcher, false } },
};
