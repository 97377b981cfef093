// SPDX-License-Identifier: MIT
/*
 * gup_fast() and get_user_pages(): what they take, what they refuse, what they count.
 *
 * See also: test_gup_race.c, where entries change under the walker.
 */
#include "testlib.h"

#include <gup.h>
#include <irqflags.h>
#include <tlb.h>

#define RW (PROT_READ | PROT_WRITE)
#define MANY 200

static struct page *pages[MANY];

/* The frame that the entry of va names. */
static struct page *page_at(struct mm *mm, vaddr_t va)
{
	pte_t *ptep = test_ptep(mm->root, va, 0);

	return ptep && pte_present(pte_read(ptep)) ? pte_page(pte_read(ptep)) : NULL;
}

static void put_first(unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		put_page(pages[i]);
}

TEST(gup, takes_references)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 4, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(gup_fast(va, 4, FOLL_WRITE, pages), 4);
		for (unsigned int i = 0; i < 4; i++) {
			EXPECT(pages[i] == page_at(mm, va + i * PAGE_SIZE));
			EXPECT_EQ(atomic_read(&pages[i]->refcount), 2);
			EXPECT_EQ(atomic_read(&pages[i]->mapcount), 1);
			EXPECT_EQ(atomic_read(&pages[i]->pincount), 0);
		}
		put_first(4);
		for (unsigned int i = 0; i < 4; i++)
			EXPECT_EQ(atomic_read(&pages[i]->refcount), 1);
	}
	if (mm)
		test_mm_leave(mm);
}

/* A page that somebody holds outlives its mapping, contents and all. */
TEST(gup, reference_outlives_the_mapping)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;

	if (va) {
		EXPECT_EQ(test_poke(va, 4711), 0);
		ASSERT_EQ(gup_fast(va, 1, 0, pages), 1);
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		EXPECT_EQ(atomic_read(&pages[0]->refcount), 1);
		EXPECT_EQ(atomic_read(&pages[0]->mapcount), 0);
		EXPECT_EQ(*(u64 *)page_to_virt(pages[0]), 4711);
		put_page(pages[0]);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(gup, walks_across_tables_and_chunks)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(3) - MANY / 2 * PAGE_SIZE;

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, va, MANY * PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE), va);
	for (unsigned int n = 1; n <= MANY; n = n * 2 + 1) {
		unsigned int got = gup_fast(va + (MANY - n) / 2 * PAGE_SIZE, n, 0, pages);

		EXPECT_EQ(got, n);
		for (unsigned int i = 0; i < got; i++)
			EXPECT(pages[i] == page_at(mm, va + ((MANY - n) / 2 + i) * PAGE_SIZE));
		put_first(got);
	}
	test_mm_leave(mm);
}

/* ---- Refusals ---------------------------------------------------------------------------- */

TEST(gup, stops_at_what_is_not_there)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 8, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm_madvise_dontneed(mm, va + 5 * PAGE_SIZE, PAGE_SIZE), 0);
		EXPECT_EQ(gup_fast(va, 8, 0, pages), 5);
		put_first(5);
		EXPECT_EQ(gup_fast(va + 5 * PAGE_SIZE, 3, 0, pages), 0);
		EXPECT_EQ(gup_fast(va + 6 * PAGE_SIZE, 8, 0, pages), 2); /* the mapping ends */
		put_first(2);
		EXPECT_EQ(gup_fast(test_window(9), 1, 0, pages), 0); /* no table even */
		EXPECT_EQ(mm_nr_pages(mm), 7);	     /* nothing was faulted in */
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(rule, U6_write_refused_on_readonly)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 3, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm_mprotect(mm, va + PAGE_SIZE, PAGE_SIZE, PROT_READ), 0);
		unsigned int got = gup_fast(va, 3, FOLL_WRITE, pages);

		EXPECT_EQ(got, 1);
		put_first(got);
		got = gup_fast(va + PAGE_SIZE, 1, FOLL_WRITE, pages);
		EXPECT_EQ(got, 0);
		put_first(got);
		EXPECT_EQ(gup_fast(va, 3, 0, pages), 3);
		put_first(3);
		EXPECT_EQ(get_user_pages(va + PAGE_SIZE, 1, FOLL_WRITE, pages), -EFAULT);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(gup, prot_none_is_refused)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm_mprotect(mm, va, PAGE_SIZE, PROT_NONE), 0);
		EXPECT_EQ(gup_fast(va, 1, 0, pages), 0);
		EXPECT_EQ(gup_fast(va, 1, FOLL_WRITE, pages), 0);
		EXPECT_EQ(get_user_pages(va, 1, 0, pages), -EFAULT);
	}
	if (mm)
		test_mm_leave(mm);
}

/* An entry with no struct page behind it, and one without PA_USER. */
TEST(gup, special_and_kernel_entries_are_refused)
{
	struct mm *mm = test_mm_enter();
	struct twin t;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		static const u64 attrs[] = { PA_USER | PA_READ | PA_WRITE | PA_SPECIAL,
					     PA_READ | PA_WRITE };

		for (unsigned int i = 0; i < ARRAY_SIZE(attrs); i++) {
			twin_point(&t, arch_pte_leaf(pte_pa(t.a), attrs[i], 0));
			EXPECT_EQ(gup_fast(t.va, 1, 0, pages), 0);
			EXPECT_EQ(gup_fast(t.va, 1, FOLL_WRITE, pages), 0);
		}
		twin_point(&t, t.a);
		EXPECT_EQ(gup_fast(t.va, 1, 0, pages), 1);
		put_first(1);
		twin_end(&t);
	}
	test_mm_leave(mm);
}

TEST(gup, bad_ranges_are_refused)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(gup_fast(va, 0, 0, pages), 0);
		EXPECT_EQ(gup_fast(0, 1, 0, pages), 0);
		EXPECT_EQ(gup_fast(user_end(), 1, 0, pages), 0);
		EXPECT_EQ(gup_fast(user_end() - PAGE_SIZE, 2, 0, pages), 0);
		EXPECT_EQ(gup_fast(KERNEL_VA, 1, 0, pages), 0);
		EXPECT_EQ(gup_fast(DIRECT_MAP, 1, 0, pages), 0);
		EXPECT_EQ(gup_fast(~0ULL & PAGE_MASK, 1, 0, pages), 0);
		EXPECT(get_user_pages(va + 1, 1, 0, pages) == -EINVAL);
		EXPECT(get_user_pages(KERNEL_VA, 1, 0, pages) < 0);
		EXPECT(get_user_pages(0, 1, 0, pages) < 0);
	}
	if (mm)
		test_mm_leave(mm);
	EXPECT(current->mm == NULL);
	EXPECT_EQ(gup_fast(test_window(0), 1, 0, pages), 0);
	EXPECT(get_user_pages(test_window(0), 1, 0, pages) < 0);
}

TEST(rule, U3_page_without_references_is_refused)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	if (va) {
		struct page *page = page_at(mm, va);

		/*
		 * As if the last reference had just been dropped, and the entry not yet seen
		 * cleared.
		 */
		atomic_set(&page->refcount, 0);
		EXPECT(!try_get_page(page));
		unsigned int got = gup_fast(va, 1, 0, pages);
		int left = atomic_read(&page->refcount);

		atomic_set(&page->refcount, 1);
		EXPECT_EQ(got, 0);
		EXPECT_EQ(left, 0);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- Pins -------------------------------------------------------------------------------- */

TEST(gup, pins_are_counted_apart)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, MAP_POPULATE) : 0;

	if (va) {
		ASSERT_EQ(gup_fast(va, 2, FOLL_WRITE | FOLL_PIN, pages), 2);
		struct page *page = pages[0];

		EXPECT(page_maybe_pinned(page));
		EXPECT_EQ(atomic_read(&page->pincount), 1);
		EXPECT_EQ(atomic_read(&page->refcount), 2);
		EXPECT_EQ(get_user_pages(va, 1, FOLL_WRITE | FOLL_PIN, pages), 1);
		EXPECT_EQ(atomic_read(&page->pincount), 2);
		EXPECT_EQ(gup_fast(va, 1, FOLL_WRITE, pages), 1);
		EXPECT_EQ(atomic_read(&page->pincount), 2);
		EXPECT_EQ(atomic_read(&page->refcount), 4);
		put_page(page);
		EXPECT(page_maybe_pinned(page));
		unpin_user_page(page);
		unpin_user_page(page);
		EXPECT(!page_maybe_pinned(page));
		EXPECT_EQ(atomic_read(&page->refcount), 1);
		unpin_user_page(pages[1]);
		EXPECT(!page_maybe_pinned(pages[1]));
	}
	if (mm)
		test_mm_leave(mm);
}

/* A pinned page is not freed by munmap, and stays known as pinned. */
TEST(gup, pinned_page_outlives_the_mapping)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	if (va) {
		ASSERT_EQ(gup_fast(va, 1, FOLL_WRITE | FOLL_PIN, pages), 1);
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		EXPECT(page_maybe_pinned(pages[0]));
		EXPECT_EQ(pages[0]->type, PAGE_ANON);
		unpin_user_page(pages[0]);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- The slow path ----------------------------------------------------------------------- */

TEST(gup, slow_path_faults_in)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 10, 0) : 0;
	struct gup_stats before, after;

	if (va) {
		EXPECT_EQ(test_poke(va, 1), 0); /* the first is there */
		gup_get_stats(&before);
		EXPECT_EQ(get_user_pages(va, 10, FOLL_WRITE, pages), 10);
		gup_get_stats(&after);
		EXPECT_EQ(after.slow, before.slow + 1);
		EXPECT_EQ(mm_nr_pages(mm), 10);
		for (unsigned int i = 0; i < 10; i++)
			EXPECT(pages[i] == page_at(mm, va + i * PAGE_SIZE));
		put_first(10);
		EXPECT_EQ(get_user_pages(va, 10, FOLL_WRITE, pages), 10);
		put_first(10);
		gup_get_stats(&before);
		EXPECT_EQ(before.slow, after.slow); /* all there: the fast path was enough */
		EXPECT(before.walks > after.walks && before.pages >= after.pages + 10);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(gup, slow_path_returns_what_it_got)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 6, 0) : 0;

	if (va) {
		EXPECT_EQ(mm_munmap(mm, va + 4 * PAGE_SIZE, PAGE_SIZE), 0);
		EXPECT_EQ(get_user_pages(va, 6, FOLL_WRITE, pages), 4);
		put_first(4);
		EXPECT_EQ(get_user_pages(va + 4 * PAGE_SIZE, 2, FOLL_WRITE, pages), -EFAULT);
		EXPECT_EQ(get_user_pages(va + 5 * PAGE_SIZE, 1, FOLL_WRITE, pages), 1);
		put_first(1);
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- Huge leaves ------------------------------------------------------------------------- */

TEST(gup, huge_leaf)
{
	struct mm *mm = test_mm_enter();
	u64 span = pt_span(1);
	vaddr_t va = test_window(1);

	if (!mm)
		return;
	s64 at = mm_mmap(mm, va, span, RW, MAP_FIXED | MAP_HUGE | MAP_POPULATE);

	if (at == -ENOMEM || !(arch.leaf_levels & BIT(1))) {
		test_skip("no huge page to be had");
	} else if (EXPECT_EQ(at, va)) {
		unsigned int n = 100, first = PTRS_PER_TABLE - 150;
		struct page *head = pte_page(pte_read(test_ptep(mm->root, va, 1)));

		EXPECT_EQ(test_poke(va + first * PAGE_SIZE, 99), 0);
		EXPECT_EQ(gup_fast(va + first * PAGE_SIZE, n, FOLL_WRITE, pages), n);
		for (unsigned int i = 0; i < n; i++) {
			EXPECT_EQ(page_to_pfn(pages[i]), page_to_pfn(head) + first + i);
			EXPECT(page_head(pages[i]) == head);
		}
		EXPECT_EQ(*(u64 *)page_to_virt(pages[0]), 99);
		EXPECT_EQ(atomic_read(&head->refcount), 1 + n); /* counted in the head */
		EXPECT_EQ(atomic_read(&head->mapcount), 1);
		/* It ends with the mapping. */
		put_first(n - 1);
		EXPECT_EQ(gup_fast(va + span - PAGE_SIZE, 2, 0, pages), 1);
		put_page(pages[0]);
		EXPECT_EQ(atomic_read(&head->refcount), 2); /* one of the hundred is left */
		EXPECT_EQ(mm_mprotect(mm, va, span, PROT_READ), 0);
		EXPECT_EQ(gup_fast(va, 1, FOLL_WRITE, pages), 0);
		EXPECT_EQ(mm_munmap(mm, va, span), 0);
		EXPECT_EQ(gup_fast(va, 1, 0, pages), 0);
		EXPECT_EQ(atomic_read(&head->refcount), 1);
		put_page(head + first + n - 1);
		EXPECT(test_tables_settle(mm, 1));
	}
	test_mm_leave(mm);
}
