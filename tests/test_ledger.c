// SPDX-License-Identifier: MIT
/*
 * The ledger: which invalidations pay for which debts, and that ordinary unmappings are paid for.
 *
 * The log is the real one. What these tests write into it is of a tag that no address space has, so
 * it pays for nobody's debt but theirs; and theirs are checked here, and reported by nobody.
 */
#ifdef GRACE_DEBUG
#include "testlib.h"

#include <irqflags.h>
#include <ledger.h>
#include <tlb.h>

#define RW (PROT_READ | PROT_WRITE)
#define TAG 0xfffeu /* beyond the numbers that a run of tests ever gives out */
#define OTHER_TAG 0xfffdu
#define VA 0x40000000ULL
#define CPU0 cpumask_of(0)

static const struct ledger_holder holders[MAX_CPUS] = { [0 ... MAX_CPUS - 1] = { .tag = TAG } };

/* One entry of level, cleared now; the table under it if table. */
static struct ledger_debt debt(unsigned int level, bool table)
{
	struct ledger_debt d = { .owed = CPU0, .level = level, .table = table };

	d.start = ALIGN_DOWN(VA, pt_span(level));
	d.end = d.start + pt_span(level);
	d.holders = holders;
	d.at = ledger_tick();
	return d;
}

/* Writes an invalidation by address that began now. */
static void drop(unsigned int tag, vaddr_t start, u64 length, unsigned int level,
		 enum ledger_caches caches)
{
	struct ledger_drop drop = { .since = ledger_now(), .cpus = CPU0, .tag = tag };

	drop.start = start;
	drop.end = start + length;
	drop.stride_shift = (u8)pt_shift(level);
	drop.caches = (u8)caches;
	ledger_invalidated(&drop);
}

static void drop_whole(unsigned int tag, cpumask_t cpus, u64 since)
{
	ledger_invalidated(&(struct ledger_drop){
		.since = since, .cpus = cpus, .tag = tag, .end = ~0ULL });
}

TEST(ledger, pays_what_it_covers)
{
	struct ledger_debt d = debt(0, false);

	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	drop(TAG, VA + PAGE_SIZE, PAGE_SIZE, 0, LEDGER_TABLES); /* the next page */
	drop(TAG, VA - PAGE_SIZE, PAGE_SIZE, 0, LEDGER_TABLES); /* the one before */
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	drop(TAG, VA - PAGE_SIZE, 3 * PAGE_SIZE, 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

/* Many entries are paid for together, or not at all. */
TEST(ledger, pays_for_a_whole_range)
{
	struct ledger_debt d = debt(0, false);

	d.end += 7 * PAGE_SIZE;
	drop(TAG, VA, 7 * PAGE_SIZE, 0, LEDGER_LEAVES);
	drop(TAG, VA + PAGE_SIZE, 7 * PAGE_SIZE, 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	drop(TAG, VA, 8 * PAGE_SIZE, 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

/* A step wider than the leaves misses some; any address inside a huge leaf drops it. */
TEST(ledger, steps_of_an_invalidation)
{
	struct ledger_debt small = debt(0, false), huge = debt(1, false);

	small.start += PAGE_SIZE;
	small.end += PAGE_SIZE;
	drop(TAG, VA, pt_span(1), 1, LEDGER_TABLES);
	EXPECT_EQ(ledger_log_unpaid(&small), CPU0);
	EXPECT_EQ(ledger_log_unpaid(&huge), 0);
	huge = debt(1, false);
	drop(TAG, VA + 5 * PAGE_SIZE, PAGE_SIZE, 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&huge), 0);
}

TEST(ledger, leaves_do_not_pay_for_tables)
{
	struct ledger_debt d = debt(1, true);

	drop(TAG, VA, pt_span(1), 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	EXPECT_EQ(ledger_log_near_miss(&d, 0), MISS_LEAVES);
	drop(TAG, VA + pt_span(1), PAGE_SIZE, 0, LEDGER_TABLES); /* what leads elsewhere */
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	drop(TAG, VA + PAGE_SIZE, PAGE_SIZE, 0, LEDGER_TABLES);
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
	d = debt(1, true);
	drop(TAG, VA + pt_span(2), PAGE_SIZE, 0, LEDGER_TABLES_ALL);
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

TEST(ledger, tags_have_to_match)
{
	struct ledger_debt d = debt(1, true);

	drop_whole(OTHER_TAG, CPU0, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	drop_whole(TAG, CPU0, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
	d = debt(1, true);
	d.holders = NULL; /* who held it is not known any more */
	drop_whole(OTHER_TAG, CPU0, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
	preempt_disable();
	d = debt(1, true);
	d.owed = cpumask_of(smp_processor_id());
	arch_tlb_flush_local_all();
	preempt_enable();
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

TEST(ledger, every_cpu_has_to_pay)
{
	struct ledger_debt d = debt(0, false);

	d.owed = 7;
	drop_whole(TAG, 1, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 6);
	EXPECT_EQ(ledger_log_near_miss(&d, 1), MISS_CPU);
	drop_whole(TAG, 12, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 2);
	drop_whole(TAG, 2, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

/* What began before the clearing may have been over before it, though it is told of behind it. */
TEST(ledger, must_begin_after_the_clearing)
{
	u64 since = ledger_now();
	struct ledger_debt d = debt(0, false);

	drop_whole(TAG, CPU0, since);
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	EXPECT_EQ(ledger_log_near_miss(&d, 0), MISS_NONE);
	drop_whole(TAG, CPU0, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
}

/* A payment that the log has forgotten makes the debt unknown. */
TEST(ledger, forgotten_is_unknown)
{
	struct ledger_debt d = debt(0, false), later;

	ASSERT(ledger_log_size() > 0);
	drop_whole(TAG, CPU0, ledger_now());
	EXPECT_EQ(ledger_log_unpaid(&d), 0);
	EXPECT(!ledger_log_lost(d.at));
	for (u64 i = 0; i <= ledger_log_size(); i++)
		drop(OTHER_TAG, VA, PAGE_SIZE, 0, LEDGER_LEAVES);
	EXPECT_EQ(ledger_log_unpaid(&d), CPU0);
	EXPECT(ledger_log_lost(d.at));
	later = debt(0, false);
	EXPECT(!ledger_log_lost(later.at));
}

/* A tag's number that changes hands must have been dropped in between. */
TEST(ledger, tags_change_hands)
{
	if (!arch.tag_bits) {
		test_skip("no tags on this machine");
		return;
	}
	bool on = local_irq_save(); /* the notes are this CPU's */
	cpumask_t me = cpumask_of(smp_processor_id());
	u32 first, second, dropped, own, all;

	ledger_tag_take(TAG, 1000001);
	ledger_tag_leave(TAG, 1000001, ledger_tick() + 1);
	first = ledger_tag_take(TAG, 1000001);
	second = ledger_tag_take(TAG, 1000002);
	ledger_tag_leave(TAG, 1000002, ledger_tick() + 1);
	drop_whole(OTHER_TAG, me, ledger_now());
	dropped = ledger_tag_take(TAG, 1000003);
	ledger_tag_leave(TAG, 1000003, ledger_tick() + 1);
	drop_whole(TAG, me, ledger_now());
	own = ledger_tag_take(TAG, 1000004);
	ledger_tag_leave(TAG, 1000004, ledger_tick() + 1);
	arch_tlb_flush_local_all();
	all = ledger_tag_take(TAG, 1000005);
	ledger_tag_leave(TAG, 1000005, ledger_tick() + 1);
	drop_whole(TAG, me, ledger_now());
	local_irq_restore(on);
	EXPECT_EQ(first, 0);
	EXPECT_EQ(second, 1000001);
	EXPECT_EQ(dropped, 1000002);
	EXPECT_EQ(own, 0);
	EXPECT_EQ(all, 0);
}

/* ---- The port, and the whole ------------------------------------------------------------- */

/* What the port says of its own invalidations pays as its manual has it. */
TEST(ledger, ports_tell_what_they_did)
{
	struct arch_flush leaf = { .start = VA, .end = VA + PAGE_SIZE, .stride_shift = PAGE_SHIFT };
	struct arch_flush whole = { .end = ~0ULL, .stride_shift = PAGE_SHIFT, .tables = true };
	struct ledger_holder mine[MAX_CPUS];
	cpumask_t everybody = cpu_online_mask, me;
	u64 unpaid[5];

	for (unsigned int cpu = 0; cpu < MAX_CPUS; cpu++)
		mine[cpu].tag = arch.tag_bits ? BIT(arch.tag_bits) - 1 : 0;
	leaf.tag = whole.tag = (unsigned int)mine[0].tag;
	preempt_disable();
	me = cpumask_of(smp_processor_id());

	struct ledger_debt d = debt(0, false), table = debt(1, true);

	d.holders = table.holders = mine;
	d.owed = table.owed = everybody;
	arch_tlb_flush_local(&leaf);
	unpaid[0] = ledger_log_unpaid(&d);
	unpaid[1] = ledger_log_unpaid(&table);
	arch_tlb_flush_remote(everybody, &leaf);
	unpaid[2] = ledger_log_unpaid(&d);
	unpaid[3] = ledger_log_unpaid(&table);
	arch_tlb_flush_remote(everybody, &whole);
	unpaid[4] = ledger_log_unpaid(&table);
	preempt_enable();
	EXPECT_EQ(unpaid[0] & me, 0);
	EXPECT_EQ(!(unpaid[1] & me), !arch.leaf_flush_spares_walk_caches);
	EXPECT_EQ(unpaid[2], 0);
	EXPECT_EQ(!unpaid[3], !arch.leaf_flush_spares_walk_caches);
	EXPECT_EQ(unpaid[4], 0);
}

static void touch(void *arg)
{
	struct mm *mm = arg;

	kthread_use_mm(mm);
	EXPECT_EQ(test_poke(test_window(0) + 8 * smp_processor_id(), 1), 0);
	kthread_unuse_mm();
}

/* Pages and tables that all CPUs have used: each is a debt, and is paid when they are freed. */
static void unmap_everywhere(bool unmaskable)
{
	struct ledger_stats before, after;
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(0);

	if (!mm)
		return;
	ledger_get_stats(&before);
	if (test_set_tlb_mode(unmaskable)) {
		EXPECT_EQ(test_map_used(mm, 8), va);
		test_run_on_each(touch, mm);
		EXPECT_EQ(mm_mprotect(mm, va, 4 * PAGE_SIZE, PROT_READ), 0);
		EXPECT_EQ(mm_munmap(mm, va, 8 * PAGE_SIZE), 0);
		test_restore_tlb_mode();
		ledger_get_stats(&after);
		EXPECT(after.debts >= before.debts + 10); /* 1 + 8 + a table at least */
		EXPECT(after.paid >= before.paid + 10);
		EXPECT(after.invalidations >= before.invalidations + 2);
	}
	test_mm_leave(mm);
}

TEST(ledger, unmapping_is_paid_for_by_ipi)
{
	unmap_everywhere(false);
}

TEST(ledger, unmapping_is_paid_for_unmaskably)
{
	unmap_everywhere(true);
}
#endif
