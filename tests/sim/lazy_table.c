// SPDX-License-Identifier: MIT
/*
 * Unmapping a table while another CPU is lazy on the address space.
 *
 * The lazy CPU makes no access, but its MMU may walk from the loaded root.
 * Rules: T2, G2, G3.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void lazy(void)
{
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(lazy_table) = {
	.name = "lazy_table",
	.what = "unmap a table against a CPU that goes lazy",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, lazy, true } },
};
