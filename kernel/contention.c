// SPDX-License-Identifier: MIT
/*
 * The count of atomic operations on shared cache lines, and of lock waits (BUILD=count).
 *
 * Terms. A CPU's account holds each line on which its counted thread made an atomic
 * read-modify-write, and how many. A line is shared if two accounts hold it.
 * Why: an emulator shows no cost of a line that moves between CPUs; but which lines must move, and
 * how often, can be counted exactly. Plain stores are not: of a lock, the taking is.
 * Rules: none. Locks: none; an account belongs to its CPU's counted thread, interrupts left out.
 * See also: tests/bench/count/bench_smp.c, docs/performance.md.
 */
#include <contention.h>

#ifdef GRACE_COUNT
#include <percpu.h>
#include <string.h>
#include <thread.h>

#define LINE_SHIFT 6
#define LINES 2048 /* a power of two */

struct account {
	const struct thread *thread; /* whose operations count, or NULL */
	unsigned int paused; /* nests */
	u64 rmw, lock_waits, lost;
	struct line {
		u64 line; /* address >> LINE_SHIFT; 0: free */
		u64 rmw;
	} lines[LINES];
};
static DEFINE_PER_CPU(struct account, account);

/* Where line is in an account, or would be: the first free place behind. NULL: it is full. */
static struct line *find(struct account *a, u64 line)
{
	for (u64 i = 0, at = line * 0x9e3779b97f4a7c15ULL >> 40; i < LINES; i++, at++) {
		struct line *l = &a->lines[at % LINES];

		if (l->line == line || !l->line)
			return l;
	}
	return NULL;
}

/* This CPU's account if the caller is what it counts, else NULL. Before threads too. */
static struct account *counted(void)
{
	struct account *a = this_cpu_ptr(&account);

	if (!a->thread || a->thread != current || a->paused || in_interrupt())
		return NULL;
	return a;
}

void count_pause(bool on)
{
	struct account *a = this_cpu_ptr(&account);

	if (a->thread == current)
		a->paused += on ? 1 : -1;
}

void count_rmw(const volatile void *p)
{
	struct account *a = counted();

	if (!a)
		return;
	u64 line = (vaddr_t)p >> LINE_SHIFT;
	struct line *l = find(a, line);

	a->rmw++;
	if (!l) {
		a->lost++;
		return;
	}
	l->line = line;
	l->rmw++;
}

void count_lock_wait(void)
{
	struct account *a = counted();

	if (a)
		WRITE_ONCE(a->lock_waits, a->lock_waits + 1);
}

void contention_begin(void)
{
	this_cpu(account).thread = current;
	barrier();
}

void contention_end(void)
{
	barrier();
	this_cpu(account).thread = NULL;
}

void contention_reset(void)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu)
		memset(&per_cpu(account, cpu), 0, sizeof(struct account));
}

static bool others_have(unsigned int me, u64 line)
{
	unsigned int cpu;

	for_each_possible_cpu (cpu) {
		if (cpu == me)
			continue;
		struct line *l = find(&per_cpu(account, cpu), line);

		if (l && l->line)
			return true;
	}
	return false;
}

static u64 shared_of(unsigned int cpu)
{
	struct account *a = &per_cpu(account, cpu);
	u64 sum = 0;

	for (unsigned int i = 0; i < LINES; i++)
		if (a->lines[i].line && others_have(cpu, a->lines[i].line))
			sum += a->lines[i].rmw;
	return sum;
}

void contention_sum(struct contention *sum)
{
	unsigned int cpu;

	*sum = (struct contention){ 0 };
	for_each_possible_cpu (cpu) {
		const struct account *a = &per_cpu(account, cpu);

		sum->rmw += READ_ONCE(a->rmw);
		sum->lock_waits += READ_ONCE(a->lock_waits);
		sum->lost += READ_ONCE(a->lost);
		sum->shared += shared_of(cpu);
	}
}
#endif
