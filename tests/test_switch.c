// SPDX-License-Identifier: MIT
/*
 * CPUs between address spaces, while others unmap in these.
 *
 * Terms. A switcher goes from one mm to another and back, for ever. One of the two is young: with
 * tags a CPU joins an mm's mask but once, so that only its first switch there can go wrong.
 * Why. What a CPU may hold in the middle of a switch is what its mm's mask and its lazy mark must
 * say at that moment [T1, T6], and whoever interrupts it there must find thread and register agree
 * [T10]. `fault=switch:1:200` stretches that moment; then the ledger sees each of them broken.
 * See also: test_context.c; tests/stress.c, where switches are rare.
 */
#include "testlib.h"

#include <spinlock.h>

#define ROUND_NS (3 * NSEC_PER_MSEC)

static struct {
	struct mm *old; /* there from begin to end */
	spinlock_t lock;
	struct mm *young; /* lock; NULL between two rounds */
	vaddr_t va;	  /* in young */
	u64 floor;	  /* what va holds at least, if anything */
	u64 switches, stale;
	bool stop;
} sw;

static struct mm *young_get(u64 *floor)
{
	spin_lock(&sw.lock);
	struct mm *mm = sw.young;

	if (mm)
		mmget(mm);
	/* Orders the floor before the reading. Pairs with unmap_for_a_round(). */
	*floor = smp_load_acquire(&sw.floor);
	spin_unlock(&sw.lock);
	return mm;
}

static void visit(struct mm *mm, u64 floor)
{
	u64 seen = 0;

	kthread_use_mm(mm);
	if (test_peek(sw.va, &seen) == 0 && seen && seen < floor)
		fetch_add(&sw.stale, 1);
	kthread_unuse_mm();
}

static void switcher(void *unused)
{
	while (!READ_ONCE(sw.stop)) {
		u64 floor;
		struct mm *mm = young_get(&floor);

		if (mm) {
			visit(mm, floor);
			mmput(mm);
			fetch_add(&sw.switches, 1);
		}
		kthread_use_mm(sw.old);
		kthread_unuse_mm();
	}
}

static void young_set(struct mm *mm)
{
	spin_lock(&sw.lock);
	sw.young = mm;
	spin_unlock(&sw.lock);
}

/* Replaces a page of a new mm again and again while the switchers come and go. */
static u64 unmap_for_a_round(u64 value)
{
	struct mm *mm = test_mm_enter();
	u64 end = time_ns() + ROUND_NS;

	if (!mm)
		return value;
	sw.va = test_map(mm, 1, 0);
	young_set(mm);
	while (time_ns() < end) {
		EXPECT_EQ(mm_madvise_dontneed(mm, sw.va, PAGE_SIZE), 0);
		EXPECT_EQ(test_poke(sw.va, ++value), 0);
		/* From here on nobody may see less, or nothing. Pairs with young_get(). */
		smp_store_release(&sw.floor, value);
	}
	young_set(NULL);
	test_mm_leave(mm);
	return value;
}

/* Two on one CPU: each is switched out in the middle of what the other does. */
static bool switchers_start(struct thread *t[2])
{
	memset(&sw, 0, sizeof(sw));
	spin_lock_init(&sw.lock);
	sw.old = mm_create();
	if (!EXPECT(sw.old))
		return false;
	for (unsigned int i = 0; i < 2; i++)
		t[i] = test_thread(cpumask_of(test_cpu(1)), switcher, NULL);
	return true;
}

static void switchers_end(struct thread *t[2])
{
	WRITE_ONCE(sw.stop, true);
	for (unsigned int i = 0; i < 2; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(sw.stale, 0);
	mmput(sw.old);
}

TEST(tlb, switching_races_with_unmapping)
{
	struct thread *t[2];
	u64 value = 0;

	if (!test_needs_cpus(2) || !switchers_start(t))
		return;
	for_bounded_rounds(i, 1000)
		value = unmap_for_a_round(value);
	/* A switcher whose host was busy all the time comes to it now. */
	for (u64 end = time_ns() + TEST_PATIENCE; t[0] && !READ_ONCE(sw.switches);) {
		if (!EXPECT(time_ns() < end))
			break;
		value = unmap_for_a_round(value);
	}
	switchers_end(t);
}

/*
 * Takes the page of an mm away that no CPU has in its TLB yet, while the switchers come to it. Its
 * entry says that it was accessed: else nobody need be told [T11]. This thread is not in the mm, as
 * one that unmaps for another process: the mask is empty until a switcher joins it, and a flush for
 * nobody is not sent by any transport.
 */
static void unmap_from_outside(u64 delay_ns)
{
	struct mm *mm = mm_create();
	u64 before = READ_ONCE(sw.switches), end;
	s64 va = mm ? mm_mmap(mm, test_window(0), PAGE_SIZE, PROT_READ | PROT_WRITE, 0) : -ENOMEM;

	if (EXPECT(va > 0) && EXPECT_EQ(test_fault_in(mm, (vaddr_t)va, 1), 0)) {
		sw.va = (vaddr_t)va;
		young_set(mm);
		for (end = time_ns() + delay_ns; time_ns() < end;)
			cpu_relax();
		EXPECT_EQ(mm_madvise_dontneed(mm, sw.va, PAGE_SIZE), 0);
		EXPECT(WAIT_UNTIL(READ_ONCE(sw.switches) != before));
		young_set(NULL);
	}
	if (mm)
		mmput(mm);
}

TEST(tlb, switching_for_the_first_time)
{
	struct thread *t[2];

	if (!test_needs_cpus(2) || !switchers_start(t))
		return;
	for_bounded_rounds(i, 1000)
		unmap_from_outside(i % 16 * (ROUND_NS / 64));
	switchers_end(t);
}
