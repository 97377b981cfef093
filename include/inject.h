/* SPDX-License-Identifier: MIT */
/*
 * Faults made common: fault=NAME:RATE[:MICROSECONDS],...,seed:N on the command line, or the
 * console's `fault`. RATE: one in so many. Debug builds.
 *
 * Failures of allocations hit only threads that have said that they can bear them
 * (inject_allow()), as the race's threads do; all else hits everybody.
 */
#ifndef GRACE_INJECT_H
#define GRACE_INJECT_H

#include <atomic.h>
#include <bug.h>
#include <types.h>

/* What a fault is. */
enum inject_kind {
	INJECT_EVENT, /* hits everybody, harmless to all */
	INJECT_ALLOC, /* hits threads that have said that they can bear it, outside handlers */
	INJECT_WAIT,  /* a delay, harmless: takes MICROSECONDS */
	INJECT_HARM,  /* breaks the kernel on purpose: an oracle has to report it */
};

/* X(NAME, word, kind, what happens) */
#define INJECT_TABLE(X)                                                                            \
	X(BATCH, "batch", EVENT, "a page for a gather's batch cannot be had")                      \
	X(PT, "table", ALLOC, "a page for a table cannot be had")                                  \
	X(PAGE, "page", ALLOC, "a user page cannot be had")                                        \
	X(SLAB, "slab", ALLOC, "a small object cannot be had")                                     \
	X(TINY, "tiny", EVENT, "a batch is full after two")                                        \
	X(IMPATIENT, "impatient", EVENT, "who would spin for a short while sleeps at once")        \
	X(LOST_IPI, "lostipi", EVENT, "an interrupt to other CPUs is lost")                        \
	X(ACK, "ack", WAIT, "a CPU is slow to answer an IPI")                                      \
	X(QS, "qs", WAIT, "a CPU is slow to report a quiescent state")                             \
	X(TABLE_WINDOW, "walk", WAIT, "a walker stops between an upper entry and following it")    \
	X(REF_WINDOW, "ref", WAIT, "a walker stops between the leaf and the reference")            \
	X(FAULT_WINDOW, "fault", WAIT, "a fault stops behind finding and behind locking its VMA")  \
	X(SWITCH_WINDOW, "switch", WAIT, "a CPU stops between two address spaces")                 \
	X(FLUSH_WINDOW, "flush", WAIT, "a flusher stops between reading the mask and sending")     \
	X(CLEAR_WINDOW, "clear", WAIT, "an unmapper stops between clearing and recording")         \
	X(LAZY_WINDOW, "lazy", WAIT, "a CPU stops while it leaves lazy mode")                      \
	X(ROLLOVER, "rollover", EVENT, "a switch of address space begins a generation of tags")    \
	X(FLAKY, "flaky", HARM, "a CPU drops nothing where it was told to")

enum inject {
#define INJECT_ENUM(name, word, kind, what) INJECT_##name,
	INJECT_TABLE(INJECT_ENUM)
#undef INJECT_ENUM
	NR_INJECT
};

/* What is asked for; all zero: nothing. */
struct inject_settings {
	u64 seed;
	u32 rate[NR_INJECT]; /* one in so many; 0: never */
	u32 us[NR_INJECT];   /* longest delay; 0: INJECT_US */
};
#define INJECT_US 100u

#ifdef GRACE_DEBUG
/* Bit n set: fault n is asked for. */
extern u32 inject_mask;
bool inject_hit(enum inject what);
void inject_spin(enum inject what);
/* True if the fault is to happen here, now. Any context but NMI. */
#define inject(what)                                                                               \
	(unlikely(READ_ONCE(inject_mask) & BIT(INJECT_##what)) && inject_hit(INJECT_##what))
/* Spins for a random time up to the fault's limit, if it is to happen here. Any context but NMI. */
#define inject_delay(what)                                                                         \
	do {                                                                                       \
		if (unlikely(READ_ONCE(inject_mask) & BIT(INJECT_##what)))                         \
			inject_spin(INJECT_##what);                                                \
	} while (0)

/* From here on failures of allocations may hit the calling thread, or not. Thread context. */
void inject_allow(bool on);
/* What is asked for now. Asks for something else: generators begin anew. Thread context. */
void inject_get(struct inject_settings *s);
void inject_set(const struct inject_settings *s);
/* The fault does not happen until as many inject_resume() as inject_pause() were called. */
void inject_pause(enum inject what);
void inject_resume(enum inject what);
/* How often a fault was asked for while it was on, and how often it happened, since boot. */
void inject_count(enum inject what, u64 *asked, u64 *hit);
#else
#define inject(what) false
#define inject_delay(what) ((void)0)
static inline void inject_allow(bool on)
{
}
static inline void inject_pause(enum inject what)
{
}
static inline void inject_resume(enum inject what)
{
}
#endif

#endif
