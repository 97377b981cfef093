// SPDX-License-Identifier: MIT
/*
 * A shared line that nobody expects, at the GIC: the alarm of the real-time clock (PL031, DDI
 * 0224), a level that stays raised until its driver lowers it, and there is none.
 */
#include "rtc.h"
#include "storm.h"

#include <fdt.h>
#include <gic.h>
#include <irqflags.h>

#define RTC_COMPATIBLE "arm,pl031"
#define RTC_NOW 0x00
#define RTC_MATCH 0x04
#define RTC_CONTROL 0x0c
#define RTC_UNMASK 0x10
#define RTC_RAISED 0x14
#define RTC_CLEAR 0x1c
#define RTC_SIZE 0x20

/* The alarm is due at the second that it is: again, if that has just passed. */
static bool alarm_raised(volatile u32 *rtc)
{
	if (!rtc[RTC_RAISED / 4])
		rtc[RTC_MATCH / 4] = rtc[RTC_NOW / 4];
	return rtc[RTC_RAISED / 4];
}

TEST(irq, shared_line_that_storms_is_masked)
{
	int node = -1, intid;
	struct fdt f;
	volatile u32 *rtc = find_rtc(&f, &node, RTC_COMPATIBLE, RTC_SIZE);

	if (!rtc)
		return;
	intid = gic_fdt_irq(&f, node, 0);
	ASSERT(intid >= GIC_NR_PRIVATE);
	struct spurious_counts before = spurious_counts((unsigned int)intid);

	rtc[RTC_CONTROL / 4] = 1;
	rtc[RTC_UNMASK / 4] = 1;
	if (EXPECT(WAIT_UNTIL(alarm_raised(rtc)))) {
		gic_unmask((u32)intid);
		expect_masked((unsigned int)intid, before, NULL);
	}
	rtc[RTC_UNMASK / 4] = 0;
	rtc[RTC_CLEAR / 4] = 1;
}

static void interrupt_self(void *unused)
{
	bool on = local_irq_save();

	gic_unmask(1);
	gic_send_sgi(cpumask_of(smp_processor_id()), 1);
	local_irq_restore(on);
}

/* Of this kernel's own making, private to a CPU: of 16, one is used. */
TEST(irq, private_interrupt_without_handler_is_counted)
{
	struct spurious_counts before = spurious_counts(1);

	test_run_on(test_cpu(0), interrupt_self, NULL);
	EXPECT(WAIT_UNTIL(spurious_counts(1).came > before.came));
	EXPECT_EQ(spurious_counts(1).came - before.came, 1);
	EXPECT_EQ(spurious_counts(1).masked, before.masked);
}
