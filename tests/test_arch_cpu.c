// SPDX-License-Identifier: MIT
/*
 * The port contract, entries 21 to 38 and 41: CPUs, interrupts, threads, user access, time.
 *
 * See also: test_arch_codec.c (1 to 11), test_arch_tlb.c (12 to 20), test_arch_trap.c (39, 40,
 * 42, 43).
 */
#include "testlib.h"

#include <boot.h>
#include <irqflags.h>
#include <smp.h>
#include <symbols.h>

/* ---- CPUs and interprocessor interrupts -------------------------------------------------- */

struct cpu_facts {
	bool ran, stack_ok, irqs_on;
	unsigned int number, preempt_count;
	unsigned long offset;
};
static struct cpu_facts facts[MAX_CPUS];

static void look_at_cpu(void *unused)
{
	vaddr_t sp = arch_frame_pointer();

	preempt_disable();
	struct cpu_facts *f = &facts[smp_processor_id()];

	f->ran = true;
	f->stack_ok = (sp & STACK_SIZE) && sp - current->stack < STACK_SIZE;
	f->number = smp_processor_id();
	f->offset = arch_percpu_offset();
	f->irqs_on = arch_irqs_enabled();
	f->preempt_count = current->preempt_count;
	preempt_enable();
}

TEST(arch, e21_every_described_cpu_runs)
{
	unsigned int cpu;

	EXPECT_EQ(cpumask_weight(cpu_online_mask), boot.nr_cpus);
	memset(facts, 0, sizeof(facts));
	test_run_on_each(look_at_cpu, NULL);
	for_each_online_cpu(cpu) {
		EXPECT(facts[cpu].ran);
		EXPECT_EQ(facts[cpu].number, cpu);
		EXPECT_EQ(facts[cpu].offset, percpu_offset[cpu]); /* entry 33 */
		EXPECT(facts[cpu].stack_ok);
	}
}

TEST(arch, e22_cpus_take_interrupts)
{
	unsigned int cpu;

	for_each_online_cpu(cpu) {
		u64 before = tick_count(cpu);
		struct holder h;

		if (cpu == test_cpu(0) || !hold_start(&h, cpu, HOLD_PREEMPT, NULL))
			continue;
		EXPECT(facts[cpu].irqs_on || !facts[cpu].ran);
		EXPECT(WAIT_UNTIL(tick_count(cpu) > before));
		hold_end(&h);
		if (cpu == test_cpu(3))
			break; /* a few stand for all */
	}
}

static unsigned int calls_seen;

static void count_call(void *unused)
{
	fetch_add(&calls_seen, 1);
}

TEST(arch, e23_ipi_waits_for_irqs)
{
	struct holder h;

	if (!test_needs_cpus(2) || !hold_start(&h, test_cpu(1), HOLD_IRQS, NULL))
		return;
	WRITE_ONCE(calls_seen, 0);
	u64 taken = smp_ipis_taken(h.cpu);

	smp_call(h.cpu, count_call, NULL, false);
	EXPECT(NOT_WITHIN_WATCH(READ_ONCE(calls_seen) != 0 || smp_ipis_taken(h.cpu) != taken));
	hold_end(&h);
	EXPECT(WAIT_UNTIL(READ_ONCE(calls_seen) == 1));
	EXPECT(smp_ipis_taken(h.cpu) > taken);
}

TEST(arch, e23_ipi_to_self)
{
	preempt_disable();
	unsigned int cpu = smp_processor_id();
	bool on = local_irq_save();
	u64 taken = smp_ipis_taken(cpu);

	arch_send_ipi(cpumask_of(cpu));
	udelay(1000);
	EXPECT_EQ(smp_ipis_taken(cpu), taken);
	local_irq_restore(on);
	EXPECT(SPIN_UNTIL(smp_ipis_taken(cpu) != taken));
	preempt_enable();
}

TEST(arch, e24_nmi_reaches_a_cpu_with_irqs_off)
{
	struct holder h;
	const char *text = NULL;

	if (!test_needs_cpus(2))
		return;
	if (!arch.nmi) {
		arch_send_nmi(test_cpu(1)); /* does nothing */
		test_skip("no NMI on this port");
		return;
	}
	if (!hold_start(&h, test_cpu(1), HOLD_IRQS, NULL))
		return;
	bool captured = capture_start();

	if (captured) {
		backtrace_print_cpu(h.cpu);
		text = capture_stop();
	}
	hold_end(&h);
	if (EXPECT(captured) && !EXPECT(test_strstr(text, "hold_") != NULL))
		print_raw(text, strlen(text));
	capture_free();
}

/* ---- Interrupt state --------------------------------------------------------------------- */

TEST(arch, e25_irq_save_says_what_was)
{
	EXPECT(arch_irqs_enabled());
	bool first = arch_irq_save(), second = arch_irq_save();
	bool enabled = arch_irqs_enabled();

	arch_irq_enable();
	EXPECT(first);
	EXPECT(!second);
	EXPECT(!enabled);
	EXPECT(arch_irqs_enabled());
}

TEST(arch, e27_irq_disable_and_enable)
{
	preempt_disable();
	unsigned int cpu = smp_processor_id();
	u64 ticks;

	arch_irq_disable();
	bool off = !arch_irqs_enabled();

	ticks = tick_count(cpu);
	udelay(3 * TICK_NS / 1000);
	u64 during = tick_count(cpu) - ticks;

	arch_irq_enable();
	EXPECT(off);
	EXPECT_EQ(during, 0);
	EXPECT(SPIN_UNTIL(tick_count(cpu) > ticks));
	preempt_enable();
}

static bool timer_ran;

static void note_timer(struct timer *t)
{
	WRITE_ONCE(timer_ran, true);
}

/*
 * Idles until the timer has run; says whether interrupts were on whenever arch_cpu_idle() returned.
 */
static bool idle_until_timer(u64 delay_us)
{
	u64 end = time_ns() + TEST_PATIENCE;
	bool on_after = true;

	arch_irq_disable();
	udelay(delay_us);
	while (!READ_ONCE(timer_ran) && time_ns() < end) {
		arch_cpu_idle();
		on_after &= arch_irqs_enabled();
		arch_irq_disable();
	}
	arch_irq_enable();
	return on_after;
}

TEST(arch, e29_idle_ends_with_an_interrupt)
{
	struct timer t;

	timer_init(&t, note_timer);
	/* 0: the interrupt comes while it waits; 5000: it is pending before the wait begins. */
	for (u64 delay = 0; delay <= 5000; delay += 5000) {
		preempt_disable();
		WRITE_ONCE(timer_ran, false);
		timer_start(&t, 2 * NSEC_PER_MSEC);
		bool on_after = idle_until_timer(delay);

		preempt_enable();
		EXPECT(READ_ONCE(timer_ran));
		EXPECT(on_after);
		timer_stop(&t);
	}
}

/* ---- Threads and user access ------------------------------------------------------------- */

struct first_look {
	struct thread *self;
	void *arg;
	bool irqs_on, stack_ok;
	unsigned int preempt_count;
};

static void look_around(void *arg)
{
	struct first_look *l = arg;
	vaddr_t sp = arch_frame_pointer();

	l->self = current;
	l->arg = arg;
	l->irqs_on = arch_irqs_enabled();
	l->preempt_count = current->preempt_count;
	l->stack_ok = sp > current->stack && sp < current->stack + STACK_SIZE &&
		      sp > current->stack + STACK_SIZE / 2; /* from the top down */
}

TEST(arch, e30_new_thread_starts)
{
	struct first_look l = { 0 };
	struct thread *t = test_thread(~0ULL, look_around, &l);

	ASSERT(t != NULL);
	struct thread *expected = t;

	thread_join(t);
	EXPECT(l.self == expected);
	EXPECT(l.arg == &l);
	EXPECT(l.irqs_on);
	EXPECT_EQ(l.preempt_count, 0);
	EXPECT(l.stack_ok);
}

struct mixer {
	u64 seed, sum;
};

/* Keeps many values alive across switches, more than a port has registers to keep them in. */
static void mix(void *arg)
{
	struct mixer *m = arg;
	u64 v[20];

	for (unsigned int i = 0; i < ARRAY_SIZE(v); i++)
		v[i] = m->seed * (i + 1);
#define MIX(i) (v[i] = v[i] * 3 + v[((i) + 7) % 20])
	for (unsigned int round = 0; round < 100; round++) {
		MIX(0), MIX(1), MIX(2), MIX(3), MIX(4), MIX(5), MIX(6), MIX(7), MIX(8), MIX(9);
		if (m->seed)
			thread_yield();
		MIX(10), MIX(11), MIX(12), MIX(13), MIX(14);
		MIX(15), MIX(16), MIX(17), MIX(18), MIX(19);
	}
#undef MIX
	m->sum = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(v); i++)
		m->sum += v[i] * (i + 1);
}

TEST(arch, e31_switch_keeps_registers)
{
	struct mixer m[4] = { { 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 } };
	struct thread *t[4];

	for (unsigned int i = 0; i < 4; i++)
		t[i] = test_thread(cpumask_of(test_cpu(0)), mix, &m[i]);
	for (unsigned int i = 0; i < 4; i++)
		if (t[i])
			thread_join(t[i]);
	/* The mixing is linear, so the sums are in the ratio of the seeds. */
	for (u64 i = 1; i < 4; i++)
		EXPECT_EQ(m[i].sum, m[0].sum * (i + 1));
	EXPECT(m[0].sum != 0);
}

TEST(arch, e32_current_is_this_thread)
{
	vaddr_t sp = arch_frame_pointer();

	EXPECT(arch_current() == current);
	EXPECT(sp > current->stack && sp < current->stack + STACK_SIZE);
	EXPECT(sched_cpu_current(READ_ONCE(current->cpu)) == current || preemptible());
}

static void open_and_yield(void *arg)
{
	struct mm *mm = arg;
	vaddr_t va = test_window(0);
	u64 value = 0;

	kthread_use_mm(mm);
	user_access_begin();
	for (unsigned int i = 0; i < 50; i++) {
		value = 0;
		EXPECT_EQ(user_read_u64(va, &value), 0);
		EXPECT_EQ(value, TWIN_A);
		user_access_end();
		thread_yield();
		user_access_begin();
		/* Interrupts close it in their handlers and give it back. */
		u64 until = time_ns() + TICK_NS / 4;

		while (time_ns() < until)
			cpu_relax();
	}
	user_access_end();
	kthread_unuse_mm();
}

TEST(arch, e34_user_access_survives_switches_and_irqs)
{
	struct mm *mm = test_mm_enter();
	struct thread *t[2];

	if (!mm)
		return;
	EXPECT_EQ(test_map(mm, 1, 0), test_window(0));
	EXPECT_EQ(test_poke(test_window(0), TWIN_A), 0);
	for (unsigned int i = 0; i < 2; i++)
		t[i] = test_thread(cpumask_of(test_cpu(0)), open_and_yield, mm);
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_join(t[i]);
	test_mm_leave(mm);
}

static size_t raw_copy(void *dst, const void *src, size_t n, bool to_user)
{
	size_t left;

	user_access_begin();
	left = arch_user_copy(dst, src, n, to_user);
	user_access_end();
	return left;
}

TEST(arch, e36_user_copy_counts_what_is_left)
{
	struct mm *mm = test_mm_enter();
	static u8 from[64], to[64];
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;

	if (va) {
		vaddr_t end = va + PAGE_SIZE;

		for (unsigned int i = 0; i < sizeof(from); i++)
			from[i] = (u8)(i + 1);
		for (unsigned int n = 0; n <= sizeof(from); n += 7) {
			EXPECT_EQ(raw_copy((void *)(va + 3), from, n, true), 0);
			memset(to, 0, sizeof(to));
			EXPECT_EQ(raw_copy(to, (void *)(va + 3), n, false), 0);
			EXPECT_EQ(memcmp(to, from, n), 0);
			EXPECT(n == sizeof(to) || to[n] == 0);
		}
		/* Ten bytes are there, the others are not. */
		EXPECT_EQ(raw_copy((void *)(end - 10), from, 10, true), 0);
		memset(to, 0, sizeof(to));
		size_t left = raw_copy(to, (void *)(end - 10), 32, false);

		EXPECT(left >= 22 && left <= 32);
		EXPECT_EQ(memcmp(to, from, 32 - left), 0);
		left = raw_copy((void *)(end - 10), from + 1, 32, true);
		EXPECT(left >= 22 && left <= 32);
	}
	if (mm)
		test_mm_leave(mm);
}

/* The page, and nothing beside it; where there is no such instruction, nothing. */
TEST(arch, e41_a_page_is_zeroed_and_no_more)
{
	struct page *p = alloc_pages(2, GFP_KERNEL);

	ASSERT(p != NULL);
	u64 *word = page_to_virt(p);
	const size_t n = PAGE_SIZE / sizeof(*word);

	memset(word, 0xa5, 4 * PAGE_SIZE);
	bool done = arch_clear_page(word + n);

	for (size_t i = 0; i < 4 * n; i++) {
		u64 want = done && i / n == 1 ? 0 : 0xa5a5a5a5a5a5a5a5;

		if (!EXPECT_EQ(word[i], want))
			break;
	}
	free_pages(p, 2);
}

/* ---- Time -------------------------------------------------------------------------------- */

TEST(arch, e37_cycles_never_go_back)
{
	u64 last = arch_cycles(), start = last;

	for (unsigned int i = 0; i < 10000; i++) {
		u64 now = arch_cycles();

		if (!EXPECT(now >= last))
			break;
		last = now;
	}
	EXPECT(SPIN_UNTIL(arch_cycles() - start > arch.timer_hz / 1000));
}

TEST(arch, e38_timer_replaces_the_last_setting)
{
	preempt_disable();
	unsigned int cpu = smp_processor_id();
	bool on = local_irq_save();
	u64 ticks = tick_count(cpu);

	arch_timer_set(arch_cycles() + 1000 * arch.timer_hz);
	arch_timer_set(arch_cycles()); /* in the past by now: takes the interrupt at once */
	local_irq_restore(on);
	/*
	 * The handler sets it again for the tick; a timer still set to the far future would not
	 * tick.
	 */
	EXPECT(SPIN_UNTIL(tick_count(cpu) > ticks + 1));
	preempt_enable();
}

TEST(arch, e45_instructions_never_go_back)
{
	preempt_disable();
	u64 first = arch_instructions(), last = first;

	for (unsigned int i = 0; i < 10000; i++) {
		u64 now = arch_instructions();

		if (!EXPECT(now >= last))
			break;
		last = now;
	}
	/* It counts, or it is not there. */
	EXPECT(last > first || last == 0);
	preempt_enable();
}
