// SPDX-License-Identifier: MIT
/*
 * Lockless walkers against an unmapper, and CPUs that have nothing to do: what it costs them.
 *
 * Rules: none. Contexts: thread; nothing else runs. See also: mm/gup.c, scripts/bench_smp.py.
 */
#include "count.h"

#include <gup.h>
#include <rcu.h>
#include <table_limit.h>

/* ---- Walkers against an unmapper ------------------------------------------------------- */

#define MANY 512

static unsigned int got[MAX_CPUS];
static struct page *pages[MAX_CPUS][MANY];

static void put_all(unsigned int me)
{
	for (unsigned int i = 0; i < got[me]; i++)
		put_page(pages[me][i]);
}

static void walk_one(unsigned int me)
{
	got[me] = gup_fast(shared_page(), 1, FOLL_WRITE, pages[me]);
	put_all(me);
}

static void walk_many(unsigned int me)
{
	got[me] = gup_fast(shared_page(), MANY, FOLL_WRITE, pages[me]);
	put_all(me);
}

/*
 * By IPI the flush waits for the walkers, and keeps its CPU meanwhile. So an interrupt there lets
 * them go once the entry is clear, which is before the flush counts itself.
 */
static struct timer let_go;
static s64 gen_before;

static void let_go_after_clearing(struct timer *t)
{
	if (atomic64_read(&mm->tlb_gen) != gen_before)
		WRITE_ONCE(gup_hold, GUP_HOLD_NONE);
	else
		timer_start(t, NSEC_PER_MSEC);
}

static void unmap_from_walkers(unsigned int me)
{
	gen_before = atomic64_read(&mm->tlb_gen);
	timer_init(&let_go, let_go_after_clearing);
	if (tlb_transport_maskable())
		timer_start(&let_go, NSEC_PER_MSEC);
	BENCH_CHECK(mm_munmap(mm, shared_page(), PAGE_SIZE) == 0);
	timer_stop(&let_go);
	WRITE_ONCE(gup_hold, GUP_HOLD_NONE); /* otherwise it was over with them inside */
}

/* Where each walker has read the entry and has no reference yet, interrupts off. */
static void hold_walkers(unsigned int nr)
{
	WRITE_ONCE(gup_hold, GUP_HOLD_REF);
	for (unsigned int i = 1; i <= nr; i++)
		crew_begin(i, walk_one);
	BENCH_CHECK(WAIT_UNTIL(cpumask_weight(READ_ONCE(gup_held[GUP_HOLD_REF])) == nr));
}

/* Members 1 to nr walk to a page; when all have read its entry, member 0 takes it and its table. */
static void walkers_lose(const char *scenario, unsigned int nr)
{
	struct table_limit_stats before, after;
	struct rcu_stats r0, r1;
	unsigned int losers = 0;

	by_turns(0, 1, map_shared);
	table_limit_get_stats(&before);
	rcu_get_stats(&r0);
	hold_walkers(nr);
	crew_begin(0, unmap_from_walkers);
	for (unsigned int i = 0; i <= nr; i++)
		crew_finish(i);
	for (unsigned int i = 1; i <= nr; i++)
		losers += got[i] == 0;
	table_limit_get_stats(&after);
	rcu_get_stats(&r1);
	count_row(scenario, "refused", losers, nr);
	count_row(scenario, "bytes", after.bytes - before.bytes, 1);
	count_row(scenario, "hurried", r1.hurried + r1.expedited - r0.hurried - r0.expedited, 1);
}

/* All at once through many pages: how often each had interrupts off for that. */
static void walkers_walk(const char *scenario, unsigned int nr)
{
	struct gup_stats before, after;

	gup_get_stats(&before);
	for (unsigned int i = 1; i <= nr; i++)
		crew_begin(i, walk_many);
	for (unsigned int i = 1; i <= nr; i++) {
		crew_finish(i);
		BENCH_CHECK(got[i] == MANY);
	}
	gup_get_stats(&after);
	count_row(scenario, "stretch", after.pages - before.pages, after.walks - before.walks);
}

static void map_many(unsigned int me)
{
	bench_map(mm, shared_page(), MANY);
}

static void unmap_shared_table(unsigned int me)
{
	BENCH_CHECK(mm_munmap(mm, shared_page(), pt_span(1)) == 0);
}

void count_walkers(void)
{
	char name[32];

	tables_go = true;
	if (!enter_mm(cpus))
		return;
	for (unsigned int nr = 1; nr < cpus; nr++) {
		snprintf(name, sizeof(name), "walkers-%u", nr);
		walkers_lose(name, nr);
		bench_settle();
		by_turns(0, 1, map_many);
		walkers_walk(name, nr);
		by_turns(0, 1, unmap_shared_table);
		bench_settle();
	}
	leave_mm(cpus);
}

/* ---- Idle CPUs ------------------------------------------------------------------------- */

static void idle_stats(u64 *ipis, u64 *switches)
{
	*ipis = 0;
	*switches = 0;
	for (unsigned int i = 1; i < cpus; i++) {
		*ipis += smp_ipis_taken(test_cpu(i));
		*switches += sched_switches(test_cpu(i));
	}
}

/* Tables of an mm that only this CPU knows are freed, grace periods pass: nobody else is woken. */
void count_idle(void)
{
	u64 ipis[2], switches[2];

	mm = test_mm_enter();
	bench_settle();
	thread_sleep(TEST_WATCH);
	idle_stats(&ipis[0], &switches[0]);
	for (unsigned int i = 0; i < ROUNDS; i++) {
		bench_map(mm, shared_page(), 1);
		BENCH_CHECK(mm_munmap(mm, shared_page(), PAGE_SIZE) == 0);
		synchronize_rcu();
	}
	idle_stats(&ipis[1], &switches[1]);
	count_row("idle", "ipis", ipis[1] - ipis[0], ROUNDS * (cpus - 1));
	count_row("idle", "wakes", switches[1] - switches[0], ROUNDS * (cpus - 1));
	test_mm_leave(mm);
}
