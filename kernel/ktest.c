// SPDX-License-Identifier: MIT
/*
 * Runs the selftests and reports in KTAP, version 1: a plan, then one line per test.
 *
 * Why it exists: a test that passes but leaves a page, a table or an object behind has found a bug
 * and kept quiet about it. So each test is bracketed by a census of what the kernel has in use.
 * Each test runs in a thread of its own, so that one that hangs can be reported with its backtrace;
 * after that nothing can be trusted and the run ends.
 * Contexts: tests_run() in a thread that may sleep; test_fail(), test_note() and test_skip() in any
 * thread of the test.
 * See also: test.h; scripts/ for the host's side.
 */
#include <bug.h>
#include <errno.h>
#include <page.h>
#include <printk.h>
#include <ptdesc.h>
#include <rcu.h>
#include <slab.h>
#include <string.h>
#include <symbols.h>
#include <test.h>
#include <thread.h>
#include <time.h>
#include <wait.h>

extern const struct test tests_start[], tests_end[];

#define TIMEOUT_NS (30 * NSEC_PER_SEC)
#define SETTLE_NS (2 * NSEC_PER_SEC) /* for what frees itself after the test: stacks, callbacks */
#define SLOW_NS (100 * NSEC_PER_MSEC)
#define TEXT_MAX 256
#define SITES_MAX 4 /* places that frames left behind came from */

/* The one test that runs now; its threads write to it. */
static struct {
	unsigned int failures;
	bool skipped;
	char reason[128]; /* why it was skipped */
	struct completion done;
} run;

/* ---- What a test calls -------------------------------------------------------------------- */

void test_fail(const char *file, int line, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fetch_add_relaxed(&run.failures, 1);
	print_line("# %s:%d: %s", file, line, text);
}

bool test_expect(bool ok, const char *file, int line, const char *text)
{
	if (unlikely(!ok))
		test_fail(file, line, "expected %s", text);
	return ok;
}

bool test_expect_eq(s64 a, s64 b, const char *file, int line, const char *both)
{
	if (unlikely(a != b))
		test_fail(file, line, "%s is %lld (%#llx), expected %s = %lld", both, (long long)a,
			  (long long)a, both + strlen(both) + 1, (long long)b);
	return a == b;
}

void test_skip(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(run.reason, sizeof(run.reason), fmt, ap);
	va_end(ap);
	WRITE_ONCE(run.skipped, true);
}

void test_note(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	print_line("# %s", text);
}

/* ---- The census --------------------------------------------------------------------------- */

/* What is in use. Free and reserved frames are what is left, so they are not counted again. */
struct census {
	u64 frames[NR_PAGE_TYPES];
	u64 tables, objects;
	unsigned int warnings;
	u32 when; /* page_step_now() */
};

static void take_census(struct census *c)
{
	struct mem_stats mem;
	struct pt_stats pt;

	rcu_barrier();
	slab_drain();
	page_alloc_drain();
	mem_get_stats(&mem);
	memcpy(c->frames, mem.by_type, sizeof(c->frames));
	pt_get_stats(&pt);
	c->tables = pt.live + pt.waiting;
	c->objects = slab_inuse();
	c->warnings = READ_ONCE(warn_count);
	c->when = page_step_now();
}

static bool census_same(const struct census *a, const struct census *b)
{
	return memcmp(a->frames, b->frames, sizeof(a->frames)) == 0 && a->tables == b->tables &&
	       a->objects == b->objects;
}

static void say_change(const char *what, u64 before, u64 after)
{
	if (before != after)
		print_line("# left behind: %+lld %s", (long long)(after - before), what);
}

static void say_left_behind(const struct census *before, const struct census *after)
{
	char what[32];

	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++) {
		snprintf(what, sizeof(what), "%s frames", page_type_name(t));
		say_change(what, before->frames[t], after->frames[t]);
	}
	say_change("table descriptors", before->tables, after->tables);
	say_change("slab objects", before->objects, after->objects);
	page_owner_print_since("# ", before->when, SITES_MAX);
}

/* Compares with *before until all is back, for a while; *before becomes what is in use now. */
static bool census_check(struct census *before)
{
	u64 end = time_ns() + SETTLE_NS;
	struct census now;
	bool ok;

	for (;;) {
		take_census(&now);
		if (census_same(before, &now) || time_ns() >= end)
			break;
		thread_sleep(5 * NSEC_PER_MSEC);
	}
	ok = census_same(before, &now);
	if (!ok)
		say_left_behind(before, &now);
	if (now.warnings != before->warnings) {
		print_line("# %u warnings were printed", now.warnings - before->warnings);
		ok = false;
	}
	*before = now;
	return ok;
}

/* ---- Running ------------------------------------------------------------------------------ */

static void test_thread(void *arg)
{
	const struct test *t = arg;

	t->fn();
	complete(&run.done);
}

static __noreturn void timed_out(unsigned int nr, const struct test *t, struct thread *thread)
{
	unsigned int cpu;

	print_line("not ok %u %s.%s # TIMEOUT", nr, t->suite, t->name);
	printk("test %s.%s has not ended in %u s; its thread:", t->suite, t->name,
	       (unsigned int)(TIMEOUT_NS / NSEC_PER_SEC));
	backtrace_print_thread(thread);
	for_each_online_cpu(cpu)
		backtrace_print_cpu(cpu);
	threads_print();
	power_off(EXIT_TESTS_FAILED);
}

/* Runs the test's function in a thread of its own, to its end. */
static void run_in_thread(unsigned int nr, const struct test *t)
{
	struct thread *thread = thread_create(test_thread, (void *)t, ~0ULL, "test");

	if (!thread) {
		test_fail(__FILE__, __LINE__, "no memory for the test's thread");
		return;
	}
	thread_wake(thread);
	if (!wait_for_completion_timeout(&run.done, TIMEOUT_NS))
		timed_out(nr, t, thread);
	thread_join(thread);
}

enum outcome { PASSED, FAILED, SKIPPED, NR_OUTCOMES };

static enum outcome run_test(unsigned int nr, const struct test *t, struct census *census)
{
	u64 start = time_ns(), took;
	enum outcome outcome;

	run.failures = 0;
	run.skipped = false;
	completion_init(&run.done);
	run_in_thread(nr, t);
	took = time_ns() - start;
	if (took >= SLOW_NS)
		print_line("# %llu ms", (unsigned long long)(took / NSEC_PER_MSEC));
	if (!census_check(census) || READ_ONCE(run.failures))
		outcome = FAILED;
	else
		outcome = READ_ONCE(run.skipped) ? SKIPPED : PASSED;
	print_line("%s %u %s.%s%s%s", outcome == FAILED ? "not ok" : "ok", nr, t->suite, t->name,
		   outcome == SKIPPED ? " # SKIP " : "", outcome == SKIPPED ? run.reason : "");
	return outcome;
}

static bool test_matches(const struct test *t, const char *glob)
{
	char name[96];

	snprintf(name, sizeof(name), "%s.%s", t->suite, t->name);
	return glob_match(glob, name);
}

static unsigned int count_matching(const char *glob)
{
	unsigned int n = 0;

	for (const struct test *t = tests_start; t < tests_end; t++)
		n += test_matches(t, glob);
	return n;
}

unsigned int tests_run(const char *glob)
{
	unsigned int counts[NR_OUTCOMES] = { 0 }, nr = 0;
	unsigned int plan = count_matching(glob);
	struct census census;

	print_line("KTAP version 1");
	print_line("1..%u", plan);
	if (plan == 0) {
		print_line("# no test matches %s", glob);
		return 1;
	}
	take_census(&census);
	for (const struct test *t = tests_start; t < tests_end; t++) {
		if (test_matches(t, glob))
			counts[run_test(++nr, t, &census)]++;
	}
	print_line("# %u passed, %u failed, %u skipped", counts[PASSED], counts[FAILED],
		   counts[SKIPPED]);
	return counts[FAILED];
}
