// SPDX-License-Identifier: MIT
/*
 * A reader that locks what it has found, against the end of it and of its slab.
 *
 * As a fault does with a VMA; here of a cache with two objects a slab, so that few steps empty one.
 * Rules: L5.
 */
#include <slab.h>

#include "sim_test.h"

struct object {
	u64 link; /* the cache's */
	u32 lock;
	char rest[PAGE_SIZE / 2 - 16];
};

static struct kmem_cache *cache;
static struct object *objects[4], *shown;

/* A cache keeps one empty slab: of two the second goes. */
static void setup(void)
{
	cache = kmem_cache_create_stable("test", sizeof(struct object), 8);
	BUG_ON(!cache);
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++) {
		objects[i] = kmem_cache_alloc(cache, GFP_KERNEL);
		BUG_ON(!objects[i]);
		objects[i]->lock = 1;
	}
	shown = objects[ARRAY_SIZE(objects) - 1];
}

static void reader(void)
{
	rcu_read_lock();
	struct object *o = READ_ONCE(shown);

	if (o)
		(void)cmpxchg(&o->lock, 1, 2);
	rcu_read_unlock();
}

static void freer(void)
{
	WRITE_ONCE(shown, NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++) {
		WRITE_ONCE(objects[i]->lock, 0);
		kmem_cache_free(cache, objects[i]);
	}
	bool on = local_irq_save();

	slab_drain_cpu();
	local_irq_restore(on);
}

SCENARIO(stable_memory) = {
	.name = "stable_memory",
	.what = "a reader against the end of the slab of what it found",
	.cpus = 2,
	.setup = setup,
	.roles = { { 0, freer, false }, { 1, reader, false } },
};
