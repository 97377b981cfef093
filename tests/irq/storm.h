/* SPDX-License-Identifier: MIT */
/*
 * A line that storms, and is masked.
 */
#ifndef GRACE_TESTS_STORM_H
#define GRACE_TESTS_STORM_H

#include "../testlib.h"

#include <trap.h>

/*
 * The line that interrupts as `number` is raised and unmasked, and stays so: it storms, is masked,
 * and then comes no more. before: the counts before that. again, if not NULL, raises it once more,
 * for a controller that looks at edges only.
 */
static inline void expect_masked(unsigned int number, struct spurious_counts before,
				 void (*again)(void))
{
	u64 end = time_ns() + TEST_PATIENCE, came;

	while (spurious_counts(number).masked == before.masked && time_ns() < end) {
		if (again)
			again();
		thread_sleep(NSEC_PER_MSEC);
	}
	EXPECT_EQ(spurious_counts(number).masked - before.masked, 1);
	came = spurious_counts(number).came;
	EXPECT(came - before.came >= SPURIOUS_STORM);
	if (again)
		again();
	thread_sleep(TEST_WATCH);
	EXPECT_EQ(spurious_counts(number).came, came);
	EXPECT_EQ(spurious_counts(number).masked - before.masked, 1);
}

#endif
