// SPDX-License-Identifier: MIT
/*
 * A roll-over of tags against a flush: the number that the mm had may be another's.
 *
 * CPU 1 runs the mm, begins a new generation, and takes up another address space, then the mm
 * again. Rules: T5, T7.
 */
#include "switching.h"

static void switcher(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	kthread_unuse_mm();
	kthread_use_mm(switching_other);
	context_force_rollover();
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
}

SCENARIO(rollover) = {
	.name = "rollover",
	.what = "tag roll-over against a flush",
	.cpus = 2,
	.delays = 1,
	.setup = switching_setup,
	.roles = { { 0, switching_unmap, true }, { 1, switcher, false } },
};
