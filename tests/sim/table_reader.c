// SPDX-License-Identifier: MIT
/*
 * Unmapping a leaf table against a reader under rcu_read_lock() alone, which takes its lock.
 *
 * Rules: F1, F3, R2.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + pt_span(1), PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void reader(void)
{
	(void)mm_count_mapped(sim_mm, VA_A, VA_A + PAGE_SIZE);
}

static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(table_reader) = {
	.name = "table_reader",
	.what = "unmap a leaf table against a reader under RCU",
	.cpus = 2,
	.ticks = 2,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, reader, true } },
};
