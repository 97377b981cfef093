// SPDX-License-Identifier: MIT
/*
 * Faults that meet: CPUs touch one address of a new mm at the same moment.
 *
 * Why. Each of them finds no table and no page, and makes its own of both; only one may stay of
 * either [A3, A4]. In an old mm the tables are there already, so each round has a new one.
 * See also: test_mm.c; mm/fault.c, mm/pgtable.c.
 */
#include "testlib.h"

#define TOUCHERS 2

static struct {
	struct mm *mm;
	vaddr_t va;
	u64 round;	/* that the touchers are to do; ~0: go home */
	u64 here, done; /* touchers that came to it, and left it: atomic */
} meet;

/* Adopts the round's mm, waits for the other, touches. */
static void touch(u64 round)
{
	u64 seen = 0;

	kthread_use_mm(meet.mm);
	fetch_add(&meet.here, 1);
	while (READ_ONCE(meet.here) < round * TOUCHERS)
		cpu_relax();
	EXPECT_EQ(test_poke(meet.va, round), 0);
	EXPECT_EQ(test_peek(meet.va, &seen), 0);
	EXPECT_EQ(seen, round);
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
		touch(round);
	}
}

/* One round; false when there is no use in another. */
static bool meet_once(u64 round)
{
	meet.mm = mm_create();
	if (!EXPECT(meet.mm))
		return false;
	meet.va = test_map(meet.mm, 1, 0);
	/* Orders mm and address before the round. Pairs with toucher(). */
	smp_store_release(&meet.round, round);
	/* Acquire: "done", then the looks at the mm. Pairs with touch(). */
	bool ok = EXPECT(WAIT_UNTIL(smp_load_acquire(&meet.done) == round * TOUCHERS));

	if (ok) {
		ok = EXPECT_EQ(atomic64_read(&meet.mm->nr_pages), 1) &&
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
