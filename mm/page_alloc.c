// SPDX-License-Identifier: MIT
/*
 * The allocator of frames: a buddy system behind per-CPU lists of single frames.
 *
 * Terms. A block is 1 << order frames, aligned to its size; its buddy is the block that together
 * with it makes one of the next order. A CPU's list holds single frames, so that most allocations
 * and frees take no lock. The reserve is what is left to those who may not fail early.
 * Why it matters here. A frame that is given out again early is how every missing flush and every
 * missing grace period shows. So what comes back is used first (lists are stacks), and in a debug
 * build it is poisoned when freed and checked when given out.
 * Rules: none of its own; page_release() has the checks. Locks: zone.lock (irqs off) for the buddy
 * lists; interrupts off for this CPU's list and counters. Contexts: any, irqs in any state.
 * See also: <page.h>, mm/page_init.c, mm/page_ref.c, tests/test_page.c.
 */
#include <kmap.h>
#include <ledger.h>
#include <page.h>
#include <percpu.h>
#include <ptdesc.h>
#include <smp.h>
#include <string.h>
#include <trace.h>

#define PCP_BATCH 32
#define PCP_HIGH 96
/* Freed blocks up to this order are poisoned: larger ones would take too long. */
#define POISON_ORDER_MAX 3

struct free_list {
	struct list_head blocks;
	u64 nr;
};

static struct {
	/* Constant after page_alloc_init(). */
	u64 total, reserved;
	unsigned int pcp_batch;

	spinlock_t lock;
	struct free_list free[MAX_ORDER + 1];
	u64 nr_free; /* frames; read without the lock as a hint */

	atomic64_t nowait_failures, kernel_failures;
} zone = { .lock = SPINLOCK_INIT };

u64 page_reserve;

/* One CPU's. Only that CPU, irqs off; others read the numbers as they are. */
struct pcp {
	unsigned int count, high;     /* frames; as many are too many */
	s64 by_type[NR_PAGE_TYPES];   /* frames allocated here less frames freed here */
	struct page *frame[PCP_HIGH]; /* a stack: what was freed last is on top */
};
static DEFINE_PER_CPU(struct pcp, pcp);

/* ---- The buddy lists; zone.lock ---------------------------------------------------------- */

static void buddy_insert(struct page *p, unsigned int order)
{
	WRITE_ONCE(p->order, order);
	WRITE_ONCE(p->flags, p->flags | PG_BUDDY);
	list_add(&p->node, &zone.free[order].blocks);
	zone.free[order].nr++;
}

static void buddy_remove(struct page *p)
{
	list_del(&p->node);
	WRITE_ONCE(p->flags, p->flags & ~PG_BUDDY);
	zone.free[p->order].nr--;
}

/* The buddy always has a struct page: map_vmemmap() makes them for whole MAX_ORDER blocks. */
static void buddy_free(struct page *p, unsigned int order)
{
	pfn_t pfn = page_to_pfn(p);

	zone.nr_free += 1UL << order;
	while (order < MAX_ORDER) {
		struct page *buddy = pfn_to_page(pfn ^ (1UL << order));

		if (!(buddy->flags & PG_BUDDY) || buddy->order != order)
			break;
		buddy_remove(buddy);
		pfn &= ~(1UL << order);
		order++;
	}
	buddy_insert(pfn_to_page(pfn), order);
}

/* Takes a block; the halves that are left over from a larger one go back. */
static struct page *buddy_take(unsigned int order)
{
	unsigned int o = order;

	while (o <= MAX_ORDER && list_empty(&zone.free[o].blocks))
		o++;
	if (o > MAX_ORDER)
		return NULL;
	struct page *p = list_first_entry(&zone.free[o].blocks, struct page, node);

	buddy_remove(p);
	while (o > order) {
		o--;
		buddy_insert(p + (1UL << o), o);
	}
	zone.nr_free -= 1UL << order;
	return p;
}

void page_alloc_add(struct page *p, unsigned int order)
{
	buddy_insert(p, order);
	zone.nr_free += 1UL << order;
	zone.reserved -= 1UL << order;
}

/* Small machines with many CPUs must not have all their memory in lists. */
static void pcp_scale(u64 total)
{
	u64 high = min(total / 32 / nr_cpus, (u64)PCP_HIGH);
	unsigned int cpu;

	high = max(high, (u64)6);
	zone.pcp_batch = (unsigned int)high / (PCP_HIGH / PCP_BATCH);
	for_each_possible_cpu(cpu)
		per_cpu(pcp, cpu).high = (unsigned int)high;
}

void page_alloc_start(u64 total)
{
	unsigned int i;

	for (i = 0; i <= MAX_ORDER; i++)
		list_init(&zone.free[i].blocks);
	zone.total = total;
	zone.reserved = total;
	page_reserve = min(max(total / 64, (u64)64), (u64)1024);
	pcp_scale(total);
}

/* ---- This CPU's list; irqs off ------------------------------------------------------------- */

static __noinline bool pcp_refill(struct pcp *c)
{
	raw_spin_lock(&zone.lock);
	while (c->count < zone.pcp_batch) {
		struct page *p = buddy_take(0);

		if (!p)
			break;
		c->frame[c->count++] = p;
	}
	raw_spin_unlock(&zone.lock);
	return c->count > 0;
}

/* Gives frames back, those that were freed first before the others. */
static __noinline void pcp_spill(struct pcp *c, unsigned int nr)
{
	nr = min(nr, c->count);
	raw_spin_lock(&zone.lock);
	for (unsigned int i = 0; i < nr; i++)
		buddy_free(c->frame[i], 0);
	raw_spin_unlock(&zone.lock);
	c->count -= nr;
	memmove(c->frame, c->frame + nr, c->count * sizeof(c->frame[0]));
}

static void pcp_drain_local(void *unused)
{
	bool on = local_irq_save();
	struct pcp *c = this_cpu_ptr(&pcp);

	pcp_spill(c, c->count);
	local_irq_restore(on);
}

void page_alloc_drain_cpu(void)
{
	pcp_drain_local(NULL);
}

void page_alloc_drain(void)
{
	stack_drain();
	smp_call_all(pcp_drain_local, NULL, true);
}

/* ---- Allocation ---------------------------------------------------------------------------- */

/* The topmost frame of this CPU's list, or NULL. */
static inline struct page *pcp_take(unsigned int type)
{
	struct page *p = NULL;
	/*
	 * irqs off: the list and the counters stay this CPU's, and no interrupt finds them half
	 * changed.
	 */
	bool on = local_irq_save();
	struct pcp *c = this_cpu_ptr(&pcp);
	unsigned int n = c->count;

	if (likely(n > 0)) {
		p = c->frame[--n];
		c->count = n;
		c->by_type[type]++;
	}
	local_irq_restore(on);
	return p;
}

static struct page *take_frame(unsigned int type)
{
	bool on = local_irq_save(); /* as in pcp_take(): what is refilled is there to be taken */
	struct pcp *c = this_cpu_ptr(&pcp);
	struct page *p = c->count > 0 || pcp_refill(c) ? pcp_take(type) : NULL;

	local_irq_restore(on);
	return p;
}

static struct page *take(unsigned int order, unsigned int type)
{
	if (likely(order == 0))
		return take_frame(type);
	bool on = spin_lock_irqsave(&zone.lock);
	struct page *p = buddy_take(order);

	if (p)
		this_cpu(pcp).by_type[type] += 1L << order;
	spin_unlock_irqrestore(&zone.lock, on);
	return p;
}

/*
 * Frames that are free but not here: in this CPU's list, then with tables that wait for a grace
 * period, and in the lists of other CPUs. The latter two only where the caller may sleep.
 */
static __noinline struct page *take_harder(unsigned int order, unsigned int type)
{
	struct pt_stats tables;
	struct page *p;

	pcp_drain_local(NULL);
	p = take(order, type);
	if (p || !preemptible())
		return p;
	pt_get_stats(&tables);
	if (tables.waiting > 0)
		rcu_barrier();
	smp_call_all(pcp_drain_local, NULL, true);
	return take(order, type);
}

/* Panics if somebody wrote to a frame after it was freed. */
static void check_poison(struct page *p)
{
	size_t offset;
	u64 value;

	if (!page_poison_intact(p, &offset, &value))
		panic("page %#llx was written after it was freed: %#llx at offset %zu",
		      (unsigned long long)page_to_phys(p), (unsigned long long)value, offset);
}

static void check_block(struct page *p, unsigned int order)
{
	for (struct page *end = p + (1UL << order); p < end; p++)
		if (p->flags & PG_POISONED)
			check_poison(p);
}

/* The frames behind the head: flags first, before page_give() lets references be taken. */
static void prepare_inner(struct page *head, unsigned int order, unsigned int type, u32 flags)
{
	bool compound = flags & GFP_COMPOUND;

	for (struct page *p = head + 1; p < head + (1UL << order); p++) {
		p->type = type;
		WRITE_ONCE(p->order, compound ? order : 0);
		WRITE_ONCE(p->flags, compound ? PG_TAIL : PG_INNER);
	}
}

static void clear_block(struct page *p, unsigned int order)
{
	for (struct page *end = p + (1UL << order); p < end; p++)
		clear_page(page_to_virt(p));
}

static unsigned int gfp_type(u32 flags)
{
	return (u8)(flags >> 8) ^ PAGE_KERNEL;
}

/* The last step: from here on references can be taken. */
static inline void page_give(struct page *p)
{
	/* Orders flags and order before the count. Pairs with try_get_refs() in include/page.h. */
	smp_store_release(&p->counts.counter, PAGE_REF);
}

static __noinline struct page *page_prepare(struct page *p, unsigned int order, u32 flags)
{
	unsigned int type = gfp_type(flags);

	if (debug_build)
		check_block(p, order);
	WRITE_ONCE(p->state,
		   PAGE_STATE(type, order, (flags & GFP_COMPOUND) && order > 0 ? PG_COMPOUND : 0));
	if (order > 0)
		prepare_inner(p, order, type, flags);
	if (flags & GFP_ZERO)
		clear_block(p, order);
	page_step(p, STEP_ALLOC);
	page_owner_set(p, order, true);
	trace(ALLOC, 0, page_to_phys(p), type);
	page_give(p);
	return p;
}

/* Frames by whatever way there is, or NULL, which is counted. */
static __noinline struct page *take_slowly(unsigned int order, u32 flags)
{
	unsigned int type = gfp_type(flags);
	struct page *p = NULL;

	if (!(flags & GFP_NOWAIT)) {
		p = take(order, type);
		if (unlikely(!p))
			p = take_harder(order, type);
	} else if (likely(READ_ONCE(zone.nr_free) >= page_reserve + (1UL << order))) {
		p = take(order, type);
	}
	if (unlikely(!p))
		atomic64_inc(flags & GFP_NOWAIT ? &zone.nowait_failures : &zone.kernel_failures);
	return p;
}

struct page *alloc_pages(unsigned int order, u32 flags)
{
	struct page *p = order <= MAX_ORDER ? take_slowly(order, flags) : NULL;

	return likely(p) ? page_prepare(p, order, flags) : NULL;
}

struct page *alloc_page(u32 flags)
{
	unsigned int type = gfp_type(flags);
	/* With GFP_NOWAIT the reserve needs a look. */
	struct page *p = likely(!(flags & GFP_NOWAIT)) ? pcp_take(type) : NULL;

	if (unlikely(!p)) {
		p = take_slowly(0, flags);
		if (!p)
			return NULL;
	}
	if (debug_build || flags & GFP_ZERO)
		return page_prepare(p, 0, flags);
	WRITE_ONCE(p->state, PAGE_STATE(type, 0, 0));
	page_give(p);
	return p;
}

/* ---- Freeing ------------------------------------------------------------------------------- */

static __noinline void bad_free(const struct page *p, unsigned int order)
{
	const char *why = "with a wrong order";

	if (p->type == PAGE_FREE)
		why = "twice";
	else if (p->type == PAGE_RESERVED)
		why = "but is not the allocator's";
	else if (p->flags & (PG_TAIL | PG_INNER))
		why = "but is the inside of a block";
	else if (atomic_read(&p->mapcount) || atomic_read(&p->pincount))
		why = "while mapped or pinned";
	panic("page %#llx freed %s: type %u, order %u (freed as %u), flags %#x, references %d, "
	      "mapped %d, pinned %d",
	      (unsigned long long)page_to_phys(p), why, p->type, p->order, order, p->flags,
	      atomic_read(&p->refcount), atomic_read(&p->mapcount), atomic_read(&p->pincount));
}

static void check_free(const struct page *p, unsigned int order)
{
	if (unlikely(p->type <= PAGE_FREE || p->order != order ||
		     (p->flags & (PG_TAIL | PG_INNER | PG_BUDDY))))
		bad_free(p, order);
}

/* What a debug build notes and checks of a block that is about to be nobody's. */
static inline void note_free(struct page *p, unsigned int order)
{
	ledger_page_free(p);
	page_step(p, STEP_FREE);
	page_owner_set(p, order, false);
	trace(FREE, 0, page_to_phys(p), p->type);
}

static inline void mark_free(struct page *p, bool poison)
{
	WRITE_ONCE(p->state, PAGE_STATE(PAGE_FREE, 0, 0));
	if (debug_build && poison)
		page_poison(p);
}

static __noinline void pcp_overflow(struct pcp *c, bool on)
{
	pcp_spill(c, zone.pcp_batch);
	local_irq_restore(on);
}

/* Puts a frame on top of this CPU's list; irqs off. True: it has too many now. */
static inline bool pcp_push(struct pcp *c, struct page *p, unsigned int type)
{
	unsigned int n = c->count;

	c->frame[n] = p;
	c->count = ++n;
	c->by_type[type]--;
	mark_free(p, true);
	return unlikely(n >= c->high);
}

static void free_frame(struct page *p, unsigned int type)
{
	bool on = local_irq_save(); /* as in pcp_take() */
	struct pcp *c = this_cpu_ptr(&pcp);

	if (pcp_push(c, p, type)) {
		pcp_overflow(c, on);
		return;
	}
	local_irq_restore(on);
}

static void free_block(struct page *p, unsigned int order, unsigned int type)
{
	for (struct page *end = p + (1UL << order), *q = p; q < end; q++)
		mark_free(q, order <= POISON_ORDER_MAX);
	bool on = spin_lock_irqsave(&zone.lock);

	this_cpu(pcp).by_type[type] -= 1L << order;
	buddy_free(p, order);
	spin_unlock_irqrestore(&zone.lock, on);
}

void free_pages(struct page *p, unsigned int order)
{
	check_free(p, order);
	if (atomic_read(&p->refcount) != 0 && (int)atomic64_add_return(&p->counts, -PAGE_REF) != 0)
		return; /* a walker's put_page() comes here with 0 */
	if (unlikely(atomic_read(&p->mapcount) | atomic_read(&p->pincount)))
		bad_free(p, order);
	unsigned int type = p->type;

	note_free(p, order);
	if (likely(order == 0))
		free_frame(p, type);
	else
		free_block(p, order, type);
}

/* One frame in use, not mapped: nothing in `state` but its type. */
static inline bool plain_frame(u64 state)
{
	return likely(state - (PAGE_FREE + 1) < NR_PAGE_TYPES - (PAGE_FREE + 1));
}

void page_release(struct page *p)
{
	u64 state = READ_ONCE(p->state);

	if (!plain_frame(state) || (debug_build && atomic_read(&p->pincount))) {
		page_release_checked(p);
		return;
	}
	note_free(p, 0);
	free_frame(p, (unsigned int)state);
}

/* Drops a reference; true if it was the last one to a frame that can go to a CPU's list. */
static inline bool put_frame(struct page *p, u64 *state)
{
	if (unlikely(READ_ONCE(p->flags) & PG_TAIL) ||
	    (debug_build && atomic64_read(&p->counts) != PAGE_REF)) {
		put_page(p); /* has the checks */
		return false;
	}
	if (atomic64_add_return(&p->counts, -PAGE_REF) != 0)
		return false;
	*state = READ_ONCE(p->state);
	if (plain_frame(*state))
		return true;
	page_release_checked(p);
	return false;
}

static void put_run(struct page *const *pages, unsigned int n)
{
	bool on = local_irq_save(); /* as in pcp_take() */
	struct pcp *c = this_cpu_ptr(&pcp);
	u64 state;

	for (struct page *const *end = pages + n; pages < end; pages++) {
		if (!put_frame(*pages, &state))
			continue;
		note_free(*pages, 0);
		if (pcp_push(c, *pages, (unsigned int)state))
			pcp_spill(c, zone.pcp_batch);
	}
	local_irq_restore(on);
}

void put_pages(struct page *const *pages, unsigned int n)
{
	for (; n > PUT_RUN; n -= PUT_RUN, pages += PUT_RUN)
		put_run(pages, PUT_RUN);
	put_run(pages, n);
}

void page_set_type(struct page *p, enum page_type type)
{
	bool on = local_irq_save();
	s64 *by_type = this_cpu(pcp).by_type;

	by_type[p->type] -= 1L << p->order;
	by_type[type] += 1L << p->order;
	local_irq_restore(on);
	p->type = type;
}

/* ---- Numbers --------------------------------------------------------------------------------- */

void mem_get_stats(struct mem_stats *s)
{
	unsigned int cpu;

	*s = (struct mem_stats){
		.total = zone.total,
		.nowait_failures = (u64)atomic64_read(&zone.nowait_failures),
		.kernel_failures = (u64)atomic64_read(&zone.kernel_failures),
	};
	s->by_type[PAGE_RESERVED] = zone.reserved;
	s->by_type[PAGE_FREE] = READ_ONCE(zone.nr_free);
	for_each_possible_cpu(cpu) {
		const struct pcp *c = per_cpu_ptr(&pcp, cpu);

		s->by_type[PAGE_FREE] += READ_ONCE(c->count);
		for (unsigned int t = PAGE_KERNEL; t < NR_PAGE_TYPES; t++)
			s->by_type[t] += (u64)READ_ONCE(c->by_type[t]);
	}
	s->free = s->by_type[PAGE_FREE];
}

void page_free_blocks(u64 nr[MAX_ORDER + 1])
{
	bool on = spin_lock_irqsave(&zone.lock);

	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		nr[o] = zone.free[o].nr;
	spin_unlock_irqrestore(&zone.lock, on);
}
