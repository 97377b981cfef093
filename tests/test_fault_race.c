// SPDX-License-Identifier: MIT
/*
 * Faults that meet each other and munmap, and a slow walk that meets munmap.
 *
 * Why. CPUs that touch one address of a new mm find no table and no page, and each makes its own of
 * both; only one may stay of either [A3, A4]. In an old mm the tables are there already, so each
 * round has a new one. And the second half of a munmap frees tables beside whoever else reads [L1];
 * `fault=walk:1:200` keeps a walker there for as long as that takes.
 * See also: test_mm.c, test_gup.c; mm/fault.c, mm/pgtable.c.
 */
#include "testlib.h"

#include <gup.h>
#include <inject.h>
#include <tlb.h>
#include <vma_lock.h>

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

/* ---- Faults and the set of VMAs: L3, L4 ------------------------------------------------------ */

static struct {
	struct mm *mm;
	vaddr_t va[2];
	bool stop;
	u64 done, refused, odd; /* stores that came to be, found no VMA, or neither */
} gone;

static void touch_what_goes(void *unused)
{
	kthread_use_mm(gone.mm);
	for (u64 i = 0; !READ_ONCE(gone.stop); i++) {
		int err = test_poke(gone.va[i % 2], i);

		if (err == 0)
			gone.done++;
		else if (err == -EFAULT)
			gone.refused++;
		else
			gone.odd++;
	}
	kthread_unuse_mm();
}

/*
 * Two places are mapped in turn, by the same object: a fault finds the VMA of the one and may lock
 * that of the other. What was unmapped has no page, whoever was about to install one.
 */
TEST(mm, faults_race_with_munmap)
{
	struct thread *t;

	if (!test_needs_cpus(2))
		return;
	memset(&gone, 0, sizeof(gone));
	gone.mm = test_mm_enter();
	if (!gone.mm)
		return;
	gone.va[0] = test_window(0);
	gone.va[1] = test_window(1);
	t = test_thread(cpumask_of(test_cpu(1)), touch_what_goes, NULL);
	for_bounded_rounds(i, 20000) {
		vaddr_t va = gone.va[i % 2];

		if (!EXPECT_EQ(mm_mmap(gone.mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED),
			       va))
			break;
		udelay(i % 64); /* to be found */
		EXPECT_EQ(mm_munmap(gone.mm, va, PAGE_SIZE), 0);
		if (!EXPECT_EQ(mm_count_mapped(gone.mm, va, va + PAGE_SIZE), 0))
			break;
	}
	EXPECT(WAIT_UNTIL(!t || READ_ONCE(gone.done) + READ_ONCE(gone.refused) > 0));
	WRITE_ONCE(gone.stop, true);
	if (t)
		thread_join(t);
	EXPECT_EQ(gone.odd, 0);
	test_mm_leave(gone.mm);
}

static struct {
	struct mm *mm;
	vaddr_t va;
	int err;
	bool unmapped;
} inside;

static struct vma *start_read(void)
{
	rcu_read_lock();
	struct vma *v = vma_start_read(inside.mm, inside.va);

	rcu_read_unlock();
	return v;
}

static void unmap_it(void *unused)
{
	inside.err = mm_munmap(inside.mm, inside.va, PAGE_SIZE);
	WRITE_ONCE(inside.unmapped, true);
}

static void touch_neighbour(void *unused)
{
	kthread_use_mm(inside.mm);
	inside.err = test_poke(inside.va + 2 * PAGE_SIZE, 1);
	kthread_unuse_mm();
}

/* Of three pages the first goes, while somebody is inside; faults of the third go on. */
TEST(rule, L3_munmap_waits_for_faults_inside)
{
	struct thread *t;

	if (!test_needs_cpus(2))
		return;
	inside.unmapped = false;
	inside.mm = test_mm_enter();
	if (!inside.mm)
		return;
	inside.va = test_map(inside.mm, 3, 0);
	EXPECT_EQ(mm_mprotect(inside.mm, inside.va + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
	struct vma *v = start_read();

	if (EXPECT(v != NULL)) {
		t = test_thread(cpumask_of(test_cpu(1)), unmap_it, NULL);
		EXPECT(WAIT_UNTIL(!(READ_ONCE(v->lock) & VMA_OPEN)));
		EXPECT(start_read() == NULL);
		test_run_on(test_cpu(0), touch_neighbour, NULL);
		EXPECT_EQ(inside.err, 0);
		EXPECT(!READ_ONCE(inside.unmapped));
		EXPECT(v->start == inside.va && v->end == inside.va + PAGE_SIZE);
		vma_end_read(v);
		if (t)
			thread_join(t);
		EXPECT(READ_ONCE(inside.unmapped));
		EXPECT(inside.err == 0 && start_read() == NULL);
	}
	test_mm_leave(inside.mm);
}

#ifdef GRACE_DEBUG
static struct {
	struct mm *mm;
	vaddr_t va[2];
	u64 round, begun, done; /* round ~0: go home */
	unsigned int wrong;
} anew;

static void look_once(u64 round)
{
	rcu_read_lock();
	WRITE_ONCE(anew.begun, round);
	struct vma *v = vma_start_read(anew.mm, anew.va[0]);

	rcu_read_unlock();
	if (!v)
		return;
	anew.wrong += v->start != anew.va[0];
	vma_end_read(v);
}

static void look_often(void *unused)
{
	for (u64 round = 1;; round++) {
		u64 asked;

		/* Orders the round before its VMA. Pairs with become_another(). */
		while ((asked = smp_load_acquire(&anew.round)) < round)
			cpu_relax();
		if (asked == ~0ULL)
			return;
		look_once(round);
		WRITE_ONCE(anew.done, round);
	}
}

/* Once the other has begun to look for the first place, its VMA becomes that of the second. */
static void become_another(u64 round)
{
	EXPECT_EQ(mm_mmap(anew.mm, anew.va[0], PAGE_SIZE, PROT_READ, MAP_FIXED), anew.va[0]);
	/* Orders the VMA before the round. Pairs with look_often(). */
	smp_store_release(&anew.round, round);
	while (READ_ONCE(anew.begun) < round)
		cpu_relax();
	EXPECT_EQ(mm_munmap(anew.mm, anew.va[0], PAGE_SIZE), 0);
	EXPECT_EQ(mm_mmap(anew.mm, anew.va[1], PAGE_SIZE, PROT_READ, MAP_FIXED), anew.va[1]);
	while (READ_ONCE(anew.done) < round)
		cpu_relax();
	EXPECT_EQ(mm_munmap(anew.mm, anew.va[1], PAGE_SIZE), 0);
}

/* The looker stops between finding and locking. */
TEST(rule, L4_vma_is_looked_at_again)
{
	struct inject_settings before, slow;
	struct thread *t;

	if (!test_needs_cpus(2))
		return;
	memset(&anew, 0, sizeof(anew));
	anew.mm = mm_create();
	ASSERT(anew.mm != NULL);
	anew.va[0] = test_window(0);
	anew.va[1] = test_window(1);
	inject_get(&before);
	slow = before;
	slow.rate[INJECT_FAULT_WINDOW] = 1;
	slow.us[INJECT_FAULT_WINDOW] = 2000;
	inject_set(&slow);
	t = test_thread(cpumask_of(test_cpu(1)), look_often, NULL);
	for_bounded_rounds(i, 100)
		if (t)
			become_another(i + 1);
	WRITE_ONCE(anew.round, ~0ULL);
	if (t)
		thread_join(t);
	inject_set(&before);
	EXPECT_EQ(anew.wrong, 0);
	mmput(anew.mm);
}
#endif

#define MANY 40

static void touch_many(void *unused)
{
	kthread_use_mm(inside.mm);
	for (unsigned int i = 0; i < MANY; i++)
		inside.err = inside.err ?: test_poke(inside.va + 2 * i * PAGE_SIZE, i);
	kthread_unuse_mm();
}

/* Each is found, wherever it is, while somebody has mmap_lock for himself. */
TEST(mm, faults_need_no_mmap_lock)
{
	struct mm *mm = inside.mm = test_mm_enter();
	struct fault_stats before, after;

	if (!mm)
		return;
	inside.err = 0;
	inside.va = test_map(mm, 2 * MANY, 0);
	for (unsigned int i = 0; i < MANY; i++)
		EXPECT_EQ(mm_munmap(mm, inside.va + (2 * i + 1) * PAGE_SIZE, PAGE_SIZE), 0);
	down_write(&mm->mmap_lock);
	fault_get_stats(&before);
	test_run_on(test_cpu(0), touch_many, NULL);
	fault_get_stats(&after);
	up_write(&mm->mmap_lock);
	EXPECT_EQ(inside.err, 0);
	EXPECT_EQ(after.slow, before.slow);
	EXPECT(after.resolved >= before.resolved + MANY); /* one may fault again: A5 */
	EXPECT_EQ(test_poke(inside.va + PAGE_SIZE, 1), -EFAULT);
	fault_get_stats(&after);
	EXPECT(after.slow > before.slow); /* what is not there is said under mmap_lock */
	test_mm_leave(mm);
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
