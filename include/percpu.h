/* SPDX-License-Identifier: MIT */
/*
 * Per-CPU data. Variables live between percpu_start and percpu_end, in CPU 0's copy; every other
 * CPU has a copy at the same offset in an area of its own. Those that begin as zero are behind the
 * others, where the image in the file ends and its zeroed memory begins.
 *
 * this_cpu(x) is an lvalue. The caller keeps preemption or interrupts off for as long as it must
 * stay this CPU's.
 */
#ifndef GRACE_PERCPU_H
#define GRACE_PERCPU_H

#include <cpumask.h>
#include <types.h>

#define DEFINE_PER_CPU(type, name) __section(".bss.percpu") __aligned(8) typeof(type) name
#define DEFINE_PER_CPU_INIT(type, name) __section(".percpu") __aligned(8) typeof(type) name
#define DECLARE_PER_CPU(type, name) extern typeof(type) name

/* Distance from the image's copy to CPU n's; 0 for CPU 0. */
extern unsigned long percpu_offset[MAX_CPUS];

static inline unsigned long arch_percpu_offset(void);
#include <asm/percpu.h> /* arch_percpu_offset(), arch_current(): inline, usable from any header */

#define per_cpu_ptr(ptr, cpu) ((typeof(ptr))((unsigned long)(ptr) + percpu_offset[cpu]))
#define per_cpu(name, cpu) (*per_cpu_ptr(&(name), cpu))
#define this_cpu_ptr(ptr) ((typeof(ptr))((unsigned long)(ptr) + arch_percpu_offset()))
#define this_cpu(name) (*this_cpu_ptr(&(name)))

/* This CPU's logical number. Stable only while preemption is off. */
DECLARE_PER_CPU(unsigned int, cpu_number);
#define smp_processor_id() this_cpu(cpu_number)

/*
 * Gives every possible CPU its area, from boot memory. Boot CPU, once, before any thread runs.
 */
void percpu_init(void);

/*
 * Sums a per-CPU struct of u64 counters over all possible CPUs, field by field. The counters go on
 * meanwhile: each is read once, and the sum is of no one moment. Any context.
 */
void percpu_sum(void *sum, const void *counters, size_t size);

#endif
