// SPDX-License-Identifier: MIT
/*
 * A thread adopts an address space while the one that its CPU has loaded lazily is shot, and while
 * another thread wants the CPU.
 *
 * Rules: T10, A2.
 */
#include "sim_test.h"

static struct mm *other;
static u64 left;

static void setup(void)
{
	other = mm_create();
	BUG_ON(!other);
	sim_new_mm();
	sim_map(VA_A, 1);
}

static void adopter(void)
{
	kthread_unuse_mm();
	smp_store_release(&left, 1);
	kthread_use_mm(other);
}

static void bystander(void)
{
}

static void last_user(void)
{
	while (!smp_load_acquire(&left))
		cpu_relax();
	sched_kick(1); /* the bystander wants to run, too */
	mmput(sim_mm);
}

SCENARIO(adopt) = {
	.name = "adopt",
	.what = "adopting an address space while the last one is shot",
	.cpus = 2,
	.inject = BIT(INJECT_SWITCH_WINDOW),
	.setup = setup,
	.roles = { { 0, last_user, false }, { 1, adopter, true }, { 1, bystander, false } },
};
