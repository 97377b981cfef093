/* SPDX-License-Identifier: MIT */
/*
 * The buddy system under <page.h>: blocks of 1 << order frames, and full magazines that were not
 * merged into blocks yet. mm/buddy.c. Frames in here are PAGE_FREE, without references.
 */
#ifndef GRACE_BUDDY_H
#define GRACE_BUDDY_H

#include <page.h>

/* Before anything else: a full magazine has so many frames. Boot CPU, once. */
void buddy_start(unsigned int magazine);
/* A block that cannot merge with any other. Boot CPU. */
void buddy_add(struct page *p, unsigned int order);

/* The head of a block, aligned to its size, or NULL; merges the depot first if it has to. Any
 * context. */
struct page *buddy_alloc(unsigned int order);
/* Merges the block with its buddy as long as that is free. Any context. */
void buddy_free(struct page *p, unsigned int order);

/*
 * A magazine for a CPU, chained by `below` from *top on: a full one, or as many frames as there
 * are, which is returned; with 0, *top is NULL. irqs off.
 */
unsigned int magazine_get(struct page **top);
/* Keeps a full one in the depot. irqs off. */
void magazine_put(struct page *top);
/* Frees each frame of one, which may be NULL, to its buddies. Any context. */
void magazine_merge(struct page *top);
/* Merges one of the depot; false if there is none. Any context. */
bool buddy_merge_depot(void);

/* Frames in blocks and in the depot: of no one moment. Any context. */
u64 buddy_nr_free(void);

#endif
