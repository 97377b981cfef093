// SPDX-License-Identifier: MIT
/*
 * What the commands of the prompt are about: nothing of it is here, and they must bear that.
 */
#include "shim.h"

#include <arch.h>
#include <bug.h>
#include <kmap.h>
#include <mm.h>
#include <page.h>
#include <pgtable.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <symbols.h>
#include <test.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>
#include <wait.h>

u64 time_ns(void)
{
	static u64 now;

	return now += NSEC_PER_MSEC;
}

u64 ns_to_cycles(u64 ns)
{
	return ns;
}

void thread_sleep(u64 ns)
{
}

void preempt_schedule(void)
{
}

bool schedule_timeout(u64 ns)
{
	return true;
}

void prepare_to_wait(wait_queue_head_t *wq, struct wait_entry *w, bool exclusive)
{
}

void finish_wait(wait_queue_head_t *wq, struct wait_entry *w)
{
}

void wake_up_all(wait_queue_head_t *wq)
{
}

unsigned int tests_run(const char *glob)
{
	return glob_match(glob, "suite.name") ? 0 : 1;
}

struct mm *mm_find_get(unsigned int id)
{
	return NULL;
}

void mmput(struct mm *mm)
{
}

void mm_print_all(void)
{
}

void mm_print(struct mm *mm)
{
}

void mm_print_tables(struct mm *mm, vaddr_t start, vaddr_t end)
{
}

void kmap_for_each(void (*fn)(vaddr_t start, vaddr_t end, phys_t pa, u64 attr, unsigned int level,
			      void *arg),
		   void *arg)
{
	fn(DIRECT_MAP, DIRECT_MAP + MiB(2), 0, PA_READ | PA_WRITE | PA_GLOBAL, 1, arg);
}

const char *pt_level_name(unsigned int level)
{
	return "2M";
}

u64 tick_count(unsigned int cpu)
{
	return 0;
}

u64 sched_switches(unsigned int cpu)
{
	return 0;
}

struct thread *sched_cpu_current(unsigned int cpu)
{
	return shim_current();
}

u64 smp_ipis_sent(unsigned int cpu)
{
	return 0;
}

u64 smp_ipis_resent(unsigned int cpu)
{
	return 0;
}

u64 smp_ipis_taken(unsigned int cpu)
{
	return 0;
}

void threads_print(void)
{
}

void rcu_print(void)
{
}

void tlb_print(void)
{
}

void mem_print(void)
{
}

void slab_print(void)
{
}

void backtrace_print_cpu(unsigned int cpu)
{
	FUZZ_CHECK(cpu < nr_cpus);
}

void backtrace_print_current(void)
{
}

const char *symbol_name(vaddr_t addr, size_t *offset)
{
	*offset = 0;
	return addr % 2 ? "function" : NULL;
}

vaddr_t symbol_addr(const char *name)
{
	return name[0] == 'f' ? 0x1000 : 0;
}
