// SPDX-License-Identifier: MIT
/*
 * The marks of an entry, accessed and dirty: who gets them, and who keeps them.
 *
 * What the CPU does with them is the port's contract: test_arch_codec.c, entry 5. (An access by
 * speculation may mark a page that nobody touched; nothing here leads it to these.)
 * Rules: T11, that what nobody accessed needs no flush.
 * See also: mm/fault.c, mm/unmap.c, tests/sim/unused_page.c.
 */
#include "testlib.h"

#include <gup.h>
#include <mmu_gather.h>
#include <tlb.h>

#define RW (PROT_READ | PROT_WRITE)
#define BOTH (PA_ACCESSED | PA_DIRTY)

static u64 marks_at(struct mm *mm, vaddr_t va)
{
	pte_t *ptep = test_ptep(mm->root, va, 0);

	return ptep ? pte_attr(pte_read(ptep)) & BOTH : ~0ULL;
}

TEST(marks, fault_marks_what_the_access_does)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;
	u64 value;

	if (va) {
		EXPECT_EQ(test_peek(va, &value), 0);
		EXPECT_EQ(marks_at(mm, va), PA_ACCESSED);
		EXPECT_EQ(test_poke(va, 1), 0);
		EXPECT_EQ(marks_at(mm, va), BOTH);
		EXPECT_EQ(test_poke(va + PAGE_SIZE, 1), 0);
		EXPECT_EQ(marks_at(mm, va + PAGE_SIZE), BOTH);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(marks, made_in_advance_has_none)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 3, MAP_POPULATE) : 0;
	u64 value;

	if (va) {
		for (unsigned int i = 0; i < 3; i++)
			EXPECT_EQ(marks_at(mm, va + i * PAGE_SIZE), 0);
		EXPECT_EQ(test_peek(va, &value), 0);
		EXPECT_EQ(test_poke(va + PAGE_SIZE, 1), 0);
		EXPECT_EQ(marks_at(mm, va), PA_ACCESSED);
		EXPECT_EQ(marks_at(mm, va + PAGE_SIZE), BOTH);
		EXPECT_EQ(marks_at(mm, va + 2 * PAGE_SIZE), 0);
	}
	if (mm)
		test_mm_leave(mm);
}

/* Neither the walker nor the slow path that makes the entry is an access through it. */
TEST(marks, a_reference_is_no_access)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;
	struct page *page[2];

	if (va && EXPECT_EQ(get_user_pages(va, 1, FOLL_WRITE, &page[0]), 1)) {
		EXPECT_EQ(marks_at(mm, va), 0);
		EXPECT_EQ(gup_fast(va, 1, FOLL_WRITE, &page[1]), 1);
		EXPECT_EQ(marks_at(mm, va), 0);
		put_page(page[0]);
		put_page(page[1]);
	}
	if (mm)
		test_mm_leave(mm);
}

/* The largest leaf that user memory has. */
TEST(marks, huge_leaf)
{
	struct mm *mm = test_mm_enter();
	u64 span = pt_span(1), value;
	vaddr_t va = ALIGN_UP(test_window(0), span);
	s64 at = mm ? mm_mmap(mm, va, span, RW, MAP_FIXED | MAP_HUGE | MAP_POPULATE) : -ENOMEM;
	pte_t *ptep = at > 0 ? test_ptep(mm->root, va, 1) : NULL;

	if (at == -ENOMEM)
		test_skip("no memory for a huge page");
	else if (EXPECT(ptep != NULL)) {
		EXPECT_EQ(pte_attr(pte_read(ptep)) & BOTH, 0);
		EXPECT_EQ(test_peek(va + span - 8, &value), 0);
		EXPECT_EQ(pte_attr(pte_read(ptep)) & BOTH, PA_ACCESSED);
		EXPECT_EQ(test_poke(va + span / 2, 1), 0);
		EXPECT_EQ(pte_attr(pte_read(ptep)) & BOTH, BOTH);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(marks, protection_keeps_them)
{
	static const u32 prots[] = { PROT_READ, PROT_NONE, PROT_READ | PROT_EXEC, RW };
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 3, MAP_POPULATE) : 0;
	u64 value;

	if (va && EXPECT_EQ(test_peek(va + PAGE_SIZE, &value), 0) &&
	    EXPECT_EQ(test_poke(va + 2 * PAGE_SIZE, 1), 0)) {
		for (unsigned int i = 0; i < ARRAY_SIZE(prots); i++) {
			EXPECT_EQ(mm_mprotect(mm, va, 3 * PAGE_SIZE, prots[i]), 0);
			EXPECT_EQ(marks_at(mm, va), 0);
			EXPECT_EQ(marks_at(mm, va + PAGE_SIZE), PA_ACCESSED);
			EXPECT_EQ(marks_at(mm, va + 2 * PAGE_SIZE), BOTH);
		}
		EXPECT_EQ(mm_mprotect(mm, va, 3 * PAGE_SIZE, PROT_READ), 0);
		EXPECT_EQ(test_peek(va, &value), 0);
		EXPECT_EQ(test_poke(va, 1), -EFAULT);
		EXPECT_EQ(marks_at(mm, va), PA_ACCESSED);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- What nobody accessed is in no TLB ----------------------------------------------------- */

struct told {
	u64 flushes, with_tables, cpus, spared;
};

static struct told told_now(void)
{
	struct gather_stats g;
	struct tlb_stats t;

	gather_get_stats(&g);
	tlb_get_stats(&t);
	return (struct told){ t.flush_range + t.flush_mm, t.flush_tables, t.targets, g.spared };
}

/* What unmapping the pages adds to the counts. */
static struct told unmap(struct mm *mm, vaddr_t va, u64 pages)
{
	struct told before = told_now(), now;

	EXPECT_EQ(mm_munmap(mm, va, pages * PAGE_SIZE), 0);
	now = told_now();
	return (struct told){ now.flushes - before.flushes, now.with_tables - before.with_tables,
			      now.cpus - before.cpus, now.spared - before.spared };
}

/* Another CPU is in the mm all the time, and is told only of what was accessed. */
TEST(rule, T11_only_what_was_accessed_is_flushed)
{
	struct holder h;
	u64 value;

	if (!test_needs_cpus(2))
		return;
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 20, MAP_POPULATE) : 0;

	if (va && EXPECT_EQ(test_peek(va + 15 * PAGE_SIZE, &value), 0) &&
	    hold_start(&h, test_cpu(1), HOLD_PREEMPT, mm)) {
		struct told t = unmap(mm, va, 8);

		EXPECT(t.flushes == 0 && t.cpus == 0);
		EXPECT_EQ(t.spared, 8);
		EXPECT_EQ(hold_read(&h, va, &value), -EFAULT);
		EXPECT_EQ(hold_read(&h, va + 15 * PAGE_SIZE, &value), 0);
		t = unmap(mm, va + 9 * PAGE_SIZE, 8);
		EXPECT(t.flushes > 0);
		EXPECT_EQ(hold_read(&h, va + 15 * PAGE_SIZE, &value), -EFAULT);
		t = unmap(mm, va + 18 * PAGE_SIZE, 1); /* one alone goes another way */
		EXPECT(t.flushes == 0 && t.spared == 1);
		hold_end(&h);
	}
	if (mm)
		test_mm_leave(mm);
}

/*
 * A walk cache may hold a table in which nothing was ever accessed; and by that, what is in it may
 * still be accessed when it has been unhooked.
 */
TEST(marks, tables_are_flushed_all_the_same)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 4, MAP_POPULATE) : 0;

	if (va) {
		struct told t = unmap(mm, va, 4);

		EXPECT_EQ(t.spared, 0);
		EXPECT(t.flushes > 0 && t.with_tables > 0);
	}
	if (mm)
		test_mm_leave(mm);
}
