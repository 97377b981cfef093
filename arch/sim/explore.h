/* SPDX-License-Identifier: MIT */
/*
 * Between the search (explore.c), the schedules by chance (random.c) and the command line (main.c).
 */
#ifndef SIM_EXPLORE_H
#define SIM_EXPLORE_H

#include "sim.h"

#define PATH_MAX_STEPS 20000
#define OPTIONS_MAX 32
#define BOUND_MAX 14   /* what a key of a seen state has room for: explore.c */
#define BOUND_NONE 255 /* preemptions are not counted at all */

struct limits {
	unsigned int bound, delays; /* preemptions; stores that wait */
	u64 states, seconds;	    /* give up after so many */
};

struct result {
	u64 executions, cut, states, steps, restarts;
	double seconds, chance; /* of a run by chance to hit what is DEPTH deep: random.c */
	u64 pruned;		 /* switches that need not be tried */
	u64 ends, ends_sum;	 /* different last states, and the sum of their hashes */
	bool exhausted, bounded; /* all within the bound; something was beyond it */
	bool found;
};

struct path {
	struct step steps[PATH_MAX_STEPS];
	unsigned int n;
	unsigned int delays; /* that it was found with: they make choices */
};
extern struct path path; /* of the finding */

/* ---- reduce.c ---------------------------------------------------------------------------- */

#define TOUCH_BITS 256
#define TOUCH_WORDS (TOUCH_BITS / 64)
struct touch {
	u64 reads[TOUCH_WORDS], writes[TOUCH_WORDS];
};
/* What each CPU touches from a state on. */
struct after {
	struct touch cpu[MAX_CPUS];
};
extern struct touch touched; /* by the step that was taken */
extern bool reduce_on;
/* A number of an after: not known yet; anything. */
enum { AFTER_OPEN, AFTER_ALL };
/* Whether one of the steps uses up what is counted for all: others could not after it. */
bool touch_spends(const struct touch *t);
bool touch_writes(const struct touch *t, u64 addr);
void touch_join(struct touch *to, const struct touch *from);
void after_clear(void);
void after_join(struct after *to, const struct after *from);
/* Whether another CPU than this may still do what conflicts with the step. */
bool after_conflict(const struct after *a, unsigned int cpu, const struct touch *step);
u32 after_number(const struct after *a);
const struct after *after_of(u32 number);

/* ---- show.c ------------------------------------------------------------------------------ */

/* Before the first step of a replay. */
void show_begin(void);
/* Before a step is taken: it, and what it will touch; behind it: what has become of that. */
__noinline void replay_step(unsigned int number, const struct step *s);
void show_touched(const struct step *s);

/* ---- explore.c --------------------------------------------------------------------------- */

/* What may happen next, within the bound on preemptions; 0 if the execution is over. */
unsigned int options(struct step *steps, unsigned int bound, bool *beyond);
/* One step more; false if it ends in a finding. */
bool take(const struct step *s);
/* Nothing can happen any more: is all well? False: a finding. */
bool over(void);
void search(const struct limits *l, struct result *r);
void search_random(const struct limits *l, u64 runs, u64 seed, struct result *r);
/* Makes path shorter while it ends in the same finding. Nothing is learned from then on. */
void shrink(void);
/* Of CPU: what else the machine has to do is no part of a limit. */
double now_seconds(void);

#endif
