/* SPDX-License-Identifier: MIT */
/*
 * What the tests of CPUs that come and go share. tests/test_hotplug.c has it.
 */
#ifndef GRACE_TESTS_HOTPLUG_H
#define GRACE_TESTS_HOTPLUG_H

#include "testlib.h"

#include <hotplug.h>

#define ROUNDS 5
#define WORKERS 8

bool is_up(unsigned int cpu);
/* Pins the caller to test_cpu(0); *cpu is one to take down. False with the test skipped. */
bool needs_victim(unsigned int cpus, unsigned int *cpu);
/* False with the test failed. */
bool take_down(unsigned int cpu);
bool take_up(unsigned int cpu);

/* Works until told, and notes where; in an mm if there is one. */
struct worker {
	struct thread *thread;
	struct mm *mm;
	vaddr_t va;
	cpumask_t seen; /* CPUs since it was last cleared */
	u64 rounds, wrong;
	bool stop;
	bool naps; /* it sleeps between its rounds, rather than only yielding */
};
/* False with the test failed. mm may be NULL; else the worker writes and reads a word at va. */
bool worker_start(struct worker *w, cpumask_t allowed, struct mm *mm, vaddr_t va);
/* The same; it unmaps a page at va and maps another, over and over. */
bool start_unmapping(struct worker *w, cpumask_t allowed, struct mm *mm, vaddr_t va);
void worker_end(struct worker *w);
/* True once each of n has gone on from here; where they have been. */
bool all_work(struct worker *w, unsigned int n);
cpumask_t all_seen(struct worker *w, unsigned int n);

#endif
