/* SPDX-License-Identifier: MIT */
/*
 * Calls of an oracle that keeps books: made if the explorer asked for oracles (arch/sim/oracle.c);
 * and what each of them reads and writes of the books (arch/sim/books.c), for the reduction.
 */
#ifndef SIM_BOOKS_H
#define SIM_BOOKS_H

#include <types.h>

struct page;

extern bool oracles_on;

/* A use of: the clock; the log; what CPUs may hold; who walks. Written: the calling CPU's part. */
#define USE_CLOCK 1u
#define USE_LOG 2u
#define USE_HELD 4u
#define USE_INSIDE 8u
void books_use(unsigned int reads, unsigned int writes);
/* Of the debt of a page, if it has one. */
void books_use_of(const struct page *page);

/* A moment of the ledger's clock has a mark in its upper bits, by which it is found on stacks. */
#define MOMENT_MASK (0xffffULL << 48)
#define MOMENT (0x51ceULL << 48)
static inline bool is_moment(u64 word)
{
	return (word & MOMENT_MASK) == MOMENT;
}
u64 books_moment(void);
/* The ledger's own number of it. */
u64 books_moment_over(u64 moment);

#define if_books(use, call) ((void)(__builtin_expect(oracles_on, 0) && ((use), (call), 0)))

#endif
