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
 * It judges where stores and loads are in order: no race in any such execution means none at all.
 * As part of a state: what was accessed and with which clock matters only by which CPUs have it
 * behind them, or will when they acquire what was released. So the clocks cut what each CPU has
 * accessed into classes, and of a clock only its place among the classes is hashed; what every
 * other CPU has behind it is forgotten. Two states with one memory and one such form go on alike,
 * and two orders of steps that do not conflict come to the same form.
 * See also: tsan.c (the caller), state.c (undoing, and which words two CPUs use), main.c (--races).
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (SIM_ARENA_SIZE / 8)
#define MAX_LEADS 16
#define CLOCK_MAX 65536
#define SYNC_MAX 4096

/* A clock for each CPU; one word, so that it is undone as one. */
typedef union {
	u16 of[MAX_CPUS];
	u64 all;
} vector;

enum what { LOAD, STORE, MARKED_LOAD, MARKED_STORE, NR_WHAT };
#define STORES(what) ((what)&1)
#define PLAIN(what) ((what) < MARKED_LOAD)

/* The last access by a CPU to a part of a word: to bytes that begin there. */
#define NR_PARTS 4
#define PART_OF(addr) (((addr)&7) / 2)
typedef union {
	struct {
		u32 pc;
		u16 clock;
		u8 bytes; /* a bit each */
	};
	u64 all;
} access_t;

struct word {
	access_t by[NR_WHAT][MAX_CPUS][NR_PARTS]; /* by the first of the bytes */
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
	u64 next_lead; /* to go, if none is void */
} cpus[MAX_CPUS];

static struct word *words;
static u32 sync_words[SYNC_MAX]; /* those that were ever released by */
static unsigned int nr_sync;
static u64 made[MAX_CPUS][CLOCK_MAX]; /* the accesses that a CPU last made at a clock: a hash */
bool races_on, races_everywhere;

static void set(u64 *word, u64 value)
{
	if (*word == value)
		return;
	note_beside(word);
	*word = value;
}

static vector joined(vector a, vector b)
{
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		if (a.of[i] < b.of[i])
			a.of[i] = b.of[i];
	return a;
}

static void join(vector *to, vector from)
{
	set(&to->all, joined(*to, from).all);
}

/* Whether some clock of a is later than in b. */
static bool is_news(vector a, vector b)
{
	return joined(a, b).all != b.all;
}

/*
 * Words that one CPU alone uses are not looked at, nor the accesses to words that have none but
 * marked ones: should there be another, the search begins again.
 */
static struct word *word_of(u64 addr)
{
	u64 w = (addr - SIM_ARENA) >> 3;

	return quiet || w >= WORDS || !(races_everywhere || word_shared(w)) ? NULL : &words[w];
}

static struct cpu *me(void)
{
	return &cpus[sim_cpu()];
}

static u16 my_clock(void)
{
	return me()->now.of[sim_cpu()];
}

/* Before the first step of all. What steps change is undone with them. */
void race_init(void)
{
	words = mmap(NULL, WORDS * sizeof(*words), PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (words == MAP_FAILED) {
		perror("sim: no room for the races' clocks");
		exit(2);
	}
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		cpus[i].now.of[i] = 1;
}

/* ---- Judging ----------------------------------------------------------------------------- */

static bool led_to(const struct cpu *c, u64 addr, unsigned int by, u16 clock)
{
	for (unsigned int i = 0; i < MAX_LEADS; i++)
		if (c->leads[i].behind.of[by] >= clock && order_leads_to(c->leads[i].value, addr))
			return true;
	return false;
}

static u8 bytes_of(u64 addr, u64 size)
{
	return (u8)(((1u << size) - 1) << (addr & 7));
}

static void judge(const struct word *w, enum what what, u64 addr, const access_t *a)
{
	static const char *const names[] = { "loads", "stores", "loads (marked)",
					     "stores (marked)" };

	for (enum what other = LOAD; other < NR_WHAT; other++) {
		if (!(STORES(what) || STORES(other)) || !(PLAIN(what) || PLAIN(other)))
			continue;
		for (unsigned int i = 0; i < scenario->cpus * NR_PARTS; i++) {
			unsigned int cpu = i / NR_PARTS;
			const access_t *b = &w->by[other][cpu][i % NR_PARTS];

			if (cpu != sim_cpu() && b->bytes & a->bytes &&
			    b->clock > me()->now.of[cpu] && !led_to(me(), addr, cpu, b->clock))
				finding("data race",
					"nothing orders %#llx: CPU %u %s, code %#x; CPU %u %s, "
					"code %#x",
					(unsigned long long)addr, cpu, names[other], b->pc,
					sim_cpu(), names[what], a->pc);
		}
	}
}

static u64 hash_access(u64 w, enum what what, const access_t *a)
{
	return a->bytes ? mix(w << 2 | what, a->bytes) : 0;
}

/* An access of cpu is another now, or none. */
static void replace(struct word *w, enum what what, unsigned int cpu, unsigned int part,
		    access_t now)
{
	access_t *a = &w->by[what][cpu][part];
	u64 nr = (u64)(w - words), *was = &made[cpu][a->clock], *is = &made[cpu][now.clock];

	set(was, *was ^ hash_access(nr, what, a));
	set(&a->all, now.all);
	set(is, *is ^ hash_access(nr, what, a));
}

/*
 * Whether what races with an access of one kind races with one of the other too. Then the one is
 * forgotten when the other comes, ordered behind it: who races with the one is not ordered behind
 * the other either.
 */
static bool covers(enum what other, enum what one)
{
	static const u8 covered[NR_WHAT] = {
		[LOAD] = BIT(LOAD) | BIT(MARKED_LOAD),
		[STORE] = BIT(LOAD) | BIT(STORE) | BIT(MARKED_LOAD) | BIT(MARKED_STORE),
		[MARKED_LOAD] = BIT(MARKED_LOAD),
		[MARKED_STORE] = BIT(MARKED_LOAD) | BIT(MARKED_STORE),
	};

	return covered[other] >> one & 1;
}

static void forget_covered(struct word *w, enum what what, u8 bytes)
{
	for (enum what one = LOAD; one < NR_WHAT; one++)
		for (unsigned int i = 0; i < scenario->cpus * NR_PARTS && covers(what, one); i++) {
			unsigned int cpu = i / NR_PARTS;
			access_t a = w->by[one][cpu][i % NR_PARTS];

			if (!(a.bytes & bytes) || a.clock > me()->now.of[cpu])
				continue;
			a.bytes &= (u8)~bytes;
			replace(w, one, cpu, i % NR_PARTS, a);
		}
}

static void note(struct word *w, enum what what, u64 addr, u64 size, void *pc)
{
	access_t a = { .pc = (u32)(u64)pc, .clock = my_clock(), .bytes = bytes_of(addr, size) };

	if (!races_everywhere && !word_may_race((u64)(w - words)))
		return;
	/* One at this clock that covers it was judged, and by all that came since. */
	for (enum what other = LOAD; other < NR_WHAT; other++) {
		const access_t *mine = &w->by[other][sim_cpu()][PART_OF(addr)];

		if (covers(other, what) && mine->clock == a.clock &&
		    (mine->bytes & a.bytes) == a.bytes)
			return;
	}
	judge(w, what, addr, &a);
	forget_covered(w, what, a.bytes);
	if (w->by[what][sim_cpu()][PART_OF(addr)].clock == a.clock)
		a.bytes |= w->by[what][sim_cpu()][PART_OF(addr)].bytes;
	replace(w, what, sim_cpu(), PART_OF(addr), a);
}

void race_plain(u64 addr, u64 size, bool stores, void *pc)
{
	for (u64 end = addr + size, n; addr < end; addr += n) {
		struct word *w = word_of(addr);

		if (!quiet && (addr - SIM_ARENA) >> 3 < WORDS)
			note_plain((addr - SIM_ARENA) >> 3);
		n = 8 - (addr & 7);
		if (n > end - addr)
			n = end - addr;
		if (w)
			note(w, stores ? STORE : LOAD, addr, n, pc);
	}
}

/* ---- Marked accesses: what orders -------------------------------------------------------- */

/* Where the next lead goes: to the place of one that tells nothing new, or of the oldest. */
static struct lead *place_of_lead(struct cpu *c)
{
	for (unsigned int i = 0; i < MAX_LEADS; i++)
		if (!is_news(c->leads[i].behind, c->now))
			return &c->leads[i];
	struct lead *l = &c->leads[c->next_lead % MAX_LEADS];

	set(&c->next_lead, c->next_lead + 1);
	return l;
}

static void meet(struct cpu *c, const struct word *w, u64 addr, unsigned int size, bool acquires)
{
	u64 value = size == 8 ? *(u64 *)addr : 0;

	if (!acquires && value && is_news(w->released, c->now)) {
		struct lead *l = place_of_lead(c);

		set(&l->value, value);
		set(&l->behind.all, w->released.all);
	}
	join(acquires ? &c->now : &c->relaxed, w->released);
}

/* What follows is not behind what was released: another clock. */
static void tick(void)
{
	vector now = me()->now;

	if (++now.of[sim_cpu()] == CLOCK_MAX - 1)
		finding("model", "a CPU releases too often for the races' clocks");
	set(&me()->now.all, now.all);
}

static void release(struct word *w, vector what, bool releases)
{
	if (!w->released.all && what.all) {
		unsigned int i = 0;

		while (i < nr_sync && sync_words[i] != w - words)
			i++;
		if (i == SYNC_MAX)
			finding("model", "too many words are used to synchronise");
		sync_words[i] = (u32)(w - words);
		nr_sync += i == nr_sync;
	}
	set(&w->released.all, what.all);
	if (releases)
		tick();
}

void race_load(u64 addr, unsigned int size, bool acquires, void *pc)
{
	struct word *w = word_of(addr);

	if (!w)
		return;
	meet(me(), w, addr, size, acquires);
	note(w, MARKED_LOAD, addr, size, pc);
}

void race_store(u64 addr, unsigned int size, bool releases, void *pc)
{
	struct word *w = word_of(addr);

	if (!w)
		return;
	note(w, MARKED_STORE, addr, size, pc);
	release(w, releases ? me()->now : me()->fenced, releases);
}

void race_rmw(u64 addr, unsigned int size, int order, void *pc)
{
	struct word *w = word_of(addr);
	bool acquires = order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE;
	bool releases = order != __ATOMIC_RELAXED && order != __ATOMIC_ACQUIRE;

	if (!w)
		return;
	meet(me(), w, addr, size, acquires);
	note(w, MARKED_STORE, addr, size, pc);
	release(w, joined(w->released, releases ? me()->now : me()->fenced), releases);
}

/* What the caller has done is before all that the CPU does from here on. */
void race_start(unsigned int cpu)
{
	join(&cpus[cpu].now, me()->now);
	tick();
}

void race_fence(int order)
{
	struct cpu *c = me();

	if (quiet)
		return;
	if (order != __ATOMIC_RELEASE)
		join(&c->now, c->relaxed);
	if (order != __ATOMIC_ACQUIRE) {
		set(&c->fenced.all, c->now.all);
		tick();
	}
}

/* ---- As part of a state ------------------------------------------------------------------ */

/*
 * What counts of a CPU's clock: how the vectors cut its accesses apart. Those that all others have
 * behind them (up to `known`) are nobody's concern any more; and where nothing lies between two
 * clocks, they are the same.
 */
static struct {
	u16 known;
	u8 rank[CLOCK_MAX];
	u8 cut[CLOCK_MAX];
} views[MAX_CPUS];

static void each_vector(void (*visit)(vector v, u64 what))
{
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		struct cpu *c = &cpus[i];

		visit(c->now, i << 8 | 1);
		visit(c->fenced, i << 8 | 2);
		visit(c->relaxed, i << 8 | 3);
		for (unsigned int l = 0; l < MAX_LEADS; l++)
			if (is_news(c->leads[l].behind, c->now))
				visit(c->leads[l].behind, mix(c->leads[l].value, i));
	}
	for (unsigned int i = 0; i < nr_sync; i++)
		visit(words[sync_words[i]].released, (u64)sync_words[i] << 16);
}

static void cut(vector v, u64 what)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		if (v.of[i] > views[i].known)
			views[i].cut[v.of[i]] = true;
}

static u64 sum;

static void add_ranks(vector v, u64 what)
{
	u64 ranks = 0;

	for (unsigned int i = 0; i < scenario->cpus; i++)
		ranks = ranks << 8 | (v.of[i] > views[i].known ? views[i].rank[v.of[i]] : 0);
	if (ranks)
		sum += mix(ranks, what);
}

static void find_known(unsigned int cpu)
{
	u16 known = cpus[cpu].now.of[cpu];

	for (unsigned int i = 0; i < scenario->cpus; i++)
		if (i != cpu && cpus[i].now.of[cpu] < known)
			known = cpus[i].now.of[cpu];
	views[cpu].known = known;
	memset(views[cpu].cut + known, 0, cpus[cpu].now.of[cpu] - known + 1u);
}

/* Numbers the classes of a CPU's accesses, and hashes them. */
static u64 hash_classes(u64 h, unsigned int cpu)
{
	u64 class = 0;
	u8 rank = 0;

	for (unsigned int c = views[cpu].known + 1u; c <= cpus[cpu].now.of[cpu]; c++) {
		class ^= made[cpu][c];
		views[cpu].rank[c] = rank + (class != 0);
		if (!views[cpu].cut[c] || !class)
			continue;
		h = mix(h, class);
		class = 0;
		rank++;
	}
	return mix(h, class);
}

u64 race_hash(void)
{
	u64 h = 0;

	for (unsigned int i = 0; i < scenario->cpus; i++)
		find_known(i);
	each_vector(cut);
	for (unsigned int i = 0; i < scenario->cpus; i++)
		h = hash_classes(h, i);
	sum = 0;
	each_vector(add_ranks);
	return mix(h, sum);
}
