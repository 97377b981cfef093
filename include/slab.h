/* SPDX-License-Identifier: MIT */
/*
 * Small objects. Per-CPU freelists in front of slabs of one page.
 */
#ifndef GRACE_SLAB_H
#define GRACE_SLAB_H

#include <types.h>

struct kmem_cache;

/* Objects of size bytes (8 .. PAGE_SIZE / 2), aligned to align (power of two, 8 at least). */
struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align);
/*
 * The same for objects that readers under rcu_read_lock() look at while they may be freed: what
 * was an object of the cache when the reader began is one until it has ended, if perhaps a free
 * one, or given out anew [L5]. Behind its first word, a free object is as its user left it.
 */
struct kmem_cache *kmem_cache_create_stable(const char *name, size_t size, size_t align);
/* Any context for GFP_NOWAIT. Flags as alloc_pages(). NULL without memory. */
void *kmem_cache_alloc(struct kmem_cache *c, u32 flags);
void kmem_cache_free(struct kmem_cache *c, void *obj);
/* Gives everything back. Nothing of it may be in use. Thread context, preemptible. */
void kmem_cache_destroy(struct kmem_cache *c);
/* Objects given out and not freed. Exact when nobody else allocates. */
u64 kmem_cache_inuse(const struct kmem_cache *c);
/* All caches together: what a test must leave as it found it. */
u64 slab_inuse(void);
/*
 * Gives empty slabs and per-CPU objects back to the page allocator; waits for a grace period if
 * any of them has to. Thread context, preemptible.
 */
void slab_drain(void);
/* This CPU's own stacks, before it goes down. irqs off. */
void slab_drain_cpu(void);

/* Any size: slab up to half a page, whole pages above. kfree(NULL) does nothing. */
void *kmalloc(size_t size, u32 flags);
void kfree(void *p);

void slab_init(void);
void slab_print(void); /* console */

#endif
