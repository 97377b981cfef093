// SPDX-License-Identifier: MIT
/*
 * The kernel half: nothing writable is executable, guards are unmapped, all memory is there.
 *
 * See also: mm/kmap.c, mm/stack.c.
 */
#include "testlib.h"

#include <boot.h>
#include <kmap.h>
#include <page.h>
#include <smp.h>
#include <symbols.h>

static bool mapped(vaddr_t va)
{
	unsigned int level;

	return pte_present(kmap_lookup(va, &level));
}

/* Without the marks, which all that is mapped has. */
static u64 attr_of(vaddr_t va)
{
	const u64 marks = PA_ACCESSED | PA_DIRTY;
	unsigned int level;
	pte_t pte = kmap_lookup(va, &level);

	if (!pte_present(pte))
		return 0;
	EXPECT_EQ(pte_attr(pte) & marks, marks);
	return pte_attr(pte) & ~marks;
}

static phys_t pa_of(vaddr_t va)
{
	unsigned int level;
	pte_t pte = kmap_lookup(va, &level);

	return pte_present(pte) ? pte_pa(pte) + (va & (pt_span(level) - 1)) : 0;
}

struct walk {
	unsigned int runs, bad;
	vaddr_t end;
	u64 direct, executable;
};

static void look(vaddr_t start, vaddr_t end, phys_t pa, u64 attr, unsigned int level, void *arg)
{
	struct walk *w = arg;
	bool direct = start < DIRECT_MAP + DIRECT_MAP_SIZE;

	w->runs++;
	if (direct)
		w->direct += end - start;
	if (attr & PA_EXEC)
		w->executable += end - start;
	if (((attr & PA_WRITE) && (attr & PA_EXEC)) || (attr & PA_USER) || !(attr & PA_GLOBAL) ||
	    (direct && (attr & (PA_EXEC | PA_DEVICE))) || start < w->end || start >= end - 1 ||
	    !IS_ALIGNED(start | pa, pt_span(level))) {
		w->bad++;
		test_note("%#llx-%#llx to %#llx, attributes %#llx, level %u",
			  (unsigned long long)start, (unsigned long long)end,
			  (unsigned long long)pa, (unsigned long long)attr, level);
	}
	w->end = end;
}

TEST(kmap, nothing_is_writable_and_executable)
{
	struct walk w = { 0 };

	kmap_for_each(look, &w);
	EXPECT_EQ(w.bad, 0);
	EXPECT(w.runs >= 5);
	/* The text is, and nothing else. */
	EXPECT_EQ(w.executable, (u64)(text_end - text_start));
}

TEST(kmap, image_has_its_permissions_twice)
{
	vaddr_t text = (vaddr_t)text_start, rodata = (vaddr_t)rodata_start;

	for (vaddr_t va = text; va < (vaddr_t)rodata_end; va += PAGE_SIZE) {
		EXPECT(!(attr_of(va) & PA_WRITE));
		EXPECT_EQ(attr_of(DIRECT_MAP + pa_of(va)), PA_READ | PA_GLOBAL);
	}
	EXPECT_EQ(attr_of(text), PA_READ | PA_EXEC | PA_GLOBAL);
	EXPECT_EQ(attr_of(rodata), PA_READ | PA_GLOBAL);
	EXPECT_EQ(attr_of((vaddr_t)data_start), PA_READ | PA_WRITE | PA_GLOBAL);
	EXPECT_EQ(attr_of((vaddr_t)image_end - 1), PA_READ | PA_WRITE | PA_GLOBAL);
	EXPECT(!mapped((vaddr_t)image_end));
	EXPECT_EQ(pa_of(text), image_phys_base);
}

TEST(kmap, direct_map_covers_all_memory_and_no_more)
{
	struct walk w = { 0 };
	u64 memory = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		const struct mem_range *m = &boot.mem[i];

		memory += m->end - m->start;
		/* Ends and middle, then a step that is no power of two. */
		EXPECT_EQ(pa_of(DIRECT_MAP + m->end - 1), m->end - 1);
		for (phys_t pa = m->start; pa < m->end; pa += MiB(1) + 5 * PAGE_SIZE)
			if (pa_of(DIRECT_MAP + pa) != pa)
				test_fail(__FILE__, __LINE__, "%#llx is not mapped to itself",
					  (unsigned long long)pa);
	}
	kmap_for_each(look, &w);
	/* A device tree outside of memory is the one thing more. */
	EXPECT(w.direct >= memory && w.direct <= memory + boot.fdt_size + 2 * PAGE_SIZE);
	EXPECT(pfn_valid(boot.mem[0].start >> PAGE_SHIFT));
	EXPECT(!pfn_valid(boot.mem[boot.nr_mem - 1].end >> PAGE_SHIFT));
}

TEST(kmap, struct_pages_are_there_for_all_memory)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		pfn_t end = boot.mem[i].end >> PAGE_SHIFT;

		for (pfn_t pfn = boot.mem[i].start >> PAGE_SHIFT; pfn < end; pfn += 61)
			if (!mapped((vaddr_t)pfn_to_page(pfn)))
				test_fail(__FILE__, __LINE__, "frame %#llx has no struct page",
					  (unsigned long long)pfn);
		EXPECT(mapped((vaddr_t)(pfn_to_page(end) - 1)));
	}
}

static void expect_guarded(vaddr_t stack)
{
	EXPECT(stack & STACK_SIZE);
	for (vaddr_t va = 0; va < STACK_SIZE; va += PAGE_SIZE) {
		EXPECT(!mapped(stack - STACK_SIZE + va));
		EXPECT_EQ(attr_of(stack + va), PA_READ | PA_WRITE | PA_GLOBAL);
	}
}

TEST(kmap, every_stack_has_a_guard)
{
	expect_guarded((vaddr_t)init_stack + STACK_SIZE);
	expect_guarded(current->stack);
	vaddr_t stack = stack_alloc();

	ASSERT(stack != 0);
	expect_guarded(stack);
	memset((void *)stack, 0x5a, STACK_SIZE);
	stack_free(stack);
}

#define NR_STACKS 20

TEST(kmap, freed_stacks_are_unmapped_and_given_back)
{
	vaddr_t stack[NR_STACKS];
	struct mem_stats before, now;

	page_alloc_drain();
	mem_get_stats(&before);
	for (unsigned int i = 0; i < NR_STACKS; i++) {
		stack[i] = stack_alloc();
		ASSERT(stack[i] != 0);
		for (unsigned int j = 0; j < i; j++)
			EXPECT(stack[i] != stack[j]);
	}
	mem_get_stats(&now);
	EXPECT_EQ(now.by_type[PAGE_STACK],
		  before.by_type[PAGE_STACK] + NR_STACKS * STACK_SIZE / PAGE_SIZE);
	for (unsigned int i = 0; i < NR_STACKS; i++)
		stack_free(stack[i]);
	page_alloc_drain();
	for (unsigned int i = 0; i < NR_STACKS; i++)
		EXPECT(!mapped(stack[i]));
	mem_get_stats(&now);
	EXPECT_EQ(now.by_type[PAGE_STACK], before.by_type[PAGE_STACK]);
	EXPECT_EQ(now.free, before.free);
}

/* A CPU that used a stack must not reach its old pages when the addresses are used again [G1]. */
static void touch(void *arg)
{
	u64 *word = arg;

	*word = (u64)word ^ smp_processor_id();
}

TEST(kmap, a_reused_stack_is_seen_anew_by_every_cpu)
{
	struct page *held[4];
	unsigned int cpu;

	for (unsigned int round = 0; round < ARRAY_SIZE(held); round++) {
		stack_drain();
		/* Kept, so that the next stack has other frames at the same place. */
		held[round] = alloc_page(GFP_KERNEL);
		vaddr_t stack = stack_alloc();

		ASSERT(stack != 0);
		u64 *word = (u64 *)stack;

		for_each_online_cpu(cpu) {
			smp_call(cpu, touch, word, true);
			/* Through the direct map: the frame that is mapped now was written. */
			EXPECT_EQ(*(u64 *)phys_to_virt(pa_of(stack)), (u64)word ^ cpu);
		}
		stack_free(stack);
	}
	for (unsigned int round = 0; round < ARRAY_SIZE(held); round++)
		if (held[round])
			put_page(held[round]);
}

TEST(kmap, ioremap_gives_places_apart_with_guards)
{
	/* Nothing is read: it is only looked at. Above what any machine has. */
	const phys_t pa = DIRECT_MAP_SIZE;
	vaddr_t a = (vaddr_t)ioremap(pa + 0x10, 0x20), b = (vaddr_t)ioremap(pa + 0xff8, 16);

	ASSERT(a != 0 && b != 0);
	EXPECT_EQ(pa_of(a), pa + 0x10);
	EXPECT_EQ(pa_of(b), pa + 0xff8);
	EXPECT_EQ(pa_of(b + 15), pa + 0x1007);
	EXPECT_EQ(attr_of(a), PA_READ | PA_WRITE | PA_DEVICE | PA_GLOBAL);
	EXPECT(ALIGN_DOWN(a, PAGE_SIZE) != ALIGN_DOWN(b, PAGE_SIZE));
	EXPECT(!mapped(a + PAGE_SIZE) && !mapped(a - PAGE_SIZE));
	EXPECT(!mapped(b + 2 * PAGE_SIZE) && !mapped(b - PAGE_SIZE));
}

/* A page before large leaves; small ones where tables were made ahead. No table is made. */
TEST(kmap, ioremap_of_much_has_large_leaves)
{
	const phys_t pa = DIRECT_MAP_SIZE + pt_span(1) - PAGE_SIZE;
	const u64 size = 8 * pt_span(1) + PAGE_SIZE;
	unsigned int level, large = 0;

	if (pt_span(1) > MiB(2)) {
		test_skip("a large leaf would take much of the area");
		return;
	}
	vaddr_t a = (vaddr_t)ioremap(pa, size);

	ASSERT(a != 0);
	for (u64 at = 0; at < size; at += PAGE_SIZE) {
		EXPECT_EQ(pa_of(a + at), pa + at);
		(void)kmap_lookup(a + at, &level);
		large += level == 1;
	}
	EXPECT(large >= 2 * PTRS_PER_TABLE && large <= 8 * PTRS_PER_TABLE);
	EXPECT_EQ(attr_of(a + size / 2), PA_READ | PA_WRITE | PA_DEVICE | PA_GLOBAL);
	EXPECT(!mapped(a + size) && !mapped(a - PAGE_SIZE));
}

TEST(kmap, ioremap_refuses_what_is_not_a_device)
{
	EXPECT(ioremap(boot.mem[0].start, PAGE_SIZE) == NULL);
	EXPECT(ioremap(boot.image_start, 1) == NULL);
	EXPECT(ioremap(DIRECT_MAP_SIZE, 0) == NULL);
	EXPECT(ioremap(~0ULL - 100, 200) == NULL);
	EXPECT(ioremap(DIRECT_MAP_SIZE, VMALLOC_END - VMALLOC_START) == NULL);
	EXPECT(ioremap(BIT(60), PAGE_SIZE) == NULL); /* more bits than any entry has */
	EXPECT(ioremap(BIT(60) - PAGE_SIZE, PAGE_SIZE) == NULL);
}
