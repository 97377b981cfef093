// SPDX-License-Identifier: MIT
/*
 * gup_fast(): references to user pages, taken by a walker that holds no lock.
 *
 * Terms. The walk loads one entry a level and follows it; a reference is a count in struct page
 * that keeps the frame from being freed; a pin is a reference taken for a device.
 * Why without a lock. It is the hot path of everything that does I/O to user memory, and mmap_lock
 * is what all of an address space's faults and mappings contend for.
 * Rules: U1, U2, U3, U4, U5, U6, L1. Context: irqs off inside; the slow path sleeps. See also:
 * docs/lifetime.md, tests/test_gup.c, tests/stress.c.
 *
 * What makes a lockless walk right. Between any two lines of the walker, an unmapper may do all of
 * its:
 *
 *   walker, irqs off                       unmapper
 *   root                                   clears the leaf          (full barrier)
 *   entry above -> table                   flushes TLBs
 *   leaf -> page                           drops its reference: count 0 -> freed, used by others
 *   count: not zero? then + 1  [U3]        unhooks the table        (full barrier)
 *   leaf again: the same?      [U4]        flushes TLBs and walk caches
 *   entry above: the same?     [U5]        grace period             waits for the walker [F1]
 *   else: - 1, give up                     frees the table
 *
 * The leaf's marks stay as they are: a reference is not a translation, and the page is reached by
 * another address. The CPU may set them between the two looks, which is no change of the mapping.
 *
 * The table stays readable, since a grace period waits for a CPU with interrupts off. The page does
 * not stay: its count tells. A count that was zero is never raised; one that was not zero may
 * belong to the page's next owner, and then the leaf has changed: the unmapper cleared it before it
 * dropped the count.
 */
#include <census.h>
#include <errno.h>
#include <gup.h>
#include <inject.h>
#include <irqflags.h>
#include <percpu.h>
#include <ptdesc.h>
#include <rcu.h>
#include <thread.h>
#include <trace.h>
#include <trap.h>

#define GUP_CHUNK 64u /* pages walked with interrupts off at a time: bounds how long IPIs wait */

unsigned int gup_delay_table, gup_delay_ref;
enum gup_window gup_hold;
cpumask_t gup_held[NR_GUP_WINDOWS];
static DEFINE_PER_CPU(struct gup_stats, gup_stats);

static void stretch(const unsigned int *delay)
{
	for (unsigned int n = debug_build ? READ_ONCE(*delay) : 0; unlikely(n); n--)
		cpu_relax();
}

/* Waits in the window for as long as a test wants to have a walker there. */
static void hold(enum gup_window window)
{
	if (!(debug_build || count_build) || likely(READ_ONCE(gup_hold) != window))
		return;
	cpumask_t me = cpumask_of(smp_processor_id());

	fetch_or(&gup_held[window], me);
	while (READ_ONCE(gup_hold) == window)
		cpu_relax();
	fetch_and(&gup_held[window], ~me);
}

/*
 * What the entry allows; table and special entries, PROT_NONE and kernel pages are refused [U6].
 *
 * RACE U6. A walker writes where the owner may only read:
 *   mprotect(PROT_READ), other mm          gup_fast(FOLL_WRITE)
 *   leaf: page, read only                  loads the leaf
 *   counts on the page not changing        takes the page, writes to it
 */
static inline bool allowed(pte_t pte, u32 flags)
{
	return pte_user_allows(pte, flags & FOLL_WRITE && rule(WALK_PERMISSION));
}

static s64 refs_of(u32 flags)
{
	return PAGE_REF + (s64)((flags & FOLL_PIN) != 0) * (s64)(PAGE_PIN - PAGE_REF);
}

/*
 * A reference to a page that nothing keeps from being freed under us.
 *
 * RACE U3. A page that is being freed is revived:
 *   walker                    unmapper                      allocator
 *   loads the leaf: page      clears it, flushes
 *   .                         drops its reference: 0        .
 *   count 0 + 1: "mine"       .                             frees it, hands it out
 *   puts it: 0                .                             frees it a second time
 */
static inline bool ref_get(struct page *page, s64 refs)
{
	stretch(&gup_delay_ref);
	inject_delay(REF_WINDOW);
	hold(GUP_HOLD_REF);
	/* WHY SAFE: descriptors are never freed [F3], and what has a count is its own head. */
	if (rule(REF_NOT_ZERO))
		return try_get_refs(page, refs);
	get_refs(page, refs); /* knocked out: revives a page that is being freed */
	return true;
}

/* Where a walk is: the lowest entry so far, as it was loaded, and the entry above that. */
struct place {
	const pte_t *ptep, *above; /* the same if that is in the root */
	pte_t pte, above_pte;
	unsigned int level;
};

static __noinline bool give_up(struct page *page, s64 refs)
{
	put_refs(page, refs);
	this_cpu(gup_stats).retries++;
	return false;
}

/*
 * The page that a leaf, as it was loaded, leads to. False: going, or gone and its leaf changed.
 *
 * RACE U4. The page is somebody else's by the time of the reference:
 *   walker                    unmapper                      next owner
 *   loads the leaf: page      clears it, flushes, frees
 *   .                         .                             gets the page: count 1
 *   count 1 + 1: "mine"       .                             .
 *   reads and writes it       .                             finds foreign bytes
 */
static inline bool gup_one(const pte_t *ptep, pte_t pte, struct page *page, s64 refs)
{
	if (!ref_get(page, refs))
		return false;
	/*
	 * Full barrier in try_get_refs(): orders the reference before this load, and before that in
	 * table_changed(). Pairs with zap_leaf() in mm/unmap.c, whose clearing is one too. Pairs
	 * with free_contents() in mm/mmu_gather.c. Either the unmapper's put sees our reference and
	 * does not free, or we see its cleared entry.
	 */
	if (rule(RECHECK_LEAF)) {
		pte_t now = pte_read(ptep);

		if (unlikely(!pte_same(now, pte)) && !pte_same_mapping(now, pte))
			return give_up(page, refs);
	}
	return true;
}

/* In a debug build, a table that is not one any more is reported where the walker meets it. */
static void check_table(struct mm *mm, pte_t pte, unsigned int level)
{
	const struct page *page = pte_page(pte);

	if (debug_build && unlikely(READ_ONCE(page->type) != PAGE_TABLE ||
				    READ_ONCE(page->pt_mm) != mm || page->pt_level != level))
		oracle_report(ORACLE_POISON, RULE_TABLE_GRACE_PERIOD, page,
			      "a walker is in table %#llx, which was freed (type %u, level %u)",
			      (unsigned long long)pte_pa(pte), page->type, page->pt_level);
}

static void check_entry(const pte_t *ptep, pte_t pte)
{
	if (debug_build && unlikely(pte.val == PAGE_POISON))
		oracle_report(ORACLE_POISON, RULE_TABLE_GRACE_PERIOD, virt_to_page(ptep),
			      "a walker read a freed table");
}

/*
 * One level down from a table entry of level. False: it is none, and stays the lowest there is.
 *
 * RACE U2. One entry, two loads, two answers:
 *   walker                                 another CPU
 *   loads the entry: a table               .
 *   .                                      clears it, or puts a huge leaf there
 *   loads it again and follows that        .
 *   is in what never was a table
 */
static inline bool descend(struct mm *mm, vaddr_t va, struct place *at, unsigned int level)
{
	if (unlikely(!pte_is_table(at->pte)))
		return false;
	at->above = at->ptep;
	at->above_pte = at->pte;
	at->level = level - 1;
	stretch(&gup_delay_table);
	inject_delay(TABLE_WINDOW);
	if (level == 1)
		hold(GUP_HOLD_TABLE);
	/*
	 * WHY SAFE: (1) interrupts are off, so a grace period that begins after the table is
	 * unhooked does not end before we leave [U1, F1, R2]; (2) the entry was loaded once, and
	 * what was decided is followed, not what stands there now [U2]; (3) A1: what we read in a
	 * table just hooked is its zeroes or later. Pairs with install() in mm/fault.c. Pairs with
	 * hook_table() in mm/pgtable.c. Pairs with unhook() in mm/unmap.c.
	 */
	at->ptep = pte_table(at->pte) + pt_index(va, level - 1);
	check_table(mm, at->pte, level - 1);
	at->pte = pte_read(rule(WALK_LOAD_ONCE)
			       ? at->ptep
			       : pte_table(pte_read(at->above)) + pt_index(va, level - 1));
	check_entry(at->ptep, at->pte);
	return true;
}

/* Follows the entries from the root to the lowest there is for va. */
static __always_inline void lowest(struct mm *mm, vaddr_t va, struct place *at)
{
	unsigned int top = pt_top_level();

	at->level = top;
	at->ptep = mm->root + pt_index(va, top);
	at->pte = pte_read(at->ptep);
	at->above = at->ptep;
	at->above_pte = at->pte;
	/* Level by level in a row: where each begins in va is then a constant. */
	switch (top) {
	case 4:
		if (!descend(mm, va, at, 4))
			break; /* fallthrough */
	case 3:
		if (!descend(mm, va, at, 3))
			break; /* fallthrough */
	case 2:
		if (!descend(mm, va, at, 2))
			break; /* fallthrough */
	default:
		descend(mm, va, at, 1);
	}
}
_Static_assert(PT_LEVELS_MAX <= 5, "lowest() knows five levels");

/* A run of leaves in one table, up to the first that will not do. Returns how many. */
static __always_inline unsigned int take_run(const struct place *at, unsigned int nr, u32 flags,
					     struct page **pages)
{
	const pte_t *ptep = at->ptep;
	pte_t pte = at->pte;
	struct page **out = pages, **end = pages + nr;

	do {
		struct page *page = pte_page(pte);

		if (unlikely(!allowed(pte, flags)) ||
		    unlikely(!gup_one(ptep, pte, page, refs_of(flags))))
			break;
		*out++ = page;
		if (out == end)
			break;
		pte = pte_read(++ptep);
		check_entry(ptep, pte);
	} while (true);
	return (unsigned int)(out - pages);
}

/* Pages under one huge leaf: they have one head, which takes all references at once. */
static __noinline unsigned int take_huge(struct place at, vaddr_t va, unsigned int nr, u32 flags,
					 struct page **pages)
{
	struct page *page = pte_page(at.pte) + ((va & (pt_span(at.level) - 1)) >> PAGE_SHIFT);

	if (!pte_present(at.pte) || !allowed(at.pte, flags) ||
	    !gup_one(at.ptep, at.pte, page, nr * refs_of(flags)))
		return 0;
	for (unsigned int i = 0; i < nr; i++)
		pages[i] = page + i;
	return nr;
}

/*
 * The entry above a run of leaves, looked at once all its references are there. [U5]
 *
 * RACE U5. The leaf stands as before, in a table that is cut out:
 *   walker                                 whoever takes the table away
 *   loads the leaf: page                   unhooks the table, entries as they are
 *   .                                      moves or frees the page
 *   takes a reference
 *   leaf again: the same                   (the entry above it is clear)
 */
static inline bool table_changed(const struct place *at)
{
	return rule(RECHECK_TABLE) && !pte_same(pte_read(at->above), at->above_pte);
}

static __noinline unsigned int drop_run(struct page **pages, unsigned int nr, u32 flags)
{
	for (unsigned int i = 0; i < nr; i++)
		give_up(pages[i], refs_of(flags));
	return 0;
}

/* Up to nr pages from va in one leaf table. Returns how many; fewer than it could: stop. */
static __always_inline unsigned int walk(struct mm *mm, vaddr_t va, unsigned int nr, u32 flags,
					 struct page **pages)
{
	struct place at;
	unsigned int got;

	lowest(mm, va, &at);
	if (likely(at.level == 0))
		got = take_run(&at, nr, flags, pages);
	else
		got = take_huge(at, va, nr, flags, pages);
	if (unlikely(table_changed(&at)))
		got = drop_run(pages, got, flags);
	return got;
}

/*
 * One stretch with interrupts off: nr pages, GUP_CHUNK at most, under one table. Returns how many;
 * fewer than nr: no further. (mm is last as the others stay in the registers that they came in.)
 *
 * RACE U1. An interrupt in the middle of the walk says that nobody walks:
 *   walker, irqs on                        unmapper
 *   loads the entry: table                 unhooks the table, flushes, call_rcu()
 *   tick: a quiescent state, or a flush    the grace period ends
 *   .                                      frees the table
 *   reads a "leaf" in it
 */
static __always_inline unsigned int gup_chunk(vaddr_t va, unsigned int nr, u32 flags,
					      struct page **pages, struct mm *mm)
{
	/*
	 * Interrupts off is what makes the walk an RCU-sched reader: it orders nothing, but no
	 * grace period ends until local_irq_restore(). Pairs with interrupted_quiescent() and
	 * report() in kernel/rcu.c. With a maskable transport it holds up flushes too. [U1]
	 */
	bool off = rule(WALK_IRQS_OFF), on = off ? local_irq_save() : false;
	s64 gen = debug_build ? atomic64_read(&mm->tlb_gen) : 0;

	census_enter(mm);
	trace(WALK_BEGIN, mm->id, va, nr);
	unsigned int got = walk(mm, va, nr, flags, pages);
	struct gup_stats *stats = this_cpu_ptr(&gup_stats);

	stats->walks++;
	stats->pages += got;
	if (debug_build) {
		if (gen != atomic64_read(&mm->tlb_gen) || atomic_read(&mm->tlb_flush_pending))
			stats->overlaps++;
	}
	trace(WALK_END, mm->id, got, 0);
	census_leave();
	if (off)
		local_irq_restore(on);
	return got;
}

/* The same twice: of one page almost all that is decided once a stretch is known before. */
static __noinline unsigned int gup_page(vaddr_t va, u32 flags, struct page **page, struct mm *mm)
{
	return gup_chunk(va, 1, flags, page, mm);
}

static __noinline unsigned int gup_pages(vaddr_t va, unsigned int nr, u32 flags,
					 struct page **pages, struct mm *mm)
{
	return gup_chunk(va, nr, flags, pages, mm);
}

static inline vaddr_t last_of(vaddr_t start, unsigned int nr)
{
	return start + nr * PAGE_SIZE - 1;
}

static inline bool range_ok(vaddr_t start, unsigned int nr)
{
	return IS_ALIGNED(start, PAGE_SIZE) && !((start | last_of(start, nr)) >> arch.va_bits);
}

/* As many as there are, stretch by stretch. */
static __noinline unsigned int gup_many(vaddr_t va, unsigned int nr, u32 flags, struct page **pages,
					struct mm *mm)
{
	unsigned int got = 0, want, n;

	do {
		/* The reach of its leaf table bounds a stretch too. */
		want = min(min(nr - got, GUP_CHUNK), PTRS_PER_TABLE - pt_index(va, 0));
		n = gup_pages(va, want, flags, pages + got, mm);
		got += n;
		va += n * PAGE_SIZE;
	} while (n == want && got < nr);
	return got;
}

unsigned int gup_fast(vaddr_t start, unsigned int nr, u32 flags, struct page **pages)
{
	struct mm *mm = current->mm; /* WHY SAFE: we are a user of it, so the root stays */

	if (!mm || !nr || !range_ok(start, nr))
		return 0;
	if (nr == 1)
		return gup_page(start, flags, pages, mm);
	if (nr <= GUP_CHUNK && !((start ^ last_of(start, nr)) >> pt_shift(1)))
		return gup_pages(start, nr, flags, pages, mm);
	return gup_many(start, nr, flags, pages, mm);
}

/* ---- The slow path ------------------------------------------------------------------------- */

/*
 * A reference to the page mapped at va, if it is there and allowed. mmap_lock held, and va in a
 * VMA: without one, the second half of a munmap, which holds mmap_lock for reading too, may be
 * freeing the very table that this would look into.
 */
static bool get_mapped(struct mm *mm, vaddr_t va, u32 flags, struct page **out)
{
	unsigned int level;
	pte_t *ptep = pt_walk(mm, va, &level);
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;
	bool ok;

	inject_delay(TABLE_WINDOW);
	spin_lock(ptl);
	if (debug_build && unlikely(ptep_ptdesc(ptep)->page.pt_state != PT_LIVE))
		oracle_report(ORACLE_STATES, RULE_VMA_KEEPS_TABLE, virt_to_page(ptep),
			      "a walker under mmap_lock is in a table that was cut out");
	pte_t pte = pte_read(ptep);

	ok = pte_present(pte) && pte_leaf(pte, level) && allowed(pte, flags);
	if (ok) {
		*out = phys_to_page(pte_pa(pte) + (va & (pt_span(level) - 1)));
		/* The mapping holds one, and the lock holds the mapping. */
		get_refs(*out, refs_of(flags));
	}
	spin_unlock(ptl);
	return ok;
}

/*
 * RACE L1. Both hold mmap_lock, for reading:
 *   munmap, downgraded                     get_user_pages()
 *   (its VMA is gone already)              does not ask for a VMA
 *   .                                      walks to the leaf table
 *   unhooks it, flushes, call_rcu()        .
 *   .                                      is in a table that was cut out
 */
static int get_one_slow(struct mm *mm, vaddr_t va, u32 flags, struct page **out)
{
	struct vma *v = vma_find(mm, va);

	if (rule(VMA_KEEPS_TABLE) && (!v || va < v->start))
		return -EFAULT;
	while (!get_mapped(mm, va, flags, out)) {
		int err = mm_fault_locked(mm, va, flags & FOLL_WRITE ? FAULT_WRITE : 0);

		if (err)
			return err == -EACCES ? -EFAULT : err;
		cond_resched(); /* madvise(DONTNEED) may take it away again before we look */
	}
	return 0;
}

s64 get_user_pages(vaddr_t start, unsigned int nr, u32 flags, struct page **pages)
{
	struct mm *mm = current->mm;
	int err = 0;

	might_sleep();
	if (!mm || !IS_ALIGNED(start, PAGE_SIZE))
		return -EINVAL;
	if (!range_ok(start, nr))
		return -EFAULT;
	unsigned int got = gup_fast(start, nr, flags, pages);

	if (got == nr)
		return got;
	preempt_disable();
	this_cpu(gup_stats).slow++;
	preempt_enable();
	down_read(&mm->mmap_lock);
	for (; got < nr && !err; got += !err)
		err = get_one_slow(mm, start + got * PAGE_SIZE, flags, pages + got);
	up_read(&mm->mmap_lock);
	return got ? (s64)got : err;
}

void gup_get_stats(struct gup_stats *s)
{
	percpu_sum(s, &gup_stats, sizeof(*s));
}
