// SPDX-License-Identifier: MIT
/*
 * A counterexample made as short as it gets by taking things out, while the same finding remains.
 *
 * Terms. A run is a stretch of steps of one CPU. What is tried: a run is left out; it changes
 * places with the run behind it, so that two of one CPU become one; one step is left out. A step
 * that cannot be taken any more is skipped, and behind the last one the CPU that runs goes on.
 * Better is what has fewer switches, or as many and fewer steps; so this ends.
 * What is found so is what was executed: it replays. It is short, not the shortest there is.
 * See also: explore.c (the search by bounds, which gives the fewest preemptions).
 */
#include "explore.h"

#include <string.h>

#define TRIES_MAX 4000
#define EXTRA_MAX 2000 /* steps behind the last that was asked for */

static struct path wanted, got, best;
static unsigned int tries;

static unsigned int switches(const struct path *p)
{
	unsigned int n = 0;

	for (unsigned int i = 1; i < p->n; i++)
		n += p->steps[i].cpu != p->steps[i - 1].cpu;
	return n;
}

static unsigned int run_end(const struct path *p, unsigned int from)
{
	unsigned int to = from;

	while (to < p->n && p->steps[to].cpu == p->steps[from].cpu)
		to++;
	return to;
}

static const struct step *same(const struct step *s, const struct step *steps, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (steps[i].cpu == s->cpu && steps[i].kind == s->kind && steps[i].arg == s->arg)
			return &steps[i];
	return NULL;
}

/* The next step: the next of those wanted that can be taken, or what the CPU that runs does. */
static const struct step *next(unsigned int *at, const struct step *steps, unsigned int n)
{
	while (*at < wanted.n) {
		const struct step *s = same(&wanted.steps[(*at)++], steps, n);

		if (s)
			return s;
	}
	return &steps[0];
}

/* Executes what is wanted. True if it ends in a finding; its steps are in got. */
static bool execute(void)
{
	struct step steps[OPTIONS_MAX];
	bool beyond, fine = true;
	unsigned int n, at = 0;

	got.n = 0;
	while (fine && got.n < wanted.n + EXTRA_MAX && got.n < PATH_MAX_STEPS &&
	       (n = options(steps, ~0u, &beyond))) {
		got.steps[got.n++] = *next(&at, steps, n);
		fine = take(&got.steps[got.n - 1]);
	}
	if (fine && got.n < wanted.n + EXTRA_MAX && got.n < PATH_MAX_STEPS)
		fine = over();
	while (segment_depth())
		segment_undo();
	return !fine;
}

/* Takes what is wanted if it gives the same finding and is better. */
static bool better(const char *rule)
{
	tries++;
	if (!execute() || strcmp(finding_rule, rule) != 0)
		return false;
	if (switches(&got) > switches(&best) ||
	    (switches(&got) == switches(&best) && got.n >= best.n))
		return false;
	best = got;
	return true;
}

/* wanted: best without the steps [from, to). */
static void without(unsigned int from, unsigned int to)
{
	wanted = best;
	memmove(wanted.steps + from, wanted.steps + to, (best.n - to) * sizeof(*best.steps));
	wanted.n = best.n - (to - from);
}

/* wanted: best with the runs [a, b) and [b, c) the other way round. */
static void swapped(unsigned int a, unsigned int b, unsigned int c)
{
	wanted = best;
	memcpy(wanted.steps + a, best.steps + b, (c - b) * sizeof(*best.steps));
	memcpy(wanted.steps + a + (c - b), best.steps + a, (b - a) * sizeof(*best.steps));
}

/* One round; true if something became better. */
static bool round_of_runs(const char *rule)
{
	for (unsigned int a = 0, b; a < best.n && tries < TRIES_MAX; a = b) {
		b = run_end(&best, a);
		without(a, b);
		if (better(rule))
			return true;
		if (b == best.n)
			break;
		swapped(a, b, run_end(&best, b));
		if (better(rule))
			return true;
	}
	return false;
}

static bool round_of_steps(const char *rule)
{
	for (unsigned int i = 0; i < best.n && tries < TRIES_MAX; i++) {
		without(i, i + 1);
		if (better(rule))
			return true;
	}
	return false;
}

void shrink(void)
{
	char rule[sizeof(finding_rule)];

	memcpy(rule, finding_rule, sizeof(rule));
	frozen = true;
	M.delays = (u8)path.delays;
	best = path;
	wanted = path;
	tries = 0;
	/* What does not end so again is left as it is. */
	if (execute() && strcmp(finding_rule, rule) == 0) {
		while (round_of_runs(rule) || round_of_steps(rule))
			;
		path.n = best.n;
		memcpy(path.steps, best.steps, best.n * sizeof(*best.steps));
	}
	memcpy(finding_rule, rule, sizeof(rule));
}
