// SPDX-License-Identifier: MIT
/*
 * Interprocessor interrupts, calls on other CPUs, and starting the others.
 *
 * Terms. An IPI carries reasons, one bit each, in a word of the target's: the sender sets a bit,
 * and interrupts the target if the word was empty; the target takes all bits at once. A call is a
 * record in the target's list, with the reason IPI_CALL.
 * Why records belong to the sending CPU, one for each target: a call needs no memory then, so that
 * it works when there is none. A record is in use (seq != done) until the target has taken it, or
 * with wait until fn is done; other threads of the CPU wait for it. All waiting can be preempted if
 * the caller can, or a CPU that does not answer would take the caller's CPU with it.
 * An interrupt may be lost: an emulated or a broken controller forgets one now and then, and a bit
 * that stays set would keep every later sender from interrupting. So who waits for an answer
 * interrupts again every LATE_NS until the target has taken the bits: a lost interrupt costs time,
 * never a hang, and is counted and said. Reasons that nobody waits for are found by the tick, which
 * looks at all that they stand for.
 * Rules: T4 (asserted in smp_call_mask()). Locks: none; the lists are pushed to by
 * compare-exchange. A CPU that goes down closes its list in the same way: a call is either in the
 * list before that, and is run, or is refused.
 * See also: hotplug.c, tests/test_smp.c.
 *
 *   sender                                    target
 *   seq++, pushes the record
 *   fetch_or(reasons): was 0 -> interrupts    ---> handle_ipi()
 *   (was not 0: an interrupt is on its way,     xchg(reasons, 0)
 *    and takes this bit with it)                xchg(list, NULL), runs fn
 *   waits for done == seq              <---     done = seq (release)
 */
#include <bug.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <lockdep.h>
#include <oracle.h>
#include <printk.h>
#include <rcu.h>
#include <rules.h>
#include <smp.h>
#include <symbols.h>
#include <thread.h>
#include <time.h>
#include <trace.h>
#include <trap.h>

struct call {
	struct call *next;
	smp_call_fn fn;
	void *arg;
	bool wait;
	u32 seq;  /* counts uses; sending CPU with preemption off, while not in use */
	u32 done; /* the last use that is over; target */
};

/* What a thread that waits remembers of a use: the record may be in the next one by then. */
struct ticket {
	struct call *call;
	u32 seq;
};

/* What is asked for. */
struct request {
	smp_call_fn fn;
	void *arg;
	bool wait;
};

struct smp_cpu {
	/* Everybody. */
	u64 reasons;
	struct call *calls; /* newest first, or CLOSED */

	/* This CPU; others read. */
	u64 sent, taken, resent;

	struct call out[MAX_CPUS]; /* to each target */
};
static DEFINE_PER_CPU(struct smp_cpu, smp_cpu);

/* A CPU that has taken none for so long is interrupted again; that is said this far apart. */
#define LATE_NS (20 * NSEC_PER_MSEC)
#define LATE_REPORT_NS NSEC_PER_SEC

/* The list of a CPU that is down. */
static struct call closed;
#define CLOSED (&closed)

/* ---- Sending --------------------------------------------------------------------------------- */

/* A lost interrupt, on request. Never one of those that are sent when all else has failed. */
static bool lose(u64 reason)
{
	return !(reason & (IPI_BACKTRACE | IPI_STOP)) && inject(LOST_IPI);
}

void smp_send(cpumask_t mask, u64 reason)
{
	cpumask_t interrupt = 0;
	unsigned int cpu, nr = 0;
	bool on = local_irq_save(); /* for the counter, and so that bit and interrupt go together */

	/* A CPU that is not online might miss the interrupt and keep the bit for ever. */
	for_each_cpu(cpu, mask & READ_ONCE(cpu_online_mask)) {
		/*
		 * Full barrier: orders what the caller prepared (a call in the list) before the
		 * bit. Pairs with the xchg() of reasons in handle_ipi().
		 */
		if (fetch_or(&per_cpu(smp_cpu, cpu).reasons, reason) == 0) {
			interrupt |= cpumask_of(cpu);
			nr++;
		}
	}
	if (interrupt) {
		u64 *sent = &this_cpu(smp_cpu).sent;

		WRITE_ONCE(*sent, *sent + nr);
		if (!lose(reason))
			arch_send_ipi(interrupt);
	}
	local_irq_restore(on);
}

/* Interrupts cpu again if it has not taken what it was sent. Any context. */
static void send_again(unsigned int cpu)
{
	static u64 said_at;
	bool on = local_irq_save();
	bool again = READ_ONCE(per_cpu(smp_cpu, cpu).reasons) &&
		     cpumask_has(READ_ONCE(cpu_online_mask), cpu);

	if (again) {
		u64 *resent = &this_cpu(smp_cpu).resent;

		WRITE_ONCE(*resent, *resent + 1);
		arch_send_ipi(cpumask_of(cpu));
	}
	local_irq_restore(on);
	if (!again || (READ_ONCE(said_at) && time_ns() - READ_ONCE(said_at) < LATE_REPORT_NS))
		return;
	WRITE_ONCE(said_at, time_ns());
	printk("smp: CPU %u has not taken an interrupt for %llu ms: it is sent again", cpu,
	       LATE_NS / NSEC_PER_MSEC);
}

/* What a CPU that waits for another remembers of it. */
struct watch {
	u64 taken, since; /* interrupts that it had taken, and when that was: arch_cycles() */
};

/* One turn of a loop that waits for cpu. w: all zero at first. */
static void wait_turn(unsigned int cpu, struct watch *w)
{
	u64 taken = smp_ipis_taken(cpu), now = arch_cycles();

	cpu_relax();
	if (w->since && w->taken == taken && now - w->since < ns_to_cycles(LATE_NS))
		return;
	if (w->since && w->taken == taken) {
		count_pause(true);
		send_again(cpu);
		count_pause(false);
	}
	*w = (struct watch){ taken, now };
}

/* ---- Calls ----------------------------------------------------------------------------------- */

static struct call *reverse(struct call *c)
{
	struct call *first = NULL;

	while (c) {
		struct call *next = c->next;

		c->next = first;
		first = c;
		c = next;
	}
	return first;
}

static void run_call(struct call *c)
{
	smp_call_fn fn = c->fn;
	void *arg = c->arg;

	/*
	 * Release: orders the reading of the record, and with wait what fn did, before the end of
	 * the use. Pairs with call_try_push() and ticket_wait().
	 */
	if (c->wait) {
		fn(arg);
		smp_store_release(&c->done, c->seq);
	} else {
		smp_store_release(&c->done, c->seq);
		fn(arg);
	}
}

/* Runs the calls that others sent to this CPU, in the order they were sent. irqs off. */
static void run_calls(void)
{
	/* Full barrier: orders the taking before the reading. Pairs with call_try_push(). */
	struct call *c = reverse(xchg(&this_cpu(smp_cpu).calls, NULL));

	while (c) {
		struct call *next = c->next; /* the record may be used again once it is done */

		inject_delay(ACK);
		run_call(c);
		c = next;
	}
}

/*
 * Sends r to cpu by this CPU's record for it, which is done with at once if cpu is down; false if
 * the record is in use. Preemption off.
 */
static bool call_try_push(unsigned int cpu, const struct request *r, struct ticket *ticket)
{
	struct call **list = &per_cpu(smp_cpu, cpu).calls;
	struct call *old, *c = &this_cpu(smp_cpu).out[cpu];

	/*
	 * Acquire: orders the end of the last use before the writing below. Pairs with run_call().
	 */
	if (smp_load_acquire(&c->done) != c->seq)
		return false;
	c->fn = r->fn;
	c->arg = r->arg;
	c->wait = r->wait;
	c->seq++;
	*ticket = (struct ticket){ c, c->seq };
	do {
		old = READ_ONCE(*list);
		if (unlikely(old == CLOSED)) {
			WRITE_ONCE(c->done, c->seq);
			return true;
		}
		c->next = old;
		/*
		 * Full barrier: orders the record's contents before it is found, and before
		 * smp_send() reads who is online. Pairs with run_calls(), smp_close() and
		 * smp_open().
		 */
	} while (cmpxchg(list, old, c) != old);
	return true;
}

static void call_self(const struct request *r)
{
	bool on = local_irq_save();

	r->fn(r->arg);
	local_irq_restore(on);
}

/*
 * Sends r to those of mask whose record is free, and runs it here if this CPU is one; returns the
 * rest. Preemption is off from the first push to the interrupt: a record that is in use is on its
 * way.
 */
static cpumask_t send_calls(cpumask_t mask, const struct request *r, struct ticket *tickets)
{
	unsigned int cpu;
	cpumask_t sent = 0;

	preempt_disable();
	cpumask_t self = mask & cpumask_of(smp_processor_id());

	for_each_cpu(cpu, mask & ~self)
		if (call_try_push(cpu, r, &tickets[cpu]))
			sent |= cpumask_of(cpu);
	smp_send(sent, IPI_CALL);
	if (self)
		call_self(r);
	preempt_enable();
	return mask & ~(sent | self);
}

static void ticket_wait(unsigned int cpu, const struct ticket *t)
{
	struct watch w = { 0 };

	/* Acquire: orders what fn did before the caller's return. Pairs with run_call(). */
	while (t->call && (s32)(smp_load_acquire(&t->call->done) - t->seq) < 0)
		wait_turn(cpu, &w);
}

void smp_call_mask(cpumask_t mask, smp_call_fn fn, void *arg, bool wait)
{
	const struct request r = { fn, arg, wait };
	struct ticket tickets[MAX_CPUS];
	cpumask_t targets = mask & READ_ONCE(cpu_online_mask), left = targets;
	struct watch w = { 0 };
	unsigned int cpu;

	if (wait && (targets & ~cpumask_of(smp_processor_id())) && !lock_may_wait(__func__))
		return;
	BUG_ON(in_interrupt());
	BUG_ON_RULE(NO_WAIT_LOCKED, wait && irqs_disabled() &&
					    (targets & ~cpumask_of(smp_processor_id())));
	for_each_cpu(cpu, targets)
		tickets[cpu].call = NULL; /* stays so for the CPU on which it is run directly */
	while ((left = send_calls(left, &r, tickets))) {
		/*
		 * With irqs off two CPUs may wait here for each other, so each takes what it was
		 * sent.
		 */
		if (irqs_disabled())
			run_calls();
		wait_turn((unsigned int)__builtin_ctzll(left), &w);
	}
	if (!wait)
		return;
	for_each_cpu(cpu, targets)
		ticket_wait(cpu, &tickets[cpu]);
}

void smp_call(unsigned int cpu, smp_call_fn fn, void *arg, bool wait)
{
	smp_call_mask(cpumask_of(cpu), fn, arg, wait);
}

void smp_call_all(smp_call_fn fn, void *arg, bool wait)
{
	smp_call_mask(~0ULL, fn, arg, wait);
}

/* ---- Taking ---------------------------------------------------------------------------------- */

void handle_ipi(void)
{
	struct smp_cpu *sc = this_cpu_ptr(&smp_cpu);

	WRITE_ONCE(sc->taken, sc->taken + 1);
	/*
	 * Full barrier: orders the taking of the bits before the reading of what they stand for; a
	 * bit set after it brings an interrupt of its own. Pairs with fetch_or() in smp_send().
	 */
	u64 reasons = xchg(&sc->reasons, 0);

	trace(IPI, 0, reasons, 0);
	if (reasons & IPI_BACKTRACE)
		backtrace_ipi(irq_frame());
	if (reasons & IPI_STOP)
		stop_this_cpu();
	if (reasons & IPI_CALL)
		run_calls();
	if (reasons & IPI_RCU_EXP)
		rcu_exp_ipi();
	/* IPI_RESCHED: irq_exit() looks at need_resched, and the idle loop at its queue. */
}

bool smp_close(void)
{
	run_calls();
	/* Full barrier: who finds it closed sees what this CPU did. Pairs with call_try_push(). */
	return cmpxchg(&this_cpu(smp_cpu).calls, NULL, CLOSED) == NULL;
}

void smp_open(void)
{
	struct smp_cpu *sc = this_cpu_ptr(&smp_cpu);

	/*
	 * A reason from before may have lost its interrupt, and would keep every later one from
	 * being sent. Its sender does not wait for it.
	 */
	xchg(&sc->reasons, 0);
	cmpxchg(&sc->calls, CLOSED, NULL);
	/*
	 * Full barrier: orders the joining before the look at the list, where somebody may just
	 * have put a call who still sees the CPU offline and sends no interrupt; and before the
	 * caller's dropping of what it was not told. Pairs with call_try_push().
	 */
	fetch_or(&cpu_online_mask, cpumask_of(smp_processor_id()));
	run_calls();
}

u64 smp_ipis_sent(unsigned int cpu)
{
	return READ_ONCE(per_cpu(smp_cpu, cpu).sent);
}

u64 smp_ipis_taken(unsigned int cpu)
{
	return READ_ONCE(per_cpu(smp_cpu, cpu).taken);
}

u64 smp_ipis_resent(unsigned int cpu)
{
	return READ_ONCE(per_cpu(smp_cpu, cpu).resent);
}

/* ---- Starting -------------------------------------------------------------------------------- */

#define LOOK_NS (NSEC_PER_MSEC / 10)
#define LOOKS_FOR (2 * NSEC_PER_SEC)
#define LOOKS_LEAST 2000

/* Time alone does not tell: where a host lets this CPU wait, the other one waits as well. */
bool smp_wait_for(unsigned int cpu, bool (*there)(unsigned int cpu))
{
	u64 start = time_ns();

	for (unsigned int looks = 0; !there(cpu); looks++) {
		if (looks >= LOOKS_LEAST && time_ns() - start > LOOKS_FOR)
			return false;
		thread_sleep(LOOK_NS);
	}
	return true;
}

/* secondary_main() sets the bit last. */
static bool is_active(unsigned int cpu)
{
	return cpumask_has(READ_ONCE(cpu_active_mask), cpu);
}

int smp_start(unsigned int cpu, struct thread *idle)
{
	int err = arch_cpu_start(cpu, idle);

	if (err)
		return err;
	return smp_wait_for(cpu, is_active) ? 0 : -ETIMEDOUT;
}

static void start_cpu(unsigned int cpu, struct thread *idle)
{
	if (!idle) {
		printk("smp: CPU %u not started: no memory for its idle thread", cpu);
		return;
	}
	int err = smp_start(cpu, idle);

	if (err == -ETIMEDOUT)
		printk("smp: CPU %u did not come up within 2 s; going on without it", cpu);
	else if (err)
		printk("smp: CPU %u not started: the firmware refused it (error %d)", cpu, -err);
}

void smp_init(void)
{
	static struct thread *idle[MAX_CPUS];
	unsigned int cpu;

	/*
	 * All stacks first: a new mapping may have to be told to every CPU that is online by then.
	 */
	for_each_possible_cpu(cpu)
		if (cpu != 0)
			idle[cpu] = sched_make_idle(cpu);
	for_each_possible_cpu(cpu)
		if (cpu != 0)
			start_cpu(cpu, idle[cpu]);
	printk("smp: %u CPUs", cpumask_weight(READ_ONCE(cpu_online_mask)));
}
