/* SPDX-License-Identifier: MIT */
/*
 * Private to stress.c and stress_roles.c: what the race's threads share, and who they are.
 */
#ifndef GRACE_TESTS_STRESS_H
#define GRACE_TESTS_STRESS_H

#include <mm.h>

/*
 * Windows come in pairs of neighbours in one leaf table's span, each pair in a part of the tree of
 * its own: unmapping one frees no table that the other needs, unmapping both frees a whole subtree.
 */
#define WINDOW_PAGES 96
#define WINDOW_SIZE (WINDOW_PAGES * PAGE_SIZE)
#define MAX_WINDOWS 32

struct stress {
	struct mm *mm;
	unsigned int windows;
	unsigned int stretch; /* loops of cpu_relax() */
	u64 seed;
	bool stop, pause;
	bool cpus; /* take CPUs down and up meanwhile */
	unsigned int failures;			/* atomic */
	u64 unmaps, reads, scans, joins, hogs, toggles; /* atomic, relaxed */
};
extern struct stress st;

struct worker {
	u64 rng;
	unsigned int index;
};

/* A kind of thread. count: how many on so many CPUs. */
struct stress_role {
	void (*fn)(void *worker);
	const char *name;
	unsigned int (*count)(unsigned int cpus);
};
/* Unmappers first: their index is their window. Ends with a NULL fn. */
extern const struct stress_role stress_roles[];
/* How many loops of cpu_relax() a window of the walk may be stretched by. */
unsigned int stress_measure_stretch(void);

#endif
