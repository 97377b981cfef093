// SPDX-License-Identifier: MIT
/*
 * Data races: a plain access that conflicts with another CPU's access, and nothing orders the two.
 *
 * Terms. A clock counts what a CPU has released. A CPU's vector holds, for each CPU, up to which
 * clock it has everything behind it; an access of another CPU with a later clock is not ordered
 * before what the CPU does now. Each word remembers the last load and store of each CPU, with
 * clock, bytes and code address (FastTrack: Flanagan and Freund, PLDI 2009); and, if it is used to
 * synchronise, the vector that a release left in it.
 * What orders, as include/atomic.h asks for it and no more: a release (a store, a
 * read-modify-write, or a relaxed one behind a write barrier) that an acquire reads from (or a
 * relaxed load before a read barrier); what the value just loaded leads to (address dependency:
 * order.c). A read-modify-write passes on what a release left. Threads are no part of it: what one
 * CPU does is in order, and a thread that moves or wakes does so by the locks of run queues. IPIs
 * and grace periods order nothing by themselves: the kernel's own words do, or it is a finding.
 * Why plain accesses matter: the compiler may tear, repeat or move them, and order.c never makes a
 * plain load late. Without races, what is plain is as if it were in order.
 * The bound: it judges the executions that are run with it on: those by chance, with stores and
 * loads in order (no race in any such execution means none at all). Depth first it would have to be
 * undone with each step. The order of two accesses is judged, not the moment at which they happen,
 * so few schedules show what there is. Clocks are no part of a state.
 * See also: tsan.c (the caller), main.c (RACES).
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (SIM_ARENA_SIZE / 8)
#define MAX_LEADS 16

typedef u32 vector[MAX_CPUS];

enum what { LOAD, STORE, MARKED_LOAD, MARKED_STORE, NR_WHAT };
#define STORES(what) ((what)&1)
#define PLAIN(what) ((what) < MARKED_LOAD)

/* The last access to a word by a CPU. */
struct access {
	u32 clock, pc;
	u8 bytes; /* a bit each */
};

struct word {
	struct access by[NR_WHAT][MAX_CPUS];
	vector released; /* what an acquire of it takes over */
};

/* A pointer that was loaded, and what was behind its release. */
struct lead {
	u64 value;
	vector behind;
};

static struct cpu {
	vector now;
	vector fenced;	/* at the last write barrier: what a relaxed store releases */
	vector relaxed; /* what relaxed loads have met: a read barrier takes it over */
	struct lead leads[MAX_LEADS];
	unsigned int nr_leads; /* since the beginning */
} cpus[MAX_CPUS];

static struct word *words;
bool races_on;

static void join(vector to, const vector from)
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		if (to[i] < from[i])
			to[i] = from[i];
}

static struct word *word_of(u64 addr)
{
	u64 w = (addr - SIM_ARENA) >> 3;

	return quiet || w >= WORDS ? NULL : &words[w];
}

static u32 *clock_of(unsigned int cpu)
{
	return &cpus[cpu].now[cpu];
}

/* Clocks go on from one execution to the next: what was before is ordered before all of it. */
void race_begin(void)
{
	vector all;

	if (!words)
		words = mmap(NULL, WORDS * sizeof(*words), PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (words == MAP_FAILED) {
		perror("sim: no room for the races' clocks");
		exit(2);
	}
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		all[i] = ++*clock_of(i);
	for (unsigned int i = 0; i < MAX_CPUS; i++) {
		memset(&cpus[i], 0, sizeof(cpus[i]));
		memcpy(cpus[i].now, all, sizeof(all));
		++*clock_of(i);
	}
}

/* ---- Judging ----------------------------------------------------------------------------- */

static bool led_to(const struct cpu *c, u64 addr, unsigned int by, u32 clock)
{
	for (unsigned int i = 0; i < MAX_LEADS && i < c->nr_leads; i++)
		if (c->leads[i].behind[by] >= clock && order_leads_to(c->leads[i].value, addr))
			return true;
	return false;
}

static u8 bytes_of(u64 addr, u64 size)
{
	return (u8)(((1u << size) - 1) << (addr & 7));
}

static void judge(const struct word *w, enum what what, u64 addr, const struct access *a)
{
	static const char *const names[] = { "loads", "stores", "loads (marked)",
					     "stores (marked)" };
	const struct cpu *me = &cpus[sim_cpu()];

	for (enum what other = LOAD; other < NR_WHAT; other++) {
		if (!(STORES(what) || STORES(other)) || !(PLAIN(what) || PLAIN(other)))
			continue;
		for (unsigned int cpu = 0; cpu < scenario->cpus; cpu++) {
			const struct access *b = &w->by[other][cpu];

			if (cpu != sim_cpu() && b->bytes & a->bytes && b->clock > me->now[cpu] &&
			    !led_to(me, addr, cpu, b->clock))
				finding("data race",
					"nothing orders %#llx: CPU %u %s, code %#x; CPU %u %s, "
					"code %#x",
					(unsigned long long)addr, cpu, names[other], b->pc,
					sim_cpu(), names[what], a->pc);
		}
	}
}

static void note(struct word *w, enum what what, u64 addr, u64 size, void *pc)
{
	struct access a = { *clock_of(sim_cpu()), (u32)(u64)pc, bytes_of(addr, size) };
	struct access *mine = &w->by[what][sim_cpu()];

	judge(w, what, addr, &a);
	if (mine->clock == a.clock)
		a.bytes |= mine->bytes;
	*mine = a;
}

void race_plain(u64 addr, u64 size, bool stores, void *pc)
{
	for (u64 end = addr + size, n; addr < end; addr += n) {
		struct word *w = word_of(addr);

		n = 8 - (addr & 7);
		if (n > end - addr)
			n = end - addr;
		if (w)
			note(w, stores ? STORE : LOAD, addr, n, pc);
	}
}

/* ---- Marked accesses: what orders -------------------------------------------------------- */

static bool is_news(const struct cpu *c, const vector released)
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		if (released[i] > c->now[i])
			return true;
	return false;
}

static void meet(struct cpu *c, const struct word *w, u64 addr, unsigned int size, bool acquires)
{
	join(acquires ? c->now : c->relaxed, w->released);
	u64 value = size == 8 ? *(u64 *)addr : 0;

	if (acquires || !value || !is_news(c, w->released))
		return;
	struct lead *l = &c->leads[c->nr_leads++ % MAX_LEADS];

	l->value = value;
	memcpy(l->behind, w->released, sizeof(l->behind));
}

/* What follows is not behind what was released: another clock. */
static void tick(void)
{
	++*clock_of(sim_cpu());
}

void race_load(u64 addr, unsigned int size, bool acquires, void *pc)
{
	struct word *w = word_of(addr);

	if (!w)
		return;
	meet(&cpus[sim_cpu()], w, addr, size, acquires);
	note(w, MARKED_LOAD, addr, size, pc);
}

void race_store(u64 addr, unsigned int size, bool releases, void *pc)
{
	struct cpu *c = &cpus[sim_cpu()];
	struct word *w = word_of(addr);

	if (!w)
		return;
	note(w, MARKED_STORE, addr, size, pc);
	memcpy(w->released, releases ? c->now : c->fenced, sizeof(w->released));
	if (releases)
		tick();
}

void race_rmw(u64 addr, unsigned int size, int order, void *pc)
{
	struct cpu *c = &cpus[sim_cpu()];
	struct word *w = word_of(addr);
	bool acquires = order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
	bool releases = order != __ATOMIC_RELAXED && order != __ATOMIC_ACQUIRE;

	if (!w)
		return;
	meet(c, w, addr, size, acquires);
	note(w, MARKED_STORE, addr, size, pc);
	join(w->released, releases ? c->now : c->fenced);
	if (releases)
		tick();
}

/* What the caller has done is before all that the CPU does from here on. */
void race_start(unsigned int cpu)
{
	join(cpus[cpu].now, cpus[sim_cpu()].now);
	tick();
}

void race_fence(int order)
{
	struct cpu *c = &cpus[sim_cpu()];

	if (quiet)
		return;
	if (order != __ATOMIC_RELEASE)
		join(c->now, c->relaxed);
	if (order != __ATOMIC_ACQUIRE) {
		memcpy(c->fenced, c->now, sizeof(c->fenced));
		tick();
	}
}
