// SPDX-License-Identifier: MIT
/*
 * Address spaces: mmap, munmap, mprotect, madvise, one by one.
 *
 * See also: test_mm_model.c, which runs random sequences of them against a model.
 */
#include "testlib.h"

#include <gup.h>
#include <rcu.h>

#define RW (PROT_READ | PROT_WRITE)

TEST(mm, new_one_is_empty)
{
	struct mm *mm = mm_create();

	ASSERT(mm != NULL);
	EXPECT_EQ(atomic_read(&mm->users), 1);
	EXPECT_EQ(mm_nr_pages(mm), 0);
	EXPECT_EQ(atomic64_read(&mm->nr_tables), 1);
	EXPECT_EQ(mm->nr_vmas, 0);
	EXPECT_EQ(mm->root_pa, virt_to_phys(mm->root));
	EXPECT(current->mm == NULL);
	mmput(mm);
}

TEST(mm, mmap_arguments)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(0);

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, va, 0, RW, MAP_FIXED), -EINVAL);
	EXPECT_EQ(mm_mmap(mm, va + 1, PAGE_SIZE, RW, MAP_FIXED), -EINVAL);
	EXPECT_EQ(mm_mmap(mm, va, PAGE_SIZE, RW, BIT(20)), -EINVAL);
	EXPECT(mm_mmap(mm, user_end() - PAGE_SIZE, 2 * PAGE_SIZE, RW, MAP_FIXED) < 0);
	EXPECT(mm_mmap(mm, user_end(), PAGE_SIZE, RW, MAP_FIXED) < 0);
	if (KERNEL_VA >= user_end()) /* in a host process the halves share their addresses */
		EXPECT(mm_mmap(mm, KERNEL_VA, PAGE_SIZE, RW, MAP_FIXED) < 0);
	EXPECT(mm_mmap(mm, 0, PAGE_SIZE, RW, MAP_FIXED) < 0);
	EXPECT_EQ(mm_mmap(mm, 0, user_end(), RW, 0), -ENOMEM);
	EXPECT(mm_mmap(mm, 0, ~0ULL, RW, 0) < 0);
	EXPECT_EQ(mm_munmap(mm, va + 1, PAGE_SIZE), -EINVAL);
	EXPECT_EQ(mm_munmap(mm, va, 0), -EINVAL);
	EXPECT_EQ(mm_munmap(mm, user_end() - PAGE_SIZE, 2 * PAGE_SIZE), -EINVAL);
	EXPECT_EQ(mm_munmap(mm, va, ~0ULL - PAGE_SIZE), -EINVAL);
	EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0); /* nothing there: fine */
	EXPECT_EQ(mm->nr_vmas, 0);
	EXPECT_EQ(atomic64_read(&mm->nr_tables), 1);
	test_mm_leave(mm);
}

TEST(mm, mmap_finds_room)
{
	struct mm *mm = test_mm_enter();
	s64 a, b, c;

	if (!mm)
		return;
	a = mm_mmap(mm, 0, 3 * PAGE_SIZE, RW, 0);
	b = mm_mmap(mm, 0, 3 * PAGE_SIZE, RW, 0);
	EXPECT(a >= (s64)USER_START && b >= (s64)USER_START);
	EXPECT(a + 3 * (s64)PAGE_SIZE <= b || b + 3 * (s64)PAGE_SIZE <= a);
	EXPECT_EQ(mm_mmap(mm, test_window(3), PAGE_SIZE, RW, 0), test_window(3)); /* a hint, free */
	c = mm_mmap(mm, test_window(3), PAGE_SIZE, RW, 0);			  /* taken */
	EXPECT(c > 0 && c != (s64)test_window(3));
	EXPECT(IS_ALIGNED(c, PAGE_SIZE));
	/* A hint where there is no room behind it: somewhere else. */
	c = mm_mmap(mm, user_end() - PAGE_SIZE, 4 * PAGE_SIZE, RW, 0);
	EXPECT(c > 0 && (u64)c + 4 * PAGE_SIZE <= user_end());
	test_mm_leave(mm);
}

TEST(mm, last_user_page_can_be_used)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = user_end() - PAGE_SIZE;
	struct page *page;
	u64 value = 0;

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, va, PAGE_SIZE, RW, MAP_FIXED), va);
	EXPECT_EQ(test_poke(user_end() - 8, 7), 0);
	EXPECT_EQ(test_peek(user_end() - 8, &value), 0);
	EXPECT_EQ(value, 7);
	if (EXPECT_EQ(gup_fast(va, 1, FOLL_WRITE, &page), 1)) {
		EXPECT_EQ(((u64 *)page_to_virt(page))[PAGE_SIZE / 8 - 1], 7);
		put_page(page);
	}
	EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
	EXPECT_EQ(test_peek(user_end() - 8, &value), -EFAULT);
	EXPECT(test_tables_settle(mm, 1));
	test_mm_leave(mm);
}

TEST(mm, populate_faults_everything_in)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 20, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm_nr_pages(mm), 20);
		for (unsigned int i = 0; i < 20; i++) {
			pte_t *ptep = test_ptep(mm->root, va + i * PAGE_SIZE, 0);

			if (!EXPECT(ptep && pte_present(pte_read(ptep))))
				break;
			EXPECT_EQ(atomic_read(&pte_page(pte_read(ptep))->mapcount), 1);
			EXPECT_EQ(pte_page(pte_read(ptep))->type, PAGE_ANON);
		}
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(mm, fixed_mapping_replaces)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 5, 0) : 0;
	u64 value;

	if (va) {
		for (unsigned int i = 0; i < 5; i++)
			EXPECT_EQ(test_poke(va + i * PAGE_SIZE, i + 1), 0);
		EXPECT_EQ(mm_mmap(mm, va + PAGE_SIZE, 2 * PAGE_SIZE, PROT_READ, MAP_FIXED),
			  va + PAGE_SIZE);
		EXPECT_EQ(mm_nr_pages(mm), 3);
		for (unsigned int i = 0; i < 5; i++) {
			bool replaced = i == 1 || i == 2;

			EXPECT_EQ(test_peek(va + i * PAGE_SIZE, &value), 0);
			EXPECT_EQ(value, replaced ? 0 : i + 1);
			EXPECT_EQ(test_poke(va + i * PAGE_SIZE, 9), replaced ? -EFAULT : 0);
		}
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(mm, munmap_splits)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 9, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm->nr_vmas, 1);
		EXPECT_EQ(mm_munmap(mm, va + 3 * PAGE_SIZE, 3 * PAGE_SIZE), 0);
		EXPECT_EQ(mm->nr_vmas, 2);
		EXPECT_EQ(mm_nr_pages(mm), 6);
		down_read(&mm->mmap_lock);
		struct vma *low = vma_find(mm, va), *high = vma_find(mm, va + 3 * PAGE_SIZE);

		EXPECT(low && low->start == va && low->end == va + 3 * PAGE_SIZE);
		EXPECT(high && high->start == va + 6 * PAGE_SIZE &&
		       high->end == va + 9 * PAGE_SIZE);
		EXPECT(low->next == high && high->prev == low);
		EXPECT(vma_find(mm, va + 9 * PAGE_SIZE) == NULL);
		EXPECT(low->prev == NULL && high->next == NULL);
		up_read(&mm->mmap_lock);
		EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
		EXPECT_EQ(mm_munmap(mm, va + 8 * PAGE_SIZE, PAGE_SIZE), 0);
		EXPECT_EQ(mm->nr_vmas, 2);
		/* Over both, and the holes. */
		EXPECT_EQ(mm_munmap(mm, va - PAGE_SIZE, 20 * PAGE_SIZE), 0);
		EXPECT_EQ(mm->nr_vmas, 0);
		EXPECT_EQ(mm_nr_pages(mm), 0);
		EXPECT(test_tables_settle(mm, 1));
	}
	if (mm)
		test_mm_leave(mm);
}

/* Tables go when nothing is left under them, and not before. */
TEST(mm, tables_follow_mappings)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = test_window(2), span = pt_span(1);
	s64 path = arch.pt_levels; /* tables from the root to one leaf table */

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, va, PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE), va);
	EXPECT_EQ(atomic64_read(&mm->nr_tables), path);
	EXPECT_EQ(mm_mmap(mm, va + span - PAGE_SIZE, PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE),
		  va + span - PAGE_SIZE);
	EXPECT_EQ(atomic64_read(&mm->nr_tables), path); /* the same leaf table */
	EXPECT_EQ(mm_mmap(mm, va + span, PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE), va + span);
	EXPECT_EQ(atomic64_read(&mm->nr_tables), path + 1);
	EXPECT_EQ(mm_munmap(mm, va, PAGE_SIZE), 0);
	EXPECT(test_tables_settle(mm, path + 1));
	EXPECT_EQ(mm_munmap(mm, va + span - PAGE_SIZE, PAGE_SIZE), 0);
	EXPECT(test_tables_settle(mm, path)); /* the first leaf table is gone */
	EXPECT_EQ(mm_munmap(mm, va + span, PAGE_SIZE), 0);
	EXPECT(test_tables_settle(mm, 1)); /* and the whole subtree */
	test_mm_leave(mm);
}

TEST(mm, mprotect_needs_a_mapping_throughout)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 4, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(mm_munmap(mm, va + 2 * PAGE_SIZE, PAGE_SIZE), 0);
		EXPECT_EQ(mm_mprotect(mm, va, 4 * PAGE_SIZE, PROT_READ), -ENOMEM);
		EXPECT_EQ(test_poke(va, 1), 0); /* nothing was changed */
		EXPECT_EQ(mm_mprotect(mm, va, 2 * PAGE_SIZE, PROT_READ), 0);
		EXPECT_EQ(test_poke(va, 1), -EFAULT);
		EXPECT_EQ(test_poke(va + 3 * PAGE_SIZE, 1), 0);
		EXPECT_EQ(mm_mprotect(mm, va + 1, PAGE_SIZE, PROT_READ), -EINVAL);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(mm, dontneed_gives_zeroes)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 3, 0) : 0;
	u64 value = 1;

	if (va) {
		for (unsigned int i = 0; i < 3; i++)
			EXPECT_EQ(test_poke(va + i * PAGE_SIZE, i + 1), 0);
		s64 tables = atomic64_read(&mm->nr_tables);

		EXPECT_EQ(mm_madvise_dontneed(mm, va + PAGE_SIZE, PAGE_SIZE), 0);
		EXPECT_EQ(mm_nr_pages(mm), 2);
		EXPECT_EQ(atomic64_read(&mm->nr_tables), tables);
		for (unsigned int i = 0; i < 3; i++) {
			EXPECT_EQ(test_peek(va + i * PAGE_SIZE, &value), 0);
			EXPECT_EQ(value, i == 1 ? 0 : i + 1);
		}
		EXPECT_EQ(mm_madvise_dontneed(mm, va + 1, PAGE_SIZE), -EINVAL);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(mm, huge_mapping)
{
	struct mm *mm = test_mm_enter();
	u64 span = pt_span(1), value;
	vaddr_t va = test_window(1);

	if (!mm)
		return;
	s64 at = mm_mmap(mm, va, span, RW, MAP_FIXED | MAP_HUGE | MAP_POPULATE);

	if (at == -ENOMEM || !(arch.leaf_levels & BIT(1))) {
		test_skip("no huge page to be had");
	} else if (EXPECT_EQ(at, va)) {
		pte_t *ptep = test_ptep(mm->root, va, 1);

		EXPECT(ptep && pte_leaf(pte_read(ptep), 1));
		EXPECT_EQ(mm_nr_pages(mm), span / PAGE_SIZE);
		for (u64 off = 0; off < span; off += span / 16) {
			EXPECT_EQ(test_peek(va + off, &value), 0);
			EXPECT_EQ(value, 0);
			EXPECT_EQ(test_poke(va + off, off), 0);
		}
		for (u64 off = 0; off < span; off += span / 16) {
			EXPECT_EQ(test_peek(va + off, &value), 0);
			EXPECT_EQ(value, off);
		}
		EXPECT_EQ(mm_mprotect(mm, va, span, PROT_READ), 0);
		EXPECT_EQ(test_poke(va + span - 8, 1), -EFAULT);
		EXPECT_EQ(test_peek(va + span - 8, &value), 0);
		EXPECT_EQ(mm_munmap(mm, va, span), 0);
		EXPECT_EQ(test_peek(va, &value), -EFAULT);
		EXPECT_EQ(mm_nr_pages(mm), 0);
		EXPECT(test_tables_settle(mm, 1));
	}
	test_mm_leave(mm);
}

TEST(mm, huge_mapping_alignment)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	EXPECT_EQ(mm_mmap(mm, test_window(1) + PAGE_SIZE, pt_span(1), RW, MAP_FIXED | MAP_HUGE),
		  -EINVAL);
	EXPECT_EQ(mm_mmap(mm, test_window(1), PAGE_SIZE, RW, MAP_FIXED | MAP_HUGE), -EINVAL);
	if (arch.leaf_levels & BIT(1)) {
		s64 at = mm_mmap(mm, test_window(1) + PAGE_SIZE, pt_span(1), RW, MAP_HUGE);

		EXPECT(at > 0 && IS_ALIGNED((u64)at, pt_span(1)));
	}
	test_mm_leave(mm);
}

/* Everything still mapped when the last user goes: no page, no table stays (the census looks). */
TEST(mm, exit_with_everything_mapped)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	for (unsigned int i = 0; i < 8; i++) {
		vaddr_t va = test_window(i) + i * PAGE_SIZE;

		EXPECT_EQ(mm_mmap(mm, va, 8 * PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE), va);
	}
	test_mm_leave(mm);
}

TEST(mm, users_and_references)
{
	struct mm *mm = mm_create();

	ASSERT(mm != NULL);
	EXPECT_EQ(mm_mmap(mm, test_window(0), PAGE_SIZE, RW, MAP_FIXED | MAP_POPULATE),
		  test_window(0));
	mmgrab(mm);
	mmget(mm);
	mmput(mm);
	EXPECT_EQ(mm_nr_pages(mm), 1);
	mmput(mm); /* the last user: everything is unmapped, the struct stays */
	EXPECT_EQ(atomic_read(&mm->users), 0);
	EXPECT_EQ(mm_nr_pages(mm), 0);
	EXPECT_EQ(mm->nr_vmas, 0);
	mmdrop(mm);
}

/* ---- Faults beside unmapping ------------------------------------------------------------- */

static struct {
	struct mm *mm;
	vaddr_t va;
	bool stop;
	u64 rounds, errors;
} beside;

/* Faults its own page in again and again, in the same leaf table as what is unmapped beside it. */
static void fault_again(void *arg)
{
	vaddr_t va = beside.va + (u64)arg * 2 * PAGE_SIZE;
	u64 value;

	kthread_use_mm(beside.mm);
	while (!READ_ONCE(beside.stop)) {
		if (test_poke(va, va) != 0 || test_peek(va, &value) != 0 || value != va ||
		    mm_madvise_dontneed(beside.mm, va, PAGE_SIZE) != 0 ||
		    test_peek(va, &value) != 0 || value != 0)
			fetch_add(&beside.errors, 1);
		fetch_add(&beside.rounds, 1);
		cond_resched();
	}
	kthread_unuse_mm();
}

static void map_and_unmap(vaddr_t va)
{
	u64 value = 1;

	if (mm_mmap(beside.mm, va, PAGE_SIZE, RW, MAP_FIXED) != (s64)va ||
	    test_peek(va, &value) != 0 || value != 0 || test_poke(va, 5) != 0 ||
	    mm_munmap(beside.mm, va, PAGE_SIZE) != 0 || test_peek(va, &value) != -EFAULT)
		fetch_add(&beside.errors, 1);
}

TEST(mm, faults_beside_unmapping)
{
	struct thread *t[3];
	u64 end, unmaps = 0;

	beside.mm = test_mm_enter();
	if (!beside.mm)
		return;
	beside.va = test_map(beside.mm, 8, 0);
	beside.stop = false;
	beside.rounds = 0;
	beside.errors = 0;
	for (u64 i = 0; i < 3; i++)
		t[i] = test_thread(~0ULL, fault_again, (void *)i);
	for (end = time_ns() + 300 * NSEC_PER_MSEC; time_ns() < end; unmaps++)
		map_and_unmap(beside.va + (unmaps % 3 * 2 + 1) * PAGE_SIZE);
	WRITE_ONCE(beside.stop, true);
	for (u64 i = 0; i < 3; i++)
		if (t[i])
			thread_join(t[i]);
	EXPECT_EQ(beside.errors, 0);
	EXPECT(beside.rounds > 0 && unmaps > 0);
	test_mm_leave(beside.mm);
}
