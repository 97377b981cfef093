// SPDX-License-Identifier: MIT
/*
 * Under mmap_lock held for reading: faults that meet each other, and a slow walk that meets munmap.
 *
 * Why. CPUs that touch one address of a new mm find no table and no page, and each makes its own of
 * both; only one may stay of either [A3, A4]. In an old mm the tables are there already, so each
 * round has a new one. And the second half of a munmap frees tables beside whoever else reads [L1];
 * `fault=walk:1:200` keeps a walker there for as long as that takes.
 * See also: test_mm.c, test_gup.c; mm/fault.c, mm/pgtable.c.
 */
#include "testlib.h"

#include <gup.h>
#include <tlb.h>

#define TOUCHERS 2
#define PAGES 16 /* for the first of a round all tables are missing, for the others a page each */

static struct {
	struct mm *mm;
	vaddr_t va;
	u64 round;	/* that the touchers are to do; ~0: go home */
	u64 here, done; /* touchers that came to a page, and left a round: atomic */
} meet;

/* Waits for the other, touches. nth: which meeting of all it is. */
static void touch(u64 nth, vaddr_t va)
{
	u64 seen = 0;

	fetch_add(&meet.here, 1);
	while (READ_ONCE(meet.here) < nth * TOUCHERS)
		cpu_relax();
	EXPECT_EQ(test_poke(va, nth), 0);
	EXPECT_EQ(test_peek(va, &seen), 0);
	EXPECT_EQ(seen, nth);
}

static void touch_all(u64 round)
{
	kthread_use_mm(meet.mm);
	for (u64 i = 0; i < PAGES; i++)
		touch((round - 1) * PAGES + i + 1, meet.va + i * PAGE_SIZE);
	kthread_unuse_mm();
	/* Full barrier: the touching, then "done". Pairs with meet_once(). */
	fetch_add(&meet.done, 1);
}

static void toucher(void *unused)
{
	for (u64 round = 1;; round++) {
		u64 asked;

		/* Orders the round before its mm and address. Pairs with meet_once(). */
		while ((asked = smp_load_acquire(&meet.round)) < round)
			cpu_relax();
		if (asked == ~0ULL)
			return;
		touch_all(round);
	}
}

/* One round; false when there is no use in another. */
static bool meet_once(u64 round)
{
	meet.mm = mm_create();
	if (!EXPECT(meet.mm))
		return false;
	meet.va = test_map(meet.mm, PAGES, 0);
	/* Orders mm and address before the round. Pairs with toucher(). */
	smp_store_release(&meet.round, round);
	/* Acquire: "done", then the looks at the mm. Pairs with touch_all(). */
	bool ok = EXPECT(WAIT_UNTIL(smp_load_acquire(&meet.done) == round * TOUCHERS));

	if (ok) {
		ok = EXPECT_EQ(mm_count_mapped(meet.mm, meet.va, meet.va + PAGES * PAGE_SIZE),
			       PAGES) &&
		     EXPECT_EQ(atomic64_read(&meet.mm->nr_tables), arch.pt_levels);
		mmput(meet.mm);
	}
	return ok;
}

TEST(mm, faults_race_at_one_address)
{
	struct thread *t[TOUCHERS];
	bool ok = true;

	if (!test_needs_cpus(TOUCHERS + 1))
		return;
	memset(&meet, 0, sizeof(meet));
	for (unsigned int i = 0; i < TOUCHERS; i++) {
		t[i] = test_thread(cpumask_of(test_cpu(i + 1)), toucher, NULL);
		ok = ok && t[i];
	}
	for_bounded_rounds(i, 1000)
		ok = ok && meet_once(i + 1);
	WRITE_ONCE(meet.round, ~0ULL);
	for (unsigned int i = 0; i < TOUCHERS; i++)
		if (t[i])
			thread_join(t[i]);
}

/* ---- L1 ------------------------------------------------------------------------------------ */

static struct {
	struct mm *mm;
	vaddr_t va;
	bool stop;
	u64 got, refused, odd; /* calls that got the page, found no VMA, or neither */
} look;

static void look_for_pages(void *unused)
{
	struct page *page;

	kthread_use_mm(look.mm);
	while (!READ_ONCE(look.stop)) {
		s64 n = get_user_pages(look.va, 1, 0, &page);

		if (n == 1) {
			put_page(page);
			look.got++;
		} else if (n == -EFAULT) {
			look.refused++;
		} else {
			look.odd++;
		}
	}
	kthread_unuse_mm();
}

/* A reader under RCU: what it may touch of a table stays until it has left [F1, F3]. */
static void count_pages(void *unused)
{
	while (!READ_ONCE(look.stop))
		if (mm_count_mapped(look.mm, look.va, look.va + PAGE_SIZE) > 1)
			look.odd++;
}

/* The page, its table and those above come and go; the looker gets the page, or learns that. */
TEST(mm, slow_walk_races_with_munmap)
{
	struct thread *t, *counter = NULL;

	if (!test_needs_cpus(2))
		return;
	memset(&look, 0, sizeof(look));
	look.mm = test_mm_enter();
	if (!look.mm)
		return;
	look.va = test_window(0);
	t = test_thread(cpumask_of(test_cpu(1)), look_for_pages, NULL);
	/* Freed with the gather, a table does not wait for a reader with interrupts on. */
	if (table_free_mode == TABLE_FREE_RCU)
		counter = test_thread(~cpumask_of(test_cpu(0)), count_pages, NULL);
	for_bounded_rounds(i, 10000) {
		if (!EXPECT_EQ(test_map(look.mm, 1, MAP_POPULATE), look.va))
			break;
		EXPECT_EQ(mm_munmap(look.mm, look.va, PAGE_SIZE), 0);
	}
	EXPECT(WAIT_UNTIL(!t || READ_ONCE(look.got) + READ_ONCE(look.refused) > 0));
	WRITE_ONCE(look.stop, true);
	if (t)
		thread_join(t);
	if (counter)
		thread_join(counter);
	EXPECT_EQ(look.odd, 0);
	test_mm_leave(look.mm);
}
