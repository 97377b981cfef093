// SPDX-License-Identifier: MIT
/*
 * What becomes of interrupts that nobody expects: the counts, and when a line is masked.
 *
 * tests/irq/ has the same with each port's controllers, and real lines.
 */
#include "testlib.h"

#include <irqflags.h>
#include <trap.h>

#define NUMBER 1000000 /* no controller has it */

static unsigned int masked_number, times_masked;

static bool mask(unsigned int number)
{
	masked_number = number;
	times_masked++;
	return true;
}

static void come(unsigned int times)
{
	bool on = local_irq_save();

	for (unsigned int i = 0; i < times; i++)
		spurious_interrupt(NUMBER, mask);
	local_irq_restore(on);
}

TEST(irq, what_comes_now_and_then_is_counted_only)
{
	u64 before = spurious_counts(NUMBER).came;

	times_masked = 0;
	come(SPURIOUS_STORM - 1);
	thread_sleep(NSEC_PER_SEC + NSEC_PER_MSEC);
	come(SPURIOUS_STORM - 1);
	EXPECT_EQ(times_masked, 0);
	EXPECT_EQ(spurious_counts(NUMBER).came - before, 2 * (SPURIOUS_STORM - 1));
	thread_sleep(NSEC_PER_SEC + NSEC_PER_MSEC);
}

/* A second may pass in the middle, on a slow host: then the next time. */
TEST(irq, what_storms_is_masked)
{
	struct spurious_counts before = spurious_counts(NUMBER);

	times_masked = 0;
	for (unsigned int i = 0; i < 10 && !times_masked; i++)
		come(SPURIOUS_STORM);
	EXPECT_EQ(times_masked, 1);
	EXPECT_EQ(masked_number, NUMBER);
	EXPECT_EQ(spurious_counts(NUMBER).masked - before.masked, 1);
}

TEST(irq, what_never_came_has_no_count)
{
	EXPECT_EQ(spurious_counts(NUMBER + 1).came, 0);
}
