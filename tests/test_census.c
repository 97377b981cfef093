// SPDX-License-Identifier: MIT
/*
 * The census: whom it finds inside, and of whom it says that the table was there for him.
 *
 * No table is freed too early here, which would end the run: the tests ask for the verdict that
 * census_table_free() acts on, about a table that no tree ever held.
 */
#ifdef GRACE_DEBUG
#include <census.h>

#include "testlib.h"

/* A CPU that goes in and out as told, with preemption off inside. */
static struct {
	struct mm *mm;
	enum { OUT, IN, OVER } want, is;
} walker;

static void walker_thread(void *unused)
{
	while (READ_ONCE(walker.want) != OVER) {
		if (READ_ONCE(walker.want) == OUT) {
			thread_sleep(NSEC_PER_MSEC);
			continue;
		}
		preempt_disable();
		census_enter(walker.mm);
		WRITE_ONCE(walker.is, IN);
		while (READ_ONCE(walker.want) == IN)
			cpu_relax();
		census_leave();
		preempt_enable();
		WRITE_ONCE(walker.is, OUT);
	}
}

static bool walker_go(unsigned int where)
{
	WRITE_ONCE(walker.want, where);
	return EXPECT(WAIT_UNTIL(READ_ONCE(walker.is) == where));
}

static void follow_walker(struct mm *mm, struct mm *other, struct ptdesc *pt)
{
	struct census_walker found;

	EXPECT(!census_inside(mm));
	census_unhooked(pt);
	EXPECT(!census_find(pt, &found));
	if (!walker_go(IN))
		return;
	EXPECT(census_inside(mm));
	EXPECT(!census_inside(other));
	EXPECT(!census_find(pt, &found)); /* went in behind it */
	census_unhooked(pt);
	if (EXPECT(census_find(pt, &found))) {
		EXPECT_EQ(found.cpu, test_cpu(1));
		EXPECT(!found.exposed);
	}
	if (!walker_go(OUT))
		return;
	EXPECT(!census_find(pt, &found));
	EXPECT(!census_inside(mm));
	/* The same CPU again, and a table that it cannot have met. */
	if (walker_go(IN))
		EXPECT(!census_find(pt, &found));
	walker_go(OUT);
}

TEST(census, finds_who_was_inside)
{
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter(), *other = mm_create();
	struct ptdesc *pt = mm ? ptdesc_alloc(mm, 0, GFP_KERNEL) : NULL;

	walker.mm = mm;
	walker.want = walker.is = OUT;
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), walker_thread, NULL);

	if (EXPECT(mm && other && pt && t))
		follow_walker(mm, other, pt);
	WRITE_ONCE(walker.want, OVER);
	if (t)
		thread_join(t);
	if (pt)
		ptdesc_free_unpublished(pt);
	if (other)
		mmput(other);
	if (mm)
		test_mm_leave(mm);
}

TEST(census, interrupt_may_walk_inside_a_walk)
{
	struct mm *mm = mm_create(), *inner = mm_create();

	if (EXPECT(mm && inner)) {
		preempt_disable();
		census_enter(mm);
		census_enter(inner);
		EXPECT(census_inside(mm) && census_inside(inner));
		census_leave();
		EXPECT(census_inside(mm) && !census_inside(inner));
		census_leave();
		EXPECT(!census_inside(mm));
		preempt_enable();
	}
	if (mm)
		mmput(mm);
	if (inner)
		mmput(inner);
}

/* As with U1 knocked out: it loses its CPU inside, goes on elsewhere, and another walks there. */
TEST(census, walker_that_moves_stays_seen)
{
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = mm_create();
	struct ptdesc *pt = mm ? ptdesc_alloc(mm, 0, GFP_KERNEL) : NULL;
	struct census_walker found;

	if (EXPECT(pt != NULL)) {
		census_enter(mm);
		thread_set_allowed(current, cpumask_of(test_cpu(1)));
		census_unhooked(pt);
		if (EXPECT(census_find(pt, &found))) {
			EXPECT_EQ(found.cpu, test_cpu(0));
			EXPECT(found.exposed);
		}
		census_leave();
		EXPECT(!census_find(pt, &found));
		EXPECT(!census_inside(mm));
		ptdesc_free_unpublished(pt);
	}
	if (mm)
		mmput(mm);
}
#endif
