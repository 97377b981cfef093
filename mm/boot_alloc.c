// SPDX-License-Identifier: MIT
/*
 * Boot memory: the frames that are needed before there is an allocator of frames.
 *
 * Terms. A claim is a range that must not be given out: frame 0, the image, what the firmware
 * reserved, and what was given out before. The window is what the boot-time direct map covers.
 * Why. Page tables, struct pages and per-CPU areas come before page_alloc_init(), and firmware
 * leaves memory in pieces, with blobs anywhere in it.
 * How. Highest place first: the search starts at a range's end and jumps below each claim that is
 * in the way. Claims that (nearly) touch are joined, so their table stays small: nearly all touch.
 * Contexts: boot CPU only, until boot_alloc_end(). See also: mm/page_init.c, which takes over the
 * rest.
 */
#include <boot.h>
#include <page.h>
#include <string.h>

#define MAX_TAKEN 64

static struct mem_range taken[MAX_TAKEN];
static unsigned int nr_taken;
static bool ended;

static bool overlap(const struct mem_range *r, phys_t start, phys_t end)
{
	return r->start < end && start < r->end;
}

/* The n-th claim; false after the last. */
static bool nth_claim(unsigned int n, struct mem_range *r)
{
	const unsigned int fixed = 2;

	if (n == 0)
		*r = (struct mem_range){ 0, PAGE_SIZE }; /* physical address 0 means "none" */
	else if (n == 1)
		*r = (struct mem_range){ boot.image_start, boot.image_end };
	else if (n < fixed + boot.nr_reserved)
		*r = boot.reserved[n - fixed];
	else if (n < fixed + boot.nr_reserved + nr_taken)
		*r = taken[n - fixed - boot.nr_reserved];
	else
		return false;
	return true;
}

/* A claim in the way of [start, end). */
static bool find_claim(phys_t start, phys_t end, struct mem_range *r)
{
	for (unsigned int n = 0; nth_claim(n, r); n++)
		if (overlap(r, start, end))
			return true;
	return false;
}

/* The highest free place in [low, high), or 0. */
static phys_t search(phys_t low, phys_t high, u64 size, u64 align)
{
	struct mem_range claim;

	while (low < high && high - low >= size) {
		phys_t start = ALIGN_DOWN(high - size, align);

		if (start < low)
			return 0;
		if (!find_claim(start, start + size, &claim))
			return start;
		high = claim.start;
	}
	return 0;
}

static void take(phys_t start, phys_t end)
{
	struct mem_range r = { start, end };
	unsigned int i = 0;

	while (i < nr_taken) {
		if (taken[i].start >= r.end + PAGE_SIZE || r.start >= taken[i].end + PAGE_SIZE) {
			i++;
			continue;
		}
		/* A gap of less than a page is given up; the joined range may reach others now. */
		r.start = min(r.start, taken[i].start);
		r.end = max(r.end, taken[i].end);
		taken[i] = taken[--nr_taken];
		i = 0;
	}
	if (nr_taken == MAX_TAKEN)
		boot_fail("memory is in too many pieces: %u of them used at boot", MAX_TAKEN);
	taken[nr_taken++] = r;
}

static phys_t alloc_between(phys_t low, phys_t high, u64 size, u64 align)
{
	BUG_ON(ended || size == 0 || (align & (align - 1)));
	for (unsigned int i = boot.nr_mem; i-- > 0;) {
		const struct mem_range *m = &boot.mem[i];
		phys_t pa = search(max(m->start, low), min(m->end, high), size, align);

		if (pa) {
			take(pa, pa + size);
			return pa;
		}
	}
	return 0;
}

phys_t boot_alloc_phys(u64 size, u64 align)
{
	return alloc_between(0, DIRECT_MAP_SIZE, size, align);
}

void *boot_alloc(size_t size, size_t align)
{
	/*
	 * The port loads the final tables some time after kmap_init(): the window holds until the
	 * end.
	 */
	phys_t pa = alloc_between(boot.mapped_start, boot.mapped_end, ALIGN_UP(size, 16),
				  max(align, (size_t)16));

	if (!pa)
		boot_fail("too little memory: no room for %zu bytes at boot in %#llx-%#llx", size,
			  (unsigned long long)boot.mapped_start,
			  (unsigned long long)boot.mapped_end);
	return memset(phys_to_virt(pa), 0, size);
}

bool boot_next_free(phys_t from, phys_t to, phys_t *start, phys_t *end)
{
	struct mem_range claim;

	from = ALIGN_UP(from, PAGE_SIZE);
	while (from < to && find_claim(from, from + PAGE_SIZE, &claim))
		from = ALIGN_UP(claim.end, PAGE_SIZE);
	to = ALIGN_DOWN(to, PAGE_SIZE);
	if (from >= to)
		return false;
	for (unsigned int n = 0; nth_claim(n, &claim); n++)
		if (claim.start >= from && claim.start < to)
			to = ALIGN_DOWN(claim.start, PAGE_SIZE);
	*start = from;
	*end = to;
	return true;
}

void boot_alloc_end(void)
{
	ended = true;
}
