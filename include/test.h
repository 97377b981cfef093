/* SPDX-License-Identifier: MIT */
/*
 * In-kernel selftests: KTAP on the console.
 *
 *   TEST(gup, refuses_write_to_readonly) { ... EXPECT_EQ(gup_fast(...), 0); }
 *
 * A test runs in a thread of its own, may sleep, and must leave nothing behind. An EXPECT that
 * fails prints where and both values, and the test goes on; an ASSERT returns from the test
 * function.
 */
#ifndef GRACE_TEST_H
#define GRACE_TEST_H

#include <printk.h>
#include <types.h>

struct test {
	const char *suite, *name;
	void (*fn)(void);
};

#define TEST(suite_, name_)                                                                        \
	static void test_##suite_##_##name_(void);                                                 \
	static const struct test __used __section(".tests") __aligned(8) __no_reorder              \
		test_entry_##suite_##_##name_ = { #suite_, #name_, test_##suite_##_##name_ };      \
	static void test_##suite_##_##name_(void)

/* Marks the running test failed, with "# file:line: message". */
void test_fail(const char *file, int line, const char *fmt, ...) __printf(3, 4);
/* Marks it skipped, with the reason; the test returns after it. */
void test_skip(const char *fmt, ...) __printf(1, 2);
/* A diagnostic line: "# ...". */
void test_note(const char *fmt, ...) __printf(1, 2);

/*
 * What EXPECT and EXPECT_EQ call: there are more than a thousand of them, and each has only its
 * arguments in the image. Return whether it is so; else the running test has failed. both: the two
 * texts, one behind the other.
 */
bool test_expect(bool ok, const char *file, int line, const char *text);
bool test_expect_eq(s64 a, s64 b, const char *file, int line, const char *both);

#define EXPECT(cond) test_expect(cond, __FILE__, __LINE__, #cond)
#define EXPECT_EQ(a, b) test_expect_eq((s64)(a), (s64)(b), __FILE__, __LINE__, #a "\0" #b)
#define ASSERT(cond)                                                                               \
	do {                                                                                       \
		if (!EXPECT(cond))                                                                 \
			return;                                                                    \
	} while (0)
#define ASSERT_EQ(a, b)                                                                            \
	do {                                                                                       \
		if (!EXPECT_EQ(a, b))                                                              \
			return;                                                                    \
	} while (0)

/*
 * Runs every test that "suite.name" matches the glob, in order of link; prints the plan first.
 * Also fails a test after which pages, tables or slab objects are missing, or a warning was
 * printed. Returns the number of failures; a glob that matches nothing counts as one. Thread
 * context.
 */
unsigned int tests_run(const char *glob);

#endif
