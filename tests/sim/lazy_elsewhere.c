// SPDX-License-Identifier: MIT
/*
 * A flush that looks at a CPU which is lazy on the address space, then on another one.
 *
 * What the flusher reads of the CPU must be of one lazy time: the mark of the first and the
 * generation of the second would say that it may be passed over, and it would never know.
 * Rules: T8.
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

static void lazy(void)
{
	u64 value;

	kthread_unuse_mm();
	kthread_use_mm(other);
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(lazy_elsewhere) = {
	.name = "lazy_elsewhere",
	.what = "a flush against a CPU that is lazy here, then elsewhere",
	.cpus = 2,
	.bound = 3,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, lazy, true } },
};
