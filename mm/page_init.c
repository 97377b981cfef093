// SPDX-License-Identifier: MIT
/*
 * From what the firmware said to an allocator of frames: struct page for each, and the first free
 * lists.
 *
 * Why it is its own file: it runs once, over every frame there is, and has to be quick: 8 GiB are
 * two million of them. So it writes 16 bytes a frame and frees the largest blocks that fit.
 * Contexts: boot CPU, once, after the port has loaded kmap_init()'s tables (struct pages may lie
 * where the boot tables did not reach). See also: mm/boot_alloc.c, mm/kmap.c (map_vmemmap()),
 * tests/test_page.c.
 */
#include <boot.h>
#include <page.h>

bool page_alloc_ready;

bool pfn_valid(pfn_t pfn)
{
	phys_t pa = pfn << PAGE_SHIFT;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		if (pa >= boot.mem[i].start && pa < boot.mem[i].end)
			return true;
	return false;
}

/* The counts, type, order and flags only: what is behind them belongs to the frame's owner. */
static void init_frames(pfn_t from, pfn_t to, enum page_type type)
{
	struct page *p = pfn_to_page(from), *end = pfn_to_page(to);

#pragma GCC unroll 8
	for (; p < end; p++) {
		p->state = PAGE_STATE(type, 0, 0);
		p->counts.counter = 0;
	}
}

/* The largest block that begins at pfn and ends by end. */
static unsigned int largest_order(pfn_t pfn, pfn_t end)
{
	unsigned int order = 0;

	while (order < MAX_ORDER && IS_ALIGNED(pfn, 2UL << order) && end - pfn >= 2UL << order)
		order++;
	return order;
}

static void free_frames(pfn_t from, pfn_t to)
{
	init_frames(from, to, PAGE_FREE);
	while (from < to) {
		unsigned int order = largest_order(from, to);

		page_alloc_add(pfn_to_page(from), order);
		from += 1UL << order;
	}
}

/* A range of memory, and the struct pages around it from frame `from` to frame `to`. */
static void init_range(const struct mem_range *r, pfn_t from, pfn_t to)
{
	phys_t start, end, pos = r->start;

	while (boot_next_free(pos, r->end, &start, &end)) {
		init_frames(from, start >> PAGE_SHIFT, PAGE_RESERVED);
		free_frames(start >> PAGE_SHIFT, end >> PAGE_SHIFT);
		from = end >> PAGE_SHIFT;
		pos = end;
	}
	init_frames(from, to, PAGE_RESERVED);
}

static u64 count_frames(void)
{
	u64 total = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		total += (boot.mem[i].end - boot.mem[i].start) >> PAGE_SHIFT;
	return total;
}

void page_alloc_init(void)
{
	const pfn_t block = 1UL << MAX_ORDER;
	pfn_t done = 0;

	boot_alloc_end();
	page_alloc_start(count_frames());
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		const struct mem_range *r = &boot.mem[i];
		pfn_t to = ALIGN_UP(r->end >> PAGE_SHIFT, block);

		/* Two ranges may share a block: the second goes on where the first ended. */
		if (i + 1 < boot.nr_mem)
			to = min(to, boot.mem[i + 1].start >> PAGE_SHIFT);
		init_range(r, max(done, ALIGN_DOWN(r->start >> PAGE_SHIFT, block)), to);
		done = to;
	}
	page_alloc_ready = true;
}
