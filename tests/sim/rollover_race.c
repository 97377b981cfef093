// SPDX-License-Identifier: MIT
/*
 * A CPU takes its tag without the lock while another CPU rolls over and gives its number out again.
 *
 * If the first did not notice, it would use the number without having dropped what was under it.
 * Rules: T5.
 */
#include "sim_test.h"

static struct mm *other, *fresh;

/* sim_mm has the first number. */
static void setup(void)
{
	other = mm_create();
	fresh = mm_create();
	BUG_ON(!other || !fresh);
	sim_new_mm();
	kthread_use_mm(sim_mm);
	kthread_unuse_mm();
	kthread_use_mm(other);
	kthread_unuse_mm();
	sim_map(VA_A, 1);
}

static void switcher(void)
{
	u64 value;

	kthread_use_mm(other);
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
	kthread_use_mm(fresh);
	sim_check(!sim_load(VA_A, &value), "T5", "a page of another address space is read");
	kthread_unuse_mm();
}

static void roller(void)
{
	context_force_rollover();
	kthread_use_mm(fresh);
	kthread_unuse_mm();
}

SCENARIO(rollover_race) = {
	.name = "rollover_race",
	.what = "a tag taken without the lock against a roll-over",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, roller, false }, { 1, switcher, false } },
};
