// SPDX-License-Identifier: MIT
/*
 * Address spaces on CPUs: adopting, switching, lazy adoption, tags and their roll-over.
 */
#include "testlib.h"

#include <cpu_tree.h>
#include <irqflags.h>
#include <rules.h>
#include <smp.h>
#include <tlb.h>

#define RW (PROT_READ | PROT_WRITE)

static phys_t root_now(void)
{
	bool on = local_irq_save();
	phys_t root = arch_root_current();

	local_irq_restore(on);
	return root;
}

/* Whether this CPU has loaded what it is to load for mm. */
static bool root_loaded(const struct mm *mm)
{
	bool on = local_irq_save();
	bool loaded = arch_root_current() == cpu_tree_root(mm);

	local_irq_restore(on);
	return loaded;
}

/* A new mm, not adopted, with one page at test_window(0) that holds value. */
static struct mm *mm_holding(u64 value)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return NULL;
	EXPECT_EQ(mm_mmap(mm, test_window(0), PAGE_SIZE, RW, MAP_FIXED), test_window(0));
	EXPECT_EQ(test_poke(test_window(0), value), 0);
	kthread_unuse_mm();
	return mm;
}

static bool holds(struct mm *mm, u64 expected)
{
	u64 value = 0;

	kthread_use_mm(mm);
	int err = test_peek(test_window(0), &value);

	kthread_unuse_mm();
	return EXPECT_EQ(err, 0) && EXPECT_EQ(value, expected);
}

TEST(context, use_and_unuse)
{
	struct mm *mm = mm_create();

	ASSERT(mm != NULL);
	kthread_use_mm(mm);
	EXPECT(current->mm == mm && current->active_mm == mm);
	EXPECT(root_loaded(mm));
	preempt_disable();
	EXPECT(cpumask_has(mm->cpu_mask, smp_processor_id()));
	preempt_enable();
	kthread_unuse_mm();
	EXPECT(current->mm == NULL);
	kthread_use_mm(mm); /* and again */
	EXPECT(current->mm == mm);
	EXPECT(root_loaded(mm));
	kthread_unuse_mm();
	mmput(mm);
	EXPECT_EQ(root_now(), 0); /* whoever was lazily on it is not any more */
}

TEST(context, each_mm_has_its_own_user_half)
{
	struct mm *a = mm_holding(1), *b = mm_holding(2);

	if (a && b) {
		for (unsigned int i = 0; i < 20; i++) {
			holds(a, 1);
			holds(b, 2);
		}
	}
	if (a)
		mmput(a);
	if (b)
		mmput(b);
}

/* ---- Switching between threads in different address spaces ------------------------------- */

struct resident {
	struct mm *mm;
	u64 value, wrong;
};

static void live_and_yield(void *arg)
{
	struct resident *r = arg;
	u64 value;

	kthread_use_mm(r->mm);
	for (unsigned int i = 0; i < 100; i++) {
		if (test_peek(test_window(0), &value) != 0 || value != r->value)
			r->wrong++;
		if (!root_loaded(r->mm) || current->mm != r->mm)
			r->wrong++;
		r->value += 100;
		if (test_poke(test_window(0), r->value) != 0)
			r->wrong++;
		thread_yield();
	}
	kthread_unuse_mm();
}

static void switch_between(unsigned int n, cpumask_t allowed)
{
	struct resident r[6] = { { 0 } };
	struct thread *t[6] = { NULL };

	for (unsigned int i = 0; i < n; i++) {
		r[i].value = i;
		r[i].mm = mm_holding(i);
		if (r[i].mm)
			t[i] = test_thread(allowed, live_and_yield, &r[i]);
	}
	for (unsigned int i = 0; i < n; i++) {
		if (t[i])
			thread_join(t[i]);
		EXPECT_EQ(r[i].wrong, 0);
		if (r[i].mm)
			mmput(r[i].mm);
	}
}

TEST(context, threads_of_many_mms_on_one_cpu)
{
	switch_between(6, cpumask_of(test_cpu(0)));
}

TEST(context, threads_of_many_mms_move_between_cpus)
{
	switch_between(6, ~0ULL);
}

/* Several threads of the same mm, everywhere: each sees what the others write. */
static void share_mm(void *arg)
{
	struct mm *mm = arg;
	u64 value = 0;

	kthread_use_mm(mm);
	vaddr_t mine = test_window(0) + 8 + 8 * smp_processor_id();

	for (u64 i = 0; i < 50; i++) {
		EXPECT_EQ(test_poke(mine, i), 0);
		thread_yield();
		EXPECT_EQ(test_peek(mine, &value), 0);
		EXPECT_EQ(value, i);
	}
	kthread_unuse_mm();
}

TEST(context, one_mm_on_every_cpu)
{
	struct mm *mm = mm_holding(0);
	unsigned int cpu;
	u64 value = 0;

	if (!mm)
		return;
	test_run_on_each(share_mm, mm);
	kthread_use_mm(mm);
	for_each_online_cpu(cpu) {
		EXPECT_EQ(test_peek(test_window(0) + 8 + 8 * cpu, &value), 0);
		EXPECT_EQ(value, 49);
	}
	kthread_unuse_mm();
	mmput(mm);
}

/* ---- Lazy adoption ----------------------------------------------------------------------- */

static void visit(void *arg)
{
	struct mm *mm = arg;
	u64 value;

	kthread_use_mm(mm);
	(void)test_peek(test_window(0), &value);
	kthread_unuse_mm();
}

static struct {
	struct mm *active;
	bool loaded;
	int err;
} borrowed;

static void look_at_borrowed(void *unused)
{
	u64 value;

	borrowed.active = current->active_mm;
	borrowed.loaded = borrowed.active && root_loaded(borrowed.active);
	borrowed.err = test_peek(test_window(0), &value);
}

/* A thread without an mm keeps the root that it found, and may not use it. */
TEST(context, kernel_threads_borrow)
{
	struct mm *mm = mm_holding(5);

	if (!mm || !test_needs_cpus(2)) {
		if (mm)
			mmput(mm);
		return;
	}
	test_run_on(test_cpu(1), visit, mm);
	test_run_on(test_cpu(1), look_at_borrowed, NULL);
	EXPECT(borrowed.active == mm);
	EXPECT(borrowed.loaded);
	EXPECT_EQ(borrowed.err, -EFAULT);
	EXPECT(mm_cpu_lazy(mm, test_cpu(1)));
	EXPECT(atomic_read(&mm->refs) > 1);
	mmput(mm);
}

/* Whatever root a CPU has loaded is a live table. */
static unsigned int dead_roots;

static void check_root(void *unused)
{
	phys_t root = arch_root_current();
	struct page *page = root ? phys_to_page(root) : NULL;

	if (page && (page->type != PAGE_TABLE || page->pt_state != PT_LIVE ||
		     page->pt_level != pt_top_level()))
		fetch_add(&dead_roots, 1);
}

TEST(rule, A2_loaded_roots_are_alive)
{
	struct pt_stats before, after;

	dead_roots = 0;
	pt_get_stats(&before);
	for (unsigned int i = 0; i < 5; i++) {
		struct mm *mm = mm_holding(i);

		if (!mm)
			return;
		test_run_on_each(visit, mm); /* every CPU is lazily on it now, or still in it */
		smp_call_all(check_root, NULL, true);
		mmput(mm);
		smp_call_all(check_root, NULL, true);
	}
	EXPECT_EQ(dead_roots, 0);
	pt_get_stats(&after);
	EXPECT_EQ(after.live, before.live); /* nobody's laziness keeps a root */
}

/*
 * A leaf flush leaves lazy CPUs alone; one with tables does not [T2]. By IPI, where this is
 * counted.
 */
TEST(rule, T2_lazy_cpus_are_told_about_tables)
{
	struct tlb_stats s[3];

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = mm_holding(1);

	if (!mm)
		return;
	test_run_on(test_cpu(1), visit, mm);
	if (test_set_tlb_mode(false)) {
		vaddr_t va = test_window(0);

		EXPECT(mm_cpu_lazy(mm, test_cpu(1)));
		tlb_get_stats(&s[0]);
		tlb_flush_range(mm, va, va + PAGE_SIZE, 0, false);
		tlb_get_stats(&s[1]);
		tlb_flush_range(mm, va, va + PAGE_SIZE, 0, true);
		tlb_get_stats(&s[2]);
		EXPECT(mm_cpu_lazy(mm, test_cpu(1)));
		EXPECT(s[1].lazy_skipped > s[0].lazy_skipped);
		EXPECT_EQ(s[1].targets, s[0].targets);
		EXPECT(s[2].targets > s[1].targets);
		EXPECT_EQ(s[2].lazy_skipped, s[1].lazy_skipped);
		test_restore_tlb_mode();
	}
	mmput(mm);
}

/*
 * Who went lazy behind a flush's step of tlb_gen has noted it, and would not catch up: it may not
 * be skipped.
 */
TEST(context, only_older_laziness_is_skipped)
{
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = mm_holding(1);

	if (!mm)
		return;
	test_run_on(test_cpu(1), visit, mm);

	u64 gen = (u64)atomic64_read(&mm->tlb_gen);

	EXPECT(mm_cpu_lazy(mm, test_cpu(1)));
	EXPECT(!mm_cpu_lazy_before(mm, test_cpu(1), gen));
	EXPECT(mm_cpu_lazy_before(mm, test_cpu(1), gen + 1));
	mmput(mm);
}

/* A CPU that was skipped while it was lazy catches up when it comes back to the mm. */
static struct {
	struct twin twin;
	unsigned int step;
	u64 before, after;
} comeback;

static void leave_and_come_back(void *unused)
{
	kthread_use_mm(comeback.twin.mm);
	(void)test_peek(comeback.twin.va, &comeback.before);
	kthread_unuse_mm();
	WRITE_ONCE(comeback.step, 1);
	EXPECT(WAIT_UNTIL(READ_ONCE(comeback.step) == 2)); /* asleep: the CPU idles lazily */
	kthread_use_mm(comeback.twin.mm);
	(void)test_peek(comeback.twin.va, &comeback.after);
	kthread_unuse_mm();
}

TEST(context, lazy_cpu_catches_up)
{
	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	comeback.step = 0;
	if (twin_init(&comeback.twin, mm)) {
		if (test_set_tlb_mode(false)) {
			struct thread *t =
				test_thread(cpumask_of(test_cpu(1)), leave_and_come_back, NULL);

			EXPECT(t && WAIT_UNTIL(READ_ONCE(comeback.step) == 1));
			twin_point(&comeback.twin, comeback.twin.b);
			tlb_flush_range(mm, comeback.twin.va, comeback.twin.va + PAGE_SIZE, 0,
					false);
			WRITE_ONCE(comeback.step, 2);
			if (t)
				thread_join(t);
			test_restore_tlb_mode();
			EXPECT_EQ(comeback.before, TWIN_A);
			EXPECT_EQ(comeback.after, TWIN_B);
		}
		twin_end(&comeback.twin);
	}
	test_mm_leave(mm);
}

/*
 * T3. A CPU used the mm, runs another one now, and may hold translations of the first under its
 * tag. What is unmapped meanwhile must not be seen when it comes back.
 */
TEST(rule, T3_unmapped_while_another_mm_ran)
{
	struct mm *a = mm_holding(1), *b = mm_holding(2);

	if (a && b && test_needs_cpus(2)) {
		for (u64 i = 0; i < 5; i++) {
			test_run_on(test_cpu(1), visit, a);
			test_run_on(test_cpu(1), visit, b);
			if (arch.tag_bits) /* tagged: it may still hold entries of a */
				EXPECT(cpumask_has(READ_ONCE(a->cpu_mask), test_cpu(1)));
			kthread_use_mm(a);
			EXPECT_EQ(mm_madvise_dontneed(a, test_window(0), PAGE_SIZE), 0);
			EXPECT_EQ(test_poke(test_window(0), 10 + i), 0);
			kthread_unuse_mm();
			thread_set_allowed(current, cpumask_of(test_cpu(1)));
			holds(a, 10 + i);
			thread_set_allowed(current, cpumask_of(test_cpu(0)));
		}
	}
	if (a)
		mmput(a);
	if (b)
		mmput(b);
}

/* ---- Tags -------------------------------------------------------------------------------- */

#define NR_MMS 12

static u64 generation(struct mm *mm)
{
	return (u64)atomic64_read(&mm->tag) >> 16;
}

TEST(context, tags_are_different)
{
	struct mm *mms[NR_MMS] = { NULL };

	if (!arch.tag_bits) {
		test_skip("no tags on this machine");
		return;
	}
	for (unsigned int i = 0; i < NR_MMS; i++) {
		mms[i] = mm_holding(i);
		for (unsigned int j = 0; mms[i] && j < i; j++)
			if (mms[j] && generation(mms[i]) == generation(mms[j]))
				EXPECT(mm_tag(mms[i]) != mm_tag(mms[j]));
		if (mms[i]) {
			EXPECT(mm_tag(mms[i]) != 0); /* 0 is for no user half at all */
			EXPECT(mm_tag(mms[i]) < BIT(arch.tag_bits));
		}
	}
	for (unsigned int i = 0; i < NR_MMS; i++)
		if (mms[i])
			mmput(mms[i]);
}

static bool rollover_stop;

static void live_until_stop(void *arg)
{
	struct resident *r = arg;
	u64 value;

	kthread_use_mm(r->mm);
	while (!READ_ONCE(rollover_stop)) {
		if (test_peek(test_window(0), &value) != 0 || value != r->value)
			r->wrong++;
		thread_yield();
	}
	kthread_unuse_mm();
}

/*
 * More address spaces than CPUs run everywhere while the tags roll over again and again. Where
 * other causes roll them over too, each switch may take the tags' lock, and with more virtual CPUs
 * than the host has, milliseconds: then it is fewer rounds.
 */
TEST(rule, T5_rollover_keeps_translations_right)
{
	struct resident r[NR_MMS] = { { 0 } };
	struct thread *t[NR_MMS] = { NULL };
	struct tlb_stats before, after;
	u64 rounds = 0, end;

	tlb_get_stats(&before);
	WRITE_ONCE(rollover_stop, false);
	for (unsigned int i = 0; i < NR_MMS; i++) {
		r[i].value = 1000 + i;
		r[i].mm = mm_holding(1000 + i);
		if (r[i].mm)
			t[i] = test_thread(~0ULL, live_until_stop, &r[i]);
	}
	end = time_ns() + TEST_PATIENCE / 4;
	for (; rounds < 40 && (rounds < 2 || time_ns() < end); rounds++) {
		unsigned int i = rounds % NR_MMS;

		context_force_rollover();
		if (r[i].mm)
			holds(r[i].mm, 1000 + i);
		thread_sleep(2 * NSEC_PER_MSEC);
	}
	WRITE_ONCE(rollover_stop, true);
	for (unsigned int i = 0; i < NR_MMS; i++) {
		if (t[i])
			thread_join(t[i]);
		EXPECT_EQ(r[i].wrong, 0);
		if (r[i].mm)
			mmput(r[i].mm);
	}
	tlb_get_stats(&after);
	EXPECT(after.tag_rollovers >= before.tag_rollovers + rounds);
}

/*
 * An mm that keeps running through a roll-over keeps its number, and no other gets it meanwhile:
 * numbers are given out from the lowest on, so it is given a low one first, and then many others.
 */
TEST(context, running_mm_keeps_its_tag)
{
	struct holder h;

	if (!arch.tag_bits) {
		test_skip("no tags on this machine");
		return;
	}
	if (!test_needs_cpus(2))
		return;
	context_force_rollover();
	struct mm *mm = mm_holding(77);

	if (mm && hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		unsigned int tag = mm_tag(mm);
		u64 value = 0;

		EXPECT(tag <= MAX_CPUS + NR_MMS);
		context_force_rollover();
		for (unsigned int i = 0; i < tag + 2; i++) {
			struct mm *other = mm_holding(i);

			if (!other)
				break;
			EXPECT(mm_tag(other) != tag);
			mmput(other);
		}
		EXPECT_EQ(hold_read(&h, test_window(0), &value), 0);
		EXPECT_EQ(value, 77);
		hold_end(&h);
	}
	if (mm)
		mmput(mm);
}
