// SPDX-License-Identifier: MIT
/*
 * RCU-sched: grace periods for readers that cannot be switched out.
 *
 * Terms. A reader is a stretch of code with preemption or interrupts off. A quiescent state of a
 * CPU is a moment at which it runs no reader: a context switch, idle, or an interrupt that finds a
 * preemptible thread. A grace period has ended when each CPU has had one that began after it began.
 * Why. A walker in a table that was just unhooked is such a reader; the table may be freed when the
 * readers that could have found it have left, and RCU tells the freer when without asking them.
 * Rules: R1, R2, R3. Locks: gp.lock > a wait queue > a run queue; rcu_cpu.lock is never held
 * together with gp.lock; all with irqs off. See also: docs/lifetime.md, tests/test_rcu.c.
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
 */
#include <irqflags.h>
#include <mutex.h>
#include <percpu.h>
#include <printk.h>
#include <rcu.h>
#include <rules.h>
#include <smp.h>
#include <spinlock.h>
#include <time.h>
#include <wait.h>

/*
 * Even: no grace period under way; odd: one is. The lowest even value that is after a full period
 * from now on is rcu_seq_snap()'s answer.
 */
static struct {
	spinlock_t lock;
	u64 seq;	   /* written under lock, read by anybody */
	u64 wanted;	   /* periods have to go on until seq reaches this; lock */
	cpumask_t waiting; /* CPUs that owe a quiescent state; bits are cleared atomically */
	cpumask_t cpus;	   /* that ever came online; lock */
	u64 started;	   /* time_ns() */
	u64 longest;
	wait_queue_head_t wq;
} gp = { .lock = SPINLOCK_INIT, .wq = WAIT_QUEUE_INIT(gp.wq) };

/* The expedited side: one period at a time, under the mutex. */
static struct {
	struct mutex mutex;
	u64 seq; /* odd while one is under way; written under mutex */
	cpumask_t waiting;
	wait_queue_head_t wq;
} ex = { .mutex = MUTEX_INIT(ex.mutex), .wq = WAIT_QUEUE_INIT(ex.wq) };

/* A queue of callbacks that all wait for the same grace period. */
struct cb_list {
	struct rcu_head *head, **tail;
	u64 seq;
};

/* To run now; after the period that WAIT.seq names; after the next. */
enum { CB_DONE, CB_WAIT, CB_NEXT, NR_CB };

struct rcu_cpu {
	/* This CPU writes, with a full barrier; everybody reads. Even: idle, no reader. */
	u64 watching;
	bool irq_from_idle; /* this CPU, irqs off */

	spinlock_t lock;
	struct cb_list cbs[NR_CB];
	u64 pending; /* queued and not yet run through; lock */
	u64 queued, run;
	wait_queue_head_t wq; /* of the callback thread */
	struct rcu_head barrier_head;
};
static DEFINE_PER_CPU(struct rcu_cpu, rcu_cpu) = { .watching = 1 };

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

/* gp.lock held, no period under way. */
static void gp_begin(void)
{
	cpumask_t all = rule(RCU_ALL_CPUS) ? gp.cpus : cpumask_of(smp_processor_id());

	gp.started = time_ns();
	WRITE_ONCE(gp.seq, gp.seq + 1);
	WRITE_ONCE(gp.waiting, all);
	/*
	 * Orders every unhooking before this period, and the store of waiting, before the loads of
	 * `watching` that follow. Pairs with the full barriers of rcu_idle_enter() and
	 * rcu_idle_exit(): a CPU seen idle either is a reader only later and then sees the
	 * unhooking, or sees its bit.
	 */
	smp_mb();
	cpumask_t idle = idle_cpus(all);
	cpumask_t owed = fetch_and(&gp.waiting, ~idle);

	/* Else somebody's report ends it, or has, and waits for the lock. */
	if (owed && !(owed & ~idle))
		gp_end();
}

/* gp.lock held, nobody is waited for any more. */
static void gp_end(void)
{
	u64 age = time_ns() - gp.started;

	if (age > gp.longest)
		gp.longest = age;
	/* Orders every CPU's report before the new seq. Pairs with rcu_seq_done(). */
	smp_store_release(&gp.seq, gp.seq + 1);
	wake_up_all(&gp.wq);
}

/* Begins periods while some are wanted. gp.lock held. */
static void gp_advance(void)
{
	while (!(gp.seq & 1) && gp.seq < gp.wanted)
		gp_begin();
}

/* Asks for grace periods up to one that begins after now; returns its number. */
static u64 gp_request(void)
{
	u64 asked = rcu_seq_snap();

	/* They are coming already: where many CPUs ask at once, only the first needs the lock. */
	if (READ_ONCE(gp.wanted) >= asked)
		return asked;
	/* gp.lock orders the caller's unhooking before the load of seq. */
	bool on = spin_lock_irqsave(&gp.lock);
	u64 snap = seq_snap(gp.seq);

	if (gp.wanted < snap)
		gp.wanted = snap;
	gp_advance();
	spin_unlock_irqrestore(&gp.lock, on);
	return snap;
}

/*
 * This CPU has passed a quiescent state: clears its bit in the normal and the expedited mask. irqs
 * off. The RMWs are full barriers: they order every access of this CPU's earlier readers before the
 * clearing, which gp_end()'s release (and the expedited waiter's acquire) hand on to the freer; and
 * the clearing before later readers. Pairs with gp_end() and synchronize_rcu_expedited().
 */
static void report(void)
{
	cpumask_t me = cpumask_of(smp_processor_id());

	if (READ_ONCE(gp.waiting) & me && fetch_and(&gp.waiting, ~me) == me) {
		bool on = spin_lock_irqsave(&gp.lock);

		gp_end();
		gp_advance();
		spin_unlock_irqrestore(&gp.lock, on);
	}
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
	/* Full barrier: orders this CPU's readers before "idle". Pairs with gp_begin(). */
	fetch_add(&this_cpu(rcu_cpu).watching, 1);
	report();
}

void rcu_idle_exit(void)
{
	/* Full barrier: orders "not idle" before this CPU's readers. Pairs with gp_begin(). */
	fetch_add(&this_cpu(rcu_cpu).watching, 1);
}

void rcu_irq_enter(void)
{
	struct rcu_cpu *rc = this_cpu_ptr(&rcu_cpu);

	rc->irq_from_idle = !(rc->watching & 1);
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
	if (READ_ONCE(ex.waiting) & cpumask_of(smp_processor_id()))
		report_from_irq();
}

/* ---- Callbacks --------------------------------------------------------------------------- */

static void cb_list_init(struct cb_list *l)
{
	l->head = NULL;
	l->tail = &l->head;
}

static void cb_append(struct cb_list *l, struct rcu_head *head)
{
	head->next = NULL;
	*l->tail = head;
	l->tail = &head->next;
}

static void cb_splice(struct cb_list *from, struct cb_list *to)
{
	if (!from->head)
		return;
	*to->tail = from->head;
	to->tail = from->tail;
	cb_list_init(from);
}

/* Moves callbacks whose period has ended to DONE. rc->lock held. */
static void cb_advance(struct rcu_cpu *rc)
{
	while (rc->cbs[CB_WAIT].head && rcu_seq_done(rc->cbs[CB_WAIT].seq)) {
		cb_splice(&rc->cbs[CB_WAIT], &rc->cbs[CB_DONE]);
		rc->cbs[CB_WAIT].seq = rc->cbs[CB_NEXT].seq;
		cb_splice(&rc->cbs[CB_NEXT], &rc->cbs[CB_WAIT]);
	}
}

/*
 * Two waiting segments are enough: while a callback waits for period S, seq is S - 3 at least, so
 * no snapshot can be above S + 2.
 */
static void cb_enqueue(struct rcu_cpu *rc, struct rcu_head *head, u64 snap)
{
	cb_advance(rc);
	struct cb_list *l = &rc->cbs[CB_WAIT];

	if (l->head && l->seq < snap) {
		l = &rc->cbs[CB_NEXT];
		BUG_ON_RULE(RCU_NEXT_PERIOD, l->head && l->seq > snap);
	}
	if (!l->head || l->seq < snap)
		l->seq = snap;
	cb_append(l, head);
	rc->pending++;
	rc->queued++;
}

static void call_rcu_on(unsigned int cpu, struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	struct rcu_cpu *rc = per_cpu_ptr(&rcu_cpu, cpu);

	head->fn = fn;
	u64 snap = gp_request();
	bool on = spin_lock_irqsave(&rc->lock);

	cb_enqueue(rc, head, snap);
	spin_unlock_irqrestore(&rc->lock, on);
}

void call_rcu(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
	preempt_disable();
	call_rcu_on(smp_processor_id(), head, fn);
	preempt_enable();
}

/* Takes one finished callback, or NULL. */
static struct rcu_head *cb_take(struct rcu_cpu *rc)
{
	bool on = spin_lock_irqsave(&rc->lock);
	struct cb_list *done = &rc->cbs[CB_DONE];

	cb_advance(rc);
	struct rcu_head *head = done->head;

	if (head) {
		done->head = head->next;
		if (!done->head)
			cb_list_init(done);
	}
	spin_unlock_irqrestore(&rc->lock, on);
	return head;
}

static void cb_run(struct rcu_cpu *rc, struct rcu_head *head)
{
	head->fn(head);
	bool on = spin_lock_irqsave(&rc->lock);

	rc->pending--;
	rc->run++;
	spin_unlock_irqrestore(&rc->lock, on);
}

static bool cb_ready(struct rcu_cpu *rc)
{
	/* Hints without the lock: the tick asks again, and cb_take() looks under it. */
	return READ_ONCE(rc->cbs[CB_DONE].head) ||
	       (READ_ONCE(rc->cbs[CB_WAIT].head) && rcu_seq_done(READ_ONCE(rc->cbs[CB_WAIT].seq)));
}

/* One a CPU, pinned to it. */
static void cb_thread(void *arg)
{
	struct rcu_cpu *rc = arg;

	for (;;) {
		struct rcu_head *head;

		wait_event(rc->wq, cb_ready(rc));
		while ((head = cb_take(rc))) {
			cb_run(rc, head);
			cond_resched();
		}
	}
}

void rcu_tick(void)
{
	struct rcu_cpu *rc = this_cpu_ptr(&rcu_cpu);
	cpumask_t me = cpumask_of(smp_processor_id());

	if ((READ_ONCE(gp.waiting) | READ_ONCE(ex.waiting)) & me)
		report_from_irq();
	if (cb_ready(rc))
		wake_up_all(&rc->wq);
}

bool rcu_needs_cpu(void)
{
	return READ_ONCE(this_cpu(rcu_cpu).pending) != 0;
}

/* ---- Waiting ----------------------------------------------------------------------------- */

void synchronize_rcu(void)
{
	might_sleep();
	u64 snap = gp_request();

	wait_event(gp.wq, rcu_seq_done(snap));
}

/* Takes the CPUs that are quiescent off the mask, and sends an IPI to the others. */
static void exp_begin(void)
{
	preempt_disable();
	cpumask_t all = READ_ONCE(gp.cpus);

	WRITE_ONCE(ex.waiting, all);
	/*
	 * Orders every unhooking before this period, and the store of waiting, before the loads of
	 * `watching`. Pairs with rcu_idle_enter() and rcu_idle_exit(), as in gp_begin().
	 */
	smp_mb();
	/* The caller could be preempted until just now, so its CPU has no reader from before. */
	cpumask_t quiet = idle_cpus(all) | cpumask_of(smp_processor_id());

	fetch_and(&ex.waiting, ~quiet);
	smp_send(all & ~quiet, IPI_RCU_EXP);
	preempt_enable();
}

void synchronize_rcu_expedited(void)
{
	might_sleep();
	/* Orders the caller's unhooking before the load of seq: a later period counts. */
	smp_mb();
	u64 snap = (READ_ONCE(ex.seq) + 3) & ~1ULL;

	mutex_lock(&ex.mutex);
	if (ex.seq < snap) {
		WRITE_ONCE(ex.seq, ex.seq + 1);
		exp_begin();
		/*
		 * The acquire orders every CPU's last reader before what the caller frees. Pairs
		 * with the fetch_and() in report().
		 */
		wait_event(ex.wq, smp_load_acquire(&ex.waiting) == 0);
		WRITE_ONCE(ex.seq, ex.seq + 1);
	}
	mutex_unlock(&ex.mutex);
}

static struct {
	struct mutex mutex;
	atomic_t count;
	struct completion done;
} barrier_state = { .mutex = MUTEX_INIT(barrier_state.mutex),
		    .done = COMPLETION_INIT(barrier_state.done) };

static void barrier_callback(struct rcu_head *head)
{
	if (atomic_dec_and_test(&barrier_state.count))
		complete(&barrier_state.done);
}

void rcu_barrier(void)
{
	unsigned int cpu;

	might_sleep();
	mutex_lock(&barrier_state.mutex);
	/*
	 * One for ourselves, so that the count cannot reach zero while callbacks are being queued.
	 */
	atomic_set(&barrier_state.count, 1);
	for_each_possible_cpu(cpu) {
		struct rcu_cpu *rc = per_cpu_ptr(&rcu_cpu, cpu);
		/* Under the lock, so that it sees every callback queued before this call. */
		bool on = spin_lock_irqsave(&rc->lock);
		bool busy = rc->pending != 0;

		spin_unlock_irqrestore(&rc->lock, on);
		if (!busy)
			continue;
		atomic_inc(&barrier_state.count);
		call_rcu_on(cpu, &rc->barrier_head, barrier_callback);
		sched_kick(cpu); /* it may just have gone idle with nothing to do: it has now */
	}
	if (!atomic_dec_and_test(&barrier_state.count))
		wait_for_completion(&barrier_state.done);
	mutex_unlock(&barrier_state.mutex);
}

bool rcu_read_lock_held(void)
{
	return current->preempt_count != 0 || irqs_disabled();
}

/* ---- Start and statistics ---------------------------------------------------------------- */

void rcu_cpu_online(unsigned int cpu)
{
	/* gp.lock: readers here begin after any period that does not wait for this CPU. */
	bool on = spin_lock_irqsave(&gp.lock);

	WRITE_ONCE(gp.cpus, gp.cpus | cpumask_of(cpu));
	spin_unlock_irqrestore(&gp.lock, on);
}

void rcu_init(void)
{
	unsigned int cpu, i;

	for_each_possible_cpu(cpu) {
		struct rcu_cpu *rc = per_cpu_ptr(&rcu_cpu, cpu);

		spin_lock_init(&rc->lock);
		wait_queue_init(&rc->wq);
		for (i = 0; i < NR_CB; i++)
			cb_list_init(&rc->cbs[i]);
	}
	rcu_cpu_online(0);
}

void rcu_init_threads(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (thread_spawn(cb_thread, per_cpu_ptr(&rcu_cpu, cpu), cpumask_of(cpu), "rcu/%u",
				 cpu) != 0)
			boot_fail("too little memory: no room for RCU's threads");
}

void rcu_get_stats(struct rcu_stats *s)
{
	unsigned int cpu;
	bool on = spin_lock_irqsave(&gp.lock);

	*s = (struct rcu_stats){
		.grace_periods = gp.seq / 2,
		.expedited = READ_ONCE(ex.seq) / 2,
		.waiting = READ_ONCE(gp.waiting),
		.longest_gp_ns = gp.longest,
		.gp_age_ns = gp.seq & 1 ? time_ns() - gp.started : 0,
	};
	spin_unlock_irqrestore(&gp.lock, on);
	for_each_possible_cpu(cpu) {
		s->callbacks_queued += READ_ONCE(per_cpu(rcu_cpu, cpu).queued);
		s->callbacks_run += READ_ONCE(per_cpu(rcu_cpu, cpu).run);
	}
}

void rcu_print(void)
{
	struct rcu_stats s;
	unsigned int cpu;

	rcu_get_stats(&s);
	print_line("grace periods %llu, expedited %llu, longest %llu us",
		   (unsigned long long)s.grace_periods, (unsigned long long)s.expedited,
		   (unsigned long long)(s.longest_gp_ns / NSEC_PER_USEC));
	if (s.gp_age_ns)
		print_line("one under way for %llu us, waiting for CPUs %#llx",
			   (unsigned long long)(s.gp_age_ns / NSEC_PER_USEC),
			   (unsigned long long)s.waiting);
	print_line("CPU  state  callbacks: queued        run    pending");
	for_each_online_cpu(cpu) {
		struct rcu_cpu *rc = per_cpu_ptr(&rcu_cpu, cpu);

		print_line("%3u  %-5s  %17llu %10llu %10llu", cpu,
			   cpu_watching(cpu) ? "busy" : "idle",
			   (unsigned long long)READ_ONCE(rc->queued),
			   (unsigned long long)READ_ONCE(rc->run),
			   (unsigned long long)READ_ONCE(rc->pending));
	}
}
