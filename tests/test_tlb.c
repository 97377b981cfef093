// SPDX-License-Identifier: MIT
/*
 * Invalidation on all CPUs: the two transports, who is told, and what is counted.
 *
 * See also: test_arch_tlb.c for what a port's own functions promise, test_context.c for lazy CPUs.
 */
#include "testlib.h"

#include <irqflags.h>
#include <rules.h>
#include <tlb.h>

/* ---- Held up, or not --------------------------------------------------------------------- */

/* A flush by IPI is not over before the target, which runs the mm, has had its interrupts on. */
TEST(tlb, maskable_transport_waits_for_irqs)
{
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (mm && test_set_tlb_mode(false) &&
	    hold_start_for(&h, test_cpu(1), HOLD_IRQS, mm, TEST_WATCH)) {
		EXPECT(tlb_transport_maskable());
		tlb_flush_mm(mm, false);
		EXPECT(READ_ONCE(h.leaving));
		hold_end(&h);
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

/* The same, watched from a third CPU: started, not done, interrupts on, done. */
static struct {
	struct mm *mm;
	bool done;
} flusher;

static void flush_once(void *unused)
{
	tlb_flush_mm(flusher.mm, false);
	WRITE_ONCE(flusher.done, true);
}

TEST(tlb, maskable_transport_seen_waiting)
{
	struct holder h;

	if (!test_needs_cpus(3))
		return;
	flusher.mm = test_mm_enter();
	flusher.done = false;
	struct thread *t = test_thread_new(cpumask_of(test_cpu(2)), flush_once, NULL);

	if (t && flusher.mm && test_set_tlb_mode(false)) {
		bool held = hold_start(&h, test_cpu(1), HOLD_IRQS, flusher.mm);

		thread_wake(t);
		if (held) {
			EXPECT(NOT_WITHIN_WATCH(READ_ONCE(flusher.done)));
			hold_end(&h);
		}
		EXPECT(WAIT_UNTIL(READ_ONCE(flusher.done)));
		thread_join(t);
	}
	test_restore_tlb_mode();
	if (flusher.mm)
		test_mm_leave(flusher.mm);
}

/* The other one is over while the target still has its interrupts off. */
TEST(tlb, unmaskable_transport_does_not_wait)
{
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (mm && test_set_tlb_mode(true) && hold_start(&h, test_cpu(1), HOLD_IRQS, mm)) {
		EXPECT(!tlb_transport_maskable());
		tlb_flush_mm(mm, false);
		tlb_flush_range(mm, test_window(0), test_window(0) + PAGE_SIZE, 0, true);
		EXPECT(!READ_ONCE(h.leaving));
		hold_end(&h);
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

/* ---- What was stale is gone, here and on another CPU ------------------------------------- */

enum scope { RANGE, RANGE_WITH_TABLES, WHOLE_MM };

static void flush_scope(struct twin *t, enum scope scope)
{
	if (scope == WHOLE_MM)
		tlb_flush_mm(t->mm, false);
	else
		tlb_flush_range(t->mm, t->va, t->va + PAGE_SIZE, 0, scope == RANGE_WITH_TABLES);
}

static void check_everywhere(struct twin *t, struct holder *h, enum scope scope)
{
	u64 here = 0, there = 0;

	EXPECT_EQ(test_peek(t->va, &here), 0);
	EXPECT_EQ(hold_read(h, t->va, &there), 0);
	EXPECT(here == TWIN_A && there == TWIN_A);
	twin_point(t, t->b);
	flush_scope(t, scope);
	EXPECT_EQ(test_peek(t->va, &here), 0);
	EXPECT_EQ(hold_read(h, t->va, &there), 0);
	EXPECT_EQ(here, TWIN_B);
	EXPECT_EQ(there, TWIN_B);
	twin_point(t, t->a);
	flush_scope(t, scope);
}

static void flush_test(bool unmaskable)
{
	struct holder h;
	struct twin t;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		if (test_set_tlb_mode(unmaskable) &&
		    hold_start(&h, test_cpu(1), unmaskable ? HOLD_IRQS : HOLD_PREEMPT, mm)) {
			for (unsigned int i = 0; i < 10; i++)
				check_everywhere(&t, &h, i % 3);
			hold_end(&h);
		}
		twin_end(&t);
		test_restore_tlb_mode();
	}
	test_mm_leave(mm);
}

TEST(tlb, flush_by_ipi)
{
	flush_test(false);
}

TEST(tlb, flush_unmaskable)
{
	flush_test(true);
}

/* Taking away a permission is seen at once by a CPU that has used it. */
TEST(tlb, mprotect_reaches_other_cpus)
{
	struct holder h;
	u64 value = 0;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;

	/* Touched, so that the CPU that holds on never needs the fault handler. */
	if (va && EXPECT_EQ(test_poke(va, 1), 0) &&
	    hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		for (unsigned int i = 0; i < 5; i++) {
			EXPECT_EQ(mm_mprotect(mm, va, PAGE_SIZE, PROT_READ), 0);
			EXPECT_EQ(hold_read(&h, va, &value), 0);
			EXPECT_EQ(mm_mprotect(mm, va, PAGE_SIZE, PROT_NONE), 0);
			EXPECT_EQ(hold_read(&h, va, &value), -EFAULT);
		}
		hold_end(&h);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(tlb, munmap_reaches_other_cpus)
{
	struct holder h;
	u64 value = 0;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (mm && hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		for (u64 i = 1; i <= 10; i++) {
			vaddr_t va = test_map(mm, 1, 0);

			EXPECT_EQ(test_poke(va, i), 0);
			/* The holder may remember from last time that nothing was there. */
			if (arch.caches_invalid)
				tlb_flush_range(mm, va, va + PAGE_SIZE, 0, false);
			EXPECT_EQ(hold_read(&h, va, &value), 0);
			EXPECT_EQ(value, i);
			EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
			EXPECT_EQ(hold_read(&h, va, &value), -EFAULT);
		}
		hold_end(&h);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- Counters ---------------------------------------------------------------------------- */

TEST(tlb, large_ranges_become_whole_flushes)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(0);
	struct tlb_stats s[3];

	if (!mm)
		return;
	tlb_get_stats(&s[0]);
	tlb_flush_range(mm, va, va + 4 * PAGE_SIZE, 0, false);
	tlb_get_stats(&s[1]);
	tlb_flush_range(mm, va, va + 4 * TLB_FLUSH_CEILING * PAGE_SIZE, 0, false);
	tlb_get_stats(&s[2]);
	EXPECT_EQ(s[1].flush_range, s[0].flush_range + 1);
	EXPECT_EQ(s[1].flush_mm, s[0].flush_mm);
	EXPECT_EQ(s[2].flush_range, s[1].flush_range);
	EXPECT_EQ(s[2].flush_mm, s[1].flush_mm + 1);
	/* Entries count, not bytes: the same range in large leaves is small. */
	tlb_flush_range(mm, va, va + 4 * pt_span(1), 1, false);
	tlb_get_stats(&s[0]);
	EXPECT_EQ(s[0].flush_range, s[2].flush_range + 1);
	test_mm_leave(mm);
}

TEST(tlb, only_who_may_hold_is_told)
{
	struct tlb_stats s[3];
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (mm && test_set_tlb_mode(false)) {
		tlb_get_stats(&s[0]);
		tlb_flush_mm(mm, false);
		tlb_get_stats(&s[1]);
		EXPECT_EQ(s[1].local_only, s[0].local_only + 1);
		EXPECT_EQ(s[1].targets, s[0].targets);
		if (hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
			tlb_get_stats(&s[1]);
			tlb_flush_mm(mm, false);
			tlb_get_stats(&s[2]);
			EXPECT_EQ(s[2].local_only, s[1].local_only);
			EXPECT_EQ(s[2].remote_ipi, s[1].remote_ipi + 1);
			EXPECT_EQ(s[2].targets, s[1].targets + 1);
			hold_end(&h);
		}
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

TEST(tlb, unmaskable_flushes_are_counted)
{
	struct tlb_stats before, after;
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (mm && test_set_tlb_mode(true) && hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		tlb_get_stats(&before);
		tlb_flush_mm(mm, true);
		tlb_get_stats(&after);
		EXPECT_EQ(after.remote_unmaskable, before.remote_unmaskable + 1);
		EXPECT_EQ(after.remote_ipi, before.remote_ipi);
		EXPECT_EQ(after.flush_tables, before.flush_tables + 1);
		EXPECT_EQ(after.targets, before.targets + 1);
		hold_end(&h);
	}
	test_restore_tlb_mode();
	if (mm)
		test_mm_leave(mm);
}

/* ---- T1 ---------------------------------------------------------------------------------- */

TEST(rule, T1_cpus_in_an_mm_are_in_its_mask)
{
	struct holder h;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	EXPECT(cpumask_has(READ_ONCE(mm->cpu_mask), test_cpu(0)));
	EXPECT(!cpumask_has(READ_ONCE(mm->cpu_mask), test_cpu(1)));
	if (hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		EXPECT(cpumask_has(READ_ONCE(mm->cpu_mask), test_cpu(1)));
		hold_end(&h);
	}
	test_mm_leave(mm);
}

/* ---- T6 ---------------------------------------------------------------------------------- */

static struct {
	struct mm *mm[2];
	u64 switches; /* begun */
	bool stop;
} hop;

static void hop_between(void *unused)
{
	for (unsigned int i = 0; !READ_ONCE(hop.stop); i++) {
		/* Full barrier: counted before the masks change. Pairs with in_mask(). */
		fetch_add(&hop.switches, 1);
		kthread_use_mm(hop.mm[i % 2]);
		kthread_unuse_mm();
	}
}

static bool in_mask(unsigned int i)
{
	bool in = cpumask_has(READ_ONCE(hop.mm[i]->cpu_mask), test_cpu(1));

	smp_mb(); /* orders the looks at the masks and the count. Pairs with hop_between(). */
	return in;
}

/* True if the CPU was in no mask. The third look is for a switch from 1 to 0 between the others. */
static bool in_neither(void)
{
	u64 before = smp_load_acquire(&hop.switches);
	bool in = in_mask(0) || in_mask(1) || in_mask(0);

	return !in && READ_ONCE(hop.switches) == before;
}

/* A CPU that goes from one mm to the other is in the mask of one or of both, at every moment. */
TEST(rule, T6_switching_cpu_is_in_a_mask)
{
	unsigned int bad = 0, looks = 0;

	if (!test_needs_cpus(2))
		return;
	hop.mm[0] = mm_create();
	hop.mm[1] = mm_create();
	hop.switches = 0;
	hop.stop = false;
	if (EXPECT(hop.mm[0] && hop.mm[1])) {
		struct thread *t = test_thread(cpumask_of(test_cpu(1)), hop_between, NULL);

		if (t && EXPECT(WAIT_UNTIL(READ_ONCE(hop.switches) > 2)))
			for_bounded_rounds(i, 100000) {
				bad += in_neither();
				looks++;
			}
		WRITE_ONCE(hop.stop, true);
		if (t)
			thread_join(t);
		EXPECT_EQ(bad, 0);
		EXPECT(looks > 0);
	}
	for (unsigned int i = 0; i < 2; i++)
		if (hop.mm[i])
			mmput(hop.mm[i]);
}

/* ---- T9 ---------------------------------------------------------------------------------- */

#ifdef GRACE_DEBUG
/*
 * A thread that alone has been in the mm is moved while it flushes: when it has read that nobody
 * but its CPU is in the mask, and before it does that CPU's part. Then it goes back to see whether
 * the translation is there yet.
 */
static struct {
	struct mm *mm;
	s64 gen;	 /* of the mm before the flush, */
	bool there;	 /* which comes now */
	unsigned int at; /* the CPU on which it ended */
	u64 seen;
	int err;
} moved;

static void unmap_and_return(void *unused)
{
	vaddr_t va;

	kthread_use_mm(moved.mm);
	va = test_map(moved.mm, 1, 0);
	if (va && EXPECT_EQ(test_poke(va, 5), 0)) {
		moved.gen = atomic64_read(&moved.mm->tlb_gen);
		/* Release: orders gen before there. Pairs with move_during_flush(). */
		smp_store_release(&moved.there, true);
		moved.err = mm_madvise_dontneed(moved.mm, va, PAGE_SIZE);
		moved.at = smp_processor_id();
		thread_set_allowed(current, cpumask_of(test_cpu(1)));
		EXPECT_EQ(test_peek(va, &moved.seen), 0);
	}
	kthread_unuse_mm();
}

/* True if it was moved. */
static bool move_during_flush(void)
{
	memset(&moved, 0, sizeof(moved));
	moved.mm = mm_create();
	if (!EXPECT(moved.mm != NULL))
		return false;
	struct thread *t = test_thread(cpumask_of(test_cpu(1)), unmap_and_return, NULL);

	/* Acquire: as above. Pairs with unmap_and_return(). */
	if (t && EXPECT(SPIN_UNTIL(smp_load_acquire(&moved.there))) &&
	    EXPECT(SPIN_UNTIL(atomic64_read(&moved.mm->tlb_gen) != moved.gen)))
		thread_set_allowed(t, cpumask_of(test_cpu(0)));
	if (t)
		thread_join(t);
	EXPECT_EQ(moved.err, 0);
	EXPECT_EQ(moved.seen, 0);
	mmput(moved.mm);
	return moved.at == test_cpu(0);
}

TEST(rule, T9_flusher_stays_until_it_has_flushed)
{
	struct inject_settings before, slow;
	unsigned int moves = 0;

	if (!test_needs_cpus(2))
		return;
	inject_get(&before);
	slow = before;
	slow.rate[INJECT_FLUSH_WINDOW] = 1;
	slow.us[INJECT_FLUSH_WINDOW] = 2000;
	inject_set(&slow);
	for_bounded_rounds(i, 20)
		moves += move_during_flush();
	inject_set(&before);
	EXPECT(moves > 0);
}
#endif

/* ---- T1 as a race ------------------------------------------------------------------------ */

/*
 * T1 as a race: one CPU keeps entering the mm and reading, the other keeps replacing the page. What
 * the reader sees after an unmapping was done may never be the page from before it.
 */
static struct {
	struct mm *mm;
	vaddr_t va;
	u64 value; /* what va holds at least, from now on */
	bool stop;
	u64 reads, stale;
} enter;

static void enter_and_read(void *unused)
{
	while (!READ_ONCE(enter.stop)) {
		/*
		 * Orders the floor before the reading. Pairs with entering_races_with_unmapping().
		 */
		u64 floor = smp_load_acquire(&enter.value), seen = 0;

		kthread_use_mm(enter.mm);
		if (test_peek(enter.va, &seen) == 0 && seen != 0 && seen < floor)
			fetch_add(&enter.stale, 1);
		kthread_unuse_mm();
		fetch_add(&enter.reads, 1);
	}
}

TEST(tlb, entering_races_with_unmapping)
{
	struct thread *t;

	if (!test_needs_cpus(2))
		return;
	enter.mm = test_mm_enter();
	if (!enter.mm)
		return;
	enter.va = test_map(enter.mm, 1, 0);
	enter.stop = false;
	enter.reads = 0;
	enter.stale = 0;
	enter.value = 0;
	t = test_thread(cpumask_of(test_cpu(1)), enter_and_read, NULL);
	u64 end = time_ns() + 200 * NSEC_PER_MSEC;

	for (u64 i = 1; t && time_ns() < end; i++) {
		EXPECT_EQ(mm_madvise_dontneed(enter.mm, enter.va, PAGE_SIZE), 0);
		EXPECT_EQ(test_poke(enter.va, i), 0);
		/*
		 * From here on nobody may see less than i, or nothing. Pairs with enter_and_read().
		 */
		smp_store_release(&enter.value, i);
	}
	EXPECT(WAIT_UNTIL(READ_ONCE(enter.reads) > 0));
	WRITE_ONCE(enter.stop, true);
	if (t)
		thread_join(t);
	EXPECT_EQ(enter.stale, 0);
	test_mm_leave(enter.mm);
}
