// SPDX-License-Identifier: MIT
/*
 * A CPU that goes down with an address space loaded, and comes up again when a page of it is gone.
 *
 * It believes nothing of what it held before (what it drops as it goes, and what it drops as it
 * comes, are each enough), and is a CPU like any other from then on: its user code does not reach
 * the page, and a grace period waits for its reader. Rules: H1, R1.
 */
#include "sim_test.h"

#include <hotplug.h>
#include <wait.h>

static WAIT_QUEUE(up_queue);
static u64 object, *shared = &object;
static u64 up, ready, freed;

static void setup(void)
{
	sim_new_mm();
	sim_map(VA_A, 1);
	BUG_ON(mm_mmap(sim_mm, VA_A + PAGE_SIZE, PAGE_SIZE, PROT_READ, MAP_FIXED) < 0);
}

static void taker(void)
{
	sim_check(cpu_down(1) == 0, "H1", "the CPU does not go down");
	(void)mm_munmap(sim_mm, VA_A, PAGE_SIZE);
	sim_check(cpu_up(1) == 0, "H1", "the CPU does not come up again");
	WRITE_ONCE(up, 1);
	wake_up_all(&up_queue);
	while (!READ_ONCE(ready))
		cpu_relax();
	WRITE_ONCE(shared, NULL);
	synchronize_rcu();
	WRITE_ONCE(freed, 1);
}

static void user(void)
{
	u64 value;

	(void)sim_load(VA_A, &value);
	wait_event(up_queue, READ_ONCE(up));
	sim_check(!sim_load(VA_A, &value), "H1", "a page that was unmapped is read");
	WRITE_ONCE(ready, 1);
	rcu_read_lock();
	u64 *p = READ_ONCE(shared);

	if (p)
		sim_check(!READ_ONCE(freed), "R1", "a reader finds what it read freed");
	rcu_read_unlock();
}

SCENARIO(up_again) = {
	.name = "up_again",
	.what = "a CPU that comes up again",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, taker, false }, { 1, user, true } },
};
