// SPDX-License-Identifier: MIT
/*
 * Trees by CPU: who is told of an unmapping, what hangs where, and what happens without memory.
 *
 * Each test gives its mm such trees, whatever trees= says; the CPU that looks on is test_cpu(1).
 * See also: mm/cpu_tree.c, tests/sim/tree_*.c.
 */
#include "testlib.h"

#include <cpu_tree.h>
#include <gup.h>
#include <rules.h>
#include <tlb.h>

static struct {
	struct mm *mm;
	vaddr_t va;
	u64 value;
	int err;
} look;

/* An mm with trees, not adopted by the caller; NULL, with the test skipped or failed. */
static struct mm *tree_mm(void)
{
	if (!test_needs_cpus(2))
		return NULL;
	struct mm *mm = mm_create();

	if (!EXPECT(mm))
		return NULL;
	if (!mm->trees)
		cpu_tree_give(mm);
	if (mm->trees)
		return mm;
	mmput(mm);
	if (table_free_mode == TABLE_FREE_GATHER)
		test_skip("table_free=gather does without trees by CPU [F4]");
	else
		test_fail(__FILE__, __LINE__, "no memory for trees by CPU");
	return NULL;
}

static struct mm *tree_mm_enter(void)
{
	struct mm *mm = tree_mm();

	if (mm)
		kthread_use_mm(mm);
	return mm;
}

static void look_there(void *unused)
{
	kthread_use_mm(look.mm);
	look.err = test_peek(look.va, &look.value);
	kthread_unuse_mm();
}

/* What CPU 1 reads at va. */
static u64 seen_elsewhere(struct mm *mm, vaddr_t va)
{
	look.mm = mm;
	look.va = va;
	look.value = 0;
	test_run_on(test_cpu(1), look_there, NULL);
	EXPECT_EQ(look.err, 0);
	return look.value;
}

/* Pages of their own table: the n-th. */
static vaddr_t map_apart(struct mm *mm, unsigned int n, u64 nr, u32 flags)
{
	s64 va = mm_mmap(mm, test_window(n), nr * PAGE_SIZE, PROT_READ | PROT_WRITE,
			 MAP_FIXED | flags);

	EXPECT(va > 0);
	return (vaddr_t)va;
}

static bool leads(struct mm *mm, unsigned int n, vaddr_t va)
{
	return cpu_tree_leads(mm, test_cpu(n), va);
}

/* CPUs that were told of flushes so far, and CPUs that were left out since they are lazy. */
static u64 told(void)
{
	struct tlb_stats s;

	tlb_get_stats(&s);
	return s.targets + s.lazy_skipped;
}

TEST(cpu_tree, a_table_hangs_where_it_was_touched)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t va = map_apart(mm, 0, 1, 0), other = map_apart(mm, 1, 1, 0);

	EXPECT_EQ(test_poke(va, 1), 0);
	EXPECT_EQ(test_poke(other, 2), 0);
	EXPECT(leads(mm, 0, va) && leads(mm, 0, other));
	EXPECT(!leads(mm, 1, va) && !leads(mm, 1, other));
	EXPECT_EQ(seen_elsewhere(mm, va), 1);
	EXPECT(leads(mm, 1, va) && !leads(mm, 1, other));
	EXPECT_EQ(mm_nr_pages(mm), 2); /* shared by the trees, not copied */
	test_mm_leave(mm);
}

/* Both CPUs have the mm loaded, and each page is known to those who touched it. */
TEST(cpu_tree, who_did_not_touch_it_is_not_told)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t mine = map_apart(mm, 0, 1, 0), ours = map_apart(mm, 1, 1, 0);

	EXPECT_EQ(test_poke(mine, 1), 0);
	EXPECT_EQ(test_poke(ours, 2), 0);
	EXPECT_EQ(seen_elsewhere(mm, ours), 2);
	EXPECT(cpumask_has(READ_ONCE(mm->cpu_mask), test_cpu(1)));

	u64 before = told();

	EXPECT_EQ(mm_munmap(mm, mine, PAGE_SIZE), 0);
	EXPECT_EQ(told(), before);
	EXPECT_EQ(mm_munmap(mm, ours, PAGE_SIZE), 0);
	EXPECT(told() > before);
	test_mm_leave(mm);
}

/* What is populated and touched by nobody is nobody's to be told of. */
TEST(cpu_tree, nobody_is_told_of_what_nobody_touched)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t ours = map_apart(mm, 0, 1, 0), va = map_apart(mm, 1, 4, MAP_POPULATE);

	EXPECT_EQ(seen_elsewhere(mm, ours), 0);
	u64 before = told();

	EXPECT_EQ(mm_madvise_dontneed(mm, va, 4 * PAGE_SIZE), 0);
	EXPECT_EQ(mm_munmap(mm, va, 4 * PAGE_SIZE), 0);
	EXPECT_EQ(told(), before);
	test_mm_leave(mm);
}

/* ---- P1 ---------------------------------------------------------------------------------- */

static struct {
	struct mm *mm;
	vaddr_t va;
	u64 floor, round, looked, stale;
	bool stop;
} race;

/* Looks once a round: each is this CPU's first touch of a table. */
static void first_toucher(void *unused)
{
	u64 value, floor, round = 0;

	kthread_use_mm(race.mm);
	while (!READ_ONCE(race.stop)) {
		/* Acquire: the round before what it maps. Pairs with one_round(). */
		u64 now = smp_load_acquire(&race.round);

		if (now != round) {
			round = now;
			/* Acquire: the floor before the look. Pairs with one_round(). */
			floor = smp_load_acquire(&race.floor);
			if (test_peek(race.va, &value) == 0 && value && value < floor)
				race.stale++;
			if (test_peek(race.va, &value) == 0 && value && value < floor)
				race.stale++;
			smp_store_release(&race.looked, now);
		}
		cpu_relax();
	}
	kthread_unuse_mm();
}

/*
 * Puts value there by the kernel's own mapping, in an entry that was accessed [T11]. This CPU never
 * touches the page: it is not in the table's mask either, and where nobody is, no transport says a
 * word to anybody.
 */
static bool store_untouched(vaddr_t va, u64 value)
{
	struct page *page;

	if (!EXPECT_EQ(test_fault_in(race.mm, va, 1), 0) ||
	    !EXPECT_EQ(get_user_pages(va, 1, FOLL_WRITE, &page), 1))
		return false;
	WRITE_ONCE(*(u64 *)page_to_virt(page), value);
	put_page(page);
	return true;
}

/* The page is replaced again and again while CPU 1 hangs its table into its tree. */
static u64 one_round(u64 round, u64 value)
{
	u64 end = time_ns() + TEST_PATIENCE;

	race.va = map_apart(race.mm, 0, 1, 0);
	store_untouched(race.va, ++value);
	smp_store_release(&race.round, round);
	while (smp_load_acquire(&race.looked) != round && EXPECT(time_ns() < end)) {
		EXPECT_EQ(mm_madvise_dontneed(race.mm, race.va, PAGE_SIZE), 0);
		if (!store_untouched(race.va, ++value))
			break;
		/* From here on nobody may see less. Pairs with first_toucher(). */
		smp_store_release(&race.floor, value);
	}
	EXPECT_EQ(mm_munmap(race.mm, race.va, PAGE_SIZE), 0);
	return value;
}

TEST(rule, P1_first_touch_races_with_unmapping)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	memset(&race, 0, sizeof(race));
	race.mm = mm;
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), first_toucher, NULL);

	if (t) {
		u64 value = 0;

		for_bounded_rounds(i, 200)
			value = one_round(i + 1, value);
		WRITE_ONCE(race.stop, true);
		thread_join(t);
	}
	EXPECT_EQ(race.stale, 0);
	test_mm_leave(mm);
}

/* ---- P2 ---------------------------------------------------------------------------------- */

TEST(rule, P2_freed_table_hangs_nowhere)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t va = map_apart(mm, 0, 1, 0);

	for (u64 i = 1; i <= 3; i++) { /* a table after a table at the same place */
		EXPECT_EQ(test_poke(va, i), 0);
		EXPECT_EQ(seen_elsewhere(mm, va), i);
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		EXPECT(!leads(mm, 0, va) && !leads(mm, 1, va));
		EXPECT_EQ(mm_mmap(mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED), va);
	}
	test_mm_leave(mm);
}

/* ---- P3 ---------------------------------------------------------------------------------- */

static void share_and_look(void *unused)
{
	kthread_use_mm(look.mm);
	cpu_tree_share(look.mm);
	look.err = test_peek(look.va, &look.value);
	kthread_unuse_mm();
}

/* Its tree leads nowhere, but it loads the shared one. */
TEST(rule, P3_sharer_is_told)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t va = map_apart(mm, 0, 1, 0);

	EXPECT_EQ(test_poke(va, 1), 0);
	look.mm = mm;
	look.va = va;
	test_run_on(test_cpu(1), share_and_look, NULL);
	EXPECT_EQ(look.value, 1);
	EXPECT(!leads(mm, 1, va));
	u64 before = told();

	EXPECT_EQ(mm_madvise_dontneed(mm, va, PAGE_SIZE), 0);
	EXPECT(told() > before);
	EXPECT_EQ(seen_elsewhere(mm, va), 0);
	test_mm_leave(mm);
}

/* No table for a tree of its own: it shares, and nothing is lost. */
TEST(cpu_tree, a_cpu_without_memory_shares)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	vaddr_t va = map_apart(mm, 0, 1, 0);

	EXPECT_EQ(test_poke(va, 7), 0);
	look.mm = mm;
	look.va = va;
	struct thread *t = test_thread_new(cpumask_of(test_cpu(1)), look_there, NULL);

	if (t) {
		struct hog h;

		hog_take(&h);
		thread_wake(t);
		thread_join(t);
		hog_release(&h);
		EXPECT_EQ(look.err, 0);
		EXPECT_EQ(look.value, 7);
	}
	EXPECT(cpumask_has(mm->sharers, test_cpu(1)));
	EXPECT(!cpumask_has(mm->sharers, test_cpu(0)));
	test_mm_leave(mm);
}

/* A huge leaf stands above where trees meet. */
TEST(cpu_tree, a_huge_leaf_makes_sharers)
{
	struct mm *mm = tree_mm_enter();

	if (!mm)
		return;
	u64 size = pt_span(1);
	s64 va = mm_mmap(mm, test_window(0), size, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_HUGE);

	if (EXPECT(va > 0)) {
		if (test_poke((vaddr_t)va, 5) == 0) { /* else there is no such block free */
			EXPECT_EQ(seen_elsewhere(mm, (vaddr_t)va), 5);
			EXPECT(cpumask_has(mm->sharers, test_cpu(0)));
			EXPECT(cpumask_has(mm->sharers, test_cpu(1)));
		}
		EXPECT_EQ(mm_munmap(mm, (vaddr_t)va, size), 0);
	}
	test_mm_leave(mm);
}
