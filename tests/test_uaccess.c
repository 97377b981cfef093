// SPDX-License-Identifier: MIT
/*
 * User memory: copies that fault pages in, and bad pointers of every kind, which are -EFAULT and
 * never a crash.
 */
#include "testlib.h"

#include <boot.h>
#include <irqflags.h>

static u8 pattern[3 * PAGE_SIZE], back[3 * PAGE_SIZE];

static void fill_pattern(u64 seed)
{
	u64 state = seed | 1;

	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (u8)(rand_next(&state) >> 32);
	memset(back, 0, sizeof(back));
}

static int get(vaddr_t from, size_t n)
{
	return copy_from_user(back, (const void *)from, n);
}

static int put(vaddr_t to, size_t n)
{
	return copy_to_user((void *)to, pattern, n);
}

TEST(uaccess, copies_fault_pages_in)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 4, 0) : 0;

	if (va) {
		fill_pattern(1);
		EXPECT_EQ(mm_nr_pages(mm), 0);
		EXPECT_EQ(put(va + 100, 2 * PAGE_SIZE), 0);
		EXPECT_EQ(get(va + 100, 2 * PAGE_SIZE), 0);
		EXPECT_EQ(memcmp(pattern, back, 2 * PAGE_SIZE), 0);
		EXPECT_EQ(mm_nr_pages(mm), 3);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, new_pages_are_zero)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;
	u64 sum = 0;

	if (va) {
		memset(back, 0xff, PAGE_SIZE);
		EXPECT_EQ(get(va, PAGE_SIZE), 0);
		for (size_t i = 0; i < PAGE_SIZE; i++)
			sum += back[i];
		EXPECT_EQ(sum, 0);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, every_alignment_and_size)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;
	bool ok = va != 0;

	fill_pattern(2);
	for (unsigned int off = 0; ok && off < 9; off++) {
		for (unsigned int n = 0; ok && n < 70; n++) {
			vaddr_t at = va + PAGE_SIZE - 33 + off; /* over the page boundary */

			back[n] = 0x77;
			ok = EXPECT_EQ(copy_to_user((void *)at, pattern + off, n), 0) &&
			     EXPECT_EQ(get(at, n), 0) &&
			     EXPECT_EQ(memcmp(back, pattern + off, n), 0) &&
			     EXPECT_EQ(back[n], 0x77);
		}
	}
	if (mm)
		test_mm_leave(mm);
}

/* ---- Bad pointers ------------------------------------------------------------------------ */

static void expect_bad(vaddr_t at, size_t n)
{
	if (!EXPECT_EQ(get(at, n), -EFAULT) || !EXPECT_EQ(put(at, n), -EFAULT))
		test_note("at %#llx, %zu bytes", (unsigned long long)at, n);
}

static u64 kernel_word = 0x1234;

TEST(uaccess, kernel_addresses_are_refused)
{
	struct mm *mm = test_mm_enter();
	u64 on_stack = 0x5678;

	if (!mm)
		return;
	fill_pattern(3);
	expect_bad((vaddr_t)&kernel_word, 8);
	expect_bad((vaddr_t)&on_stack, 8);
	expect_bad(DIRECT_MAP, 8);
	expect_bad(VMEMMAP, 64);
	expect_bad(VMALLOC_START, 8);
	expect_bad(KERNEL_VA, 64);
	expect_bad(~0ULL, 1);
	expect_bad(~0ULL - 7, 8);
	EXPECT_EQ(kernel_word, 0x1234);
	EXPECT_EQ(on_stack, 0x5678);
	test_mm_leave(mm);
}

TEST(uaccess, ends_of_the_user_half)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	expect_bad(user_end(), 1);
	expect_bad(user_end() - 1, 2);
	expect_bad(user_end() - 8, 16);
	expect_bad(BIT(63), 8); /* what no CPU takes for an address */
	expect_bad(user_end() + PAGE_SIZE, 8);
	EXPECT_EQ(get(user_end(), 0), 0); /* nothing is asked for */
	test_mm_leave(mm);
}

TEST(uaccess, ranges_that_wrap_are_refused)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, MAP_POPULATE) : 0;

	if (va) {
		EXPECT_EQ(copy_from_user(back, (const void *)va, ~0UL), -EFAULT);
		EXPECT_EQ(copy_from_user(back, (const void *)va, 0UL - va), -EFAULT);
		EXPECT_EQ(copy_from_user(back, (const void *)va, 0UL - va + 8), -EFAULT);
		EXPECT_EQ(copy_to_user((void *)~0ULL, pattern, 2), -EFAULT);
		EXPECT_EQ(copy_to_user((void *)(~0ULL - 100), pattern, 200), -EFAULT);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, unmapped_is_refused)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 3, MAP_POPULATE) : 0;

	if (va) {
		expect_bad(0, 8); /* NULL */
		expect_bad(8, 8);
		expect_bad(USER_START - 1, 1);
		expect_bad(va - 1, 1);
		expect_bad(va + 3 * PAGE_SIZE, 1);
		EXPECT_EQ(mm_munmap(mm, va + PAGE_SIZE, PAGE_SIZE), 0);
		expect_bad(va + PAGE_SIZE, 8);
		expect_bad(va + 2 * PAGE_SIZE - 1, 1);
		EXPECT_EQ(get(va, PAGE_SIZE), 0);
		EXPECT_EQ(get(va + 2 * PAGE_SIZE, PAGE_SIZE), 0);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, permissions_are_obeyed)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;

	if (va) {
		fill_pattern(4);
		EXPECT_EQ(put(va, 16), 0);
		EXPECT_EQ(mm_mprotect(mm, va, 2 * PAGE_SIZE, PROT_READ), 0);
		EXPECT_EQ(put(va, 16), -EFAULT);	     /* mapped */
		EXPECT_EQ(put(va + PAGE_SIZE, 16), -EFAULT); /* never touched */
		EXPECT_EQ(get(va, 16), 0);
		EXPECT_EQ(memcmp(back, pattern, 16), 0);
		EXPECT_EQ(get(va + PAGE_SIZE, 16), 0);
		EXPECT_EQ(mm_mprotect(mm, va, 2 * PAGE_SIZE, PROT_NONE), 0);
		expect_bad(va, 16);
		expect_bad(va + PAGE_SIZE, 16);
		EXPECT_EQ(mm_mprotect(mm, va, 2 * PAGE_SIZE, PROT_READ | PROT_WRITE), 0);
		EXPECT_EQ(get(va, 16), 0);
		EXPECT_EQ(memcmp(back, pattern, 16), 0); /* the contents came through all that */
		EXPECT_EQ(put(va, 16), 0);
	}
	if (mm)
		test_mm_leave(mm);
}

/* What was copied before the bad page stays copied, and nothing behind it is touched. */
TEST(uaccess, partial_copies)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;

	if (va && EXPECT_EQ(mm_munmap(mm, va + PAGE_SIZE, PAGE_SIZE), 0)) {
		fill_pattern(5);
		EXPECT_EQ(put(va, PAGE_SIZE + 100), -EFAULT);
		EXPECT_EQ(get(va, PAGE_SIZE / 2), 0);
		EXPECT_EQ(memcmp(back, pattern, PAGE_SIZE / 2), 0);
		memset(back, 0xcc, sizeof(back));
		EXPECT_EQ(get(va, PAGE_SIZE + 100), -EFAULT);
		EXPECT_EQ(memcmp(back, pattern, PAGE_SIZE / 2), 0);
		for (size_t i = PAGE_SIZE; i < PAGE_SIZE + 100; i++)
			if (!EXPECT_EQ(back[i], 0xcc))
				break;
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, no_mm_no_user_memory)
{
	u64 value;

	EXPECT(current->mm == NULL);
	EXPECT_EQ(test_peek(test_window(0), &value), -EFAULT);
	EXPECT_EQ(test_poke(test_window(0), 1), -EFAULT);
	EXPECT_EQ(copy_from_user(back, NULL, 1), -EFAULT);
}

/* ---- Single words ------------------------------------------------------------------------ */

TEST(uaccess, words)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;
	u64 value = 1;

	if (va) {
		user_access_begin();
		EXPECT_EQ(user_read_u64(va, &value), 0); /* demand-zero, from a real trap */
		EXPECT_EQ(value, 0);
		EXPECT_EQ(user_write_u64(va + 8, 42), 0);
		EXPECT_EQ(user_read_u64(va + 8, &value), 0);
		EXPECT_EQ(value, 42);
		EXPECT_EQ(user_write_u64(va + PAGE_SIZE, 43), 0);
		EXPECT_EQ(user_read_u64(va + PAGE_SIZE, &value), 0);
		EXPECT_EQ(value, 43);
		EXPECT_EQ(user_read_u64((vaddr_t)&kernel_word, &value), -EFAULT);
		EXPECT_EQ(user_write_u64((vaddr_t)&kernel_word, 0), -EFAULT);
		EXPECT_EQ(user_read_u64(user_end() - 8, &value), -EFAULT);
		EXPECT_EQ(user_read_u64(user_end(), &value), -EFAULT);
		user_access_end();
		EXPECT_EQ(kernel_word, 0x1234);
		EXPECT_EQ(value, 43);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(uaccess, nothing_is_faulted_in_with_irqs_off)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 1, 0) : 0;
	u64 value = 0;

	if (va) {
		bool on = local_irq_save();

		user_access_begin();
		int read = user_read_u64(va, &value), write = user_write_u64(va, 1);

		user_access_end();
		local_irq_restore(on);
		EXPECT_EQ(read, -EFAULT);
		EXPECT_EQ(write, -EFAULT);
		preempt_disable();
		user_access_begin();
		read = user_read_u64(va, &value); /* nor where it may not sleep */
		user_access_end();
		preempt_enable();
		EXPECT_EQ(read, -EFAULT);
		EXPECT_EQ(mm_nr_pages(mm), 0);
		EXPECT_EQ(test_peek(va, &value), 0);
	}
	if (mm)
		test_mm_leave(mm);
}

/*
 * Demand-zero faults from several CPUs on the same and on neighbouring pages: one page each, no
 * loss.
 */
#define FAULT_PAGES 64
static struct {
	struct mm *mm;
	vaddr_t va;
	u64 errors;
} crowd;

static void fault_all(void *unused)
{
	kthread_use_mm(crowd.mm);
	for (unsigned int i = 0; i < FAULT_PAGES; i++) {
		vaddr_t word = crowd.va + i * PAGE_SIZE + 8 * smp_processor_id();
		u64 value = ~0ULL;

		if (test_peek(word, &value) != 0 || value != 0 || test_poke(word, i + 1) != 0 ||
		    test_peek(word, &value) != 0 || value != i + 1)
			fetch_add(&crowd.errors, 1);
	}
	kthread_unuse_mm();
}

TEST(uaccess, faults_race_for_the_same_pages)
{
	crowd.mm = test_mm_enter();
	if (!crowd.mm)
		return;
	crowd.errors = 0;
	crowd.va = test_map(crowd.mm, FAULT_PAGES, 0);
	if (crowd.va) {
		test_run_on_each(fault_all, NULL);
		EXPECT_EQ(crowd.errors, 0);
		EXPECT_EQ(mm_nr_pages(crowd.mm), FAULT_PAGES);
	}
	test_mm_leave(crowd.mm);
}
