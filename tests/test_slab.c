// SPDX-License-Identifier: MIT
/*
 * Small objects: no two at one place, nothing lost, pages given back.
 *
 * See also: mm/slab.c.
 */
#include "testlib.h"

#include <page.h>
#include <slab.h>

#define NR 700

struct item {
	struct item *next;
	vaddr_t self;
	u64 filler[5];
};

static u64 slab_frames(void)
{
	struct mem_stats s;

	slab_drain();
	mem_get_stats(&s);
	return s.by_type[PAGE_SLAB];
}

static struct item *items_take(struct kmem_cache *c, unsigned int nr)
{
	struct item *list = NULL;

	for (unsigned int i = 0; i < nr; i++) {
		struct item *it = kmem_cache_alloc(c, GFP_KERNEL);

		if (!it)
			break;
		it->next = list;
		it->self = (vaddr_t)it;
		list = it;
	}
	return list;
}

/* Returns how many were what they were; frees them. */
static unsigned int items_give(struct kmem_cache *c, struct item *list)
{
	unsigned int good = 0;

	while (list) {
		struct item *next = list->next;

		good += list->self == (vaddr_t)list;
		kmem_cache_free(c, list);
		list = next;
	}
	return good;
}

TEST(slab, objects_are_apart_and_all_come_back)
{
	u64 frames = slab_frames(), inuse = slab_inuse();
	struct kmem_cache *c = kmem_cache_create("test", sizeof(struct item), 8);

	ASSERT(c != NULL);
	struct item *list = items_take(c, NR);

	EXPECT_EQ(kmem_cache_inuse(c), NR);
	EXPECT_EQ(items_give(c, list), NR);
	EXPECT_EQ(kmem_cache_inuse(c), 0);
	kmem_cache_destroy(c);
	EXPECT_EQ(slab_inuse(), inuse);
	EXPECT_EQ(slab_frames(), frames);
}

TEST(slab, alignment_is_kept)
{
	for (size_t align = 8; align <= 1024; align *= 2) {
		struct kmem_cache *c = kmem_cache_create("test", align + 8, align);
		void *obj[5];

		ASSERT(c != NULL);
		for (unsigned int i = 0; i < 5; i++) {
			obj[i] = kmem_cache_alloc(c, GFP_KERNEL);
			EXPECT(obj[i] && IS_ALIGNED((vaddr_t)obj[i], align));
		}
		for (unsigned int i = 0; i < 5; i++)
			if (obj[i])
				kmem_cache_free(c, obj[i]);
		kmem_cache_destroy(c);
	}
}

TEST(slab, zeroed_means_zeroed)
{
	for (unsigned int round = 0; round < 50; round++) {
		u8 *p = kmalloc(100, GFP_KERNEL | GFP_ZERO), or = 0;

		ASSERT(p != NULL);
		for (unsigned int i = 0; i < 100; i++) {
			or |= p[i];
			p[i] = 0xff;
		}
		kfree(p);
		ASSERT_EQ(or, 0);
	}
}

static void kmalloc_pair(size_t size)
{
	u8 *a = kmalloc(size, GFP_KERNEL), *b = kmalloc(size, GFP_KERNEL);

	if (EXPECT(a && b && (a + size <= b || b + size <= a))) {
		memset(a, 1, size);
		memset(b, 2, size);
		EXPECT(a[0] == 1 && a[size - 1] == 1);
	}
	kfree(a);
	kfree(b);
}

TEST(slab, kmalloc_of_every_size)
{
	struct mem_stats before, after;
	u64 inuse = slab_inuse();

	slab_drain();
	page_alloc_drain();
	mem_get_stats(&before);
	for (size_t size = 2; size <= PAGE_SIZE * 16; size *= 2) {
		kmalloc_pair(size - 1);
		kmalloc_pair(size);
		kmalloc_pair(size + 1); /* the next class, or order */
		kmalloc_pair(size + size / 2);
	}
	EXPECT(kmalloc((size_t)PAGE_SIZE << (MAX_ORDER + 1), GFP_KERNEL) == NULL);
	kfree(NULL);
	EXPECT_EQ(slab_inuse(), inuse);
	slab_drain();
	page_alloc_drain();
	mem_get_stats(&after);
	EXPECT_EQ(after.free, before.free);
	EXPECT_EQ(after.by_type[PAGE_SLAB], before.by_type[PAGE_SLAB]);
}

/* Without memory a cache says NULL, and is as good as before when memory comes back. */
TEST(slab, no_memory_is_ordinary)
{
	struct kmem_cache *c = kmem_cache_create("test", sizeof(struct item), 8);
	struct item *list = NULL, *it;
	struct hog hog;

	ASSERT(c != NULL);
	hog_take(&hog);
	while ((it = kmem_cache_alloc(c, GFP_NOWAIT))) {
		it->next = list;
		it->self = (vaddr_t)it;
		list = it;
	}
	hog_release(&hog);
	items_give(c, list);
	list = items_take(c, NR);
	EXPECT_EQ(items_give(c, list), NR);
	kmem_cache_destroy(c);
}

#define BIG (PAGE_SIZE / 4)

/* Slabs that are given up while there is a reader stay what they are until it has left. */
TEST(rule, L5_stable_memory_waits_for_readers)
{
	struct kmem_cache *c = kmem_cache_create_stable("test", BIG, 64);
	void *objects[60];
	unsigned int stay = 0, gone = 0;

	ASSERT(c != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		objects[i] = kmem_cache_alloc(c, GFP_KERNEL);
	rcu_read_lock();
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		if (EXPECT(objects[i] != NULL))
			kmem_cache_free(c, objects[i]);
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		stay += objects[i] && virt_to_page(objects[i])->type == PAGE_SLAB;
	rcu_read_unlock();
	EXPECT_EQ(stay, ARRAY_SIZE(objects));
	rcu_barrier();
	for (unsigned int i = 0; i < ARRAY_SIZE(objects); i++)
		gone += objects[i] && virt_to_page(objects[i])->type != PAGE_SLAB;
	EXPECT(gone > 0);
	kmem_cache_destroy(c);
}

/* ---- All CPUs at once ------------------------------------------------------------------------ */

#define ROUNDS 60

static struct {
	struct kmem_cache *cache;
	struct item *pass[MAX_CPUS]; /* a list left for another CPU to free */
	unsigned int wrong;
} race;

static void race_thread(void *arg)
{
	unsigned int me = smp_processor_id(); /* pinned */

	for_bounded_rounds(i, ROUNDS) {
		struct item *list = items_take(race.cache, 5 + (i * 7 + me) % 60);
		unsigned int had = 0;

		/* Orders a list's contents before the list. Pairs with race_thread() elsewhere. */
		list = xchg(&race.pass[(me + i) % MAX_CPUS], list);
		for (struct item *it = list; it; it = it->next)
			had++;
		if (items_give(race.cache, list) != had)
			fetch_add(&race.wrong, 1);
	}
}

TEST(slab, all_cpus_at_once_free_each_others_objects)
{
	u64 frames = slab_frames();

	race.wrong = 0;
	race.cache = kmem_cache_create("test", sizeof(struct item), 8);
	ASSERT(race.cache != NULL);
	test_run_on_each(race_thread, NULL);
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		items_give(race.cache, xchg(&race.pass[i], NULL));
	EXPECT_EQ(READ_ONCE(race.wrong), 0);
	EXPECT_EQ(kmem_cache_inuse(race.cache), 0);
	kmem_cache_destroy(race.cache);
	EXPECT(WAIT_UNTIL(slab_frames() == frames)); /* dead threads are objects for a while */
}
