// SPDX-License-Identifier: MIT
/*
 * Interrupts that nobody expects, at the APICs: a line of an I/O APIC, which the PIT raises a
 * thousand times a second, and a vector that no line stands behind, which a CPU sends itself.
 */
#include "storm.h"

#include <acpi.h>
#include <apic.h>
#include <asm/cpu.h>
#include <boot.h>
#include <irqflags.h>

#define PIT_IRQ 0
#define PIT_CHANNEL0 0x40
#define PIT_COMMAND 0x43
#define PIT_DIVISOR 1193 /* of 1.193 MHz */
#define VECTOR_LINE 0x51
#define VECTOR_NONE 0x52

/* Channel 0 interrupts each time it has counted down. */
static void pit_start(u16 divisor)
{
	outb(PIT_COMMAND, 0x34);
	outb(PIT_CHANNEL0, divisor & 0xff);
	outb(PIT_CHANNEL0, (u8)(divisor >> 8));
}

static u8 pit_count(void)
{
	outb(PIT_COMMAND, 0x00);
	(void)inb(PIT_CHANNEL0);
	return inb(PIT_CHANNEL0);
}

/* QEMU's I/O APIC takes the PIT's line at input 2, and its microvm does not say so. */
static bool pit_line_is_known(void)
{
	for (unsigned int i = 0; i < acpi.nr_overrides; i++)
		if (acpi.overrides[i].irq == PIT_IRQ)
			return true;
	return false;
}

TEST(irq, line_that_storms_is_masked)
{
	struct spurious_counts before = spurious_counts(VECTOR_LINE);

	if (!pit_line_is_known()) {
		test_skip("no table says at which input the PIT's line arrives");
		return;
	}
	pit_start(PIT_DIVISOR);
	if (pit_count() == 0xff || !acpi.nr_ioapics) {
		test_skip("no PIT, or no I/O APIC");
		return;
	}
	if (EXPECT_EQ(apic_route_isa(PIT_IRQ, VECTOR_LINE), 0))
		expect_masked(VECTOR_LINE, before, NULL);
	pit_start(0); /* as slowly as it can */
	EXPECT(!apic_mask(VECTOR_LINE)); /* that is what masked it */
}

/* One after the other: what is sent before the last is taken would be one with it. */
static void interrupt_self(void *unused)
{
	for (unsigned int i = 0; i < SPURIOUS_STORM; i++) {
		u64 came = spurious_counts(VECTOR_NONE).came;

		apic_send_fixed((u32)boot.hwid[smp_processor_id()], VECTOR_NONE);
		if (!EXPECT(SPIN_UNTIL(spurious_counts(VECTOR_NONE).came > came)))
			return;
	}
}

TEST(irq, vector_without_a_line_is_counted)
{
	struct spurious_counts before = spurious_counts(VECTOR_NONE);

	test_run_on(test_cpu(0), interrupt_self, NULL);
	EXPECT_EQ(spurious_counts(VECTOR_NONE).came - before.came, SPURIOUS_STORM);
	EXPECT_EQ(spurious_counts(VECTOR_NONE).masked, 0);
}
