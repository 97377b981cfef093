// SPDX-License-Identifier: MIT
/*
 * Faults made common: what `fault` accepts and refuses, how often faults happen and to whom, and
 * that a seed repeats them.
 *
 * Each test ends what faults the run was started with, and begins them again when it is over.
 */
#include "testlib.h"

#include <console.h>
#include <inject.h>
#include <slab.h>

#ifdef GRACE_DEBUG

static struct inject_settings kept;

/* Ends all faults, until faults_back(). */
static void faults_away(void)
{
	inject_get(&kept);
	inject_set(&(struct inject_settings){ .seed = 1 });
}

static void faults_back(void)
{
	inject_allow(false);
	inject_set(&kept);
}

/* True if nothing is asked for. */
static bool nothing_asked(void)
{
	struct inject_settings s;

	inject_get(&s);
	for (unsigned int i = 0; i < NR_INJECT; i++)
		if (s.rate[i])
			return false;
	return inject_mask == 0;
}

TEST(inject, takes_names_rates_and_times)
{
	struct inject_settings s;

	faults_away();
	EXPECT_EQ(console_run("fault batch:3000000,flush:20000000:200,seed:7"), 0);
	EXPECT_EQ(console_run("fault=slab:0x10"), 0); /* what there was stays */
	inject_get(&s);
	EXPECT_EQ(s.rate[INJECT_BATCH], 3000000);
	EXPECT_EQ(s.rate[INJECT_FLUSH_WINDOW], 20000000);
	EXPECT_EQ(s.us[INJECT_FLUSH_WINDOW], 200);
	EXPECT_EQ(s.rate[INJECT_SLAB], 16);
	EXPECT_EQ(s.rate[INJECT_PAGE], 0);
	EXPECT_EQ(s.seed, 7);
	EXPECT_EQ(inject_mask,
		  BIT(INJECT_BATCH) | BIT(INJECT_FLUSH_WINDOW) | BIT(INJECT_SLAB));
	EXPECT_EQ(console_run("fault off"), 0);
	EXPECT(nothing_asked());
	faults_back();
}

TEST(inject, all_means_all_harmless_ones)
{
	faults_away();
	EXPECT_EQ(console_run("fault all:100000000:5"), 0);
	EXPECT_EQ(inject_mask, (BIT(NR_INJECT) - 1) & ~BIT(INJECT_FLAKY));
	faults_back();
}

TEST(inject, refuses_the_rest_and_changes_nothing)
{
	static const char *const bad[] = {
		"nosuch:3", "batch", "batch:", "batch:0", "batch:-1", "batch:x", "batch:4294967296",
		"ack:3:0", "ack:3:100001", "ack:3:4:5", "batch:3:100", "seed:", "seed:x", "all",
		"ack:3:", "batch:3,", ",", "batch:3,nosuch:4", "batch:3 ack:4",
		"batch:3000000000000000000000000000000000000000000000000000000",
	};
	char line[96];

	faults_away();
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		snprintf(line, sizeof(line), "fault %s", bad[i]);
		if (!EXPECT(capture_start()))
			break;
		int err = console_run(line);
		bool said = test_strstr(capture_stop(), "accepted are") ||
			    test_strstr(capture_stop(), "usage:");

		capture_free();
		if (!EXPECT_EQ(err, -EINVAL) || !EXPECT(said) || !EXPECT(nothing_asked()))
			test_note("the line was: %s", line);
	}
	faults_back();
}

/* ---- How often, and to whom ------------------------------------------------------------------ */

/* Bit i set: the i-th of 64 questions was a hit. Only the caller can be hit by this fault. */
static u64 ask_64(void)
{
	u64 hits = 0;

	for (unsigned int i = 0; i < 64; i++)
		hits |= (u64)inject(SLAB) << i;
	return hits;
}

TEST(inject, happens_one_time_in_rate)
{
	u64 asked, hit, asked_then, hit_then;
	unsigned int hits = 0;

	faults_away();
	inject_count(INJECT_SLAB, &asked, &hit);
	EXPECT_EQ(console_run("fault slab:16"), 0);
	inject_allow(true);
	for (unsigned int i = 0; i < 512; i++)
		hits += (unsigned int)__builtin_popcountll(ask_64());
	inject_allow(false);
	inject_count(INJECT_SLAB, &asked_then, &hit_then);
	faults_back();
	EXPECT(hits > 1800 && hits < 2300); /* 2048 of 32768; 5 standard deviations are 219 */
	EXPECT_EQ(asked_then - asked, 512 * 64);
	EXPECT_EQ(hit_then - hit, hits);
}

TEST(inject, a_seed_repeats_it_on_a_cpu)
{
	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	faults_away();
	inject_allow(true);
	EXPECT_EQ(console_run("fault slab:2,seed:5"), 0);
	u64 once = ask_64(), later = ask_64();

	EXPECT_EQ(console_run("fault slab:2,seed:5"), 0);
	u64 again = ask_64();

	EXPECT_EQ(console_run("fault slab:2,seed:6"), 0);
	u64 other = ask_64();

	faults_back();
	EXPECT_EQ(once, again);
	EXPECT(once != other && once != later);
}

static struct {
	struct timer timer;
	bool hit, done;
} handler;

static void ask_in_handler(struct timer *t)
{
	handler.hit = inject(SLAB);
	WRITE_ONCE(handler.done, true);
}

static void allocate(void *out)
{
	*(void **)out = kmalloc(32, GFP_KERNEL);
}

TEST(inject, allocations_fail_only_for_threads_that_bear_it)
{
	void *mine = NULL, *others = NULL;

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	faults_away();
	EXPECT_EQ(console_run("fault slab:1"), 0);
	allocate(&mine);
	EXPECT(mine != NULL);
	kfree(mine);

	struct thread *t = test_thread_new(~0ULL, allocate, &others);

	timer_init(&handler.timer, ask_in_handler);
	handler.done = false;
	inject_allow(true);
	allocate(&mine);
	timer_start(&handler.timer, NSEC_PER_MSEC);
	EXPECT(SPIN_UNTIL(READ_ONCE(handler.done))); /* it interrupts this thread, or idle */
	timer_stop(&handler.timer);
	if (t) {
		thread_wake(t);
		thread_join(t);
	}
	faults_back();
	EXPECT(mine == NULL);
	EXPECT(!handler.hit);
	EXPECT(others != NULL);
	kfree(others);
}

TEST(inject, a_delay_takes_its_time)
{
	u64 start, length;

	faults_away();
	EXPECT_EQ(console_run("fault lazy:1:400"), 0);
	start = time_ns();
	for (unsigned int i = 0; i < 50; i++)
		inject_delay(LAZY_WINDOW);
	length = time_ns() - start;
	faults_back();
	EXPECT(length > 4 * NSEC_PER_MSEC); /* 10 ms expected */
}

#else

TEST(inject, a_release_build_says_that_it_has_none)
{
	if (!EXPECT(capture_start()))
		return;
	int err = console_run("fault batch:3");
	bool said = test_strstr(capture_stop(), "release build");

	capture_free();
	EXPECT_EQ(err, -EPERM);
	EXPECT(said);
}

#endif
