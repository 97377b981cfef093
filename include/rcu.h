/* SPDX-License-Identifier: MIT */
/*
 * RCU-sched: wait until every section with interrupts or preemption off has ended.
 *
 * A reader is any stretch of code that cannot be switched out: rcu_read_lock() ..
 * rcu_read_unlock(), preemption off, interrupts off, an interrupt handler. A grace period ends when
 * each CPU has passed a quiescent state that began after the grace period did: a context switch,
 * idle, or a tick that interrupts idle.
 * Differs from Linux: rcu_read_lock() disables preemption (there is one flavour, non-preemptible);
 * callbacks run in a per-CPU thread, not in softirq; no grace-period thread, so that no particular
 * CPU has to be free for a grace period to begin or end.
 *
 * What each rule prevents. The reader has loaded a pointer to what the freer unhooks:
 *
 * RACE R1. Not everybody was asked:
 *   freer, CPU 0                           reader, CPU 1
 *   unhooks; a grace period begins         has the pointer
 *   CPU 0 is quiescent: it ends            .
 *   frees                                  follows the pointer
 *
 * RACE R2. A reader is taken for none:
 *   freer, CPU 0                           reader, CPU 1, preemption off
 *   unhooks; a grace period begins         has the pointer
 *   .                                      tick: "quiescent"
 *   it ends; frees                         follows the pointer
 *
 * RACE R3. The period is older than the unhooking:
 *   freer, CPU 0                           reader, CPU 1
 *   (a grace period is under way)          has a quiescent state, for that period
 *   .                                      loads the pointer
 *   unhooks; joins that period             .
 *   it ends; frees                         follows the pointer
 *
 * RACE R4. Idle, but for an interrupt:
 *   freer, CPU 0                           CPU 1, idle
 *   .                                      interrupt: its handler loads the pointer
 *   unhooks; a grace period begins         .
 *   sees CPU 1 idle: it ends; frees        follows the pointer
 */
#ifndef GRACE_RCU_H
#define GRACE_RCU_H

#include <atomic.h>
#include <thread.h>
#include <types.h>

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *head);
};

/* Nest. Any context but NMI. Compiler barriers; the grace period does the ordering. */
static inline void rcu_read_lock(void)
{
	preempt_disable();
}
static inline void rcu_read_unlock(void)
{
	preempt_enable();
}

/* Publish and read a pointer that readers follow: release, and a once-only load. */
#define rcu_assign_pointer(p, v) smp_store_release(&(p), (v))
#define rcu_dereference(p) READ_ONCE(p)

/*
 * Runs fn(head) after a full grace period that begins after this call [R1, R3]. Any context with
 * irqs in any state. fn runs in a thread with irqs on; it must not sleep for long and takes no
 * sleeping locks. Cannot fail: head is the caller's memory, untouched until fn has it.
 */
void call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *));

/* Returns after such a grace period. May sleep (asserted). */
void synchronize_rcu(void);
/*
 * The same, driven by IPIs: a CPU outside any read-side section answers at once, one inside answers
 * when it leaves. Faster, dearer. May sleep; needs no memory.
 */
void synchronize_rcu_expedited(void);
/*
 * For who has queued more than may wait: callbacks queued on cpu before this have waited long
 * enough when it returns, and its thread runs them. Grace periods are driven by IPIs until then;
 * what is under way counts, so it may take two. May sleep; needs no memory.
 */
void rcu_expedite(unsigned int cpu);
/* Returns after every callback queued before it, on any CPU, has run. May sleep. */
void rcu_barrier(void);

/*
 * Grace-period cookies: rcu_seq_snap() names a grace period that begins after now;
 * rcu_seq_done() tells whether it has ended. Any context.
 */
u64 rcu_seq_snap(void);
bool rcu_seq_done(u64 snap);

/* The scheduler's and the interrupt code's reports. irqs off. */
/*
 * In schedule(), with irqs off and no run-queue lock held (it may wake threads), on every pass,
 * whether or not it switches. The caller's own preempt_count is that of a thread outside readers.
 */
void rcu_note_context_switch(void);
/*
 * This CPU is no reader until rcu_idle_exit(). Between the two no thread may be switched to: the
 * idle thread keeps preemption off, so that irq_exit() does not preempt it. May wake threads.
 */
void rcu_idle_enter(void);
void rcu_idle_exit(void);
void rcu_irq_enter(void); /* an interrupt that may have come from idle */
void rcu_irq_exit(void);
void rcu_tick(void);	  /* from the timer interrupt, irq_enter() done */
/* True if this idle CPU must go on ticking for RCU's sake (it has callbacks waiting). irqs off. */
bool rcu_needs_cpu(void);
void rcu_exp_ipi(void); /* handler of IPI_RCU_EXP */

void rcu_init(void);	     /* boot CPU, before the first call_rcu() */
void rcu_init_threads(void); /* thread context: starts the callback threads of all CPUs */
void rcu_cpu_online(unsigned int cpu); /* on that CPU, irqs off, before it may be a reader */
/* CPUs that go down, in this order; kernel/hotplug.c says when. */
/*
 * Lets cpu's callback thread run anywhere; stops it, after the callback that it is in; lets it go
 * on again, on cpu. What is queued stays where it is. Thread context, may sleep.
 */
void rcu_callback_unpin(unsigned int cpu);
void rcu_callback_park(unsigned int cpu);
void rcu_callback_unpark(unsigned int cpu);
/* This CPU, irqs off, idle: its last report. It is no reader from here on. May wake threads. */
void rcu_cpu_dying(void);
/*
 * No later period waits for cpu, which is dead, and the caller's CPU takes its callbacks over [H2].
 * Thread context, may sleep.
 */
void rcu_cpu_dead(unsigned int cpu);

struct rcu_stats {
	u64 grace_periods, hurried, expedited, callbacks_queued, callbacks_run;
	u64 gp_age_ns;	    /* of the one under way; 0 if none */
	cpumask_t waiting;  /* CPUs that the one under way still waits for */
	u64 longest_gp_ns;
};
void rcu_get_stats(struct rcu_stats *s);
void rcu_print(void); /* console */

/* For rules.h's R-rules and tests: true if this context is a reader now. */
bool rcu_read_lock_held(void);

#endif
