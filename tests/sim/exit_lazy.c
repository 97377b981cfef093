// SPDX-License-Identifier: MIT
/*
 * The last user leaves while another CPU is lazy on the address space.
 *
 * Its root may be loaded there; everything under it is freed, at once if there is no memory for a
 * batch, then the root.
 * Rules: A2, G9, T2.
 */
#include "sim_test.h"

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void lazy(void)
{
}

static void last_user(void)
{
	while (!(READ_ONCE(sim_done) & BIT(1)))
		cpu_relax();
	mmput(sim_mm);
}

SCENARIO(exit_lazy) = {
	.name = "exit_lazy",
	.what = "exit while another CPU is lazy",
	.cpus = 2,
	.inject = BIT(INJECT_BATCH),
	.fails = 1,
	.setup = setup,
	.roles = { { 0, last_user, false }, { 1, lazy, true } },
};
