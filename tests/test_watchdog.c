// SPDX-License-Identifier: MIT
/*
 * The watchdog's three reports, each made to happen with a short limit and read back with the
 * backtrace of the CPU in question.
 */
#include "testlib.h"

#include <irqflags.h>
#include <rcu.h>
#include <watchdog.h>

#define LIMIT (200 * NSEC_PER_MSEC)

static u64 old_limit;

static void expect_reports(void)
{
	watchdog_expected++;
	old_limit = watchdog_ns;
	WRITE_ONCE(watchdog_ns, LIMIT);
}

static void expect_none(void)
{
	WRITE_ONCE(watchdog_ns, old_limit);
	watchdog_expected--;
}

static void say_if_missing(const char *said, const char *what)
{
	if (EXPECT(test_strstr(said, what) != NULL))
		return;
	test_note("no \"%s\" in the report:", what);
	print_raw(said, strlen(said));
}

/*
 * With an NMI the report shows the CPU where it is; without, where it turned interrupts off, which
 * debug builds note. Either way it names the thread's function.
 */
TEST(watchdog, reports_irqs_off)
{
	unsigned int before = watchdog_irqs_off;
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_IRQS, NULL))
		return;
	expect_reports();
	bool captured = capture_start();
	bool seen = SPIN_UNTIL(READ_ONCE(watchdog_irqs_off) > before); /* ticks, and so looks */
	const char *said = captured ? capture_stop() : "";

	hold_end(&h); /* whatever is still said of it is expected */
	expect_none();
	EXPECT(seen);
	say_if_missing(said, "interrupts off");
	if (debug_build || arch.nmi)
		say_if_missing(said, "hold_");
	if (captured)
		capture_free();
}

/* The reports while one CPU is stuck for twice the limit behind its first; 0: it was not seen. */
static unsigned int reports_of_one_event(void)
{
	unsigned int before = watchdog_irqs_off;
	struct holder h;

	if (!hold_start(&h, test_cpu(1), HOLD_IRQS, NULL))
		return 0;
	expect_reports();
	bool captured = capture_start(); /* to keep it quiet */

	bool seen = SPIN_UNTIL(READ_ONCE(watchdog_irqs_off) > before);
	u64 end = time_ns() + 2 * LIMIT;

	while (time_ns() < end)
		cpu_relax();
	unsigned int reports = watchdog_irqs_off - before;

	if (captured)
		capture_stop();
	hold_end(&h); /* whatever is still said of it is expected */
	expect_none();
	if (captured)
		capture_free();
	return seen ? reports : 0;
}

/*
 * Once per event: the same CPU, still stuck, is not reported again. A host that stops another CPU
 * for so long makes an event of that: then it is tried again.
 */
TEST(watchdog, reports_once_per_event)
{
	unsigned int reports;

	if (!test_needs_cpus(2))
		return;
	for (unsigned int i = 0; (reports = reports_of_one_event()) > 1 && i < 3; i++)
		continue;
	EXPECT_EQ(reports, 1);
}

static void do_nothing(void *unused)
{
}

static __noinline bool keep_the_cpu(unsigned int *reports, unsigned int before)
{
	bool seen;

	preempt_disable();
	seen = SPIN_UNTIL(READ_ONCE(*reports) > before);
	preempt_enable();
	return seen;
}

/* This very thread keeps the CPU from one that waits for it. Works with one CPU. */
TEST(watchdog, reports_a_thread_that_never_yields)
{
	unsigned int before = watchdog_no_yield;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	struct thread *t = thread_create(do_nothing, NULL, cpumask_of(test_cpu(0)), "test");

	ASSERT(t != NULL);
	expect_reports();
	bool captured = capture_start();

	preempt_disable();
	thread_wake(t);
	bool seen = keep_the_cpu(&watchdog_no_yield, before);

	preempt_enable();
	const char *said = captured ? capture_stop() : "";

	expect_none();
	EXPECT(seen);
	say_if_missing(said, "does not yield");
	/*
	 * Not keep_the_cpu(): of a function that was stopped at its first instruction, the caller
	 * is lost.
	 */
	say_if_missing(said, "reports_a_thread_that_never_yields");
	if (captured)
		capture_free();
	thread_join(t);
}

static void note_callback(struct rcu_head *head)
{
}

/* One stall, and what was said of it; NULL where it could not be made. */
static const char *stall_once(void)
{
	static struct rcu_head head;
	unsigned int before = watchdog_rcu_stall;
	struct holder h;

	if (!hold_start(&h, test_cpu(1), HOLD_PREEMPT, NULL))
		return NULL;
	expect_reports();
	bool captured = capture_start();

	call_rcu(&head, note_callback);
	bool seen = SPIN_UNTIL(READ_ONCE(watchdog_rcu_stall) > before);
	const char *said = captured ? capture_stop() : NULL;

	hold_end(&h); /* whatever is still said of it is expected */
	expect_none();
	rcu_barrier();
	EXPECT(seen);
	return said;
}

/* A CPU that the host does not run just then cannot say where it is: that is worth another try. */
TEST(watchdog, reports_a_stalled_grace_period)
{
	const char *said = NULL;

	if (!test_needs_cpus(2))
		return;
	for (int tries = 0; tries < 5; tries++) {
		if (said)
			capture_free();
		said = stall_once();
		if (!said || !test_strstr(said, "does not answer"))
			break;
	}
	if (!said)
		return;
	say_if_missing(said, "stall");
	say_if_missing(said, "hold_");
	capture_free();
}

static unsigned int all_reports(void)
{
	return READ_ONCE(watchdog_irqs_off) + READ_ONCE(watchdog_no_yield) +
	       READ_ONCE(watchdog_rcu_stall);
}

/*
 * A CPU that only sleeps is not taken for a stuck one, nor a thread that works and can be
 * preempted. A host that did not run a CPU for the limit would make a report, and rightly: so it
 * may take another try.
 */
TEST(watchdog, quiet_about_idle_and_busy_cpus)
{
	bool quiet = false;
	struct holder h;

	if (!test_needs_cpus(3) || !hold_start(&h, test_cpu(1), HOLD_NOTHING, NULL))
		return;
	expect_reports();
	WRITE_ONCE(watchdog_ns, 2 * LIMIT);
	for (unsigned int i = 0; i < 5 && !quiet; i++) {
		unsigned int before = all_reports();
		u64 end = time_ns() + 3 * LIMIT;

		while (time_ns() < end)
			cpu_relax();
		quiet = all_reports() == before;
	}
	hold_end(&h); /* whatever is still said of it is expected */
	expect_none();
	EXPECT(quiet);
}
