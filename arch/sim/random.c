// SPDX-License-Identifier: MIT
/*
 * Schedules by chance, with a guarantee: PCT (Burckhardt and others, ASPLOS 2010).
 *
 * Each CPU gets a random priority, and the one with the highest that can run runs; at d - 1 random
 * moments the one that runs falls below all others. A mistake that needs d ordered events among k
 * steps of n CPUs is hit with a probability of at least 1 / (n * k^(d - 1)) a run, whatever else
 * happens. For what is too large to search; and it learns which words are shared.
 */
#include "explore.h"

#include <string.h>

#define DEPTH 3
#define HARDWARE 4 /* one in so many: interrupts, drains, choices other than the usual */

static u64 rng;

static u64 draw(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dULL >> 33;
}

struct schedule {
	int priority[MAX_CPUS];
	unsigned int change[DEPTH];
	int lowest;
};

static void schedule_new(struct schedule *s, unsigned int length)
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		s->priority[i] = (int)(draw() & 0xffff);
	for (unsigned int i = 0; i < DEPTH; i++)
		s->change[i] = (unsigned int)(draw() % length);
	s->lowest = 0;
}

static const struct step *pick(struct schedule *s, const struct step *steps, unsigned int n)
{
	const struct step *best = NULL;

	if (steps[0].kind == CHOOSE)
		return &steps[draw() % HARDWARE ? 0 : draw() % n];
	for (unsigned int i = 0; i < n; i++) {
		const struct step *t = &steps[i];

		if (t->kind != RUN && draw() % HARDWARE == 0)
			return t;
		if (t->kind != TICK && t->kind != DRAIN &&
		    (!best || s->priority[t->cpu] > s->priority[best->cpu]))
			best = t;
	}
	return best ? best : &steps[0];
}

/* False: a finding. */
static bool run(struct schedule *s, struct result *r)
{
	struct step steps[OPTIONS_MAX];
	bool beyond;
	unsigned int n;

	path.n = 0;
	while ((n = options(steps, ~0u, &beyond))) {
		for (unsigned int i = 0; i < DEPTH - 1; i++)
			if (s->change[i] == path.n)
				s->priority[M.last] = --s->lowest;
		path.steps[path.n++] = *pick(s, steps, n);
		r->steps++;
		if (!take(&path.steps[path.n - 1]))
			return false;
		if (path.n == PATH_MAX_STEPS)
			return true;
	}
	return over();
}

void search_random(const struct limits *l, u64 runs, u64 seed, struct result *r)
{
	double start = now_seconds();
	unsigned int length = 100;
	struct schedule s;

	rng = seed * 0x9e3779b97f4a7c15ULL | 1;
	M.delays = (u8)l->delays;
	for (u64 i = 0; i < runs && !r->found; i++) {
		schedule_new(&s, length);
		learned = false;
		if (races_on)
			race_begin();
		r->found = !run(&s, r) && !learned; /* else its steps would be others */
		r->executions++;
		if (path.n > length)
			length = path.n;
		while (segment_depth())
			segment_undo();
		if (l->seconds && now_seconds() - start > (double)l->seconds)
			break;
	}
	r->seconds += now_seconds() - start;
}
