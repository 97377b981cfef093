// SPDX-License-Identifier: MIT
/*
 * What unmapping costs the other CPUs, counted: interrupts, flushes, lines and locks in common.
 *
 * Rules: none. Contexts: thread; nothing else runs. See also: scripts/bench_smp.py, which knows
 * what Linux counts there and what the least is; docs/performance.md; kernel/contention.c.
 */
#include "count.h"

#include <contention.h>
#include <rcu.h>

/* ---- munmap, with others in the mm ----------------------------------------------------- */

static struct tally tally;

static void use_shared(unsigned int me)
{
	u64 value;

	BENCH_CHECK(test_peek(shared_page(), &value) == 0);
}

static void unmap_shared(unsigned int me)
{
	tally_add(&tally, -1);
	BENCH_CHECK(mm_munmap(mm, shared_page(), PAGE_SIZE) == 0);
	tally_add(&tally, 1);
}

/* Of all CPUs, which are in the mm, the first users have the page in use; the first unmaps it. */
static void munmap_in(const char *what, unsigned int users)
{
	char scenario[32];

	snprintf(scenario, sizeof(scenario), "%s-%s", trees ? "trees" : "munmap", what);
	tally = (struct tally){ 0 };
	for (unsigned int i = 0; i < ROUNDS; i++) {
		by_turns(0, 1, map_shared);
		by_turns(0, users, use_shared);
		by_turns(0, 1, unmap_shared);
	}
	tally_rows(scenario, &tally, ROUNDS);
}

static void munmaps(void)
{
	tables_go = false;
	if (!enter_mm(cpus))
		return;
	munmap_in("unused", 0);
	munmap_in("none", 1);
	if (cpus > 2)
		munmap_in("half", 1 + cpus / 2);
	munmap_in("all", cpus);
	leave_mm(cpus);
	tables_go = true;
	if (!enter_mm(cpus))
		return;
	munmap_in("tables", cpus);
	leave_mm(cpus);
}

/* Nobody else ever was there. */
static void munmap_alone(void)
{
	tables_go = false;
	if (!enter_mm(1))
		return;
	munmap_in("alone", 1);
	leave_mm(1);
}

/* All others have used the page, and left the mm for no other: its root is still loaded there. */
static void munmap_lazy(const char *scenario, bool with_tables)
{
	tables_go = with_tables;
	tally = (struct tally){ 0 };
	if (!enter_mm(1))
		return;
	for (unsigned int i = 0; i < ROUNDS; i++) {
		by_turns(0, 1, map_shared);
		by_turns(0, 1, use_shared);
		by_turns(1, cpus, enter);
		by_turns(1, cpus, use_shared);
		by_turns(1, cpus, leave);
		by_turns(0, 1, unmap_shared);
	}
	tally_rows(scenario, &tally, ROUNDS);
	leave_mm(1);
}

/* ---- Everybody in a place of its own --------------------------------------------------- */

enum phase { MAP, FAULT, UNMAP, NR_PHASES };
static enum phase counted;
static u64 chunk; /* pages */

static vaddr_t own_place(unsigned int me)
{
	return bench_window(4 + 2 * me);
}

static void count_in(enum phase phase, bool on)
{
	if (phase == counted && on)
		contention_begin();
	if (phase == counted && !on)
		contention_end();
}

static void touch(vaddr_t va)
{
	for (u64 i = 0; i < chunk; i++)
		BENCH_CHECK(test_poke(va + i * PAGE_SIZE, i) == 0);
}

/*
 * While one works another is a reader: no callback of RCU's comes in between, so that what is on
 * which list is the same each time.
 */
static bool reading, stop_reading;

static void read(unsigned int me)
{
	rcu_read_lock();
	WRITE_ONCE(reading, true);
	while (!READ_ONCE(stop_reading))
		halt();
	WRITE_ONCE(reading, false);
	rcu_read_unlock();
}

static void settle(unsigned int me)
{
	rcu_barrier();
}

/* The task done by each member in its turn, each time to the end of what it set free. */
static void beside_a_reader(void (*task)(unsigned int))
{
	for (unsigned int i = 0; i < cpus; i++) {
		unsigned int reader = (i + 1) % cpus;

		/* Its CPU is the reader's alone. */
		thread_set_allowed(current, cpumask_of(test_cpu(i)));
		stop_reading = false;
		crew_begin(reader, read);
		BENCH_CHECK(WAIT_UNTIL(READ_ONCE(reading)));
		by_turns(i, i + 1, task);
		WRITE_ONCE(stop_reading, true);
		crew_finish(reader);
		by_turns(i, i + 1, settle);
	}
	thread_set_allowed(current, cpumask_of(test_cpu(0)));
}

/* Maps, touches and unmaps; of the three, one is counted. */
static void work_apart(unsigned int me)
{
	vaddr_t va = own_place(me);

	count_in(MAP, true);
	s64 at = mm_mmap(mm, va, chunk * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED);

	count_in(MAP, false);
	BENCH_CHECK(at == (s64)va);
	count_in(FAULT, true);
	touch(va);
	count_in(FAULT, false);
	tally_add(&tally, -1);
	count_in(UNMAP, true);
	int err = mm_munmap(mm, va, chunk * PAGE_SIZE);

	count_in(UNMAP, false);
	tally_add(&tally, 1);
	BENCH_CHECK(err == 0);
}

static void apart_rows(const char *scenario, u64 pages)
{
	static const char *const names[NR_PHASES] = { "map", "fault", "unmap" };
	struct contention c;
	char name[48];

	contention_sum(&c);
	BENCH_CHECK(c.lost == 0);
	snprintf(name, sizeof(name), "%s-%s", scenario, names[counted]);
	count_row(name, "atomics", c.rmw, pages);
	count_row(name, "shared", c.shared, pages);
	count_row(name, "waits", c.lock_waits, pages);
}

static void apart(const char *scenario, u64 pages)
{
	chunk = pages;
	for (counted = MAP; counted < NR_PHASES; counted++) {
		if (!enter_mm(cpus))
			return;
		beside_a_reader(work_apart); /* tables, stacks, caches of objects */
		bench_settle();
		contention_reset();
		tally = (struct tally){ 0 };
		for (unsigned int i = 0; i < ROUNDS; i++)
			beside_a_reader(work_apart);
		apart_rows(scenario, ROUNDS * cpus * pages);
		if (counted == UNMAP)
			tally_rows(scenario, &tally, ROUNDS * cpus);
		leave_mm(cpus);
	}
}

/* ---- ... while another is in the middle of its own ------------------------------------- */

static bool overlapping_fault;

static void work_beside(unsigned int me)
{
	contention_begin();
	if (overlapping_fault)
		touch(own_place(me));
	else
		BENCH_CHECK(mm_munmap(mm, own_place(me), PAGE_SIZE) == 0);
	contention_end();
}

static void map_own(unsigned int me)
{
	bench_map(mm, own_place(me), 2);
	BENCH_CHECK(mm_madvise_dontneed(mm, own_place(me), 2 * PAGE_SIZE) == 0);
}

static u64 lock_waits(void)
{
	struct contention c;

	contention_sum(&c);
	return c.lock_waits;
}

/*
 * The leader has the mm as a munmap has it in its long part, from its first entry to its flush:
 * mmap_lock for reading. How many of the others come to wait for that, one after the other.
 */
static void beside(const char *scenario, bool fault)
{
	overlapping_fault = fault;
	chunk = 1;
	if (!enter_mm(cpus))
		return;
	by_turns(1, cpus, map_own);
	contention_reset();
	down_read(&mm->mmap_lock);
	for (unsigned int i = 1; i < cpus; i++) {
		u64 before = lock_waits();

		crew_begin(i, work_beside);
		BENCH_CHECK(WAIT_UNTIL(crew_done(i) || (lock_waits() > before && crew_asleep(i))));
	}
	u64 waits = lock_waits();

	up_read(&mm->mmap_lock);
	for (unsigned int i = 1; i < cpus; i++)
		crew_finish(i);
	count_row(scenario, "waits", waits, cpus - 1);
	leave_mm(cpus);
}

/* ---- Pages a munmap -------------------------------------------------------------------- */

static u64 sweep_pages;

static void unmap_many(unsigned int me)
{
	bench_map(mm, shared_page(), sweep_pages);
	tally_add(&tally, -1);
	BENCH_CHECK(mm_munmap(mm, shared_page(), sweep_pages * PAGE_SIZE) == 0);
	tally_add(&tally, 1);
}

static void sweep(void)
{
	if (!enter_mm(cpus))
		return;
	for (sweep_pages = 1; sweep_pages <= BENCH_PAGES; sweep_pages *= 4) {
		char name[32];

		tally = (struct tally){ 0 };
		by_turns(0, 1, unmap_many);
		snprintf(name, sizeof(name), "pages-%llu", (unsigned long long)sweep_pages);
		count_row(name, "flushes", tally.tlb.flush_range + tally.tlb.flush_mm, 1);
		count_row(name, "told", tally.tlb.targets, 1);
		bench_settle();
	}
	leave_mm(cpus);
}

void count_unmapping(void)
{
	munmaps();
	munmap_alone();
	munmap_lazy("munmap-lazy", false);
	munmap_lazy("munmap-lazy-tables", true);
	apart("apart1", 1);
	apart("apart64", 64);
	beside("beside-fault", true);
	beside("beside-munmap", false);
	if (cpus == 2)
		sweep();
	trees = true;
	munmaps();
	apart("trees1", 1);
	trees = false;
}
