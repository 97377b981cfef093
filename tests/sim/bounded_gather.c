// SPDX-License-Identifier: MIT
/*
 * A gather of more than it may hold: it says that it is full, and others get the memory.
 *
 * One page stands for all, with a reference for each time that it is gathered.
 * Rules: G6, G1.
 */
#include "sim_test.h"

#include <mmu_gather.h>

#define MOST (GATHER_BUNDLE + GATHER_MAX_BATCHES * (unsigned int)(PAGE_SIZE / sizeof(u64)))

static struct page *page;

static void setup(void)
{
	page = alloc_page(GFP_KERNEL | GFP_TYPE(PAGE_ANON));
	BUG_ON(!page);
	sim_new_mm();
}

static void unmapper(void)
{
	struct mmu_gather tlb;
	unsigned int held = 0, flushes = 0;

	down_read(&sim_mm->mmap_lock);
	tlb_gather_mmu(&tlb, sim_mm);
	while (flushes < 2) {
		sim_check(held < MOST, "G6", "a gather takes all the memory that there is");
		get_page(page);
		atomic_inc(&page->mapcount);
		held++;
		if (!tlb_remove_page(&tlb, page))
			continue;
		sim_check(atomic_read(&page->refcount) == 1 + (int)held, "G1",
			  "a page is freed before the flush");
		tlb_flush_mmu(&tlb);
		sim_check(atomic_read(&page->refcount) == 1, "G6",
			  "a gather that is full keeps pages behind its flush");
		held = 0;
		flushes++;
	}
	tlb_finish_mmu(&tlb);
	up_read(&sim_mm->mmap_lock);
}

SCENARIO(bounded_gather) = {
	.name = "bounded_gather",
	.what = "a gather of more pages than it may hold",
	.cpus = 1,
	.inject = BIT(INJECT_BATCH),
	.fails = 1,
	.setup = setup,
	.roles = { { 0, unmapper, true } },
};
