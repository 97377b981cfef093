/* SPDX-License-Identifier: MIT */
/*
 * Kernel threads and the scheduler: preemptible threads on per-CPU run queues, round robin within a
 * time slice, pinning by CPU mask, balancing by wake-up placement and by idle CPUs pulling.
 */
#ifndef GRACE_THREAD_H
#define GRACE_THREAD_H

#include <arch.h>
#include <atomic.h>
#include <bug.h>
#include <list.h>
#include <lockdep.h>
#include <types.h>

struct mm;

enum thread_state {
	THREAD_RUNNABLE,
	THREAD_SLEEPING, /* until wake_up_thread() */
	THREAD_DEAD,	 /* its stack is freed by the next reaper turn */
};

struct thread {
	struct arch_context ctx; /* first: entry code finds it at offset 0 */

	/* The thread itself, or interrupts on its CPU while it runs. */
	unsigned int preempt_count; /* see PREEMPT_*: 0 means preemptible */
	bool need_resched;	    /* read by preempt_enable() and irq_exit(); any CPU sets it */
	bool user_access;	    /* between user_access_begin() and _end() */
	bool bears_faults;	    /* inject_allow(): injected failures may hit it */
	unsigned int cpu;	    /* where it runs or last ran; run-queue lock */

	/* Address space. Written by the thread with interrupts off. */
	struct mm *mm;	      /* adopted by kthread_use_mm(), or NULL */
	struct mm *active_mm; /* whose root is loaded: mm, or a borrowed (lazy) one */

	/* Run-queue lock of its CPU. */
	enum thread_state state;
	bool on_rq, on_cpu;
	cpumask_t allowed;
	s64 slice;		  /* cycles left of its turn */
	u64 switched_in;	  /* arch_cycles(), when last accounted */
	u64 run_time;		  /* cycles, total */
	u64 switches;
	struct list_head rq_node; /* also: wait node of the reaper */

	/* Immutable after creation. */
	unsigned int id;
	char name[20];
	vaddr_t stack; /* lowest address; NULL for none */
	void (*fn)(void *);
	void *arg;
	struct list_head all_node; /* thread_list_lock */

	/* Joining. */
	atomic_t refs;
	bool exited; /* set with release once its stack has been freed */

#ifdef GRACE_DEBUG
	struct lock_stack locks; /* the thread itself, preemption off; see <lockdep.h> */
#endif
};

/*
 * preempt_count: the low byte counts preempt_disable(), the next interrupt nesting. rcu_read_lock()
 * and spinlocks count as preempt_disable().
 */
#define PREEMPT_ONE 1u
#define HARDIRQ_ONE 0x100u
#define current arch_current()
#define in_interrupt() (current->preempt_count >= HARDIRQ_ONE)
#define preemptible() (current->preempt_count == 0 && arch_irqs_enabled())

/* Both compiler barriers. Preemption off is an RCU-sched reader [R2]. */
static inline void preempt_disable(void)
{
	current->preempt_count += PREEMPT_ONE;
	barrier();
}
/*
 * Out of line: called when need_resched was found set at count 0. With irqs off it returns at once
 * and need_resched stays: the next irq_exit(), tick (4 ms at most) or preempt_enable() acts on it.
 */
void preempt_schedule(void);
/*
 * The same at the end of an interrupt: irqs off, stays so; the interrupted thread may be switched.
 */
void preempt_schedule_irq(void);
static inline void preempt_enable_no_resched(void)
{
	barrier();
	current->preempt_count -= PREEMPT_ONE;
}
static inline void preempt_enable(void)
{
	barrier();
	struct thread *t = current;
	t->preempt_count -= PREEMPT_ONE;
	if (unlikely(READ_ONCE(t->need_resched)) && t->preempt_count == 0)
		preempt_schedule();
}

/*
 * Creates a thread; thread_wake() starts it. allowed: CPUs it may run on (~0: any). Returns NULL
 * without memory. Thread context. The reference returned is dropped by thread_join() or
 * thread_put().
 */
struct thread *thread_create(void (*fn)(void *), void *arg, cpumask_t allowed, const char *name,
			     ...) __printf(4, 5);
/* thread_create() and thread_wake(), with no reference kept: for threads nobody joins. */
int thread_spawn(void (*fn)(void *), void *arg, cpumask_t allowed, const char *name, ...)
	__printf(4, 5);
/*
 * Waits until t has ended and its stack is freed, then drops the reference. Thread context, may
 * sleep.
 */
void thread_join(struct thread *t);
/* Another reference beside one that the caller has; drop one. Any context. */
void thread_get(struct thread *t);
void thread_put(struct thread *t);
/* Ends the calling thread. Returning from fn does the same. It must have no mm and no locks. */
__noreturn void thread_exit(void);

/* Makes a sleeping or new thread runnable; true if it was not already. Any context. */
bool thread_wake(struct thread *t);
/*
 * Changes where t may run; if it is the caller, it has moved on return. Thread context. allowed
 * must hold a possible CPU. The caller, for which none of allowed is active, may run anywhere then;
 * any other thread waits until one is.
 */
void thread_set_allowed(struct thread *t, cpumask_t allowed);

/*
 * Gives up the CPU. With state THREAD_SLEEPING set by thread_prepare_sleep(), until woken; a
 * wake-up between the two makes schedule() return at once. Preemption on, irqs on or off (kept).
 */
void schedule(void);
/* Sets current's state to sleeping, full barrier: what is tested after it is not missed. */
void thread_prepare_sleep(void);
void thread_cancel_sleep(void);
/* Lets others run; current stays runnable. */
void thread_yield(void);
/* Yields if somebody waits for this CPU. Long loops call it. Thread context, preemptible. */
void cond_resched(void);
/* Sleeps for at least ns. Thread context. */
void thread_sleep(u64 ns);
/*
 * Sleeps until woken or until ns have passed (state set by thread_prepare_sleep()). True: woken.
 */
bool schedule_timeout(u64 ns);

/* Asserts that the caller may sleep: preemptible thread context. [T4] */
#define might_sleep()                                                                              \
	do {                                                                                       \
		if (debug_build)                                                                   \
			sched_assert_may_sleep(__FILE__, __LINE__);                                \
	} while (0)
void sched_assert_may_sleep(const char *file, int line);

/* Scheduler's doors for the kernel itself. */
void sched_init(void);			/* boot CPU, before threads: current is its idle thread */
struct thread *sched_make_idle(unsigned int cpu); /* idle thread for a CPU to be started, or NULL */
__noreturn void sched_idle_loop(void);	/* what each CPU does in the end */
void sched_tick(struct trap_frame *tf); /* from the timer interrupt */
/*
 * Takes cpu out of cpu_active_mask, moves every thread away from it, and returns when it is idle
 * for good. Its idle thread to start it with again, or NULL without memory. Thread context.
 */
void sched_leave(unsigned int cpu);
struct thread *sched_idle_again(unsigned int cpu);
/* Threads that were allowed every CPU because none of theirs was left. */
u64 sched_fallbacks(void);
/* Sets need_resched of what runs on cpu and interrupts it. Any context. */
void sched_kick(unsigned int cpu);
/* True if cpu runs its idle thread now. A hint. */
bool sched_cpu_idle(unsigned int cpu);
/* True if cpu waits for an interrupt in its idle loop and is in none: it can take them. A hint. */
bool sched_cpu_waiting(unsigned int cpu);
struct thread *sched_cpu_current(unsigned int cpu);
/* Called first by a new thread, with irqs off; the port's context starts here. */
__noreturn void thread_start(struct thread *prev);
/* Prints every thread, one line each: id, name, state, CPU, time, switches. */
void threads_print(void);
/* Statistics, per CPU: switches between threads, and passes through schedule(), switch or not. */
u64 sched_switches(unsigned int cpu);
u64 sched_passes(unsigned int cpu);

/* The boot CPU's first and later idle thread, and its stack: the lower half is the guard. */
extern struct thread init_thread;
extern char init_stack[2 * STACK_SIZE];

#endif
