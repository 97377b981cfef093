// SPDX-License-Identifier: MIT
/*
 * The per-CPU areas: CPU 0's is the variables in the image themselves, the others are copies of it.
 *
 * The copies are made before anything but the port's first steps has written to the variables, so
 * they hold the initial values. See also: <percpu.h>.
 */
#include <boot.h>
#include <irqflags.h>
#include <page.h>
#include <percpu.h>
#include <string.h>

unsigned long percpu_offset[MAX_CPUS];

DEFINE_PER_CPU(unsigned int, cpu_number);
DEFINE_PER_CPU(struct irqoff_site, irqoff_site);

#define CACHE_LINE 64

void percpu_init(void)
{
	size_t size = percpu_end - percpu_start;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		if (cpu != 0) {
			char *area = boot_alloc(ALIGN_UP(size, CACHE_LINE), CACHE_LINE);

			memcpy(area, percpu_start, size);
			percpu_offset[cpu] = (unsigned long)area - (unsigned long)percpu_start;
		}
		per_cpu(cpu_number, cpu) = cpu;
	}
}

void percpu_sum(void *sum, const void *counters, size_t size)
{
	unsigned int cpu;
	u64 *to = sum;

	memset(sum, 0, size);
	for_each_possible_cpu(cpu) {
		const u64 *from = per_cpu_ptr(counters, cpu);

		for (size_t i = 0; i < size / sizeof(u64); i++)
			to[i] += READ_ONCE(from[i]);
	}
}
