/* SPDX-License-Identifier: MIT */
/*
 * The census: an oracle of who is inside the page tables.
 *
 * Each CPU publishes when its walker went in, with interrupts or preemption off, and that it left.
 * A table must not be freed while a walker is inside that went in before the table was unhooked: it
 * may have loaded the entry that led there.
 */
#ifndef GRACE_CENSUS_H
#define GRACE_CENSUS_H

#include <types.h>

struct mm;
struct ptdesc;

#ifdef GRACE_DEBUG
/*
 * This CPU walks mm's tables from here to census_leave(): interrupts or preemption are off already,
 * and stay so. Does not nest, but an interrupt between the two may hold a walk of its own. Books
 * are kept with oracles off too: the race counts by them whether it met what it is about.
 */
void census_enter(const struct mm *mm);
void census_leave(void);
/* True if some CPU is inside a walk of mm now: a hint, for statistics. */
bool census_inside(const struct mm *mm);
/* The table was unhooked just now, by a full barrier: notes the moment, and who is inside. */
void census_unhooked(struct ptdesc *pt);
/* The table is about to be freed: a report if somebody is inside who was when it was unhooked. */
void census_table_free(struct ptdesc *pt);

/* A walker that is inside: where and how it went in, and for how long it has been. */
struct census_walker {
	unsigned int cpu;
	bool exposed; /* with interrupts and preemption on: nothing waits for it [U1] */
	u64 ns;
};
/* The verdict of the above: true, with one such walker, if there is one. Any context. */
bool census_find(const struct ptdesc *pt, struct census_walker *found);
/*
 * The notes of those who are inside, and were when pt was unhooked (NULL: all), as bits. For who
 * compares states, with all CPUs stopped: arch/sim/books.c. On a few CPUs.
 */
u64 census_before(const struct ptdesc *pt);
#else
static inline void census_enter(const struct mm *mm)
{
}
static inline void census_leave(void)
{
}
static inline bool census_inside(const struct mm *mm)
{
	return false;
}
static inline void census_unhooked(struct ptdesc *pt)
{
}
static inline void census_table_free(struct ptdesc *pt)
{
}
#endif

#endif
