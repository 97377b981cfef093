// SPDX-License-Identifier: MIT
/*
 * RCU-sched: grace periods for readers that cannot be switched out.
 *
 * Terms. A reader is a stretch of code with preemption or interrupts off. A quiescent state of a
 * CPU is a moment at which it runs no reader: a context switch, idle, or an interrupt that finds a
 * preemptible thread. A grace period has ended when each CPU has had one that began after it began.
 * Why. A walker in a table that was just unhooked is such a reader; the table may be freed when the
 * readers that could have found it have left, and RCU tells the freer when without asking them.
 * Rules: R1, R2, R3, R4. Locks: gp.lock > a wait queue > a run queue, all with irqs off.
 * See also: rcu_callback.c (what waits for a period without a thread), hotplug.c,
 * docs/lifetime.md, tests/test_rcu.c.
 *
 * Why no grace-period thread is needed. Beginning a period is one store; each CPU reports for
 * itself, and the last one to report ends the period and begins the next if somebody waits for one:
 *
 *   CPU 0 (freer)          CPU 1 (reader)               CPU 2 (idle)
 *   unhook table           irqs off, reads entry        watching = even
 *   call_rcu: seq 0 -> 1   ...                          .
 *   waiting = {0,1,2}      follows it                   .
 *   sees CPU 2 even:       irqs on                      .        (nobody wakes it)
 *     waiting = {0,1}      tick: preemptible, so
 *   switches: {1}            clears its bit: {}  -> last: seq 1 -> 2, wakes waiters
 *
 * The race that idle makes: CPU 2 goes idle just as the period begins. Either the beginner sees its
 * even count, or CPU 2, after making it even, sees its bit and clears it itself:
 *
 *   beginner                              CPU 2
 *   waiting = all                         watching++ (even)
 *   smp_mb()                              full barrier of the RMW
 *   reads watching of CPU 2               reads waiting
 *
 * A CPU that goes down does the same for the last time, and stays even. It is in gp.cpus for a
 * while still, which harms nobody.
 */
#include "rcu.h"

#include <inject.h>
#include <irqflags.h>
#include <lockdep.h>
#include <mutex.h>
#include <oracle.h>
#include <percpu.h>
#include <printk.h>
#include <rules.h>
#include <smp.h>
#include <spinlock.h>
#include <time.h>
#include <trace.h>
#include <wait.h>

/*
 * Even: no grace period under way; odd: one is. The lowest even value that is after a full period
 * from now on is rcu_seq_snap()'s answer.
 */
static struct {
	spinlock_t lock;
	u64 seq;	   /* written under lock, read by anybody */
	u64 wanted;	   /* periods have to go on until seq reaches this; lock; hint to others */
	u64 hurry;	   /* up to here they are driven by IPIs; lock */
	u64 hurried;	   /* how often that was asked for; lock */
	cpumask_t waiting; /* CPUs that owe a quiescent state; bits are cleared atomically */
	cpumask_t cpus;	   /* that are up; lock */
	u64 started;	   /* time_ns() */
	u64 longest;
	wait_queue_head_t wq;
} gp = { .lock = SPINLOCK_INIT, .wq = WAIT_QUEUE_INIT(gp.wq) };

/* About what two context switches and a wake-up take on a machine of today. */
#define EXP_SPIN_NS 5000

/* The expedited side: one period at a time, under the mutex. */
static struct {
	struct mutex mutex;
	u64 seq; /* odd while one is under way; written under mutex */
	cpumask_t waiting;
	wait_queue_head_t wq;
} ex = { .mutex = MUTEX_INIT(ex.mutex), .wq = WAIT_QUEUE_INIT(ex.wq) };

struct rcu_cpu {
	/* This CPU writes, with a full barrier; others read. Even: idle or down, so no reader. */
	u64 watching;
	bool irq_from_idle; /* this CPU, irqs off */
};
static DEFINE_PER_CPU(struct rcu_cpu, rcu_cpu);

/* ---- Sequence numbers ------------------------------------------------------------------ */

static u64 seq_snap(u64 seq)
{
	/* R3: a period under way may have begun before the caller's stores: it does not count. */
	if (!rule(RCU_NEXT_PERIOD))
		return (seq + 2) & ~1ULL;
	return (seq + 3) & ~1ULL;
}

u64 rcu_seq_snap(void)
{
	/* Orders the caller's unhooking before the load of seq. Pairs with gp_begin(). */
	smp_mb();
	return seq_snap(READ_ONCE(gp.seq));
}

bool rcu_seq_done(u64 snap)
{
	/*
	 * Orders the period's end before what the caller frees next. Pairs with gp_end(), and
	 * through the fetch_and() in report() with every reader's last access.
	 */
	return smp_load_acquire(&gp.seq) >= snap;
}

/* ---- Beginning and ending a period ------------------------------------------------------- */

static bool cpu_watching(unsigned int cpu)
{
	return READ_ONCE(per_cpu(rcu_cpu, cpu).watching) & 1;
}

/* The CPUs of mask that are idle, so quiescent now. Any later reader there begins after this. */
static cpumask_t idle_cpus(cpumask_t mask)
{
	cpumask_t idle = 0;
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		if (!cpu_watching(cpu))
			idle |= cpumask_of(cpu);
	return idle;
}

static void gp_end(void);

/* Has the CPUs of mask report now, if somebody is in a hurry. gp.lock held. */
static void gp_push(cpumask_t mask)
{
	if (gp.seq < gp.hurry)
		smp_send(mask & ~cpumask_of(smp_processor_id()), IPI_RCU_EXP);
}

/* gp.lock held, no period under way. */
static void gp_begin(void)
{
	cpumask_t all = rule(RCU_ALL_CPUS) ? gp.cpus : cpumask_of(smp_processor_id());

	gp.started = time_ns();
	WRITE_ONCE(gp.seq, gp.seq + 1);
	WRITE_ONCE(gp.waiting, all);
	/*
	 * Orders every unhooking before this period, and the store of waiting, before the loads of
	 * `watching` that follow. Pairs with rcu_seq_snap(), rcu_idle_enter() and
	 * rcu_idle_exit(): a CPU seen idle either is a reader only later and then sees the
	 * unhooking, or sees its bit.
	 */
	smp_mb();
	cpumask_t idle = idle_cpus(all);
	cpumask_t owed = fetch_and(&gp.waiting, ~idle);

	/* Else somebody's report ends it, or has, and waits for the lock. */
	trace(GP_BEGIN, 0, gp.seq, all & ~idle);
	if (owed && !(owed & ~idle))
		gp_end();
	else
		gp_push(owed & ~idle);
}

/* gp.lock held, nobody is waited for any more. */
static void gp_end(void)
{
	u64 age = time_ns() - gp.started;

	if (age > gp.longest)
		gp.longest = age;
	/* Orders the reports before the new seq. Pairs with rcu_seq_done() and report(). */
	smp_store_release(&gp.seq, gp.seq + 1);
	trace(GP_END, 0, gp.seq, 0);
	wake_up_all(&gp.wq);
}

/* Begins periods while some are wanted. gp.lock held. */
static void gp_advance(void)
{
	while (!(gp.seq & 1) && gp.seq < gp.wanted)
		gp_begin();
}

u64 rcu_gp_request(void)
{
	u64 asked = rcu_seq_snap();

	/* They are coming already: where many CPUs ask at once, only the first needs the lock. */
	if (READ_ONCE(gp.wanted) >= asked)
		return asked;
	/* gp.lock orders the caller's unhooking before the load of seq. */
	bool on = spin_lock_irqsave(&gp.lock);
	u64 snap = seq_snap(gp.seq);

	if (gp.wanted < snap)
		WRITE_ONCE(gp.wanted, snap);
	gp_advance();
	spin_unlock_irqrestore(&gp.lock, on);
	return snap;
}

/*
 * Clears this CPU's bit in the normal mask; the last one to do so ends the period. True: it began
 * the next, and somebody is in a hurry.
 */
static bool report_normal(cpumask_t me)
{
	inject_delay(QS);
	trace(QUIESCENT, 0, READ_ONCE(gp.seq), 0); /* before: the period may be over behind it */
	if (fetch_and(&gp.waiting, ~me) != me)
		return false;
	bool on = spin_lock_irqsave(&gp.lock);

	gp_end();
	gp_advance();
	bool hurry = gp.seq < gp.hurry;

	spin_unlock_irqrestore(&gp.lock, on);
	return hurry;
}

/*
 * This CPU has passed a quiescent state: clears its bit in the normal and the expedited mask. irqs
 * off. The RMWs are full barriers: they order every access of this CPU's earlier readers before the
 * clearing, which gp_end()'s release (and the expedited waiter's acquire) hand on to the freer; and
 * the clearing before later readers. Pairs with gp_end(), rcu_seq_done(),
 * synchronize_rcu_expedited(). Pairs with gup_chunk() in mm/gup.c.
 */
static void report(void)
{
	cpumask_t me = cpumask_of(smp_processor_id());

	/* Again for the next, if it began in there: no reader has run here since. */
	while (READ_ONCE(gp.waiting) & me && report_normal(me))
		;
	if (READ_ONCE(ex.waiting) & me && fetch_and(&ex.waiting, ~me) == me)
		wake_up_all(&ex.wq);
}

/* ---- Reports from the scheduler, idle and interrupts --------------------------------------- */

void rcu_note_context_switch(void)
{
	report();
}

void rcu_idle_enter(void)
{
	/* Full barrier: its readers, then "idle". Pairs with gp_begin() and exp_begin(). */
	fetch_add(&this_cpu(rcu_cpu).watching, 1);
	report();
}

void rcu_idle_exit(void)
{
	/* Full barrier: "not idle", then its readers. Pairs with gp_begin() and exp_begin(). */
	fetch_add(&this_cpu(rcu_cpu).watching, 1);
}

void rcu_irq_enter(void)
{
	struct rcu_cpu *rc = this_cpu_ptr(&rcu_cpu);

	/* Else a reader in the handler would not be waited for. [R4] */
	rc->irq_from_idle = !(rc->watching & 1) && rule(RCU_IRQ_FROM_IDLE);
	if (rc->irq_from_idle)
		rcu_idle_exit();
}

void rcu_irq_exit(void)
{
	struct rcu_cpu *rc = this_cpu_ptr(&rcu_cpu);

	if (!rc->irq_from_idle)
		return;
	rc->irq_from_idle = false;
	rcu_idle_enter();
}

/*
 * Whether the context that this interrupt stopped is outside every reader: it had interrupts on, or
 * the interrupt would not be here, so preemption decides [R2]. A walk with interrupts off keeps the
 * interrupt away. Pairs with gup_chunk() in mm/gup.c.
 */
static bool interrupted_quiescent(void)
{
	if (!rule(RCU_OFF_IS_READER))
		return true;
	return this_cpu(rcu_cpu).irq_from_idle || current->preempt_count == HARDIRQ_ONE;
}

/* Reports for the interrupted context, or sees to it that its reader reports when it ends. */
static void report_from_irq(void)
{
	if (interrupted_quiescent())
		report();
	else
		WRITE_ONCE(current->need_resched, true); /* preempt_enable() will see it */
}

void rcu_exp_ipi(void)
{
	if ((READ_ONCE(gp.waiting) | READ_ONCE(ex.waiting)) & cpumask_of(smp_processor_id()))
		report_from_irq();
}

void rcu_tick(void)
{
	cpumask_t me = cpumask_of(smp_processor_id());

	if ((READ_ONCE(gp.waiting) | READ_ONCE(ex.waiting)) & me)
		report_from_irq();
	rcu_callback_tick();
}

/* ---- Waiting ----------------------------------------------------------------------------- */

void synchronize_rcu(void)
{
	if (!lock_may_wait(__func__))
		return;
	might_sleep();
	u64 snap = rcu_gp_request();

	wait_event(gp.wq, rcu_seq_done(snap));
}

void rcu_expedite(unsigned int cpu)
{
	if (!lock_may_wait(__func__))
		return;
	might_sleep();
	u64 snap = rcu_gp_request();
	bool on = spin_lock_irqsave(&gp.lock);

	gp.hurry = max(gp.hurry, snap);
	gp.hurried++;
	if (gp.seq & 1)
		gp_push(READ_ONCE(gp.waiting));
	spin_unlock_irqrestore(&gp.lock, on);
	wait_event(gp.wq, rcu_seq_done(snap));
	rcu_callback_kick(cpu);
}

/* Takes the CPUs that are quiescent off the mask, and sends an IPI to the others. */
static void exp_begin(void)
{
	preempt_disable();
	cpumask_t all = READ_ONCE(gp.cpus);

	WRITE_ONCE(ex.waiting, all);
	/*
	 * Orders every unhooking before this period, and the store of waiting, before the loads of
	 * `watching`. Pairs with rcu_idle_enter(), rcu_idle_exit(), synchronize_rcu_expedited().
	 */
	smp_mb();
	/* The caller could be preempted until just now, so its CPU has no reader from before. */
	cpumask_t quiet = idle_cpus(all) | cpumask_of(smp_processor_id());

	fetch_and(&ex.waiting, ~quiet);
	trace(EXP_BEGIN, 0, ex.seq, all & ~quiet);
	smp_send(all & ~quiet, IPI_RCU_EXP);
	preempt_enable();
}

/*
 * Whether all have answered soon. An interrupt is answered in less time than it takes to go to
 * sleep and be woken, unless it has to wait for a reader. Who waits for as long as sleeping takes,
 * and sleeps then, loses at most as much again (Karlin, Manasse, McGeoch, Owicki: Competitive
 * Randomized Algorithms for Nonuniform Problems, 1994).
 */
static bool answered_soon(void)
{
	u64 until = time_ns() + EXP_SPIN_NS;

	if (inject(IMPATIENT))
		return false;
	while (smp_load_acquire(&ex.waiting) != 0) {
		if (time_ns() >= until)
			return false;
		cpu_relax();
	}
	return true;
}

void synchronize_rcu_expedited(void)
{
	if (!lock_may_wait(__func__))
		return;
	might_sleep();
	/* The unhooking, then the load of seq: a later period counts. Pairs with exp_begin(). */
	smp_mb();
	u64 snap = (READ_ONCE(ex.seq) + 3) & ~1ULL;

	mutex_lock(&ex.mutex);
	if (ex.seq < snap) {
		WRITE_ONCE(ex.seq, ex.seq + 1);
		exp_begin();
		/*
		 * The acquire, in either, orders every CPU's last reader before what the caller
		 * frees. Pairs with the fetch_and() in report().
		 */
		if (!answered_soon())
			wait_event(ex.wq, smp_load_acquire(&ex.waiting) == 0);
		WRITE_ONCE(ex.seq, ex.seq + 1);
		trace(EXP_END, 0, ex.seq, 0);
	}
	mutex_unlock(&ex.mutex);
}

bool rcu_read_lock_held(void)
{
	return current->preempt_count != 0 || irqs_disabled();
}

/* ---- CPUs that come and go ---------------------------------------------------------------- */

void rcu_cpu_online(unsigned int cpu)
{
	/* gp.lock: readers here begin after any period that does not wait for this CPU. */
	bool on = spin_lock_irqsave(&gp.lock);

	WRITE_ONCE(gp.cpus, gp.cpus | cpumask_of(cpu));
	spin_unlock_irqrestore(&gp.lock, on);
	/* Its full barrier does the same for an expedited period, which reads cpus without lock. */
	rcu_idle_exit();
}

void rcu_cpu_dying(void)
{
	rcu_idle_enter();
}

void rcu_cpu_dead(unsigned int cpu)
{
	bool on = spin_lock_irqsave(&gp.lock);

	BUG_ON(cpu_watching(cpu));
	WRITE_ONCE(gp.cpus, gp.cpus & ~cpumask_of(cpu));
	spin_unlock_irqrestore(&gp.lock, on);
	rcu_callback_take_over(cpu);
}

/* ---- Start and statistics ---------------------------------------------------------------- */

void rcu_init(void)
{
	rcu_callback_init();
	rcu_cpu_online(0);
}

void rcu_get_stats(struct rcu_stats *s)
{
	unsigned int cpu;
	bool on = spin_lock_irqsave(&gp.lock);

	*s = (struct rcu_stats){
		.grace_periods = gp.seq / 2,
		.expedited = READ_ONCE(ex.seq) / 2,
		.hurried = gp.hurried,
		.waiting = READ_ONCE(gp.waiting),
		.longest_gp_ns = gp.longest,
		.gp_age_ns = gp.seq & 1 ? time_ns() - gp.started : 0,
	};
	spin_unlock_irqrestore(&gp.lock, on);
	for_each_possible_cpu(cpu) {
		struct rcu_callback_stats c = rcu_callback_get_stats(cpu);

		s->callbacks_queued += c.queued;
		s->callbacks_run += c.run;
	}
}

void rcu_print(void)
{
	struct rcu_stats s;
	unsigned int cpu;

	rcu_get_stats(&s);
	print_line("grace periods %llu, hurried %llu times, expedited %llu, longest %llu us",
		   (unsigned long long)s.grace_periods, (unsigned long long)s.hurried,
		   (unsigned long long)s.expedited,
		   (unsigned long long)(s.longest_gp_ns / NSEC_PER_USEC));
	if (s.gp_age_ns)
		print_line("one under way for %llu us, waiting for CPUs %#llx",
			   (unsigned long long)(s.gp_age_ns / NSEC_PER_USEC),
			   (unsigned long long)s.waiting);
	print_line("CPU  state  callbacks: queued        run    pending");
	for_each_online_cpu(cpu) {
		struct rcu_callback_stats c = rcu_callback_get_stats(cpu);

		print_line("%3u  %-5s  %17llu %10llu %10llu", cpu,
			   cpu_watching(cpu) ? "busy" : "idle", (unsigned long long)c.queued,
			   (unsigned long long)c.run, (unsigned long long)c.pending);
	}
}
