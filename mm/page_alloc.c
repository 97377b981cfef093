// SPDX-License-Identifier: MIT
/*
 * The allocator of frames: per-CPU magazines of single frames in front of the buddy system.
 *
 * Terms. A magazine is a chain of free frames. Each CPU has one to take from and free to, and
 * perhaps a full one to spare, so most allocations and frees take no lock. The reserve is what is
 * left to those who may not fail early. A frame that was a table comes back empty, and its mark
 * says so until it is given out: who wants zeroes, as the next table or a fault does, has them.
 * Why it matters here. A frame that is given out again early is how every missing flush and every
 * missing grace period shows. So what comes back is used first (magazines are stacks), and in a
 * debug build it is poisoned when freed and checked when given out.
 * Rules: none of its own; page_release() has the checks. Locks: interrupts off for this CPU's
 * magazines and counters. Contexts: any, irqs in any state.
 * See also: <page.h>, mm/buddy.c, mm/page_init.c, mm/page_ref.c, tests/test_page.c.
 */
#include <buddy.h>
#include <kmap.h>
#include <ledger.h>
#include <page.h>
#include <percpu.h>
#include <ptdesc.h>
#include <smp.h>
#include <string.h>
#include <trace.h>

#define MAGAZINE_MAX 64
/* Freed blocks up to this order are poisoned: larger ones would take too long. */
#define POISON_ORDER_MAX 3

static struct {
	/* Constant after page_alloc_init(). */
	u64 total, reserved;
	unsigned int magazine; /* frames of a full one */

	atomic64_t nowait_failures, kernel_failures;
} zone;

u64 page_reserve;

/* One CPU's. Only that CPU, irqs off; others read the numbers as they are. */
struct pcp {
	struct page *top;   /* of the magazine in use: what was freed last, below it the others */
	struct page *spare; /* of a full one, or NULL */
	unsigned int room;  /* in the one in use: frames that a full one has more */
	s64 by_type[NR_PAGE_TYPES]; /* frames allocated here less frames freed here */
};
static DEFINE_PER_CPU(struct pcp, pcp);

void page_alloc_add(struct page *p, unsigned int order)
{
	buddy_add(p, order);
	zone.reserved -= 1UL << order;
}

void page_alloc_start(u64 total)
{
	/* Small machines with many CPUs must not have all their memory in magazines. */
	u64 magazine = min(max(total / 96 / nr_cpus, (u64)2), (u64)MAGAZINE_MAX);
	unsigned int cpu;

	zone.total = total;
	zone.reserved = total;
	zone.magazine = (unsigned int)magazine;
	for_each_possible_cpu (cpu)
		per_cpu(pcp, cpu).room = zone.magazine;
	page_reserve = min(max(total / 64, (u64)64), (u64)1024);
	buddy_start((unsigned int)magazine);
}

/* ---- This CPU's magazines; irqs off -------------------------------------------------------- */

/* Another magazine in place of an empty one: the spare one, or one of the depot, or a new one. */
static __noinline bool pcp_refill(struct pcp *c)
{
	c->top = c->spare;
	c->spare = NULL;
	c->room = c->top ? 0 : zone.magazine - magazine_get(&c->top);
	return c->top;
}

/* An empty magazine in place of a full one, which becomes the spare one. */
static __noinline void pcp_rotate(struct pcp *c)
{
	if (c->spare)
		magazine_put(c->spare);
	c->spare = c->top;
	c->top = NULL;
	c->room = zone.magazine;
}

static void pcp_drain_local(void *unused)
{
	bool on = local_irq_save();
	struct pcp *c = this_cpu_ptr(&pcp);

	magazine_merge(c->spare);
	magazine_merge(c->top);
	c->spare = NULL;
	c->top = NULL;
	c->room = zone.magazine;
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
	while (buddy_merge_depot())
		;
}

/* ---- Allocation ---------------------------------------------------------------------------- */

/* The topmost frame of this CPU's magazine, or NULL. irqs off, so that it stays this CPU's. */
static inline struct page *pcp_pop(struct pcp *c, unsigned int type)
{
	struct page *p = c->top;

	if (likely(p)) {
		c->top = p->below;
		c->room++;
		c->by_type[type]++;
	}
	return p;
}

static inline struct page *pcp_take(unsigned int type)
{
	bool on = local_irq_save(); /* no interrupt finds magazine and counters half changed */
	struct page *p = pcp_pop(this_cpu_ptr(&pcp), type);

	local_irq_restore(on);
	return p;
}

static struct page *take_frame(unsigned int type)
{
	bool on = local_irq_save(); /* what is refilled is there to be taken */
	struct pcp *c = this_cpu_ptr(&pcp);
	struct page *p = c->top || pcp_refill(c) ? pcp_pop(c, type) : NULL;

	local_irq_restore(on);
	return p;
}

static struct page *take_block(unsigned int order, unsigned int type)
{
	struct page *p = buddy_alloc(order);
	bool on;

	if (!p)
		return NULL;
	on = local_irq_save(); /* as in pcp_take() */
	this_cpu(pcp).by_type[type] += 1L << order;
	local_irq_restore(on);
	return p;
}

static struct page *take(unsigned int order, unsigned int type)
{
	return likely(order == 0) ? take_frame(type) : take_block(order, type);
}

/*
 * Frames that are free but not here: in this CPU's magazines, then with tables that wait for a
 * grace period, and in the magazines of other CPUs. The latter two only where the caller may sleep.
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

/* Before the frame's state is set: what is free says whether it is zero. */
static inline void clear_frame(struct page *p)
{
	if (!(p->flags & PG_ZEROED))
		clear_page(page_to_virt(p));
}

static void clear_block(struct page *p, unsigned int order)
{
	for (struct page *end = p + (1UL << order); p < end; p++)
		clear_frame(p);
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
	if (flags & GFP_ZERO)
		clear_block(p, order);
	WRITE_ONCE(p->state,
		   PAGE_STATE(type, order, (flags & GFP_COMPOUND) && order > 0 ? PG_COMPOUND : 0));
	if (order > 0)
		prepare_inner(p, order, type, flags);
	page_step(p, STEP_ALLOC);
	page_owner_set(p, order, true);
	trace(ALLOC, 0, page_to_phys(p), type);
	page_give(p);
	return p;
}

/* GFP_NOWAIT leaves the reserve to the others. */
static inline bool may_take(unsigned int order, u32 flags)
{
	return likely(!(flags & GFP_NOWAIT)) || buddy_nr_free() >= page_reserve + (1UL << order);
}

/* Frames by whatever way there is, or NULL, which is counted. */
static __noinline struct page *take_slowly(unsigned int order, u32 flags)
{
	unsigned int type = gfp_type(flags);
	struct page *p = NULL;

	if (may_take(order, flags))
		p = take(order, type);
	if (unlikely(!p) && !(flags & GFP_NOWAIT))
		p = take_harder(order, type);
	if (unlikely(!p))
		atomic64_inc(flags & GFP_NOWAIT ? &zone.nowait_failures : &zone.kernel_failures);
	return p;
}

struct page *alloc_pages(unsigned int order, u32 flags)
{
	struct page *p = order <= MAX_ORDER ? take_slowly(order, flags) : NULL;

	return likely(p) ? page_prepare(p, order, flags) : NULL;
}

/* The ways of few, in functions of their own: the way of most saves no registers. */
static __noinline struct page *give_zeroed(struct page *p, u32 flags)
{
	clear_frame(p);
	WRITE_ONCE(p->state, PAGE_STATE(gfp_type(flags), 0, 0));
	page_give(p);
	return p;
}

static __noinline struct page *alloc_page_slowly(struct page *p, u32 flags)
{
	if (!p)
		p = take_slowly(0, flags);
	return likely(p) ? page_prepare(p, 0, flags) : NULL;
}

struct page *alloc_page(u32 flags)
{
	unsigned int type = gfp_type(flags);
	struct page *p = may_take(0, flags) ? pcp_take(type) : NULL;

	if (unlikely(!p) || debug_build)
		return alloc_page_slowly(p, flags);
	if (flags & GFP_ZERO)
		return give_zeroed(p, flags);
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

static inline void mark_free(struct page *p, u32 flags, bool poison)
{
	WRITE_ONCE(p->state, PAGE_STATE(PAGE_FREE, 0, debug_build ? 0 : flags));
	if (debug_build && poison)
		page_poison(p);
}

/* Puts a frame on top of this CPU's magazine, which is not full; irqs off. flags: PG_ZEROED, 0. */
static inline void pcp_push(struct pcp *c, struct page *p, unsigned int type, u32 flags)
{
	c->room--;
	p->below = c->top;
	c->top = p;
	c->by_type[type]--;
	mark_free(p, flags, true);
}

static inline bool pcp_full(const struct pcp *c)
{
	return unlikely(c->room == 0);
}

static __noinline void free_frame_rotate(struct page *p, unsigned int type, bool on)
{
	struct pcp *c = this_cpu_ptr(&pcp);

	pcp_rotate(c);
	pcp_push(c, p, type, 0);
	local_irq_restore(on);
}

static void free_frame(struct page *p, unsigned int type)
{
	bool on = local_irq_save(); /* as in pcp_take() */
	struct pcp *c = this_cpu_ptr(&pcp);

	if (pcp_full(c)) {
		free_frame_rotate(p, type, on); /* apart: the way of most saves no registers */
		return;
	}
	pcp_push(c, p, type, 0);
	local_irq_restore(on);
}

static void free_block(struct page *p, unsigned int order, unsigned int type)
{
	for (struct page *end = p + (1UL << order), *q = p; q < end; q++)
		mark_free(q, 0, order <= POISON_ORDER_MAX);
	bool on = local_irq_save(); /* as in pcp_take() */

	this_cpu(pcp).by_type[type] -= 1L << order;
	local_irq_restore(on);
	buddy_free(p, order);
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

/* Drops a reference; true if it was the last one to a frame that can go to a magazine. */
static inline bool put_frame(struct page *p, u64 *state)
{
	if (debug_build && atomic64_read(&p->counts) != PAGE_REF) {
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

/*
 * The same, and the count of the entry that mapped it. Where this reference is the only one, nobody
 * else has the frame: it goes from one to none in one step, and then mapcount is this CPU's alone
 * and goes with `state`.
 */
static inline bool put_mapped_frame(struct page *p, u64 *state)
{
	if (unlikely(atomic64_read(&p->counts) != PAGE_REF ||
		     cmpxchg(&p->counts.counter, PAGE_REF, (s64)0) != PAGE_REF)) {
		atomic_dec(&p->mapcount);
		return put_frame(p, state);
	}
	*state = READ_ONCE(p->state) - PAGE_MAPPED_ONCE;
	if (plain_frame(*state))
		return true;
	atomic_dec(&p->mapcount);
	page_release_checked(p);
	return false;
}

static __always_inline void put_run(struct page *const *pages, unsigned int n, bool mapped,
				    u32 flags)
{
	bool on = local_irq_save(); /* as in pcp_take() */
	struct pcp *c = this_cpu_ptr(&pcp);
	u64 state;

	for (struct page *const *end = pages + n; pages < end; pages++) {
		struct page *p = *pages;

		if (!(mapped ? put_mapped_frame(p, &state) : put_frame(p, &state)))
			continue;
		note_free(p, 0);
		if (pcp_full(c))
			pcp_rotate(c);
		pcp_push(c, p, (unsigned int)state, flags);
	}
	local_irq_restore(on);
}

/* Inlined, as put_run(): mapped and flags are constants in it. */
static __always_inline void put_runs(struct page *const *pages, unsigned int n, bool mapped,
				     u32 flags)
{
	for (unsigned int run; n > 0; n -= run, pages += run) {
		run = min(n, (unsigned int)PUT_RUN);
		put_run(pages, run, mapped, flags);
	}
}

static __noinline void put_mapped_runs(struct page *const *pages, unsigned int n)
{
	put_runs(pages, n, true, 0);
}

void put_mapped_pages(struct page *const *pages, unsigned int n)
{
	u64 state;

	if (n != 1) {
		put_mapped_runs(pages, n);
	} else if (put_mapped_frame(*pages, &state)) {
		note_free(*pages, 0);
		free_frame(*pages, (unsigned int)state);
	}
}

static bool all_zero(const struct page *p)
{
	const u64 *word = page_to_virt(p), *end = word + PAGE_SIZE / sizeof(*word);

	while (word < end && *word == 0)
		word++;
	return word == end;
}

void put_zeroed_pages(struct page *const *pages, unsigned int n)
{
	for (unsigned int i = 0; debug_build && i < n; i++)
		BUG_ON_RULE(TABLE_ZEROED, !all_zero(pages[i]));
	put_runs(pages, n, false, PG_ZEROED);
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
	s->by_type[PAGE_FREE] = buddy_nr_free();
	for_each_possible_cpu (cpu) {
		const struct pcp *c = per_cpu_ptr(&pcp, cpu);

		s->by_type[PAGE_FREE] += zone.magazine - READ_ONCE(c->room);
		if (READ_ONCE(c->spare))
			s->by_type[PAGE_FREE] += zone.magazine;
		for (unsigned int t = PAGE_KERNEL; t < NR_PAGE_TYPES; t++)
			s->by_type[t] += (u64)READ_ONCE(c->by_type[t]);
	}
	s->free = s->by_type[PAGE_FREE];
}
