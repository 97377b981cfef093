// SPDX-License-Identifier: MIT
/*
 * What a CPU does when no thread wants it: its idle thread.
 *
 * The idle thread is in no queue, never sleeps, and keeps preemption off for ever: it gives the CPU
 * up only by its own call of schedule(). While it waits, RCU counts the CPU as no reader.
 * Why the order below. The work that ends the wait may come from another CPU (an IPI), from an
 * interrupt here, or from rcu_idle_enter() itself, which may end a grace period and wake a thread
 * on this CPU. Interrupts stay off from the last look until arch_cpu_idle(), which an interrupt
 * that is pending by then ends at once:
 *
 *   CPU 1 (idle)                        CPU 0
 *   irqs off
 *   no thread queued
 *                                       queues a thread on CPU 1, need_resched, IPI
 *   rcu_idle_enter()
 *   need_resched? (may be seen or not)
 *   arch_cpu_idle(): the IPI is pending: returns
 *
 * A CPU that is to go down comes to its end here, where it runs no thread and holds nothing.
 * Rules: R1. Locks: none. See also: rcu.c, time.c, hotplug.c.
 */
#include "sched.h"

#include <hotplug.h>
#include <rcu.h>
#include <time.h>

static bool running;

bool sched_running(void)
{
	return READ_ONCE(running);
}

static bool have_work(struct runqueue *rq)
{
	if (READ_ONCE(current->need_resched))
		return true;
	/* What is queued on a CPU that goes down is not for it. */
	return sched_cpu_active(rq->cpu) && (READ_ONCE(rq->nr_queued) || sched_pull(rq));
}

/* irqs off; they have been on for a moment when it returns, unless there was work after all. */
static void wait_for_interrupt(void)
{
	tick_idle_enter();
	rcu_idle_enter();
	if (!READ_ONCE(current->need_resched)) {
		WRITE_ONCE(this_rq()->waiting, true);
		arch_cpu_idle();
		local_irq_disable();
		WRITE_ONCE(this_rq()->waiting, false);
	}
	rcu_idle_exit();
}

bool sched_cpu_waiting(unsigned int cpu)
{
	const struct runqueue *rq = cpu_rq(cpu);

	/* WHY SAFE: idle threads are never freed. */
	return READ_ONCE(rq->waiting) && READ_ONCE(rq->idle->preempt_count) < HARDIRQ_ONE;
}

__noreturn void sched_idle_loop(void)
{
	WRITE_ONCE(running, true);
	for (;;) {
		local_irq_disable();
		if (hotplug_stop_wanted())
			hotplug_stop();
		if (have_work(this_rq())) {
			tick_idle_exit();
			schedule();
		} else {
			wait_for_interrupt();
		}
	}
}
