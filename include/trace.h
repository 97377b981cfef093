/* SPDX-License-Identifier: MIT */
/*
 * The trace: each CPU keeps a ring of its last events, always on in debug builds.
 *
 * A report prints the rings of all CPUs merged by time, one column a CPU; the console's `trace`
 * shows and clears them; `make trace` writes a run's events as JSON for the Perfetto UI.
 */
#ifndef GRACE_TRACE_H
#define GRACE_TRACE_H

#include <oracle.h>
#include <types.h>

/*
 * X(NAME, word, what a is, what b is). mm is the number of the address space, or 0. What begins
 * with # is shown as a decimal number, the rest in hexadecimal; a "frame" is a physical address.
 * The number of a grace period is its sequence's: odd at the begin, the next one at the end.
 * scripts/trace.py reads this table.
 */
#define TRACE_TABLE(X)                                                                             \
	X(WALK_BEGIN, "walk", "address", "#pages asked")                                           \
	X(WALK_END, "walked", "#pages got", "")                                                    \
	X(CLEAR, "clear", "frame", "address")                                                      \
	X(UNHOOK, "unhook", "frame", "address")                                                    \
	X(HOOK, "hook", "frame", "#level")                                                         \
	X(GATHER_BEGIN, "gather", "#pending", "")                                                  \
	X(GATHER_END, "gathered", "#pending", "")                                                  \
	X(FLUSH_BEGIN, "flush", "CPUs", "address")                                                 \
	X(FLUSH_END, "flushed", "CPUs", "address")                                                 \
	X(INVALIDATE, "drop", "address", "end")                                                    \
	X(IPI, "ipi", "reasons", "")                                                               \
	X(GP_BEGIN, "gp", "#number", "CPUs")                                                       \
	X(GP_END, "gp end", "#number", "")                                                         \
	X(QUIESCENT, "quiet", "#number", "")                                                       \
	X(EXP_BEGIN, "exp gp", "#number", "CPUs")                                                  \
	X(EXP_END, "exp end", "#number", "")                                                       \
	X(CALL_RCU, "call_rcu", "head", "#number")                                                 \
	X(CALLBACK, "callback", "head", "")                                                        \
	X(WAIT_TABLE, "to rcu", "frame", "")                                                       \
	X(FALLBACK, "fallback", "frame", "")                                                       \
	X(ALLOC, "alloc", "frame", "#type")                                                        \
	X(FREE, "free", "frame", "#type")                                                          \
	X(ROOT_LOAD, "load", "root", "tag")                                                        \
	X(LAZY, "lazy", "", "")                                                                    \
	X(ROLLOVER, "rollover", "#generation", "")                                                 \
	X(FAULT, "fault", "address", "#write")                                                     \
	X(CPU_STATE, "cpu", "#CPU", "#online")

enum trace_event {
#define TRACE_ENUM(name, word, a, b) TRACE_##name,
	TRACE_TABLE(TRACE_ENUM)
#undef TRACE_ENUM
	NR_TRACE_EVENTS
};

/* What a report is about: 0 fields match nothing. */
struct trace_subject {
	phys_t frame;
	u32 mm;
	vaddr_t va; /* in mm */
};

#ifdef GRACE_DEBUG
/*
 * Writes an event into this CPU's ring, over the oldest. Any context, NMI too: an event that an NMI
 * or interrupt puts between is kept as well. Costs a counter read and a few stores.
 */
void trace_write(enum trace_event event, u32 mm, u64 a, u64 b);

/*
 * The halves of trace_write(), apart for the test that puts events between them: takes this CPU's
 * next record, and fills it. Preemption off from one to the other. NULL: there is no ring, or it is
 * held.
 */
struct trace_record;
struct trace_record *trace_reserve(u64 *n);
void trace_fill(struct trace_record *r, u64 n, enum trace_event event, u32 mm, u64 a, u64 b);

/*
 * Prints the last `lines` events that concern the subject (NULL: all events), of all CPUs, merged
 * by time, in columns of CPUs. Of a subject these are the events of its frame, or if that is 0 of
 * its mm, and of its address; then the nearest in time to these, and to now, of the events of its
 * mm and of none, up to some milliseconds away. Any context; other CPUs may go on, but nothing is
 * written meanwhile.
 */
void trace_print(const struct trace_subject *about, unsigned int lines);
/*
 * Between the two nothing is written on any CPU: what led to a report would be overwritten while it
 * is printed. Calls nest. Any context.
 */
void trace_hold(void);
void trace_go_on(void);
/* Forgets all events so far. */
void trace_clear(void);
/* Records of each CPU's ring, a power of two; 0: there are no rings. */
u64 trace_ring_size(void);
/* Allocates the rings, when the page allocator is there. Without memory there is no trace. */
void trace_init(void);
#else
static inline void trace_write(enum trace_event event, u32 mm, u64 a, u64 b)
{
}
static inline void trace_print(const struct trace_subject *about, unsigned int lines)
{
}
static inline void trace_init(void)
{
}
#endif

#define trace(event, mm, a, b)                                                                     \
	do {                                                                                       \
		if (oracles())                                                                     \
			trace_write(TRACE_##event, mm, a, b);                                      \
	} while (0)

#endif
