// SPDX-License-Identifier: MIT
/*
 * What an operation costs on the host, in cycles of real caches, beside the least that it must do.
 *
 * Terms. A pair is two variants of one operation: the kernel's own, and the floor, which does the
 * loads, atomics and stores that the operation cannot do without, inlined, nothing around them.
 * Turns of the two alternate, so that both see the same host. A turn counts if a loop of known
 * length took the same before and behind it: otherwise somebody else had the processor's speed.
 * Why: instructions know no cache and no atomic; here they cost what they do.
 * Rules: none. Contexts: thread; the whole kernel is a host program (arch/sim/host). See also:
 * scripts/bench_host.py, which takes medians and bounds; docs/performance.md.
 */
#include "../bench.h"

#include <console.h>
#include <gup.h>
#include <irqflags.h>
#include <printk.h>
#include <slab.h>

#define PAIRS 101
#define TRIES 2000 /* at most, to have PAIRS turns that count */
#define MANY 512

static struct mm *mm;
static struct page *pages[MANY];
static u64 overhead; /* of two readings of the clock */

/* A variant: makes ready, then the cycles of ops operations. */
struct variant {
	void (*prepare)(void);
	u64 (*run)(void);
};

struct pair {
	const char *name;
	unsigned int ops;
	struct variant ours, floor;
};

#define TIMED(work)                                                                                \
	({                                                                                         \
		u64 timed_start = arch_instructions();                                             \
		work;                                                                              \
		arch_instructions() - timed_start;                                                 \
	})

static vaddr_t range(void)
{
	return bench_window(0);
}

static void nothing(void)
{
}

static void put_all(void)
{
	for (unsigned int i = 0; i < MANY; i++) {
		if (pages[i])
			put_page(pages[i]);
		pages[i] = NULL;
	}
}

/* ---- Walks ----------------------------------------------------------------------------- */

static pte_t *leaf_of(vaddr_t va, const pte_t **above, pte_t *above_pte)
{
	pte_t *table = mm->root;

	for (unsigned int level = pt_top_level();; level--) {
		*above = table + pt_index(va, level);
		*above_pte = pte_read(*above);
		table = pte_table(*above_pte);
		if (level == 1)
			return table + pt_index(va, 0);
	}
}

/* One reference, by one atomic; the two second looks. */
static inline struct page *floor_take(const pte_t *ptep, const pte_t *above, pte_t above_pte)
{
	pte_t pte = pte_read(ptep);
	struct page *page = pte_page(pte);

	if (!pte_user_allows(pte, true) || !try_get_refs(page, PAGE_REF) ||
	    !pte_same(pte_read(ptep), pte) || !pte_same(pte_read(above), above_pte))
		return NULL;
	return page;
}

/* The figure of something else is no figure. */
static u64 all_taken(u64 cycles, unsigned int nr)
{
	for (unsigned int i = 0; i < nr; i++)
		BENCH_CHECK(pages[i] != NULL);
	return cycles;
}

static u64 gup1(void)
{
	u64 cycles = TIMED(for (unsigned int i = 0; i < MANY; i++)
			       gup_fast(range() + i * PAGE_SIZE, 1, FOLL_WRITE, &pages[i]));

	return all_taken(cycles, MANY);
}

static u64 gup1_floor(void)
{
	const pte_t *above;
	pte_t above_pte;

	u64 cycles = TIMED(for (unsigned int i = 0; i < MANY; i++) {
		pte_t *ptep = leaf_of(range() + i * PAGE_SIZE, &above, &above_pte);

		pages[i] = floor_take(ptep, above, above_pte);
	});

	return all_taken(cycles, MANY);
}

static u64 gup512(void)
{
	u64 cycles = TIMED(gup_fast(range(), MANY, FOLL_WRITE, pages));

	return all_taken(cycles, MANY);
}

static u64 gup512_floor(void)
{
	const pte_t *above;
	pte_t above_pte, *ptep;

	u64 cycles = TIMED({
		ptep = leaf_of(range(), &above, &above_pte);
		for (unsigned int i = 0; i < MANY; i++)
			pages[i] = floor_take(ptep + i, above, above_pte);
	});

	return all_taken(cycles, MANY);
}

static u64 pin512(void)
{
	u64 cycles = TIMED({
		gup_fast(range(), MANY, FOLL_WRITE | FOLL_PIN, pages);
		for (unsigned int i = 0; i < MANY; i++)
			unpin_user_page(pages[i]);
	});

	memset(pages, 0, sizeof(pages));
	return cycles;
}

/* Two atomics a page. */
static u64 pin512_floor(void)
{
	const pte_t *above;
	pte_t above_pte, *ptep;

	return TIMED({
		ptep = leaf_of(range(), &above, &above_pte);
		for (unsigned int i = 0; i < MANY; i++) {
			struct page *page = floor_take(ptep + i, above, above_pte);

			if (page)
				fetch_add(&page->counts.counter, -PAGE_REF);
		}
	});
}

/* Far apart: a table and a descriptor each, which no near cache has any more. */
#define SPREAD_MANY 64
#define SPREAD_STEP 2
static u64 gup_spread(void)
{
	u64 cycles = TIMED(for (unsigned int i = 0; i < SPREAD_MANY; i++) gup_fast(
	    bench_window(8 + SPREAD_STEP * i), 1, FOLL_WRITE, &pages[i]));

	return all_taken(cycles, SPREAD_MANY);
}

static u64 gup_spread_floor(void)
{
	const pte_t *above;
	pte_t above_pte;

	u64 cycles = TIMED(for (unsigned int i = 0; i < SPREAD_MANY; i++) {
		pte_t *ptep = leaf_of(bench_window(8 + SPREAD_STEP * i), &above, &above_pte);

		pages[i] = floor_take(ptep, above, above_pte);
	});

	return all_taken(cycles, SPREAD_MANY);
}

/* Everything that is on the way leaves all caches; the upper tables are on the way of all. */
/* Out of every cache. */
static void cache_drop(const void *p)
{
	__asm__ __volatile__("clflush (%0)" ::"r"(p) : "memory");
}

static void flush_spread(void)
{
	put_all();
	for (unsigned int i = 0; i < SPREAD_MANY; i++) {
		const pte_t *above;
		pte_t above_pte, *ptep;

		ptep = leaf_of(bench_window(8 + SPREAD_STEP * i), &above, &above_pte);
		cache_drop(pte_page(pte_read(ptep)));
		cache_drop(ptep);
		cache_drop(above);
	}
}

/* ---- Zapping --------------------------------------------------------------------------- */

static void populate(void)
{
	bench_populate(mm, range(), MANY);
}

static u64 zap512(void)
{
	int err;
	u64 cycles = TIMED(err = mm_madvise_dontneed(mm, range(), MANY * PAGE_SIZE));

	BENCH_CHECK(err == 0);
	return cycles;
}

static inline bool put_floor(struct page *page)
{
	return fetch_add(&page->counts.counter, -PAGE_REF) == PAGE_REF;
}

/* What comes behind a floor, to have the kernel's accounts right, is not timed. */
static pte_t was[MANY];

static void restore(pte_t *ptep)
{
	for (unsigned int i = 0; i < MANY; i++) {
		pages[i]->counts.counter = PAGE_REF;
		WRITE_ONCE(ptep[i].val, was[i].val);
		pages[i] = NULL;
	}
}

/*
 * An exchange for the entry, since the MMU writes to it; an atomic for the reference, since walkers
 * do.
 */
static u64 zap512_floor(void)
{
	const pte_t *above;
	pte_t above_pte, *ptep = leaf_of(range(), &above, &above_pte);
	u64 cycles = TIMED(for (unsigned int i = 0; i < MANY; i++) {
		was[i] = (pte_t){ xchg(&ptep[i].val, 0ULL) };
		struct page *page = pte_page(was[i]);

		if (put_floor(page))
			pages[i] = page;
	});

	restore(ptep);
	return cycles;
}

/* The same pages with their table: mapped anew each time, beside what keeps the tables above. */
#define BESIDE 4

static void map_again(void)
{
	bench_map(mm, bench_window(BESIDE), MANY);
}

static u64 munmap512(void)
{
	int err;
	u64 cycles = TIMED(err = mm_munmap(mm, bench_window(BESIDE), MANY * PAGE_SIZE));

	BENCH_CHECK(err == 0);
	return cycles;
}

/* One exchange for the table; its entries are nobody else's then: an atomic for each reference. */
static u64 munmap512_floor(void)
{
	const pte_t *above;
	pte_t above_pte, *ptep = leaf_of(bench_window(BESIDE), &above, &above_pte);
	u64 cycles = TIMED({
		(void)xchg((u64 *)&above->val, 0ULL);
		for (unsigned int i = 0; i < MANY; i++) {
			was[i] = pte_read(ptep + i);
			WRITE_ONCE(ptep[i].val, 0);
			struct page *page = pte_page(was[i]);

			if (put_floor(page))
				pages[i] = page;
		}
	});

	WRITE_ONCE(*(u64 *)&above->val, above_pte.val);
	restore(ptep);
	BENCH_CHECK(mm_munmap(mm, bench_window(BESIDE), MANY * PAGE_SIZE) == 0);
	return cycles;
}

/* ---- Pages ----------------------------------------------------------------------------- */

#define FEW 32

static u64 page_pair(void)
{
	return TIMED(for (unsigned int i = 0; i < FEW; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		put_page(pages[i]);
		pages[i] = NULL;
	});
}

/* Off a stack with its reference, and back when the atomic says that it was the last. */
static u64 page_floor(void)
{
	static struct page *stack[2];
	static unsigned int top;

	stack[0] = alloc_page(GFP_KERNEL);
	top = 1;
	u64 cycles = TIMED(for (unsigned int i = 0; i < FEW; i++) {
		struct page *page = stack[--top];

		smp_store_release(&page->counts.counter, PAGE_REF);
		if (fetch_add(&page->counts.counter, -PAGE_REF) == PAGE_REF)
			stack[top++] = page;
		barrier();
	});

	stack[0]->counts.counter = PAGE_REF;
	put_page(stack[0]);
	return cycles;
}

/* ---- Turns ----------------------------------------------------------------------------- */

static const struct pair pairs[] = {
	{ "gup1", MANY, { put_all, gup1 }, { put_all, gup1_floor } },
	{ "gup512", MANY, { put_all, gup512 }, { put_all, gup512_floor } },
	{ "pin512", MANY, { put_all, pin512 }, { put_all, pin512_floor } },
	{ "gup-cold",
	  SPREAD_MANY,
	  { flush_spread, gup_spread },
	  { flush_spread, gup_spread_floor } },
	{ "zap512", MANY, { populate, zap512 }, { populate, zap512_floor } },
	{ "munmap512", MANY, { map_again, munmap512 }, { map_again, munmap512_floor } },
	{ "page", FEW, { nothing, page_pair }, { nothing, page_floor } },
};

static u64 calibrator(void)
{
	unsigned long turns = 1000;

	return TIMED(do __asm__ __volatile__("" : "+r"(turns)); while (--turns));
}

static bool alike(u64 a, u64 b)
{
	return max(a, b) - min(a, b) <= max(a, b) / 20;
}

static u64 turn(const struct variant *v)
{
	v->prepare();
	u64 cycles = v->run();

	return cycles - min(cycles, overhead);
}

static void run_pair(const struct pair *p)
{
	unsigned int have = 0;

	turn(&p->ours);
	turn(&p->floor);
	for (unsigned int i = 0; i < TRIES && have < PAIRS; i++) {
		u64 before = calibrator(), ours = turn(&p->ours), floor = turn(&p->floor);

		if (!alike(before, calibrator()))
			continue;
		print_line("PAIR %s %u %llu %llu", p->name, p->ops, (unsigned long long)ours,
			   (unsigned long long)floor);
		have++;
	}
	put_all();
	if (have < PAIRS)
		bench_fail("%s: only %u of %u turns had the processor for themselves", p->name,
			   have, PAIRS);
}

static void map_all(void)
{
	bench_map(mm, range(), MANY);
	for (unsigned int i = 0; i < SPREAD_MANY; i++)
		bench_map(mm, bench_window(8 + SPREAD_STEP * i), 1);
}

static int cmd_bench_host(int argc, char **argv)
{
	unsigned int failed = bench_failures();

	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	mm = test_mm_enter();
	map_all();
	overhead = ~0ULL;
	for (unsigned int i = 0; i < BENCH_TURNS; i++)
		overhead = min(overhead, TIMED(barrier()));
	for (unsigned int i = 0; i < ARRAY_SIZE(pairs); i++)
		run_pair(&pairs[i]);
	test_mm_leave(mm);
	thread_set_allowed(current, ~0ULL);
	failed = bench_failures() - failed;
	print_line("BENCH-END host %u", failed);
	return failed ? -EIO : 0;
}
COMMAND(bench_host, "bench-host", "bench-host  cycles of the host; scripts/bench_host.py reads it",
	cmd_bench_host);
