// SPDX-License-Identifier: MIT
/*
 * CPUs that are taken down, and come up again.
 *
 * Terms. A CPU is active while the scheduler may choose it, online while it takes interrupts and
 * calls, dead once it touches no memory but its stack, off when the firmware says so.
 * Why. Whatever a CPU owns (threads, timers, callbacks, translations) is somebody's promise, which
 * has to be kept when the CPU is gone; and whoever waits for all CPUs must not wait for it.
 * Rules: H1, H2. Locks: `lock`, a mutex, outside all others; the rest by the order below.
 * See also: kernel/rcu_callback.c, mm/context.c, kernel/smp.c, tests/test_hotplug.c.
 *
 * The order, and why each step stands where it does. "A, then B" is said once, at B:
 *
 *   CPU 0 (cpu_down)                          CPU 1
 *   1 out of cpu_active_mask; all threads     at its next pass its thread goes; from then on it
 *     leave, its callback thread too            runs idle alone, and takes interrupts and calls
 *   2 calls context_leave_all()          ---> empty root, whole TLB dropped, out of every mask [H1]
 *   3 waits for a grace period, parks         stays idle, so it is not waited for
 *     its callback thread
 *   4 says stop                          ---> in its idle loop, interrupts off for good:
 *                                             5 gives back its free pages and objects, and closes
 *                                               its list of calls, again until none came between
 *                                             6 out of cpu_online_mask
 *                                             7 last report to RCU
 *                                             8 says dead; firmware takes it
 *   9 sees it off: takes its timers and
 *     callbacks, with their periods [H2]
 *
 * 2 after 1: a thread that ran later would load its mm, and be in its mask again.
 * 3 after 2: a flusher reads the mask and waits for the CPU with preemption off, so it is a reader:
 *   one that still had CPU 1 in hand is through when the period ends, whatever its transport.
 *   Callbacks run until then; from then on they stay in their queue, and in their order.
 * 4 after 3: until then CPU 1 answers those flushers like any other CPU.
 * 5: a call may free memory, so its pages and objects are all back for good only when no call can
 *   come. Who finds the list closed, or the CPU not online, knows by that that they are.
 * 6 after 5: the other way round, a call in the list would have lost its interrupt.
 * 7 after 5: calls are readers. From here on CPU 1 counts as idle, so neither a period under way
 *   waits for it, nor one that begins before step 9 takes it out of RCU's mask.
 * 9 after 8: nothing of it changes any more, so its lists need no more than their own locks. What
 *   was due meanwhile is late by that much.
 *
 * Coming up is a start as at boot (secondary_main()): nothing is believed of what was before, the
 * TLB is dropped before and after it joins the online mask, and threads come last.
 */
#include <arch.h>
#include <bug.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <hotplug.h>
#include <mm.h>
#include <mutex.h>
#include <page.h>
#include <percpu.h>
#include <printk.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <trace.h>

static MUTEX(lock);

struct hotplug_cpu {
	bool stop; /* CPU 0 says */
	bool dead; /* this CPU says */
};
static DEFINE_PER_CPU(struct hotplug_cpu, hotplug_cpu);

static bool online(unsigned int cpu)
{
	return cpumask_has(READ_ONCE(cpu_online_mask), cpu);
}

/* ---- On the CPU that goes ------------------------------------------------------------------- */

bool hotplug_stop_wanted(void)
{
	return unlikely(READ_ONCE(this_cpu(hotplug_cpu).stop));
}

void hotplug_stop(void)
{
	do {
		slab_drain_cpu(); /* it frees pages */
		page_alloc_drain_cpu();
	} while (!smp_close());
	/* After the closing: who sees it offline needs nothing of it any more. */
	fetch_and(&cpu_online_mask, ~cpumask_of(smp_processor_id()));
	rcu_cpu_dying();
	/* Orders all that this CPU did before "dead". Pairs with wait_dead(). */
	smp_store_release(&this_cpu(hotplug_cpu).dead, true);
	arch_cpu_stop();
}

static void leave_memory(void *unused)
{
	context_leave_all();
}

/* ---- On the CPU that takes it down ---------------------------------------------------------- */

/* True if it is off as well; a firmware that does not say so is not waited for long. */
static bool wait_dead(unsigned int cpu)
{
	const struct hotplug_cpu *h = per_cpu_ptr(&hotplug_cpu, cpu);

	/* Orders "dead" before the use of what it left. Pairs with hotplug_stop(). */
	while (!smp_load_acquire(&h->dead))
		thread_sleep(NSEC_PER_MSEC / 10);
	return smp_wait_for(cpu, arch_cpu_stopped);
}

static int take_down(unsigned int cpu)
{
	rcu_callback_unpin(cpu);
	sched_leave(cpu);
	smp_call(cpu, leave_memory, NULL, true);
	synchronize_rcu();
	rcu_callback_park(cpu);
	WRITE_ONCE(per_cpu(hotplug_cpu, cpu).stop, true);
	sched_kick(cpu);

	bool off = wait_dead(cpu);

	time_take_over(cpu);
	rcu_cpu_dead(cpu);
	trace(CPU_STATE, 0, cpu, false);
	return off ? 0 : -ETIMEDOUT;
}

static int take_up(unsigned int cpu)
{
	struct thread *idle = sched_idle_again(cpu);

	if (!idle)
		return -ENOMEM;
	per_cpu(hotplug_cpu, cpu) = (struct hotplug_cpu){ .stop = false };
	trace(CPU_STATE, 0, cpu, true);
	rcu_callback_unpark(cpu); /* its thread waits in its queue until it is there */
	return smp_start(cpu, idle);
}

int cpu_down(unsigned int cpu)
{
	int err;

	might_sleep();
	if (cpu >= nr_cpus)
		return -EINVAL;
	if (cpu == 0) /* interrupts of devices come to it; so the last one never goes either */
		return -EBUSY;
	if (!arch.cpu_stop)
		return -EOPNOTSUPP;
	mutex_lock(&lock);
	err = online(cpu) ? take_down(cpu) : -EALREADY;
	mutex_unlock(&lock);
	return err;
}

int cpu_up(unsigned int cpu)
{
	int err;

	might_sleep();
	if (cpu >= nr_cpus)
		return -EINVAL;
	mutex_lock(&lock);
	err = online(cpu) ? -EALREADY : take_up(cpu);
	mutex_unlock(&lock);
	return err;
}

int cpu_toggle_random(u64 random)
{
	if (nr_cpus < 2)
		return -EBUSY;
	unsigned int cpu = 1 + (unsigned int)(random % (nr_cpus - 1));

	return online(cpu) ? cpu_down(cpu) : cpu_up(cpu);
}

/* ---- Console -------------------------------------------------------------------------------- */

static const char *reason(int err, bool down)
{
	switch (err) {
	case -EINVAL:
		return "there is no such CPU";
	case -EALREADY:
		return down ? "it is down already" : "it is up already";
	case -EBUSY:
		return "CPU 0 always stays up: interrupts of devices come to it";
	case -EOPNOTSUPP:
		return "this machine's firmware cannot stop a CPU";
	case -ETIMEDOUT:
		return down ? "everything has left it, but the firmware does not say it is off" :
			      "it was started and has not come";
	case -ENOMEM:
		return "no memory";
	}
	return "the firmware refuses";
}

static void print_states(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		print_line("CPU %u is %s", cpu, online(cpu) ? "up" : "down");
	print_line("threads allowed everywhere since none of their CPUs was left: %llu",
		   (unsigned long long)sched_fallbacks());
}

static int cpu_command(int argc, char **argv)
{
	u64 cpu;

	if (argc == 1) {
		print_states();
		return 0;
	}
	bool down = strcmp(argv[1], "down") == 0;

	if (argc != 3 || (!down && strcmp(argv[1], "up") != 0) || parse_u64(argv[2], &cpu) != 0)
		return -EINVAL;
	unsigned int n = (unsigned int)min(cpu, (u64)MAX_CPUS);
	int err = down ? cpu_down(n) : cpu_up(n);

	if (err)
		print_line("CPU %llu: %s", (unsigned long long)cpu, reason(err, down));
	else
		print_line("CPU %u is %s", n, down ? "down" : "up");
	return err;
}
COMMAND(cpu, "cpu", "cpu [down|up N]  which CPUs are up; take one down, or up again", cpu_command);
