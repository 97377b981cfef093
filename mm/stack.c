// SPDX-License-Identifier: MIT
/*
 * Kernel stacks with an unmapped guard under each.
 *
 * Terms. A slot is 2 * STACK_SIZE of addresses, aligned to that, in the VMALLOC area: its lower
 * half is never mapped, the stack is the upper half. So an overflow faults instead of eating what
 * lies below.
 * Why not the direct map. Nothing there can be left out without splitting its large leaves.
 * Rules: G1 (entries cleared, every CPU invalidated, then pages and slot given back). Locks:
 * slots.lock (irqs off). A few freed stacks stay mapped for the next thread: a thread's birth and
 * death then cost no cross-call. stack_drain() empties that cache, so that accounting can be exact.
 * See also: mm/kmap.c, kernel/sched.c (the reaper), tests/test_kmap.c.
 */
#include <kmap.h>
#include <spinlock.h>

#define STACK_PAGES (STACK_SIZE / PAGE_SIZE)
#define CACHE_MAX 8
#define SLOT_WORDS (STACK_AREA_SLOTS / 64)

static struct {
	spinlock_t lock;
	u64 used[SLOT_WORDS];
	vaddr_t cache[CACHE_MAX];
	unsigned int cached;
} slots = { .lock = SPINLOCK_INIT };

static vaddr_t cache_pop(void)
{
	bool on = spin_lock_irqsave(&slots.lock);
	vaddr_t stack = slots.cached ? slots.cache[--slots.cached] : 0;

	spin_unlock_irqrestore(&slots.lock, on);
	return stack;
}

static bool cache_push(vaddr_t stack)
{
	bool on = spin_lock_irqsave(&slots.lock);
	bool room = slots.cached < CACHE_MAX;

	if (room)
		slots.cache[slots.cached++] = stack;
	spin_unlock_irqrestore(&slots.lock, on);
	return room;
}

/* slots.lock held. */
static vaddr_t slot_find(void)
{
	for (unsigned int w = 0; w < SLOT_WORDS; w++) {
		if (slots.used[w] == ~0ULL)
			continue;
		unsigned int b = (unsigned int)__builtin_ctzll(~slots.used[w]);

		slots.used[w] |= BIT(b);
		return STACK_AREA_START + (w * 64 + b) * 2ULL * STACK_SIZE + STACK_SIZE;
	}
	return 0;
}

static vaddr_t slot_get(void)
{
	bool on = spin_lock_irqsave(&slots.lock);
	vaddr_t stack = slot_find();

	spin_unlock_irqrestore(&slots.lock, on);
	return stack;
}

static void slot_put(vaddr_t stack)
{
	unsigned int n = (unsigned int)((stack - STACK_AREA_START) / (2 * STACK_SIZE));
	bool on = spin_lock_irqsave(&slots.lock);

	slots.used[n / 64] &= ~BIT(n % 64);
	spin_unlock_irqrestore(&slots.lock, on);
}

static void pages_free(phys_t *pa, unsigned int nr)
{
	while (nr > 0)
		free_pages(phys_to_page(pa[--nr]), 0);
}

static bool pages_alloc(phys_t *pa)
{
	for (unsigned int i = 0; i < STACK_PAGES; i++) {
		struct page *p = alloc_page(GFP_KERNEL | GFP_TYPE(PAGE_STACK));

		if (!p) {
			pages_free(pa, i);
			return false;
		}
		pa[i] = page_to_phys(p);
	}
	return true;
}

/* A port's own stacks come before there are pages; they are for good. */
static bool pages_get(phys_t *pa)
{
	if (page_alloc_ready)
		return pages_alloc(pa);
	for (unsigned int i = 0; i < STACK_PAGES; i++)
		pa[i] = virt_to_phys(boot_alloc(PAGE_SIZE, PAGE_SIZE));
	return true;
}

vaddr_t stack_alloc(void)
{
	phys_t pa[STACK_PAGES];
	vaddr_t stack = cache_pop();

	if (stack || !pages_get(pa))
		return stack;
	stack = slot_get();
	if (!stack) {
		pages_free(pa, STACK_PAGES);
		return 0;
	}
	kmap_set(stack, pa, STACK_PAGES, PA_READ | PA_WRITE);
	return stack;
}

static void stack_unmap(vaddr_t stack)
{
	phys_t pa[STACK_PAGES];

	for (unsigned int i = 0; i < STACK_PAGES; i++)
		pa[i] = kmap_clear(stack + i * PAGE_SIZE);
	/*
	 * Orders the clearing before the giving back, for every CPU. Pairs with the interrupt
	 * handler that answers. [G1] (Arm's DDI 0487 D8: break-before-make.)
	 */
	kmap_flush(stack, stack + STACK_SIZE);
	slot_put(stack);
	pages_free(pa, STACK_PAGES);
}

void stack_free(vaddr_t stack)
{
	if (!cache_push(stack))
		stack_unmap(stack);
}

void stack_drain(void)
{
	vaddr_t stack;

	while ((stack = cache_pop()))
		stack_unmap(stack);
}
