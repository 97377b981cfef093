// SPDX-License-Identifier: MIT
/*
 * Where interrupts begin and end for the kernel, and traps that nobody expects.
 *
 * irq_enter() and irq_exit() bracket each interrupt: RCU may look at this CPU between them even if
 * it was idle, in_interrupt() is true, and the end is where a thread is preempted. Interrupts do
 * not nest: irqs stay off throughout.
 * Rules: R2. Locks: none; irqs off. See also: sched.c (preempt_schedule_irq), rcu.c, spurious.c.
 */
#include <bug.h>
#include <irqflags.h>
#include <percpu.h>
#include <printk.h>
#include <rcu.h>
#include <symbols.h>
#include <thread.h>
#include <trap.h>

static DEFINE_PER_CPU(struct trap_frame *, irq_tf);

void irq_enter(struct trap_frame *tf)
{
	if (debug_build)
		BUG_ON(in_interrupt() || !irqs_disabled());
	rcu_irq_enter();
	current->preempt_count += HARDIRQ_ONE;
	this_cpu(irq_tf) = tf;
}

void irq_exit(struct trap_frame *tf)
{
	struct thread *t = current;

	this_cpu(irq_tf) = NULL;
	t->preempt_count -= HARDIRQ_ONE;
	rcu_irq_exit();
	/*
	 * The interrupted context had irqs on, or there were no interrupt; so only the count
	 * matters.
	 */
	if (t->preempt_count == 0 && READ_ONCE(t->need_resched) && trap_irqs_on(tf))
		preempt_schedule_irq();
}

struct trap_frame *irq_frame(void)
{
	return this_cpu(irq_tf);
}

__noreturn void bad_trap(struct trap_frame *tf, const char *what, u64 code, u64 addr)
{
	size_t offset = 0;
	const char *name = symbol_name(trap_pc(tf), &offset);

	panic_trap(tf, "%s (code %#llx, address %#llx) at %#llx %s+%#zx", what,
		   (unsigned long long)code,
		   (unsigned long long)addr, (unsigned long long)trap_pc(tf), name ? name : "?",
		   offset);
}
