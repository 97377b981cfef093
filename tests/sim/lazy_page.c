// SPDX-License-Identifier: MIT
/*
 * Unmapping a page while another CPU goes lazy and comes back.
 *
 * The flusher may skip the lazy CPU; then that one must drop by itself what it was not told of.
 * Rules: T8, T1, T6.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void lazy(void)
{
	u64 value;

	kthread_unuse_mm();
	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(lazy_page) = {
	.name = "lazy_page",
	.what = "unmap a page against a CPU that leaves lazy mode",
	.cpus = 2,
	.delays = 1,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, lazy, true } },
};
