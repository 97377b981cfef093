// SPDX-License-Identifier: MIT
/*
 * The first CPU ever to use an address space, against somebody who unmaps from outside.
 *
 * The mask is empty until then, and a flush for nobody is not sent, by whatever transport: so a
 * broadcast needs T1 too. Rules: T1.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void user(void)
{
	u64 value;

	kthread_use_mm(sim_mm);
	(void)sim_load(VA_A, &value);
	kthread_unuse_mm();
}

/* As munmap on behalf of another process: its CPU does not load the root. */
static void unmapper(void)
{
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
}

SCENARIO(first_user) = {
	.name = "first_user",
	.what = "the first use of an address space against an unmapper outside it",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, unmapper, false }, { 1, user, false } },
};
