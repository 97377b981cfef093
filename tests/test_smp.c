// SPDX-License-Identifier: MIT
/*
 * Cross-CPU calls: to one CPU, to a mask, to all, waiting and not waiting.
 */
#include "testlib.h"

#include <inject.h>
#include <irqflags.h>
#include <percpu.h>
#include <smp.h>

static cpumask_t called;
static u64 calls, expected, wrong_context;

static void note_call(void *arg)
{
	fetch_or(&called, cpumask_of(smp_processor_id()));
	fetch_add(&calls, 1);
	if (arch_irqs_enabled())
		fetch_add(&wrong_context, 1);
	if (arg)
		fetch_add((u64 *)arg, 1);
}

static void reset(void)
{
	called = 0;
	calls = 0;
	expected = 0;
	wrong_context = 0;
}

/* Every single bit, with what stands above it and what below: found, and counted. */
TEST(smp, bits_of_a_mask)
{
	for (unsigned int n = 0; n < 64; n++) {
		volatile cpumask_t bit = BIT(n), above = ~0ULL << n, below = bit | (bit - 1);

		EXPECT_EQ(__builtin_ctzll(bit), n);
		EXPECT_EQ(__builtin_ctzll(above), n);
		EXPECT_EQ(63 - __builtin_clzll(bit), n);
		EXPECT_EQ(63 - __builtin_clzll(below), n);
		EXPECT_EQ(cpumask_weight(bit), 1);
		EXPECT_EQ(cpumask_weight(above), 64 - n);
		EXPECT_EQ(cpumask_weight(below), n + 1);
	}
}

TEST(smp, call_single_waits)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		u64 here = 0;

		reset();
		smp_call(cpu, note_call, &here, true);
		EXPECT_EQ(called, cpumask_of(cpu));
		EXPECT_EQ(calls, 1);
		EXPECT_EQ(here, 1);
		EXPECT_EQ(wrong_context, 0);
	}
}

TEST(smp, call_mask_waits)
{
	cpumask_t masks[] = { 0, cpumask_of(test_cpu(0)), cpu_online_mask,
			      cpu_online_mask & 0x5555555555555555ULL,
			      cpu_online_mask & 0xaaaaaaaaaaaaaaaaULL };

	for (unsigned int i = 0; i < ARRAY_SIZE(masks); i++) {
		reset();
		smp_call_mask(masks[i], note_call, NULL, true);
		EXPECT_EQ(called, masks[i]);
		EXPECT_EQ(calls, cpumask_weight(masks[i]));
		EXPECT_EQ(wrong_context, 0);
	}
}

TEST(smp, call_mask_ignores_cpus_that_are_not_online)
{
	reset();
	smp_call_mask(~0ULL, note_call, NULL, true);
	EXPECT_EQ(called, cpu_online_mask);
}

TEST(smp, call_all_waits)
{
	for_bounded_rounds(i, 20) {
		reset();
		smp_call_all(note_call, NULL, true);
		EXPECT_EQ(called, cpu_online_mask);
		EXPECT_EQ(calls, cpumask_weight(cpu_online_mask));
	}
}

TEST(smp, call_without_waiting_arrives)
{
	static u64 arg;

	arg = 0;
	reset();
	for (unsigned int i = 0; i < 50; i++)
		smp_call_all(note_call, &arg, false);
	EXPECT(WAIT_UNTIL(READ_ONCE(arg) == 50 * cpumask_weight(cpu_online_mask)));
	EXPECT_EQ(wrong_context, 0);
}

/* A CPU that has interrupts off holds the caller up if it waits, and only then. */
TEST(smp, waiting_call_waits_for_irqs)
{
	struct holder h;

	if (!test_needs_cpus(2) ||
	    !hold_start_for(&h, test_cpu(1), HOLD_IRQS, NULL, TEST_WATCH))
		return;
	reset();
	smp_call(h.cpu, note_call, NULL, true);
	EXPECT(READ_ONCE(h.leaving)); /* it had to turn them on before */
	EXPECT_EQ(calls, 1);
	hold_end(&h);
}

TEST(smp, call_without_waiting_does_not_wait)
{
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_IRQS, NULL))
		return;
	reset();
	smp_call(h.cpu, note_call, NULL, false); /* returns, or the test hangs */
	EXPECT_EQ(READ_ONCE(calls), 0);
	hold_end(&h);
	EXPECT(WAIT_UNTIL(READ_ONCE(calls) == 1));
}

/* What is stored before the call is seen by fn, and what fn stores is seen after a waiting call. */
static struct {
	u64 request, answer;
} exchange;

static void answer(void *unused)
{
	exchange.answer = exchange.request * 3;
}

TEST(smp, call_orders_memory)
{
	unsigned int cpu;

	for_bounded_rounds(i, 30) {
		for_each_online_cpu(cpu) {
			exchange.request = i;
			exchange.answer = 0;
			smp_call(cpu, answer, NULL, true);
			if (!EXPECT_EQ(exchange.answer, i * 3))
				return;
		}
	}
}

/* Every CPU calls every other at once: waiting calls take the others' calls meanwhile. */
static void call_everybody(void *unused)
{
	u64 n = cpumask_weight(cpu_online_mask);

	for_bounded_rounds(i, 20) {
		fetch_add(&expected, n + 1);
		smp_call_all(note_call, NULL, true);
		smp_call(test_cpu(i % n), note_call, NULL, i % 2);
	}
}

TEST(smp, calls_from_all_to_all)
{
	reset();
	test_run_on_each(call_everybody, NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(calls) == expected));
	EXPECT_EQ(wrong_context, 0);
}

/* Calls without waiting may be sent with interrupts off, to each other. */
static void call_with_irqs_off(void *unused)
{
	for_bounded_rounds(i, 20) {
		fetch_add(&expected, cpumask_weight(cpu_online_mask));
		bool on = local_irq_save();

		smp_call_all(note_call, NULL, false);
		local_irq_restore(on);
	}
}

TEST(smp, calls_with_irqs_off)
{
	reset();
	test_run_on_each(call_with_irqs_off, NULL);
	EXPECT(WAIT_UNTIL(READ_ONCE(calls) == expected));
}

TEST(smp, ipis_are_counted)
{
	if (!test_needs_cpus(2))
		return;
	u64 sent = smp_ipis_sent(test_cpu(0)), taken = smp_ipis_taken(test_cpu(1));

	smp_call(test_cpu(1), note_call, NULL, true);
	EXPECT(smp_ipis_sent(test_cpu(0)) > sent);
	EXPECT(smp_ipis_taken(test_cpu(1)) > taken);
}

TEST(smp, resched_ipi_reaches_a_busy_cpu)
{
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_NOTHING, NULL))
		return;
	u64 taken = smp_ipis_taken(h.cpu);

	sched_kick(h.cpu);
	EXPECT(WAIT_UNTIL(smp_ipis_taken(h.cpu) > taken));
	hold_end(&h);
}

#ifdef GRACE_DEBUG

static void call_other(void *arg)
{
	smp_call(test_cpu(1), note_call, NULL, true);
	WRITE_ONCE(*(bool *)arg, true);
}

/* Every interrupt to another CPU is lost unless it is sent again: it takes a while, no more. */
TEST(smp, a_lost_interrupt_is_sent_again)
{
	struct inject_settings kept, lost = { .seed = 1 };
	bool done = false;

	if (!test_needs_cpus(2))
		return;
	u64 resent = smp_ipis_resent(test_cpu(0)), start = time_ns();
	struct thread *t = test_thread_new(cpumask_of(test_cpu(0)), call_other, &done);

	if (!t)
		return;
	reset();
	inject_get(&kept);
	lost.rate[INJECT_LOST_IPI] = 1;
	inject_set(&lost);
	thread_wake(t);
	EXPECT(WAIT_UNTIL(READ_ONCE(done)));
	inject_set(&kept);
	EXPECT(time_ns() - start >= 15 * NSEC_PER_MSEC);
	if (!READ_ONCE(done)) /* or the thread would wait for ever */
		arch_send_ipi(cpumask_of(test_cpu(1)));
	thread_join(t);
	EXPECT_EQ(calls, 1);
	EXPECT(smp_ipis_resent(test_cpu(0)) > resent);
}

#endif
