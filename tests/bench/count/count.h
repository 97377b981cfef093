/* SPDX-License-Identifier: MIT */
/*
 * What the counting benchmarks share: a crew of threads, and rows by transport.
 *
 * Terms. A crew is one thread on each CPU, which does what it is told, and halts until then. A row
 * is "BENCH transport/scenario/what total ops".
 * Why by turns: a count is exact if the schedule is forced. One member works at a time; where two
 * must overlap, the one is held until the other is where it is wanted.
 */
#ifndef GRACE_BENCH_COUNT_H
#define GRACE_BENCH_COUNT_H

#include "../bench.h"

#include <smp.h>
#include <tlb.h>

#define ROUNDS 8

extern unsigned int cpus;     /* of the machine, and members of the crew */
extern struct mm *mm;	      /* that the crew is in */
extern const char *transport; /* of the rows */
extern bool trees;	      /* from here on an mm has trees by CPU */

/*
 * A turn of a wait: an interrupt ends it, the tick at the latest. A CPU that spins would take the
 * others' time from them.
 */
void halt(void);
/* Starts a thread on each CPU; false, with the run failed, without memory. Ends them. */
bool crew_start(void);
void crew_dismiss(void);
/* Has a member begin a task, waits for its end, asks for it. The leader, on the first's CPU. */
void crew_begin(unsigned int who, void (*task)(unsigned int me));
void crew_finish(unsigned int who);
bool crew_done(unsigned int who);
/* It sleeps in the middle of its task, and holds nothing that it waits with. */
bool crew_asleep(unsigned int who);
/* Members [from, to), one after the other. */
void by_turns(unsigned int from, unsigned int to, void (*task)(unsigned int me));
/* The first members of the crew adopt a new mm; and leave it, which ends it. */
bool enter_mm(unsigned int members);
void leave_mm(unsigned int members);
/* Tasks: adopts mm, gives it up. */
void enter(unsigned int me);
void leave(unsigned int me);

/* What was flushed and interrupted. Sign -1 begins a stretch, 1 ends it; stretches add up. */
struct tally {
	struct tlb_stats tlb;
	u64 ipis;
};
void tally_add(struct tally *t, s64 sign);

void count_row(const char *scenario, const char *what, u64 total, u64 ops);
void tally_rows(const char *scenario, const struct tally *t, u64 ops);

/* A page in a 2 MiB of its own, which all of the crew may use. With tables_go it alone is there. */
extern bool tables_go;
vaddr_t shared_page(void);
void map_shared(unsigned int me); /* a task */

void count_unmapping(void);
void count_walkers(void);
void count_idle(void); /* without a crew */

#endif
