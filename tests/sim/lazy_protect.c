// SPDX-License-Identifier: MIT
/*
 * Taking the write permission away while another CPU goes lazy, comes back, and writes.
 *
 * The flusher may skip the lazy CPU; when mprotect() has returned, no store of it may land by what
 * its TLB held before. Rules: T8, G12.
 */
#include "sim_test.h"

static u64 protected;

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void lazy(void)
{
	kthread_unuse_mm();
	kthread_use_mm(sim_mm);

	bool told = READ_ONCE(protected);
	bool stored = sim_store_user(VA_A, 1);

	sim_check(!(told && stored), "T8", "a store lands where mprotect() has said read-only");
}

static void protector(void)
{
	(void)mm_mprotect(sim_mm, VA_A, PAGE_SIZE, PROT_READ);
	WRITE_ONCE(protected, 1);
}

SCENARIO(lazy_protect) = {
	.name = "lazy_protect",
	.what = "mprotect against a CPU that leaves lazy mode",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, protector, true }, { 1, lazy, true } },
};
