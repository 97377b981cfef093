// SPDX-License-Identifier: MIT
/*
 * The allocator of frames: blocks, lists, the reserve, accounting, references, poison.
 *
 * Each test compares the whole of the allocator's numbers before and after, all lists drained.
 * See also: mm/page_alloc.c, mm/page_ref.c.
 */
#include "testlib.h"

#include <page.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>

static void settle(struct mem_stats *s)
{
	slab_drain();
	page_alloc_drain();
	mem_get_stats(s);
}

static bool types_same(const struct mem_stats *before, struct mem_stats *s)
{
	settle(s);
	return memcmp(s->by_type, before->by_type, sizeof(s->by_type)) == 0;
}

/* Frames of every type as before, once dead threads are gone; free blocks of every order too. */
static void expect_same(const struct mem_stats *before, const u64 *blocks)
{
	u64 now[MAX_ORDER + 1];
	struct mem_stats s;

	(void)WAIT_UNTIL(types_same(before, &s));
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		if (s.by_type[t] != before->by_type[t])
			test_fail(__FILE__, __LINE__, "type %u: %llu frames, %llu before", t,
				  (unsigned long long)s.by_type[t],
				  (unsigned long long)before->by_type[t]);
	if (!blocks)
		return;
	page_free_blocks(now);
	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		if (now[o] != blocks[o])
			test_fail(__FILE__, __LINE__, "order %u: %llu free blocks, %llu before", o,
				  (unsigned long long)now[o], (unsigned long long)blocks[o]);
}

static u64 sum_of_types(const struct mem_stats *s)
{
	u64 sum = 0;

	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		sum += s->by_type[t];
	return sum;
}

TEST(page, split_and_merge_restore_every_block)
{
	struct page *p[MAX_ORDER + 1];
	u64 blocks[MAX_ORDER + 1];
	struct mem_stats before;

	settle(&before);
	page_free_blocks(blocks);
	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		p[o] = alloc_pages(o, GFP_KERNEL);
	/* Every second one first, so that buddies come back at different times. */
	for (unsigned int o = 0; o <= MAX_ORDER; o += 2)
		if (p[o])
			free_pages(p[o], o);
	for (unsigned int o = 1; o <= MAX_ORDER; o += 2)
		if (p[o])
			free_pages(p[o], o);
	expect_same(&before, blocks);
}

TEST(page, blocks_are_aligned_and_apart)
{
	for (unsigned int o = 0; o < MAX_ORDER; o++) {
		struct page *a = alloc_pages(o, GFP_KERNEL), *b = alloc_pages(o, GFP_KERNEL);

		if (a && b) {
			pfn_t pa = page_to_pfn(a), pb = page_to_pfn(b), n = 1UL << o;

			EXPECT(IS_ALIGNED(pa, n) && IS_ALIGNED(pb, n));
			EXPECT(pa + n <= pb || pb + n <= pa);
			EXPECT(pfn_valid(pa) && pfn_valid(pa + n - 1));
			EXPECT_EQ(a->type, PAGE_KERNEL);
			EXPECT_EQ(atomic_read(&a->refcount), 1);
		}
		if (a)
			free_pages(a, o);
		if (b)
			free_pages(b, o);
	}
	EXPECT(alloc_pages(MAX_ORDER + 1, GFP_KERNEL) == NULL);
}

/* Whether all of it is zero; it no longer is then. */
static bool was_zero(struct page *p)
{
	u64 *word = page_to_virt(p), or = 0;

	for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i++) {
		or |= word[i];
		word[i] = ~0ULL;
	}
	return or == 0;
}

TEST(page, zeroed_means_zeroed)
{
	for (unsigned int round = 0; round < 8; round++) {
		struct page *p = alloc_pages(1, GFP_KERNEL | GFP_ZERO);

		ASSERT(p != NULL);
		bool first = was_zero(p), second = was_zero(p + 1); /* each fills its frame */

		free_pages(p, 1);
		ASSERT(first && second);
	}
}

/* Freed as zero, it may be given out so as it is; freed after that by another way, it may not. */
TEST(page, zeroed_lasts_until_it_is_given_out)
{
	preempt_disable(); /* the frame stays on top of this CPU's list, with nobody taking it */
	struct page *p = alloc_page(GFP_NOWAIT | GFP_ZERO);
	bool ok = p;

	if (ok) {
		put_zeroed_pages(&p, 1);
		EXPECT_EQ(p->flags & PG_ZEROED, debug_build ? 0 : PG_ZEROED);
	}
	for (unsigned int round = 0; ok && round < 3; round++) {
		p = alloc_page(GFP_NOWAIT | GFP_ZERO);
		ok = p && p->flags == 0 && was_zero(p);
		if (p)
			put_page(p);
	}
	preempt_enable();
	EXPECT(ok);
}

TEST(page, what_was_a_table_is_zero)
{
	enum { TABLES = 8 };
	struct page *p[TABLES + 2];

	if (!test_needs_cpus(1)) /* what this CPU frees, it takes */
		return;
	struct mm *mm = test_mm_enter();

	ASSERT(mm != NULL);
	for (unsigned int i = 0; i < TABLES; i++) {
		vaddr_t va = test_window(i);

		ASSERT_EQ(mm_mmap(mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE,
				  MAP_FIXED | MAP_POPULATE), (s64)va);
		EXPECT_EQ(test_fault_in(mm, va, 1), 0);
	}
	EXPECT_EQ(mm_munmap(mm, test_window(0), test_window(TABLES) - test_window(0)), 0);
	rcu_barrier();
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++) {
		p[i] = alloc_page(GFP_KERNEL | GFP_ZERO);
		EXPECT(p[i] && was_zero(p[i]));
	}
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i])
			put_page(p[i]);
	test_mm_leave(mm);
}

/* Takes all blocks of an order; they are chained through their struct pages. */
static u64 take_all(struct list_head *list, unsigned int order, u32 flags)
{
	struct page *p;
	u64 n = 0;

	while ((p = alloc_pages(order, flags))) {
		list_add(&p->node, list);
		n++;
		if (n % 256 == 0)
			cond_resched();
	}
	return n;
}

static void give_all(struct list_head *list)
{
	while (!list_empty(list)) {
		struct page *p = list_first_entry(list, struct page, node);

		list_del(&p->node);
		free_pages(p, p->order);
	}
}

/* Leaves some frames in this CPU's list. */
static void fill_list(void *unused)
{
	struct page *p[40];

	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		p[i] = alloc_page(GFP_KERNEL);
	for (unsigned int i = 0; i < ARRAY_SIZE(p); i++)
		if (p[i])
			put_page(p[i]);
}

TEST(page, exhaustion_gives_null_and_all_comes_back)
{
	u64 blocks[MAX_ORDER + 1], frames = 0;
	struct mem_stats before, now;
	LIST_HEAD(list);

	settle(&before);
	page_free_blocks(blocks);
	test_run_on_each(fill_list, NULL);
	/* Large blocks first: 8 GiB are two thousand of them. */
	for (unsigned int o = MAX_ORDER + 1; o-- > 0;)
		frames += take_all(&list, o, GFP_KERNEL) << o;
	mem_get_stats(&now);
	EXPECT(frames + 64 >= before.free); /* others may have taken a few */
	EXPECT(now.free < 32);		    /* what was in other CPUs' lists was found */
	EXPECT(now.kernel_failures > before.kernel_failures);
	EXPECT_EQ(sum_of_types(&now), now.total);
	give_all(&list);
	expect_same(&before, blocks);
}

/* Of the frames of one block, freed one by one: more than a CPU's magazines hold. */
TEST(page, a_block_is_made_of_what_the_depot_holds)
{
	enum { ORDER = 9, PART = 7 };
	struct page *one, *block;
	u64 blocks[MAX_ORDER + 1];
	LIST_HEAD(others);
	LIST_HEAD(frames);
	struct mem_stats before;

	settle(&before);
	page_free_blocks(blocks);
	ASSERT((one = alloc_pages(ORDER, GFP_KERNEL)) != NULL);
	for (unsigned int o = MAX_ORDER + 1; o-- > 0;)
		take_all(&others, o, GFP_KERNEL);
	free_pages(one, ORDER);
	EXPECT(take_all(&frames, 0, GFP_KERNEL) >= 1UL << (ORDER - 1));
	give_all(&frames);
	block = alloc_pages(PART, GFP_KERNEL);
	EXPECT(block != NULL);
	if (block)
		free_pages(block, PART);
	give_all(&others);
	expect_same(&before, blocks);
}

/* The first word of each frame of a list's blocks: written with its own number, or compared. */
static u64 number_frames(const struct list_head *list, bool write)
{
	struct page *p;
	u64 wrong = 0;

	list_for_each_entry (p, list, node) {
		for (pfn_t i = 0; i < 1UL << p->order; i++) {
			u64 *word = page_to_virt(p + i), pfn = page_to_pfn(p) + i;

			if (write)
				*word = pfn;
			wrong += READ_ONCE(*word) != pfn;
		}
		cond_resched();
	}
	return wrong;
}

/* Memory that is none, or is there twice, is seen here; on a reserved range its owner would see. */
TEST(page, every_frame_keeps_what_is_written)
{
	struct mem_stats before;
	LIST_HEAD(list);

	settle(&before);
	if (before.free << PAGE_SHIFT > GiB(1)) {
		test_skip("more memory than the host may like to lend");
		return;
	}
	for (unsigned int o = MAX_ORDER + 1; o-- > 0;)
		take_all(&list, o, GFP_KERNEL);
	EXPECT_EQ(number_frames(&list, true), 0);
	EXPECT_EQ(number_frames(&list, false), 0);
	give_all(&list);
	expect_same(&before, NULL);
}

TEST(page, nowait_fails_while_the_reserve_is_left)
{
	struct mem_stats before, now;
	LIST_HEAD(list);

	settle(&before);
	for (unsigned int o = MAX_ORDER + 1; o-- > 0;)
		take_all(&list, o, GFP_NOWAIT);
	mem_get_stats(&now);
	EXPECT(now.free >= page_reserve);
	EXPECT(now.nowait_failures > before.nowait_failures);
	EXPECT(alloc_page(GFP_NOWAIT) == NULL);
	struct page *p = alloc_page(GFP_KERNEL);

	EXPECT(p != NULL);
	if (p)
		put_page(p);
	give_all(&list);
	expect_same(&before, NULL);
}

TEST(page, accounting_adds_up_and_follows_types)
{
	struct mem_stats before, now;

	settle(&before);
	EXPECT_EQ(sum_of_types(&before), before.total);
	EXPECT_EQ(before.free, before.by_type[PAGE_FREE]);
	struct page *p = alloc_pages(3, GFP_KERNEL | GFP_TYPE(PAGE_ANON));

	ASSERT(p != NULL);
	mem_get_stats(&now);
	EXPECT_EQ(now.by_type[PAGE_ANON], before.by_type[PAGE_ANON] + 8);
	page_set_type(p, PAGE_GATHER);
	mem_get_stats(&now);
	EXPECT_EQ(now.by_type[PAGE_ANON], before.by_type[PAGE_ANON]);
	EXPECT_EQ(now.by_type[PAGE_GATHER], before.by_type[PAGE_GATHER] + 8);
	EXPECT_EQ(sum_of_types(&now), now.total);
	free_pages(p, 3);
	expect_same(&before, NULL);
}

/* ---- References ---------------------------------------------------------------------------- */

TEST(page, references_to_a_compound_page_go_to_its_head)
{
	struct mem_stats before;

	settle(&before);
	struct page *p = alloc_pages(4, GFP_KERNEL | GFP_COMPOUND | GFP_TYPE(PAGE_ANON));

	ASSERT(p != NULL);
	for (unsigned int i = 0; i < 16; i++)
		EXPECT(page_head(p + i) == p);
	get_page(p + 5);
	EXPECT(try_get_page(p + 15));
	EXPECT_EQ(atomic_read(&p->refcount), 3);
	EXPECT_EQ(atomic_read(&(p + 5)->refcount), 0);
	put_page(p + 5);
	put_page(p);
	EXPECT_EQ(p->type, PAGE_ANON);
	put_page(p + 1); /* the last one, through a tail: frees the whole */
	EXPECT_EQ(p->type, PAGE_FREE);
	EXPECT(page_head(p + 5) == p + 5);
	expect_same(&before, NULL);
}

TEST(page, frames_inside_a_block_take_no_references)
{
	struct page *p = alloc_pages(2, GFP_KERNEL);

	ASSERT(p != NULL);
	EXPECT(!try_get_page(p + 1));
	EXPECT(try_get_page(p));
	put_page(p);
	free_pages(p, 2);
	EXPECT(!try_get_page(p));
}

TEST(page, a_late_reference_delays_the_free)
{
	struct mem_stats before;

	settle(&before);
	struct page *p = alloc_page(GFP_KERNEL);

	ASSERT(p != NULL);
	EXPECT(try_get_page(p)); /* a walker's, by a stale entry */
	free_pages(p, 0);
	EXPECT_EQ(p->type, PAGE_KERNEL);
	put_page(p);
	EXPECT_EQ(p->type, PAGE_FREE);
	expect_same(&before, NULL);
}

/* More than a run: frames alone, held, pinned, in blocks, and one frame twice. */
TEST(page, many_references_are_dropped_at_once)
{
	enum { MANY = 3 * PUT_RUN };
	struct page *p[MANY + 4], *held[3];
	struct mem_stats before;

	settle(&before);
	for (unsigned int i = 0; i < MANY; i++)
		ASSERT((p[i] = alloc_page(GFP_KERNEL)) != NULL);
	p[MANY] = alloc_pages(2, GFP_KERNEL | GFP_COMPOUND);
	ASSERT(p[MANY] != NULL);
	get_page(p[MANY]);
	p[MANY + 1] = p[MANY];
	get_page(p[5]);
	p[MANY + 2] = p[5];
	for (unsigned int i = 0; i < ARRAY_SIZE(held); i++)
		held[i] = p[i * 20 + 7];
	get_page(held[0]);
	EXPECT(try_get_page(held[1]));
	EXPECT(try_get_refs(held[2], PAGE_PIN));
	for (unsigned int i = 0; i < MANY + 3; i++)
		atomic_inc(&p[i]->mapcount);
	put_mapped_pages(p, MANY + 3);
	EXPECT_EQ(p[5]->type, PAGE_FREE);
	EXPECT_EQ(p[MANY]->type, PAGE_FREE);
	for (unsigned int i = 0; i < ARRAY_SIZE(held); i++) {
		EXPECT_EQ(held[i]->type, PAGE_KERNEL);
		EXPECT_EQ(atomic_read(&held[i]->refcount), 1);
		EXPECT_EQ(atomic_read(&held[i]->mapcount), 0);
		atomic_inc(&held[i]->mapcount);
	}
	EXPECT(page_maybe_pinned(held[2]) && !page_maybe_pinned(held[1]));
	atomic_dec(&held[2]->mapcount);
	put_refs(held[2], PAGE_PIN);
	put_mapped_pages(held, 2);
	put_mapped_pages(held, 0);
	expect_same(&before, NULL);
}

/* ---- Poison -------------------------------------------------------------------------------- */

TEST(page, poison_tells_a_write_after_the_free)
{
	size_t offset = 0;
	u64 value = 0;

	if (!debug_build) {
		test_skip("a debug build has poison");
		return;
	}
	struct page *p = alloc_page(GFP_KERNEL);

	ASSERT(p != NULL);
	u64 *word = page_to_virt(p);

	page_poison(p);
	EXPECT(page_poison_intact(p, &offset, &value));
	for (size_t i = 0; i < PAGE_SIZE / sizeof(*word); i += 101) {
		word[i] ^= 1;
		EXPECT(!page_poison_intact(p, &offset, &value));
		EXPECT_EQ(offset, i * sizeof(*word));
		EXPECT_EQ(value, PAGE_POISON ^ 1);
		word[i] ^= 1;
	}
	p->flags &= ~PG_POISONED;
	put_page(p);
}

TEST(page, freed_frames_are_poisoned)
{
	size_t offset = 0;
	u64 value = 0;

	if (!debug_build) {
		test_skip("a debug build has poison");
		return;
	}
	preempt_disable(); /* the frame stays on top of this CPU's list, with nobody taking it */
	struct page *p = alloc_page(GFP_NOWAIT | GFP_ZERO);

	if (p) {
		put_page(p);
		EXPECT(p->flags & PG_POISONED);
		EXPECT(page_poison_intact(p, &offset, &value));
	}
	preempt_enable();
	EXPECT(p != NULL);
}

/* ---- All CPUs at once ------------------------------------------------------------------------ */

#define RACE_ROUNDS 300
#define RACE_HELD 24

static struct {
	unsigned int wrong;
	atomic_t seed;
} race;

/* A block with its own address in every frame: who else has it would overwrite that. */
static void stamp(struct page *p, unsigned int order)
{
	for (unsigned int i = 0; i < 1u << order; i++)
		*(vaddr_t *)page_to_virt(p + i) = (vaddr_t)(p + i) ^ (vaddr_t)current;
}

static void check_stamp(struct page *p, unsigned int order)
{
	for (unsigned int i = 0; i < 1u << order; i++)
		if (*(vaddr_t *)page_to_virt(p + i) != ((vaddr_t)(p + i) ^ (vaddr_t)current))
			fetch_add(&race.wrong, 1);
}

static void drop(struct page **p)
{
	if (!*p)
		return;
	check_stamp(*p, (*p)->order);
	free_pages(*p, (*p)->order);
	*p = NULL;
}

static void race_thread(void *arg)
{
	struct page *held[RACE_HELD] = { NULL };
	u64 state = 1 + (u64)atomic_inc_return(&race.seed);

	for_bounded_rounds(i, RACE_ROUNDS)
	{
		u64 r = rand_next(&state);
		struct page **p = &held[r % RACE_HELD];
		unsigned int order = (r >> 16) % 8 ? 0 : (r >> 24) % 4;

		drop(p);
		*p = alloc_pages(order, r & BIT(32) ? GFP_NOWAIT : GFP_KERNEL);
		if (*p)
			stamp(*p, order);
	}
	for (unsigned int i = 0; i < RACE_HELD; i++)
		drop(&held[i]);
}

TEST(page, all_cpus_at_once_share_nothing_and_lose_nothing)
{
	u64 blocks[MAX_ORDER + 1];
	struct mem_stats before;

	race.wrong = 0;
	settle(&before);
	page_free_blocks(blocks);
	test_run_on_each(race_thread, NULL);
	EXPECT_EQ(READ_ONCE(race.wrong), 0);
	expect_same(&before, blocks);
}
