// SPDX-License-Identifier: MIT
/*
 * Schedules by chance, with a guarantee: PCT (Burckhardt and others, ASPLOS 2010).
 *
 * Terms. An actor is what takes steps: each CPU is three: its thread, its interrupts, and its store
 * buffer. So what hardware does has a place among all others, and does not come by a chance of its
 * own.
 * The n actors get different priorities at random, all above d; the one with the highest that can
 * go on does. d - 1 moments are drawn among the k steps; at the i-th of them the actor that would
 * take the step falls to priority i, below all that have not fallen. A mistake that needs d ordered
 * events is hit with a probability of at least 1 / (n * k^(d - 1)) a run, whatever else happens;
 * k is the longest run that there was, so the first ones, which teach it, do not count.
 * A choice of the model (a late load, a failed allocation) is none of an actor's: one in four is
 * other than the usual, which a mistake that needs one has to pay for.
 * For what is too large to search; and it learns which words are shared. See also: explore.c.
 */
#include "explore.h"

#include <string.h>

#define DEPTH 3
#define UNUSUAL 4 /* one choice in so many */

static u64 rng;

static u64 draw(void)
{
	rng ^= rng >> 12;
	rng ^= rng << 25;
	rng ^= rng >> 27;
	return rng * 0x2545f4914f6cdd1dULL >> 33;
}

enum actor { THREAD, INTERRUPTS, BUFFER, NR_ACTORS };

struct schedule {
	unsigned int priority[MAX_CPUS * NR_ACTORS];
	unsigned int change[DEPTH - 1];
};

static unsigned int nr_actors(void)
{
	return scenario->cpus * NR_ACTORS;
}

static unsigned int actor_of(const struct step *s)
{
	enum actor a = s->kind == RUN ? THREAD : s->kind == DRAIN ? BUFFER : INTERRUPTS;

	return s->cpu * NR_ACTORS + a;
}

/* Priorities from DEPTH on, each once: shuffled. Below are those to fall to. */
static void schedule_new(struct schedule *s, unsigned int length)
{
	for (unsigned int i = 0; i < nr_actors(); i++) {
		unsigned int j = (unsigned int)(draw() % (i + 1));

		s->priority[i] = s->priority[j];
		s->priority[j] = DEPTH + i;
	}
	for (unsigned int i = 0; i < DEPTH - 1; i++)
		s->change[i] = (unsigned int)(draw() % length);
}

static const struct step *highest(const struct schedule *s, const struct step *steps,
				  unsigned int n)
{
	const struct step *best = &steps[0];

	for (unsigned int i = 1; i < n; i++)
		if (s->priority[actor_of(&steps[i])] > s->priority[actor_of(best)])
			best = &steps[i];
	return best;
}

/* The step with number `at` of a run. */
static const struct step *pick(struct schedule *s, unsigned int at, const struct step *steps,
			       unsigned int n)
{
	if (steps[0].kind == CHOOSE)
		return &steps[draw() % UNUSUAL ? 0 : draw() % n];
	for (unsigned int i = 0; i < DEPTH - 1; i++)
		if (s->change[i] == at)
			s->priority[actor_of(highest(s, steps, n))] = i + 1;
	return highest(s, steps, n);
}

/* False: a finding. */
static bool run(struct schedule *s, struct result *r)
{
	struct step steps[OPTIONS_MAX];
	bool beyond;
	unsigned int n;

	path.n = 0;
	while ((n = options(steps, ~0u, &beyond))) {
		path.steps[path.n] = *pick(s, path.n, steps, n);
		path.n++;
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
	r->chance = 1.0 / nr_actors();
	for (unsigned int i = 0; i < DEPTH - 1; i++)
		r->chance /= length;
}
