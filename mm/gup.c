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

#define GUP_CHUNK 64 /* pages walked with interrupts off at a time: bounds how long IPIs wait */

unsigned int gup_delay_table, gup_delay_ref;
enum gup_window gup_hold;
cpumask_t gup_held[NR_GUP_WINDOWS];
static DEFINE_PER_CPU(struct gup_stats, gup_stats);

static void stretch(unsigned int loops)
{
	for (; debug_build && unlikely(loops); loops--)
		cpu_relax();
}

/* Waits in the window for as long as a test wants to have a walker there. */
static void hold(enum gup_window window)
{
	if (!debug_build || likely(READ_ONCE(gup_hold) != window))
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
static bool allowed(pte_t pte, u32 flags)
{
	u64 attr = pte_attr(pte);
	u64 want = PA_USER | PA_READ | (flags & FOLL_WRITE ? PA_WRITE : 0);

	if (!rule(WALK_PERMISSION))
		want = PA_USER | PA_READ;
	return (attr & (want | PA_SPECIAL)) == want;
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
static bool ref_get(struct page *page)
{
	if (rule(REF_NOT_ZERO))
		return try_get_page(page);
	get_page(page); /* knocked out: revives a page that is being freed */
	return true;
}

/* The entry above a run of leaves: U5 looks at it again. A huge leaf in the root has none. */
struct above {
	const pte_t *ptep;
	pte_t pte;
};

/*
 * One page. False: not there, not allowed, or changed under us.
 *
 * RACE U4. The page is somebody else's by the time of the reference:
 *   walker                    unmapper                      next owner
 *   loads the leaf: page      clears it, flushes, frees
 *   .                         .                             gets the page: count 1
 *   count 1 + 1: "mine"       .                             .
 *   reads and writes it       .                             finds foreign bytes
 *
 * RACE U5. The leaf stands as before, in a table that is cut out:
 *   walker                                 whoever takes the table away
 *   loads the leaf: page                   unhooks the table, entries as they are
 *   .                                      moves or frees the page
 *   takes a reference
 *   leaf again: the same                   (the entry above it is clear)
 */
static bool gup_one(const pte_t *ptep, pte_t pte, const struct above *above, vaddr_t va,
		    unsigned int level, u32 flags, struct page **out)
{
	phys_t pa = pte_pa(pte) + (ALIGN_DOWN(va, PAGE_SIZE) & (pt_span(level) - 1));
	struct page *page = phys_to_page(pa);

	stretch(READ_ONCE(gup_delay_ref));
	inject_delay(REF_WINDOW);
	hold(GUP_HOLD_REF);
	/*
	 * WHY SAFE: descriptors are never freed [F3]; try_get_page() looks at count and head
	 * together.
	 */
	if (!ref_get(page))
		return false;
	/*
	 * Full barrier in try_get_page(): orders the reference before these loads. Pairs with
	 * zap_leaf() in mm/unmap.c, whose clearing is one too: either the unmapper's put sees our
	 * reference and does not free, or we see its cleared entry.
	 */
	if ((rule(RECHECK_LEAF) && !pte_same(pte_read(ptep), pte)) ||
	    (rule(RECHECK_TABLE) && above->ptep && !pte_same(pte_read(above->ptep), above->pte))) {
		put_page(page);
		this_cpu(gup_stats).retries++;
		return false;
	}
	if (flags & FOLL_PIN)
		atomic_inc(&page_head(page)->pincount);
	*out = page;
	return true;
}

/* In a debug build, a table that is not one any more is reported where the walker meets it. */
static void check_table(struct mm *mm, pte_t pte, unsigned int level)
{
	const struct page *page = pte_page(pte);

	if (debug_build &&
	    unlikely(READ_ONCE(page->type) != PAGE_TABLE || READ_ONCE(page->pt_mm) != mm ||
		     page->pt_level != level))
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
 * Follows the entries from the root to the lowest there is for va; *level tells which.
 *
 * RACE U2. One entry, two loads, two answers:
 *   walker                                 another CPU
 *   loads the entry: a table               .
 *   .                                      clears it, or puts a huge leaf there
 *   loads it again and follows that        .
 *   is in what never was a table
 */
static const pte_t *descend(struct mm *mm, vaddr_t va, struct above *above, pte_t *pte,
			    unsigned int *level)
{
	unsigned int l = pt_top_level();
	const pte_t *ptep = mm->root + pt_index(va, l);

	*above = (struct above){ .ptep = NULL };
	*pte = pte_read(ptep);
	while (l > 0 && pte_present(*pte) && !pte_leaf(*pte, l)) {
		above->ptep = ptep;
		above->pte = *pte;
		stretch(READ_ONCE(gup_delay_table));
		inject_delay(TABLE_WINDOW);
		if (l == 1)
			hold(GUP_HOLD_TABLE);
		/*
		 * WHY SAFE: (1) interrupts are off, so a grace period that begins after the table
		 * is unhooked does not end before we leave [U1, F1, R2]; (2) the entry was loaded
		 * once, and what was decided is followed, not what stands there now [U2]; (3) A1:
		 * what we read in a table just hooked is its zeroes or later. Pairs with install()
		 * in mm/fault.c. Pairs with hook_table() in mm/pgtable.c. Pairs with unhook() in
		 * mm/unmap.c.
		 */
		l--;
		ptep = pte_table(*pte) + pt_index(va, l);
		check_table(mm, *pte, l);
		*pte = pte_read(rule(WALK_LOAD_ONCE) ? ptep : pte_table(pte_read(above->ptep)) +
								      pt_index(va, l));
		check_entry(ptep, *pte);
	}
	*level = l;
	return ptep;
}

/* Up to nr pages from va in one table. Returns how many; fewer than it could: stop. */
static unsigned int walk(struct mm *mm, vaddr_t va, unsigned int nr, u32 flags, struct page **pages)
{
	struct above above;
	unsigned int level, got = 0;
	pte_t pte;
	const pte_t *ptep = descend(mm, va, &above, &pte, &level);
	vaddr_t end = pt_next(va, va + nr * PAGE_SIZE, level ? level : 1);

	while (va < end) {
		if (!pte_present(pte) || !allowed(pte, flags) ||
		    !gup_one(ptep, pte, &above, va, level, flags, pages + got))
			break;
		got++;
		va += PAGE_SIZE;
		if (level == 0 && va < end) {
			pte = pte_read(++ptep);
			check_entry(ptep, pte);
		}
	}
	return got;
}

/*
 * One stretch with interrupts off, of at most GUP_CHUNK pages. *more: go on behind what it got.
 *
 * RACE U1. An interrupt in the middle of the walk says that nobody walks:
 *   walker, irqs on                        unmapper
 *   loads the entry: table                 unhooks the table, flushes, call_rcu()
 *   tick: a quiescent state, or a flush    the grace period ends
 *   .                                      frees the table
 *   reads a "leaf" in it
 */
static unsigned int gup_chunk(struct mm *mm, vaddr_t va, unsigned int nr, u32 flags,
			      struct page **pages, bool *more)
{
	unsigned int got = 0, n, want;
	/*
	 * Interrupts off is what makes the walk an RCU-sched reader: it orders nothing, but no
	 * grace period ends until local_irq_restore(). Pairs with interrupted_quiescent() and
	 * report() in kernel/rcu.c. With a maskable transport it holds up flushes too. [U1]
	 */
	bool off = rule(WALK_IRQS_OFF), on = off ? local_irq_save() : false;
	s64 gen = debug_build ? atomic64_read(&mm->tlb_gen) : 0;

	census_enter(mm);
	trace(WALK_BEGIN, mm->id, va, nr);
	do {
		want = nr - got;
		/* As far as this leaf table reaches. */
		want = min(want, (unsigned int)(PTRS_PER_TABLE - pt_index(va, 0)));
		n = walk(mm, va, want, flags, pages + got);
		got += n;
		va += n * PAGE_SIZE;
	} while (n == want && got < nr);
	this_cpu(gup_stats).walks++;
	this_cpu(gup_stats).pages += got;
	if (debug_build) {
		if (gen != atomic64_read(&mm->tlb_gen) || atomic_read(&mm->tlb_flush_pending))
			this_cpu(gup_stats).overlaps++;
	}
	trace(WALK_END, mm->id, got, 0);
	census_leave();
	if (off)
		local_irq_restore(on);
	*more = n == want;
	return got;
}

static bool range_ok(vaddr_t start, unsigned int nr)
{
	return IS_ALIGNED(start, PAGE_SIZE) && start < user_end() &&
	       nr <= (user_end() - start) >> PAGE_SHIFT;
}

unsigned int gup_fast(vaddr_t start, unsigned int nr, u32 flags, struct page **pages)
{
	struct mm *mm = current->mm; /* WHY SAFE: we are a user of it, so the root stays */
	unsigned int got = 0;
	bool more = true;

	if (!mm || !range_ok(start, nr))
		return 0;
	while (got < nr && more)
		got += gup_chunk(mm, start + got * PAGE_SIZE,
				 min(nr - got, (unsigned int)GUP_CHUNK), flags, pages + got, &more);
	return got;
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
		get_page(*out); /* the mapping holds one, and the lock holds the mapping */
		if (flags & FOLL_PIN)
			atomic_inc(&page_head(*out)->pincount);
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
		int err = mm_fault_locked(mm, va, flags & FOLL_WRITE, false);

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

void unpin_user_page(struct page *page)
{
	int left = atomic_dec_return(&page_head(page)->pincount);

	if (debug_build && unlikely(left < 0))
		page_count_broken(page, left);
	put_page(page);
}

void gup_get_stats(struct gup_stats *s)
{
	percpu_sum(s, &gup_stats, sizeof(*s));
}
