// SPDX-License-Identifier: MIT
/*
 * The scheduler's core: run queues, sleeping and waking, the switch, the tick.
 *
 * Terms. A thread's home is the run queue of t->cpu. A turn is SLICE of running time; a thread that
 * loses the CPU with some of its turn left goes to the front of the queue, one without to the end
 * with a new turn. So each runnable thread gets its turn in each round, whoever wakes whom how
 * often.
 * Why. Walkers and unmappers must meet at every instruction; RCU needs a place where no reader can
 * be.
 * Rules: A2 (a borrowed address space is let go after the next root is loaded), R1 (each pass is a
 * quiescent state), R2. Locks: rq->lock is a leaf, irqs off, two of them in order of CPU number.
 * See also: tests/test_sched.c.
 *
 * The protocol. Everything about a thread (state, on_rq, on_cpu, cpu, allowed) belongs to the lock
 * of its home, with one exception: a running thread sets its own state to sleeping, or back, with a
 * plain store. t->cpu changes only under the locks of the old and the new home. A CPU keeps its
 * lock from the choice of the next thread until the switch is complete, so whoever holds the lock
 * of t's home finds t running (on_cpu), or queued (on_rq), or saved completely: never halfway.
 *
 * The race between going to sleep and waking, for any condition C:
 *
 *   sleeper S                           waker
 *   state = SLEEPING                    C = true
 *   smp_mb()       [thread_prepare_     smp_mb()                 [thread_wake]
 *   reads C: false       sleep]         reads S.state: SLEEPING  (or sees RUNNABLE: then S sees C)
 *   schedule():                           |
 *     takes the lock of its home          takes the lock of S's home
 *   either S is first:                  or the waker is first:
 *     state is SLEEPING: leaves the       S is on_cpu: state = RUNNABLE, nothing else
 *     CPU, switch complete, unlocks     S takes the lock, sees RUNNABLE and goes on
 *   the waker gets the lock: S is saved,
 *     neither queued nor running: queues it
 *
 * Preemption between SLEEPING and schedule() must not put S to sleep: preempt_schedule() keeps a
 * thread queued whatever its state, and S reads C when it runs again.
 */
#include "sched.h"

#include <mm.h>
#include <rcu.h>
#include <smp.h>
#include <time.h>
#include <watchdog.h>

#define SLICE_TICKS 2

DEFINE_PER_CPU(struct runqueue, runqueue);

static s64 slice_cycles(void)
{
	return (s64)(arch.timer_hz * SLICE_TICKS / HZ);
}

/* ---- Run queues -------------------------------------------------------------------------- */

void rq_lock_two(struct runqueue *a, struct runqueue *b)
{
	raw_spin_lock(a->cpu <= b->cpu ? &a->lock : &b->lock);
	if (a != b)
		raw_spin_lock(a->cpu <= b->cpu ? &b->lock : &a->lock);
}

void rq_unlock_two(struct runqueue *a, struct runqueue *b)
{
	raw_spin_unlock(&a->lock);
	if (a != b)
		raw_spin_unlock(&b->lock);
}

void rq_enqueue(struct runqueue *rq, struct thread *t, bool first)
{
	if (first)
		list_add(&t->rq_node, &rq->queue);
	else
		list_add_tail(&t->rq_node, &rq->queue);
	t->on_rq = true;
	t->cpu = rq->cpu;
	WRITE_ONCE(rq->nr_queued, rq->nr_queued + 1);
}

void rq_dequeue(struct runqueue *rq, struct thread *t)
{
	list_del(&t->rq_node);
	t->on_rq = false;
	WRITE_ONCE(rq->nr_queued, rq->nr_queued - 1);
}

struct runqueue *sched_lock_home(struct thread *t)
{
	for (;;) {
		struct runqueue *rq = cpu_rq(READ_ONCE(t->cpu));

		raw_spin_lock(&rq->lock);
		if (t->cpu == rq->cpu)
			return rq;
		raw_spin_unlock(&rq->lock);
	}
}

static void send_resched(unsigned int cpu)
{
	if (cpu != smp_processor_id())
		smp_send(cpumask_of(cpu), IPI_RESCHED);
}

void sched_kick(unsigned int cpu)
{
	struct runqueue *rq = cpu_rq(cpu);
	bool on = local_irq_save();

	raw_spin_lock(&rq->lock);
	if (rq->curr)
		WRITE_ONCE(rq->curr->need_resched, true);
	raw_spin_unlock(&rq->lock);
	send_resched(cpu);
	local_irq_restore(on);
}

/* ---- Sleeping and waking ----------------------------------------------------------------- */

void thread_prepare_sleep(void)
{
	WRITE_ONCE(current->state, THREAD_SLEEPING);
	/*
	 * Orders the state before the caller's test of what it waits for. Pairs with thread_wake().
	 */
	smp_mb();
}

void thread_cancel_sleep(void)
{
	WRITE_ONCE(current->state, THREAD_RUNNABLE);
}

/* Queues t on rq, which is locked; true if that CPU must look at its queue now. */
static bool enqueue_woken(struct runqueue *rq, struct thread *t)
{
	bool first = t->slice > 0;

	if (!first)
		t->slice = slice_cycles();
	rq_enqueue(rq, t, first);
	if (!rq->curr || (!first && rq->curr != rq->idle))
		return false;
	WRITE_ONCE(rq->curr->need_resched, true);
	return true;
}

static bool wake_irqoff(struct thread *t)
{
	struct runqueue *home, *to;
	bool woken, kick = false;

	for (;;) {
		home = cpu_rq(READ_ONCE(t->cpu));
		to = cpu_rq(sched_select_cpu(t));
		rq_lock_two(home, to);
		if (t->cpu == home->cpu && sched_may_queue(t, to->cpu))
			break;
		rq_unlock_two(home, to);
	}
	woken = READ_ONCE(t->state) == THREAD_SLEEPING; /* t itself changes it without a lock */
	if (woken) {
		WRITE_ONCE(t->state, THREAD_RUNNABLE);
		if (!t->on_rq && !t->on_cpu)
			kick = enqueue_woken(to, t);
	}
	rq_unlock_two(home, to);
	if (kick)
		send_resched(to->cpu);
	return woken;
}

bool thread_wake(struct thread *t)
{
	/*
	 * Orders what the caller changed before the load of the state: a sleeper that is not seen
	 * sleeping here sees the change. Pairs with thread_prepare_sleep().
	 */
	smp_mb();
	if (READ_ONCE(t->state) != THREAD_SLEEPING)
		return false;
	bool on = local_irq_save();
	bool woken = wake_irqoff(t);

	local_irq_restore(on);
	if (on && unlikely(READ_ONCE(current->need_resched)) && current->preempt_count == 0)
		preempt_schedule();
	return woken;
}

/* ---- The switch --------------------------------------------------------------------------- */

/* Charges the running thread for its time since it was charged last. rq->lock held. */
static void account(struct thread *t)
{
	u64 now = arch_cycles();
	u64 ran = now - t->switched_in;

	t->run_time += ran;
	t->slice -= (s64)ran;
	t->switched_in = now;
}

/*
 * prev may run, but not on this CPU, and nobody can queue it elsewhere while this CPU is on its
 * stack. So it sleeps, and finish_switch() wakes it up, which places it. The reference: somebody
 * else may wake it in between, and it may end.
 */
static void set_misplaced(struct runqueue *rq, struct thread *prev)
{
	WRITE_ONCE(prev->state, THREAD_SLEEPING);
	thread_get(prev);
	rq->misplaced = prev;
}

static void requeue(struct runqueue *rq, struct thread *prev)
{
	bool first = prev->slice > 0;

	if (!first)
		prev->slice = slice_cycles();
	rq_enqueue(rq, prev, first);
}

/*
 * Decides what becomes of prev and who is next. rq->lock held. A CPU that goes down runs its idle
 * thread alone; what waits in its queue is moved, or waits for it to come back.
 */
static struct thread *pick_next(struct runqueue *rq, struct thread *prev, bool preempt)
{
	bool asked = prev->need_resched, active = sched_cpu_active(rq->cpu);
	bool goes_on = prev != rq->idle &&
		       (prev->state == THREAD_RUNNABLE || (preempt && prev->state != THREAD_DEAD));

	WRITE_ONCE(prev->need_resched, false);
	if (goes_on && !(active && cpumask_has(prev->allowed, rq->cpu))) {
		set_misplaced(rq, prev);
		goes_on = false;
	}
	if (!active)
		return rq->idle;
	if (goes_on && !asked && prev->slice > 0)
		return prev;
	if (list_empty(&rq->queue)) {
		if (goes_on && prev->slice <= 0)
			prev->slice = slice_cycles();
		return goes_on ? prev : rq->idle;
	}
	struct thread *next = list_first_entry(&rq->queue, struct thread, rq_node);

	rq_dequeue(rq, next);
	if (goes_on)
		requeue(rq, prev);
	return next;
}

/*
 * Loads next's address space. A thread without one goes on with what is loaded: it borrows it, with
 * a reference of its own if prev keeps its reference as a user, with prev's borrowed one otherwise.
 * rq->lock held, irqs off.
 */
static void switch_address_space(struct runqueue *rq, struct thread *prev, struct thread *next)
{
	struct mm *loaded = prev->active_mm;

	if (!next->mm) {
		next->active_mm = loaded;
		if (prev->mm) {
			mmgrab(loaded);
			switch_mm(loaded, NULL);
		} else {
			prev->active_mm = NULL;
		}
		return;
	}
	if (!prev->mm && loaded == next->mm)
		mm_leave_lazy(next->mm);
	else
		switch_mm(loaded, next->mm);
	if (!prev->mm) {
		/* A2: the reference goes in finish_switch(), when next's root is loaded. */
		rq->drop_mm = loaded;
		prev->active_mm = NULL;
	}
}

/*
 * The second half of a switch, on next's stack. prev ran before, and is saved now: the unlock
 * orders that before whoever takes the lock next, in sched_lock_home() or rq_lock_two().
 */
static void finish_switch(struct thread *prev)
{
	struct runqueue *rq = this_rq();
	struct mm *mm = rq->drop_mm;
	struct thread *misplaced = rq->misplaced;
	bool dead = prev->state == THREAD_DEAD;

	rq->drop_mm = NULL;
	rq->misplaced = NULL;
	/*
	 * Orders the saved registers before on_cpu, for those who read it without the lock. Pairs
	 * with the acquire of on_cpu in backtraces.
	 */
	smp_store_release(&prev->on_cpu, false);
	raw_spin_unlock(&rq->lock);
	/* From here prev may run elsewhere, or be gone. */
	if (mm)
		mmdrop(mm);
	if (misplaced) {
		thread_wake(misplaced);
		thread_put(misplaced);
	}
	if (dead)
		thread_reap(prev);
}

static void switch_to(struct runqueue *rq, struct thread *prev, struct thread *next)
{
	next->on_cpu = true;
	next->switched_in = prev->switched_in; /* now: account() has run */
	next->switches++;
	rq->switches++;
	WRITE_ONCE(rq->curr, next);
	switch_address_space(rq, prev, next);
	finish_switch(arch_context_switch(prev, next));
}

/*
 * One pass: a quiescent state for RCU [R1], then perhaps a switch. preempt: the thread did not ask
 * for it, so it goes on whatever its state. irqs off.
 */
static void pass(bool preempt)
{
	struct thread *prev = current;
	struct runqueue *rq = this_rq();

	/*
	 * R2: a thread that counts as a reader must not come here. Idle threads hold one count
	 * always.
	 */
	if (unlikely(prev->preempt_count != (prev == rq->idle ? PREEMPT_ONE : 0)))
		panic("schedule() by %s with preemption off: count %#x", prev->name,
		      prev->preempt_count);
	count_pause(true);
	rcu_note_context_switch();
	raw_spin_lock(&rq->lock);
	WRITE_ONCE(rq->passes, rq->passes + 1);
	account(prev);
	struct thread *next = pick_next(rq, prev, preempt);

	if (next != prev)
		switch_to(rq, prev, next);
	else
		raw_spin_unlock(&rq->lock);
	count_pause(false);
}

/*
 * A pass with access to user memory closed meanwhile; the state of access is the thread's. irqs
 * off.
 */
static void pass_closed(bool preempt)
{
	if (current->user_access)
		arch_user_access_end();
	pass(preempt);
	if (current->user_access)
		arch_user_access_begin();
}

void schedule(void)
{
	bool on = local_irq_save();

	pass_closed(false);
	local_irq_restore(on);
}

void preempt_schedule(void)
{
	while (!irqs_disabled() && READ_ONCE(current->need_resched)) {
		local_irq_disable();
		pass_closed(true);
		local_irq_enable();
	}
}

void preempt_schedule_irq(void)
{
	/* The trap entry closed user access, and its exit restores it. */
	while (READ_ONCE(current->need_resched))
		pass(true);
}

__noreturn void thread_start(struct thread *prev)
{
	finish_switch(prev);
	local_irq_enable();
	current->fn(current->arg);
	thread_exit();
}

void thread_yield(void)
{
	might_sleep();
	bool on = local_irq_save();

	current->slice = 0; /* to the end of the queue */
	pass_closed(false);
	local_irq_restore(on);
}

void cond_resched(void)
{
	if (READ_ONCE(current->need_resched) && preemptible())
		schedule();
}

/* ---- Where a thread may run --------------------------------------------------------------- */

static void set_allowed_current(struct thread *t, cpumask_t allowed)
{
	bool on = local_irq_save();
	struct runqueue *rq = sched_lock_home(t);

	t->allowed = allowed;
	if (!(allowed & READ_ONCE(cpu_active_mask)))
		sched_fall_back(t);
	raw_spin_unlock(&rq->lock);
	pass_closed(true); /* the pass finds it misplaced, if it is, and sees that it moves */
	local_irq_restore(on);
}

void sched_move_queued(struct thread *t)
{
	bool on = local_irq_save();
	struct runqueue *home = cpu_rq(READ_ONCE(t->cpu));
	struct runqueue *to = cpu_rq(sched_select_cpu(t));
	bool kick = false;

	/* Its home may have changed until both are locked: the caller looks again. */
	rq_lock_two(home, to);
	if (t->cpu == home->cpu && t->on_rq && sched_may_queue(t, to->cpu)) {
		rq_dequeue(home, t);
		kick = enqueue_woken(to, t);
	}
	rq_unlock_two(home, to);
	if (kick)
		send_resched(to->cpu);
	local_irq_restore(on);
}

void thread_set_allowed(struct thread *t, cpumask_t allowed)
{
	might_sleep();
	BUG_ON(!(allowed & cpu_possible_mask));
	if (t == current) {
		set_allowed_current(t, allowed);
		return;
	}
	for (;;) {
		bool on = local_irq_save();
		struct runqueue *home = sched_lock_home(t);
		unsigned int cpu = home->cpu;

		t->allowed = allowed;
		bool misplaced = !sched_may_queue(t, cpu);
		bool queued = misplaced && t->on_rq, running = misplaced && t->on_cpu;

		raw_spin_unlock(&home->lock);
		local_irq_restore(on);
		if (running)
			sched_kick(cpu); /* its next pass finds it misplaced */
		if (!queued)
			return;
		sched_move_queued(t);
	}
}

/* ---- Tick, hints, statistics --------------------------------------------------------------- */

void sched_tick(struct trap_frame *tf)
{
	struct runqueue *rq = this_rq();
	struct thread *t = current;

	raw_spin_lock(&rq->lock);
	account(t);
	/*
	 * Also when nobody waits: a pass is a quiescent state, and shows the watchdog that t can
	 * switch.
	 */
	if (t->slice <= 0 && t != rq->idle)
		WRITE_ONCE(t->need_resched, true);
	raw_spin_unlock(&rq->lock);
	rcu_tick();
	sched_balance_tick(rq);
	watchdog_tick(tf);
}

void sched_assert_may_sleep(const char *file, int line)
{
	if (unlikely(!preemptible()) && sched_running())
		lock_report_sleep(file, line);
}

bool sched_cpu_idle(unsigned int cpu)
{
	struct runqueue *rq = cpu_rq(cpu);

	return READ_ONCE(rq->curr) == rq->idle;
}

struct thread *sched_cpu_current(unsigned int cpu)
{
	return READ_ONCE(cpu_rq(cpu)->curr);
}

u64 sched_switches(unsigned int cpu)
{
	return READ_ONCE(cpu_rq(cpu)->switches);
}

u64 sched_passes(unsigned int cpu)
{
	return READ_ONCE(cpu_rq(cpu)->passes);
}

void sched_init(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct runqueue *rq = cpu_rq(cpu);

		rq->cpu = cpu;
		spin_lock_init(&rq->lock);
		list_init(&rq->queue);
	}
	cpu_rq(0)->idle = &init_thread;
	cpu_rq(0)->curr = &init_thread;
	init_thread.switched_in = arch_cycles();
	thread_list_add(&init_thread);
}
