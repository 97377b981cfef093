/* SPDX-License-Identifier: MIT */
/*
 * Cross-CPU calls: run a function on other CPUs, from their interrupt handler.
 */
#ifndef GRACE_SMP_H
#define GRACE_SMP_H

#include <cpumask.h>
#include <percpu.h>
#include <types.h>

struct thread;

typedef void (*smp_call_fn)(void *arg);

/*
 * Runs fn(arg) with irqs off on cpu (which may be the caller's) or on every online CPU of mask; one
 * that goes down meanwhile may be left out.
 * With wait, returns when all have finished; without, arg must outlive the calls. Orders the
 * caller's earlier stores before fn, and with wait, fn before the return. Caller: irqs on if wait
 * [T4] (asserted: two CPUs that wait for each other with irqs off hang), no spinlock that a target
 * may spin on with irqs off. Not from interrupt handlers.
 */
void smp_call(unsigned int cpu, smp_call_fn fn, void *arg, bool wait);
void smp_call_mask(cpumask_t mask, smp_call_fn fn, void *arg, bool wait);
void smp_call_all(smp_call_fn fn, void *arg, bool wait);

/* Reasons for an IPI other than a call; a bit stays set until the target has handled it. */
#define IPI_CALL BIT(0)
#define IPI_RESCHED BIT(1)
#define IPI_RCU_EXP BIT(2)   /* kernel/rcu.c: rcu_exp_ipi() */
#define IPI_BACKTRACE BIT(3) /* kernel/panic.c */
#define IPI_STOP BIT(4)	     /* never returns */
/*
 * To the online CPUs of mask. Any context, irqs in any state. Orders earlier stores before
 * handling.
 */
void smp_send(cpumask_t mask, u64 reason);

/*
 * Starts every possible CPU; says which did not come up and goes on without it: it stays possible
 * and is not online, and joins in if it arrives after all. Boot CPU, thread context.
 */
void smp_init(void);

/*
 * Starts one CPU on the idle thread given. 0 once threads may run there, -ETIMEDOUT if it has not
 * come by then (it may yet), or what arch_cpu_start() says. Thread context, one at a time.
 */
int smp_start(unsigned int cpu, struct thread *idle);
/*
 * Waits for there(cpu); false if it is not so after 2 s, or longer if this CPU runs seldom itself.
 * Thread context.
 */
bool smp_wait_for(unsigned int cpu, bool (*there)(unsigned int cpu));

/*
 * A CPU's own end, irqs off. smp_close() runs the calls that were sent to it; true if none came
 * meanwhile, and from then on none can: who tries is told at once that it is over.
 * smp_open() takes calls and interrupts again, and joins cpu_online_mask. What others did before
 * they saw it there comes before what this CPU does next.
 */
bool smp_close(void);
void smp_open(void);

/* IPIs that cpu sent and took since boot, and sent again since they were late. */
u64 smp_ipis_sent(unsigned int cpu);
u64 smp_ipis_taken(unsigned int cpu);
u64 smp_ipis_resent(unsigned int cpu);

#endif
