/* SPDX-License-Identifier: MIT */
/*
 * What the benchmarks share: a meter that counts instructions, rows for the host, scratch memory.
 *
 * A row is one line, "BENCH name total ops": scripts/bench.py divides, compares and draws. Total is
 * the least of many turns, less what reading the counter costs: a turn in which the tick came is
 * never the least. Only what is between meter_start() and meter_stop() is counted; these files are
 * compiled like the kernel they call (-O2), since loops and inline functions count too.
 * Release builds alone have them. See also: docs/performance.md.
 */
#ifndef GRACE_BENCH_H
#define GRACE_BENCH_H

#include "../testlib.h"

#include <arch.h>

#define BENCH_TURNS 15
#define BENCH_OPS 64	  /* operations between two readings, where one is short */
#define BENCH_PAGES 65536 /* the longest range of a sweep */

struct meter {
	u64 start, least;
};

#define METER_INIT                                                                                 \
	{                                                                                          \
		.least = ~0ULL                                                                     \
	}

static inline void meter_start(struct meter *m)
{
	m->start = arch_instructions();
}

static inline void meter_stop(struct meter *m)
{
	u64 n = arch_instructions() - m->start;

	m->least = min(m->least, n);
}

/* What the meter itself costs, and whether the counter counts instructions: bench_clock(). */
u64 meter_least(const struct meter *m);

/* Prints a row: total for ops operations. The second takes it from the meter. */
void bench_row(const char *name, u64 total, u64 ops);
void bench_meter_row(const char *name, const struct meter *m, u64 ops);
/* The same for one point of a sweep: the row's name is "sweep/x". */
void bench_sweep_row(const char *sweep, u64 x, u64 total, u64 ops);
/* Says what went wrong, and makes the whole run fail: a figure of something else is no figure. */
void bench_fail(const char *fmt, ...) __printf(1, 2);
/* How often that was. */
unsigned int bench_failures(void);
#define BENCH_CHECK(cond)                                                                          \
	({                                                                                         \
		bool bench_ok = (cond);                                                            \
		if (!bench_ok)                                                                     \
			bench_fail("%s:%d: not so: %s", __FILE__, __LINE__, #cond);                \
		bench_ok;                                                                          \
	})

/*
 * Where benchmarks map: the start of the n-th 2 MiB (level-1 span) of a level-2 span that nothing
 * else uses.
 */
vaddr_t bench_window(unsigned int n);
/* Maps nr pages there, all present. */
void bench_map(struct mm *mm, vaddr_t va, u64 nr);
/* Makes the pages of a mapped range present, as a fault would. */
void bench_populate(struct mm *mm, vaddr_t va, u64 nr);
/* Waits until what was freed is free: callbacks have run, the lists are as after boot. */
void bench_settle(void);

/* The benchmarks: each prints rows. */
void bench_clock(void);
void bench_probe(void);
void bench_ticks(void);
void bench_gup(void);
void bench_irqoff(void);
void bench_zap(void);
void bench_munmap(void);
void bench_mapunmap(void);
void bench_munmap_sweep(void);
void bench_vma_sweep(void);
void bench_fault(void);
void bench_page(void);
void bench_table(void);
void bench_period(void);
void bench_ipi(void);
void bench_expedited(void);
void bench_boot(void);

#endif
