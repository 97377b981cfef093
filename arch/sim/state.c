// SPDX-License-Identifier: MIT
/*
 * The state of an execution: the arena's words, the stacks, the machine; keeping, undoing, hashing.
 *
 * Terms. The log holds, in order, what a segment changed: a word of the arena with its old value, a
 * stack as it was before its thread ran, the machine as it was at the segment's begin. Undoing a
 * segment takes its entries back from the last to the first, so the explorer steps back along a
 * path instead of running it again from the start.
 * Why by words. The compiler announces every store (tsan.c), so what a segment costs is what it
 * wrote. A snapshot of all memory would cost the same for every step, however small.
 * The hash of a state is that of the words that differ from the beginning, of the live stacks, and
 * of the machine: two orders of independent segments lead to the same state, so the second is cut.
 * What the oracles and the races' clocks know is hashed by what it means: books.c, race.c. A word
 * that an oracle wrote last is not hashed as it is.
 * Locks: none; one host thread. See also: explore.c.
 */
#include "sim.h"

#include <sim_books.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define WORDS (SIM_ARENA_SIZE / 8)
#define LOG_MAX (48UL << 20) /* words */
#define SEGMENTS_MAX 100000
#define DIRTY_BELOW                                                                                \
	1024 /* of a stack that stopped: cleared, so that no garbage tells states apart */

/* The CPUs that the scenario has not stay as they are. */
#define MACHINE_WORDS ((offsetof(struct machine, cpu) + scenario->cpus * sizeof(struct vcpu)) / 8)

/* Low bits of an entry's last word: what it is of; of a word: whether it stood in a book. */
enum entry { ENTRY_WORD, ENTRY_STACK, ENTRY_MACHINE };
#define ENTRY_BOOK 4

struct segment {
	u64 log, hash;
};

struct machine M;
bool learned, frozen;

static u64 *undo_log, log_end;
static struct segment *segments;
static unsigned int nr_segments;
static u32 *word_epoch, epoch;
static u16 *word_seen; /* readers in bits 3:0, writers in 7:4, SEEN_MARKED, ... */
static u64 mem_hash;
static struct {
	u64 hash;
	u32 epoch;
	u8 nr_since; /* moments of the ledger's clock in it */
	bool stale;
} stacks[SIM_NR_STACKS];

#define SEEN_MARKED 0x100
#define SEEN_PLAIN 0x400
#define SEEN_BOOK 0x200 /* an oracle wrote it last: no part of the hash, see books.c */

static void *reserve(u64 size, u64 at)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (at ? MAP_FIXED_NOREPLACE : 0);
	void *p = mmap((void *)at, size, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (p == MAP_FAILED) {
		perror("sim: mmap");
		exit(2);
	}
	return p;
}

void arena_init(void)
{
	reserve(SIM_DATA - SIM_ARENA, SIM_ARENA);
	undo_log = reserve(LOG_MAX * 8, 0);
	segments = reserve(SEGMENTS_MAX * sizeof(*segments), 0);
	word_epoch = reserve(WORDS * sizeof(*word_epoch), 0);
	word_seen = reserve(WORDS * sizeof(*word_seen), 0);
}

u64 stack_top(unsigned int slot)
{
	return SIM_STACKS + (slot + 1UL) * STACK_SIZE;
}

static bool in_stacks(u64 addr)
{
	return addr - SIM_STACKS < SIM_NR_STACKS * (u64)STACK_SIZE;
}

/* ---- Who touches what ------------------------------------------------------------------------ */

static bool is_conflict(u16 seen)
{
	unsigned int who = (seen | seen >> 4) & 0xf;

	return (seen & 0xf0) && (who & (who - 1));
}

static void see(u64 w, bool write, bool marked)
{
	u16 me = (u16)((1u << sim_cpu()) << (write ? 4 : 0) | (marked ? SEEN_MARKED : 0));
	u16 old = word_seen[w];

	if ((old & me) == me || frozen)
		return;
	word_seen[w] = old | me;
	if (is_conflict(old) || !is_conflict(old | me))
		return;
	/* A point from now on, if its accesses are marked; and steps may conflict by it. */
	learned = true;
	touch_share(w);
}

bool conflicting(u64 addr, u64 size, bool write)
{
	u64 w = (addr - SIM_ARENA) >> 3;

	if (w >= WORDS)
		return false;
	see(w, write, true);
	return is_conflict(word_seen[w]);
}

bool word_shared(u64 w)
{
	return is_conflict(word_seen[w]);
}

bool word_may_race(u64 w)
{
	return word_seen[w] & SEEN_PLAIN && is_conflict(word_seen[w]);
}

void note_plain(u64 w)
{
	if (word_seen[w] & SEEN_PLAIN || frozen)
		return;
	word_seen[w] |= SEEN_PLAIN;
	learned |= is_conflict(word_seen[w]);
}

u64 next_conflict(u64 addr)
{
	for (u64 w = addr ? ((addr - SIM_ARENA) >> 3) + 1 : 0; w < WORDS; w++)
		if (word_seen[w] & SEEN_MARKED && is_conflict(word_seen[w]))
			return SIM_ARENA + w * 8;
	return 0;
}

void set_conflict(u64 addr)
{
	word_seen[(addr - SIM_ARENA) >> 3] = SEEN_MARKED | 0x33;
}

void note_read(u64 addr, u64 size)
{
	u64 off = addr - SIM_ARENA;

	if (quiet || off >= SIM_ARENA_SIZE)
		return;
	for (u64 w = off >> 3; w <= (off + size - 1) >> 3; w++) {
		see(w, false, false);
		touch_word(w, false);
	}
}

/* Once in a segment. */
static void keep_word(u64 w)
{
	word_epoch[w] = epoch;
	undo_log[log_end++] = ((u64 *)SIM_ARENA)[w];
	undo_log[log_end++] = (SIM_ARENA + w * 8) << 2 | ENTRY_WORD |
			      (word_seen[w] & SEEN_BOOK ? ENTRY_BOOK : 0);
}

void note_write(u64 addr, u64 size)
{
	u64 off = addr - SIM_ARENA;

	if (quiet || off >= SIM_ARENA_SIZE)
		return;
	bool own = in_stacks(addr) && slot_of((void *)addr) == M.cpu[sim_cpu()].slot;

	for (u64 w = off >> 3; w <= (off + size - 1) >> 3; w++) {
		see(w, true, false);
		touch_word(w, true);
		if (own)
			continue;
		if (word_epoch[w] != epoch)
			keep_word(w);
		word_seen[w] &= (u16)~SEEN_BOOK;
	}
}

void note_oracle(u64 addr, u64 size)
{
	u64 off = addr - SIM_ARENA;

	if (quiet || off >= SIM_ARENA_SIZE ||
	    (in_stacks(addr) && slot_of((void *)addr) == M.cpu[sim_cpu()].slot))
		return;
	books_note_frame(addr);
	for (u64 w = off >> 3; w <= (off + size - 1) >> 3; w++) {
		if (word_epoch[w] == epoch)
			continue;
		keep_word(w);
		word_seen[w] |= SEEN_BOOK;
	}
}

void note_oracle_read(u64 addr, u64 size)
{
	u64 w = (addr - SIM_ARENA) >> 3;

	if (w < WORDS && !(word_seen[w] & SEEN_BOOK))
		note_read(addr, size);
}

/* What the model keeps outside of the arena, of an oracle's. */
void note_beside(u64 *word)
{
	undo_log[log_end++] = *word;
	undo_log[log_end++] = (u64)word << 2;
}

/* ---- Segments -------------------------------------------------------------------------------- */

void note_stack(unsigned int slot, void *sp)
{
	u64 words = (stack_top(slot) - (u64)sp) / 8;

	if (quiet || stacks[slot].epoch == epoch)
		return;
	stacks[slot].epoch = epoch;
	stacks[slot].stale = true;
	memcpy(undo_log + log_end, sp, words * 8);
	log_end += words;
	undo_log[log_end++] = stacks[slot].hash;
	undo_log[log_end++] = (u64)sp;
	undo_log[log_end++] = (u64)stacks[slot].nr_since << 16 | (u64)slot << 2 | ENTRY_STACK;
}

void segment_begin(void)
{
	if (nr_segments == SEGMENTS_MAX || log_end > LOG_MAX - (1 << 20)) {
		fprintf(stderr, "sim: an execution is too long to be undone\n");
		exit(2);
	}
	segments[nr_segments++] = (struct segment){ log_end, mem_hash };
	epoch++;
	memcpy(undo_log + log_end, &M, MACHINE_WORDS * 8);
	log_end += MACHINE_WORDS;
	undo_log[log_end++] = ENTRY_MACHINE;
}

unsigned int segment_depth(void)
{
	return nr_segments;
}

static void undo_word(u64 last)
{
	u64 *p = (u64 *)((last & ~7UL) >> 2), w = ((u64)p - SIM_ARENA) >> 3;

	*p = undo_log[log_end - 2];
	log_end -= 2;
	if (w >= WORDS)
		return;
	word_seen[w] = (u16)((word_seen[w] & ~SEEN_BOOK) | (last & ENTRY_BOOK ? SEEN_BOOK : 0));
}

static void undo_stack(void)
{
	u64 last = undo_log[--log_end];
	unsigned int slot = (u16)last >> 2;
	void *sp = (void *)undo_log[--log_end];
	u64 words = (stack_top(slot) - (u64)sp) / 8;

	stacks[slot].nr_since = (u8)(last >> 16);
	stacks[slot].hash = undo_log[--log_end];
	stacks[slot].stale = false;
	log_end -= words;
	memcpy(sp, undo_log + log_end, words * 8);
}

void segment_undo(void)
{
	struct segment *s = &segments[--nr_segments];

	while (log_end > s->log) {
		u64 last = undo_log[log_end - 1];

		if ((last & 3) == ENTRY_WORD) {
			undo_word(last);
		} else if ((last & 3) == ENTRY_STACK) {
			undo_stack();
		} else {
			log_end -= 1 + MACHINE_WORDS;
			memcpy(&M, undo_log + log_end, MACHINE_WORDS * 8);
		}
	}
	mem_hash = s->hash;
	epoch++;
}

/* ---- Hashing --------------------------------------------------------------------------------- */

u64 mix(u64 a, u64 b)
{
	u64 h = (a ^ 0x9e3779b97f4a7c15ULL) * 0xff51afd7ed558ccdULL;

	h ^= (h >> 32) ^ b;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 29;
}

static u64 hash_words(u64 h, const u64 *p, u64 n)
{
	u64 h2 = h ^ 0x165667b19e3779f9ULL;

	for (; n >= 2; n -= 2, p += 2) {
		h = (h ^ p[0]) * 0xff51afd7ed558ccdULL;
		h ^= h >> 31;
		h2 = (h2 ^ p[1]) * 0xc4ceb9fe1a85ec53ULL;
		h2 ^= h2 >> 31;
	}
	return mix(h2 ^ (n ? *p : 0), h);
}

/* The stack without the moments of the ledger's clock, which books.c compares. */
static const u64 *without_moments(unsigned int slot, const u64 *sp, u64 n)
{
	static u64 copy[STACK_SIZE / 8];

	for (u64 i = 0; i < n; i++)
		stacks[slot].nr_since += is_moment(sp[i]);
	if (!stacks[slot].nr_since)
		return sp;
	for (u64 i = 0; i < n; i++)
		copy[i] = is_moment(sp[i]) ? MOMENT : sp[i];
	return copy;
}

static void hash_stack(unsigned int slot)
{
	void *sp = stacks[slot].stale ? stack_pointer(slot) : NULL;

	if (!sp)
		return;
	stacks[slot].stale = false;
	memset((char *)sp - DIRTY_BELOW, 0, DIRTY_BELOW);
	live_clear(sp, stack_top(slot));
	u64 n = (stack_top(slot) - (u64)sp) / 8;

	stacks[slot].nr_since = 0;
	stacks[slot].hash = hash_words(slot, oracles_on ? without_moments(slot, sp, n) : sp, n);
}

unsigned int stack_moments(unsigned int slot, u64 *to, unsigned int room)
{
	const u64 *sp = stacks[slot].nr_since ? stack_pointer(slot) : NULL;
	unsigned int n = 0;

	for (; sp && (u64)sp < stack_top(slot) && n < room; sp++)
		if (is_moment(*sp))
			to[n++] = *sp;
	return n;
}

/* A word of memory is part of the hash unless an oracle wrote it last. */
static void hash_word(u64 last, u64 old)
{
	u64 addr = (last & ~7UL) >> 2, w = (addr - SIM_ARENA) >> 3, now = *(u64 *)addr;

	/* As it was: an oracle that has put a word of the kernel's back. */
	if (old == now && !(last & ENTRY_BOOK))
		word_seen[w] &= (u16)~SEEN_BOOK;
	if (!(last & ENTRY_BOOK))
		mem_hash ^= mix(addr, old);
	if (!(word_seen[w] & SEEN_BOOK))
		mem_hash ^= mix(addr, now);
}

/* Folds what the segment changed into the hashes. */
void segment_end(void)
{
	u64 at = segments[nr_segments - 1].log + MACHINE_WORDS + 1;
	u64 end = log_end;

	/* Entries can be read from their end only: backwards, each word once. */
	while (end > at) {
		u64 last = undo_log[end - 1];

		if ((last & 3) == ENTRY_STACK) {
			unsigned int slot = (u16)last >> 2;

			end -= 3 + (stack_top(slot) - undo_log[end - 2]) / 8;
			continue;
		}
		u64 addr = (last & ~7UL) >> 2;

		end -= 2;
		if (in_stacks(addr))
			stacks[slot_of((void *)addr)].stale = true;
		else if (addr - SIM_ARENA < SIM_ARENA_SIZE)
			hash_word(last, undo_log[end]);
	}
	for (unsigned int i = 0; i < SIM_NR_STACKS; i++)
		hash_stack(i);
}

static u64 hash_vcpu(const struct vcpu *v)
{
	u64 h = v->root << 16 | (u64)v->tag << 8 | v->slot;
	u64 bits = (u64)v->state | (u64)v->irqs_on << 8 | (u64)v->ipi << 9 | (u64)v->in_irq << 10 |
		   (u64)v->nr_choices << 16 | (u64)v->nr_held << 24 | (u64)v->nr_buffer << 32 |
		   (v->relaxed ? v->nr_watch + 1ULL : 0) << 40;

	h = mix(h, bits);
	h = hash_words(h, v->held, v->nr_held);
	for (unsigned int i = 0; i < v->nr_buffer; i++) {
		h = mix(h, v->buffer[i].addr | (u64)(v->buffer[i].epoch - v->epoch) << 48);
		h = mix(h, v->buffer[i].other);
	}
	if (v->state != VCPU_RELAX && v->state != VCPU_USER)
		return h;
	for (unsigned int i = 0; i < v->nr_watch; i++)
		h = mix(mix(h, v->watch[i].addr), v->watch[i].value);
	return h;
}

static u64 hash_all(u64 h)
{
	for (unsigned int i = 0; i < MAX_CPUS && M.cpu[i].state != VCPU_OFF; i++)
		h = mix(h, hash_vcpu(&M.cpu[i]));
	for (unsigned int i = 0; i < SIM_NR_STACKS; i++)
		h = mix(h, stacks[i].hash);
	return oracles_on ? mix(h, books_hash()) : h;
}

/* Who ran last tells what a switch costs. Where none costs anything, it is no part of the state. */
u64 state_hash(void)
{
	u64 who = unbounded ? 0 : (u64)M.last | (u64)M.home << 40;

	u64 h = hash_all(mix(mem_hash, who | (u64)M.ticks << 8 | (u64)M.delays << 16 |
					       (u64)M.fails << 24 | (u64)M.rounds << 32));

	return races_on ? mix(h, race_hash()) : h;
}

u64 state_hash_of_end(void)
{
	return hash_all(mem_hash);
}

void state_rebase(void)
{
	nr_segments = 0;
	log_end = 0;
	mem_hash = 0;
	memset(word_seen, 0, WORDS * sizeof(*word_seen));
	for (unsigned int i = 0; i < SIM_NR_STACKS; i++) {
		stacks[i].stale = true;
		hash_stack(i);
	}
}
