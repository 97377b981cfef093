/* SPDX-License-Identifier: MIT */
/*
 * Sets of CPUs. MAX_CPUS is 64, so a set is one word and can be read and changed atomically.
 */
#ifndef GRACE_CPUMASK_H
#define GRACE_CPUMASK_H

#include <layout.h>
#include <types.h>

typedef u64 cpumask_t;

#define cpumask_of(cpu) (1ULL << (cpu))
#define cpumask_has(mask, cpu) (((mask) >> (cpu)) & 1)
#define cpumask_weight(mask) ((unsigned int)__builtin_popcountll(mask))
#define for_each_cpu(cpu, mask)                                                                    \
	for (cpumask_t for_m = (mask); for_m && ((cpu) = (unsigned int)__builtin_ctzll(for_m), 1); \
	     for_m &= for_m - 1)

/*
 * possible: there may be such a CPU; constant. online: it takes interrupts and calls. active: the
 * scheduler may choose it; a CPU that goes down leaves this one first (<hotplug.h>).
 * Logical CPU 0 is the boot CPU, whatever its hardware id.
 */
extern cpumask_t cpu_possible_mask, cpu_online_mask, cpu_active_mask;
extern unsigned int nr_cpus; /* possible CPUs; their numbers are 0 .. nr_cpus - 1 */

#define for_each_possible_cpu(cpu) for_each_cpu(cpu, cpu_possible_mask)
#define for_each_online_cpu(cpu) for_each_cpu(cpu, READ_ONCE(cpu_online_mask))

#endif
