// SPDX-License-Identifier: MIT
/*
 * Unmapping a table without memory for a batch, against a reader under RCU alone.
 *
 * Rules: F2, F5, G7, F3.
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

static void check(void)
{
	struct pt_stats s;

	pt_get_stats(&s);
	sim_check(s.waiting == 0, "G7", "a table was unhooked and never freed");
}

SCENARIO(fallback) = {
	.name = "fallback",
	.what = "the fallback without memory against a reader",
	.cpus = 2,
	.inject = BIT(INJECT_BATCH) | BIT(INJECT_IMPATIENT),
	.fails = 2,
	.check = check,
	.setup = setup,
	.roles = { { 0, unmapper, true }, { 1, reader, true } },
};
