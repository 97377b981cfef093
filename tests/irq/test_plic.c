// SPDX-License-Identifier: MIT
/*
 * A line that nobody expects, at the PLIC or the APLIC: the alarm of the real-time clock (Goldfish,
 * as in QEMU's virt machine), a level that stays raised until its driver lowers it, and there is
 * none.
 */
#include "rtc.h"
#include "storm.h"

#include <asm/port.h>
#include <fdt.h>
#include <irqflags.h>

#define RTC_COMPATIBLE "google,goldfish-rtc"
#define RTC_ALARM_LOW 0x08
#define RTC_ALARM_HIGH 0x0c
#define RTC_ENABLE 0x10
#define RTC_CLEAR 0x1c
#define RTC_SIZE 0x20

static volatile u32 *rtc;
static unsigned int line;
static int unmask_error;

static void unmask(void *unused)
{
	bool on = local_irq_save();

	unmask_error = irq_unmask(line);
	local_irq_restore(on);
}

/* QEMU's PLIC takes a level that stays for one interrupt, and forgets that it is still there. */
static void raise_again(void)
{
	rtc[RTC_ENABLE / 4] = 0;
	rtc[RTC_ENABLE / 4] = 1;
}

TEST(irq, line_that_storms_is_masked)
{
	int node = -1;
	struct fdt f;

	rtc = find_rtc(&f, &node, RTC_COMPATIBLE, RTC_SIZE);
	if (!rtc)
		return;
	line = fdt_u32(&f, node, "interrupts", 0);
	if (line == 0) /* two cells: an APLIC's */
		line = fdt_cell(fdt_prop(&f, node, "interrupts", NULL), 0);
	struct spurious_counts before = spurious_counts(line);

	rtc[RTC_ENABLE / 4] = 1;
	rtc[RTC_ALARM_HIGH / 4] = 0; /* long past: it is raised by the write that sets it */
	rtc[RTC_ALARM_LOW / 4] = 1;
	test_run_on(0, unmask, NULL);
	if (unmask_error)
		test_skip("no controller for devices, or no line %u: error %d", line, unmask_error);
	else
		expect_masked(line, before, raise_again);
	rtc[RTC_ENABLE / 4] = 0;
	rtc[RTC_CLEAR / 4] = 1;
}
