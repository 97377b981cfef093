// SPDX-License-Identifier: MIT
/*
 * What the lockless walker costs, and how long it keeps interrupts off.
 *
 * Rows gup1, gup512, pin512: the call, the walk, the references and, for one page at a time, the
 * loop around it. Dropping the references is not in gup1 and gup512; in pin512 it is.
 * See also: mm/gup.c.
 */
#include "bench.h"

#include <gup.h>

#define MANY 4096

static struct page *pages[MANY];

static void put_all(unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		put_page(pages[i]);
}

static void one_by_one(vaddr_t va)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		unsigned int got = 0;

		meter_start(&m);
		for (unsigned int i = 0; i < BENCH_OPS; i++)
			got += gup_fast(va + i * PAGE_SIZE, 1, FOLL_WRITE, &pages[i]);
		meter_stop(&m);
		if (!BENCH_CHECK(got == BENCH_OPS))
			return;
		put_all(got);
	}
	bench_meter_row("gup1", &m, BENCH_OPS);
}

static void in_one_call(vaddr_t va)
{
	struct meter m = METER_INIT, put = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&m);
		unsigned int got = gup_fast(va, 512, FOLL_WRITE, pages);

		meter_stop(&m);
		if (!BENCH_CHECK(got == 512))
			return;
		meter_start(&put);
		put_all(got);
		meter_stop(&put);
	}
	bench_meter_row("gup512", &m, 512);
	bench_meter_row("put", &put, 512);
}

static void pinned(vaddr_t va)
{
	struct meter m = METER_INIT;

	for (unsigned int turn = 0; turn < BENCH_TURNS; turn++) {
		meter_start(&m);
		unsigned int got = gup_fast(va, 512, FOLL_WRITE | FOLL_PIN, pages);

		for (unsigned int i = 0; i < got; i++)
			unpin_user_page(pages[i]);
		meter_stop(&m);
		if (!BENCH_CHECK(got == 512))
			return;
	}
	bench_meter_row("pin512", &m, 512);
}

void bench_gup(void)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = bench_window(0);

	bench_map(mm, va, 512);
	one_by_one(va);
	in_one_call(va);
	pinned(va);
	test_mm_leave(mm);
}

/* ---- Interrupts off -------------------------------------------------------------------- */

/*
 * A timer is set to every place of the walk in turn, in steps of STEP_NS. How late its function
 * runs is how much of a stretch with interrupts off was left there; the most that is seen, less how
 * late it runs when interrupts are on throughout, is the longest stretch, to within a step.
 */
#define STEP_NS 32
#define REACH_NS 8000 /* two of the walker's stretches, and the way to the first */
#define FAR_NS 4000   /* time for the call to begin */

static u64 latest;		   /* instructions */
static u64 edge_cycles, edge_insn; /* one moment by both clocks */

/*
 * A tick of the timer's clock may be a hundred instructions (10 MHz on riscv64), too coarse to
 * measure with. Where it changes, both clocks are read: from there an expiry can be counted on in
 * instructions, of which one takes one ns here. It is near by, as no clock's frequency is exact.
 */
static void find_edge(void)
{
	u64 before = arch_cycles();

	do {
		edge_cycles = arch_cycles();
		edge_insn = arch_instructions();
	} while (edge_cycles == before);
}

static void fired(struct timer *t)
{
	u64 now = arch_instructions() - edge_insn;

	latest = max(latest, now - min(now, cycles_to_ns(t->expires - edge_cycles)));
}

static void spin_with_interrupts_on(vaddr_t va)
{
	u64 end = time_ns() + 2 * FAR_NS + REACH_NS;

	while (time_ns() < end)
		cpu_relax();
}

static void walk_many(vaddr_t va)
{
	unsigned int got = gup_fast(va, MANY, FOLL_WRITE, pages);

	BENCH_CHECK(got == MANY);
	put_all(got);
}

/* The latest that a timer comes during fn, in instructions. */
static u64 latest_during(void (*fn)(vaddr_t va), vaddr_t va)
{
	struct timer timer;

	timer_init(&timer, fired);
	latest = 0;
	for (u64 ns = FAR_NS; ns < FAR_NS + REACH_NS; ns += STEP_NS) {
		find_edge();
		preempt_disable();
		timer_start(&timer, ns);
		fn(va);
		preempt_enable();
		timer_stop(&timer);
	}
	return latest;
}

void bench_irqoff(void)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = bench_window(0);

	bench_map(mm, va, MANY);
	u64 without = latest_during(spin_with_interrupts_on, va);
	u64 with = latest_during(walk_many, va);

	bench_row("irqoff", with - min(with, without), 1);
	bench_row("irqlate", without, 1);
	test_mm_leave(mm);
}
