// SPDX-License-Identifier: MIT
/*
 * The reduction: what a step touches, and what others still do after it; so that a switch before a
 * step with which nobody has to do any more need not be tried.
 *
 * Terms. A touch is a set of words, and of things of the model, that are read or written: of one
 * step, or of all steps of a CPU from a state on ("after"). Two steps that do not conflict come to
 * the same state in either order.
 * The rule. A CPU goes on for free. Once all that follows from its going on has been explored, it
 * is known what every other CPU may still do. If none of that conflicts with the step, then whoever
 * would have run before the step may as well run behind it, with no more preemptions than before:
 * the switch away is behind the step instead of before it. So no other CPU is tried there.
 * Why that is all. Take an execution within the bound in which others run first, and the first
 * access of theirs that conflicts with the step. What comes before it could be run behind the step,
 * within the bound, so that the access was met when the step's future was explored: but nothing of
 * it conflicts. What is known of a state that was cut is what was found when it was explored, with
 * as many preemptions left or more. Compare Coons, Musuvathi and McKinley, "Bounded partial-order
 * reduction" (2013): moving a preemption inside a run of one CPU needs none of their additions.
 * What an oracle reads and writes is touched too (books.c), so its verdict does not hang on the
 * order of steps that do not conflict. Nor does what race.c holds for ordered: that follows from
 * the order of conflicting accesses alone.
 * See also: explore.c (the caller), state.c (which words those are).
 */
#include "explore.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (SIM_ARENA_SIZE / 8)
#define AFTER_MAX (1u << 18)

struct touch touched;
bool reduce_on = true;
static u8 *index_of; /* of a word; 0: one CPU's own */
static unsigned int nr_indices = NR_THINGS * MAX_CPUS;

static struct after *afters;
static u32 nr_afters, *by_hash;

static void *table(u64 size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		perror("sim: no room for what is touched");
		exit(2);
	}
	return p;
}

/* ---- What a step touches ----------------------------------------------------------------- */

static void add(unsigned int index, bool write)
{
	u64 *set = write ? touched.writes : touched.reads;

	set[index / 64] |= 1UL << index % 64;
}

void touch_word(u64 w, bool write)
{
	if (index_of && index_of[w])
		add(index_of[w], write);
}

void touch_thing(enum thing what, unsigned int cpu, bool write)
{
	if (!quiet)
		add(what * MAX_CPUS + cpu, write);
}

void touch(u64 addr, u64 size, bool write)
{
	u64 off = addr - SIM_ARENA;

	if (quiet || off >= SIM_ARENA_SIZE)
		return;
	for (u64 w = off >> 3; w <= (off + size - 1) >> 3; w++)
		touch_word(w, write);
}

void touch_all(enum thing what, bool write)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		touch_thing(what, i, write);
}

void touch_share(u64 w)
{
	if (!index_of)
		index_of = table(WORDS);
	if (index_of[w])
		return;
	if (nr_indices < TOUCH_BITS - 1) /* the last is for all that have no other */
		nr_indices++;
	index_of[w] = (u8)nr_indices;
}

bool touch_conflict(const struct touch *a, const struct touch *b)
{
	u64 both = 0;

	for (unsigned int i = 0; i < TOUCH_WORDS; i++)
		both |= (a->writes[i] & (b->reads[i] | b->writes[i])) |
			(a->reads[i] & b->writes[i]);
	return both != 0;
}

static bool has(const u64 *set, unsigned int index)
{
	return set[index / 64] >> index % 64 & 1;
}

bool touch_spends(const struct touch *t)
{
	return has(t->writes, THING_TICKS * MAX_CPUS) || has(t->writes, THING_LEFT * MAX_CPUS);
}

bool touch_writes(const struct touch *t, u64 addr)
{
	u8 index = index_of[(addr - SIM_ARENA) >> 3];

	return index && has(t->writes, index);
}

void touch_join(struct touch *to, const struct touch *from)
{
	for (unsigned int i = 0; i < TOUCH_WORDS; i++) {
		to->reads[i] |= from->reads[i];
		to->writes[i] |= from->writes[i];
	}
}

/* ---- What follows from a state ----------------------------------------------------------- */

void after_join(struct after *to, const struct after *from)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		touch_join(&to->cpu[i], &from->cpu[i]);
}

bool after_conflict(const struct after *a, unsigned int cpu, const struct touch *step)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		if (i != cpu && touch_conflict(&a->cpu[i], step))
			return true;
	return false;
}

void after_clear(void)
{
	if (!afters) {
		afters = table(AFTER_MAX * sizeof(*afters));
		by_hash = table(4UL * AFTER_MAX * sizeof(*by_hash));
		memset(&afters[AFTER_ALL], 0xff, sizeof(*afters));
	}
	memset(by_hash, 0, 4UL * AFTER_MAX * sizeof(*by_hash));
	nr_afters = AFTER_ALL + 1;
}

static u32 hash(const struct after *a)
{
	const u64 *p = (const u64 *)a;
	u64 h = 0x9e3779b97f4a7c15ULL;

	for (unsigned int i = 0; i < sizeof(*a) / 8; i++)
		h = (h ^ p[i]) * 0xff51afd7ed558ccdULL + (h >> 29);
	return (u32)(h >> 32);
}

/* Few differ, so each is kept once. When there is no room, "all". */
u32 after_number(const struct after *a)
{
	u32 i = hash(a) % (4 * AFTER_MAX);

	for (; by_hash[i]; i = (i + 1) % (4 * AFTER_MAX))
		if (memcmp(&afters[by_hash[i]], a, sizeof(*a)) == 0)
			return by_hash[i];
	if (nr_afters == AFTER_MAX)
		return AFTER_ALL;
	afters[nr_afters] = *a;
	by_hash[i] = nr_afters;
	return nr_afters++;
}

const struct after *after_of(u32 number)
{
	return &afters[number];
}
