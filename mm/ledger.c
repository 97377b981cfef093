// SPDX-License-Identifier: MIT
/*
 * The ledger: debts, who owes them, and what becomes of one that nobody paid.
 *
 * Terms. The books of an mm say which CPUs may hold translations of it, and what was cleared
 * lately. A debt is of the CPUs that might hold what was cleared; <ledger.h> says more.
 * Why. No emulator shows every translation that should have gone, and hardware shows them rarely.
 * But whether one may still be there follows from what was loaded, cleared and dropped in which
 * order.
 * Rules: checks those for which <rules.h> names the ledger. Locks: that of an mm's books, inside of
 * all others. Contexts: any but NMI, irqs in any state.
 * See also: mm/ledger_log.c (what was dropped), mm/ledger_report.c, tests/test_ledger.c.
 *
 * The order of clearing and leaving, as the books see it. A CPU without tags holds nothing of a
 * root that it has unloaded:
 *
 *   unmapper                               CPU that switches away from the mm
 *   clears the entry                       loads another root: drops everything
 *   at = clock++ (full barrier)            out of books->loaded (full barrier)
 *   reads books->loaded: is it in?         left_at = clock
 *
 * Either the unmapper sees it out, or left_at is later than the debt, which is paid by that.
 *
 * The order of skipping and leaving lazy mode. A flusher that saw the mark told the CPU nothing:
 *
 *   unmapper                               CPU that leaves lazy mode
 *   flushes, skips the lazy CPU            into books->leaving (full barrier)
 *   the debt is not paid                   loses the mark
 *   is the mark there? is it leaving?      catches up: an entry in the log
 *   neither: looks into the log again      out of books->leaving (full barrier)
 */
#ifdef GRACE_DEBUG
#include "ledger_books.h"

#include <cpu_tree.h>
#include <irqflags.h>
#include <percpu.h>
#include <ptdesc.h>
#include <thread.h>

static DEFINE_PER_CPU(struct ledger_stats, ledger_stats);
/* Statistics are sums over CPUs; a preemption in between costs at most one count. */
#define count(field, n) (this_cpu(ledger_stats).field += (n))

DEFINE_PER_CPU(const struct mm_ledger *, ledger_newest);

static u32 last_number;

/* ---- Books ------------------------------------------------------------------------------- */

bool ledger_mm_init(struct mm *mm)
{
	struct page *page = alloc_page(GFP_KERNEL | GFP_ZERO);

	if (!page)
		return false;
	struct mm_ledger *books = page_to_virt(page);

	books->mm = mm;
	books->number = (u32)fetch_add(&last_number, 1) + 1;
	spin_lock_init(&books->lock);
	books->recent = (struct ledger_recent *)&books->holders[nr_cpus];
	books->nr_recent = (unsigned int)(((char *)books + PAGE_SIZE - (char *)books->recent) /
					  sizeof(struct ledger_recent));
	mm->ledger = books;
	return true;
}

void ledger_mm_end(struct mm *mm)
{
	put_page(virt_to_page(mm->ledger));
	mm->ledger = NULL;
}

static bool same_generation(u64 a, u64 b)
{
	return (a ^ b) >> 16 == 0;
}

/*
 * With tags. Whether nothing of the mm is left on cpu, or under a tag of an older generation alone,
 * which goes before this CPU loads anything of a newer one [T5]. The root is not loaded there.
 */
static bool gone(const struct mm_ledger *books, unsigned int cpu)
{
	const struct ledger_holder *h = &books->holders[cpu];

	return !same_generation(READ_ONCE(h->tag), (u64)atomic64_read(&books->mm->tag)) ||
	       ledger_dropped_all(cpu) >= READ_ONCE(h->left_at);
}

/* The CPUs that may hold translations now. The caller has cleared an entry, then ticked. */
static cpumask_t may_hold(const struct mm_ledger *books)
{
	cpumask_t loaded = READ_ONCE(books->loaded), held = 0;
	unsigned int cpu;

	if (arch.tag_bits)
		for_each_cpu(cpu, READ_ONCE(books->ever) & ~loaded)
			if (!gone(books, cpu))
				held |= cpumask_of(cpu);
	return loaded | held;
}

/*
 * The CPUs whose MMU ever had a way to what is cleared: all, unless there are trees by CPU. Then
 * those that loaded the shared root, and those in whose trees the leaf table hangs.
 */
static cpumask_t have_way(const struct mm_ledger *books, const struct ledger_debt *d)
{
	cpumask_t cpus = READ_ONCE(books->shared);
	unsigned int cpu;

	if (d->protect || d->level != d->table)
		return d->protect ? ~(cpumask_t)0 : cpus;
	for_each_cpu(cpu, READ_ONCE(books->ever) & ~cpus)
		if (cpu_tree_leads(books->mm, cpu, d->start))
			cpus |= cpumask_of(cpu);
	return cpus;
}

/* Whether cpu cannot hold what was cleared at `at`, though the log has no payment. */
static bool settled_by_switch(const struct mm_ledger *books, unsigned int cpu, u64 at)
{
	const struct ledger_holder *h = &books->holders[cpu];

	if (!arch.tag_bits)
		return READ_ONCE(h->left_at) > at;
	/* Acquire: loaded before what it was loaded under. Pairs with ledger_load(). */
	bool loaded = cpumask_has(smp_load_acquire(&books->loaded), cpu);

	return READ_ONCE(h->tag_at) > at || (!loaded && gone(books, cpu));
}

static cpumask_t unpaid_now(const struct mm_ledger *books, const struct ledger_debt *d)
{
	cpumask_t unpaid = ledger_log_unpaid(d);
	unsigned int cpu;

	if (books)
		for_each_cpu(cpu, unpaid)
			if (settled_by_switch(books, cpu, d->at))
				unpaid &= ~cpumask_of(cpu);
	return unpaid;
}

static void raise(u64 *peak, u64 value)
{
	u64 old = READ_ONCE(*peak);

	while (value > old) {
		u64 seen = cmpxchg(peak, old, value);

		if (seen == old)
			return;
		old = seen;
	}
}

/* The debts of leaves pass to the CPUs that are lazy; returns the others. */
static cpumask_t pass_to_lazy(struct mm_ledger *books, u64 at, cpumask_t unpaid)
{
	unsigned int cpu;

	for_each_cpu(cpu, unpaid) {
		/*
		 * Acquire in lazy_since(): the mark is looked at before leaving. Pairs with
		 * ledger_leaving_lazy().
		 */
		if (mm_cpu_lazy(books->mm, cpu) || cpumask_has(READ_ONCE(books->leaving), cpu)) {
			raise(&books->holders[cpu].deferred, at);
			unpaid &= ~cpumask_of(cpu);
		}
	}
	return unpaid;
}

/* The CPUs that should have paid by now and have not; counts what it finds. */
static cpumask_t examine(struct mm_ledger *books, const struct ledger_debt *d)
{
	cpumask_t unpaid = unpaid_now(books, d);

	if (unpaid && books && !d->table)
		unpaid = pass_to_lazy(books, d->at, unpaid);
	if (unlikely(unpaid)) {
		/* Who was not leaving any more has paid before. Pairs with ledger_active(). */
		smp_mb();
		unpaid &= unpaid_now(books, d);
	}
	if (unlikely(unpaid && (ledger_log_lost(d->at) || !oracles()))) {
		count(unknown, 1);
		return 0;
	}
	count(paid, !unpaid);
	return unpaid;
}

/* ---- Switching --------------------------------------------------------------------------- */

/* What was left to this CPU while it was lazy has been dropped, or is dropped by loading. [T8] */
static void check_caught_up(struct mm_ledger *books, unsigned int cpu)
{
	struct ledger_holder *h = &books->holders[cpu];
	struct ledger_debt d = { .owed = cpumask_of(cpu), .holders = books->holders, .end = ~0ULL };

	d.at = xchg(&h->deferred, 0);
	if (!d.at)
		return;
	cpumask_t unpaid = unpaid_now(books, &d);

	if (unpaid && !ledger_log_lost(d.at) && oracles())
		ledger_report_debt(books, &d, unpaid,
				   &(struct ledger_claim){
					   .rule = RULE_LAZY_CATCHES_UP,
					   .event = "the CPU was lazy and goes on" });
}

void ledger_load(struct mm *mm, u64 tag)
{
	struct mm_ledger *books = mm->ledger;
	unsigned int cpu = smp_processor_id();
	struct ledger_holder *h = &books->holders[cpu];

	check_caught_up(books, cpu);
	if (arch.tag_bits) {
		u32 before = ledger_tag_take(ledger_tag_number(tag), books->number);

		if (before && oracles())
			ledger_report_tag(books, tag, before);
		if (ledger_tag_number(h->tag) != ledger_tag_number(tag)) {
			h->tag_before = h->tag;
			WRITE_ONCE(h->tag_at, ledger_now());
		}
		WRITE_ONCE(h->tag, tag);
	}
	WRITE_ONCE(h->loaded_at, ledger_now());
	this_cpu(ledger_newest) = books;
	fetch_or(&books->ever, cpumask_of(cpu));
	if (cpu_tree_root(mm) == mm->root_pa)
		fetch_or(&books->shared, cpumask_of(cpu));
	/*
	 * Full barrier: in the books before the root is loaded, and the tag before both. Pairs with
	 * settled_by_switch(). Pairs with ledger_tick() in ledger_log.c.
	 */
	fetch_or(&books->loaded, cpumask_of(cpu));
}

void ledger_left(struct mm *prev)
{
	cpumask_t me = cpumask_of(smp_processor_id());

	if (!prev)
		return;
	struct mm_ledger *books = prev->ledger;
	struct ledger_holder *h = &books->holders[smp_processor_id()];

	if (oracles() && unlikely(!(READ_ONCE(prev->cpu_mask) & me)))
		oracle_report(ORACLE_LEDGER, RULE_SWITCH_IN_BOTH, NULL,
			      "CPU %u left the mask of mm %u with the root still loaded",
			      smp_processor_id(), prev->id);
	/* Full barrier: see the head of this file. Pairs with ledger_tick() in ledger_log.c. */
	fetch_and(&books->loaded, ~me);
	WRITE_ONCE(h->left_at, ledger_tick() + 1);
	if (arch.tag_bits)
		ledger_tag_leave(ledger_tag_number(h->tag), books->number, h->left_at);
	if (READ_ONCE(books->leaving) & me)
		fetch_and(&books->leaving, ~me);
}

void ledger_leaving_lazy(struct mm *mm)
{
	/* Full barrier: leaving before the mark goes. Pairs with pass_to_lazy(). */
	fetch_or(&mm->ledger->leaving, cpumask_of(smp_processor_id()));
}

void ledger_active(struct mm *mm)
{
	unsigned int cpu = smp_processor_id();

	check_caught_up(mm->ledger, cpu);
	/* Full barrier: the entry in the log before "not leaving". Pairs with examine(). */
	fetch_and(&mm->ledger->leaving, ~cpumask_of(cpu));
}

void ledger_root_free(struct mm *mm)
{
	cpumask_t loaded = READ_ONCE(mm->ledger->loaded);

	if (loaded && oracles())
		ledger_report_root(mm->ledger, loaded);
}

/* ---- Debts ------------------------------------------------------------------------------- */

/*
 * Keeps it for ledger_operation_end(). What one thread clears in a row is one debt, if the same
 * CPUs owe it and nobody flushed the mm in between: then one invalidation has to cover it all.
 */
static void remember(struct mm_ledger *books, const struct ledger_debt *d)
{
	u64 flushes = (u64)atomic64_read(&books->mm->tlb_gen);
	u64 kind = d->level | (d->table ? LEDGER_TABLE : d->protect ? LEDGER_PROTECT : 0);
	bool on = local_irq_save(); /* the lock is taken in interrupts too */

	raw_spin_lock(&books->lock);
	struct ledger_recent *r =
		&books->recent[(books->next + books->nr_recent - 1) % books->nr_recent];

	if (r->owed == d->owed && r->end == d->start && (r->start & ~PAGE_MASK) == kind &&
	    books->last_by == current && books->last_flushes == flushes) {
		r->end = d->end;
		r->at = d->at;
	} else {
		books->recent[books->next] = (struct ledger_recent){
			.owed = d->owed, .at = d->at, .start = d->start | kind, .end = d->end
		};
		books->next = (books->next + 1) % books->nr_recent;
	}
	books->last_by = current;
	books->last_flushes = flushes;
	raw_spin_unlock(&books->lock);
	local_irq_restore(on);
}

/* The debt becomes one as of now; the entries were changed with a full barrier. */
static void incur(struct mm_ledger *books, struct ledger_debt *d)
{
	d->at = ledger_tick();
	d->owed = may_hold(books);
	if (unlikely(books->mm->trees))
		d->owed &= have_way(books, d);
	count(debts, 1);
	if (d->owed)
		remember(books, d);
}

static void entry_cleared(struct mm *mm, struct page *page, struct ledger_debt *d, vaddr_t va)
{
	if (!oracles())
		return;
	d->start = ALIGN_DOWN(va, pt_span(d->level));
	d->end = d->start + pt_span(d->level);
	incur(mm->ledger, d);
	if (!page)
		return;
	page->debug.debt_owed = d->owed;
	page->debug.debt_at = d->at;
	page->debug.debt_va = d->start | d->level | (d->table ? LEDGER_TABLE : 0);
	page->debug.debt_mm = (u32)page_to_pfn(virt_to_page(mm->ledger));
}

void ledger_clear(struct mm *mm, struct page *page, vaddr_t va, unsigned int level)
{
	entry_cleared(mm, page, &(struct ledger_debt){ .level = level }, va);
}

void ledger_unhook(struct mm *mm, struct ptdesc *pt, vaddr_t va, unsigned int level)
{
	entry_cleared(mm, &pt->page, &(struct ledger_debt){ .level = level, .table = true }, va);
}

void ledger_protect(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct ledger_debt d = { .start = start, .end = end, .protect = true };

	if (oracles())
		incur(mm->ledger, &d);
}

/* ---- Payment is due ---------------------------------------------------------------------- */

/* The mm of the debt is alive. */
static void page_due(struct page *page, const struct ledger_claim *claim)
{
	if (!page->debug.debt_owed)
		return;
	struct mm_ledger *books = page_to_virt(pfn_to_page(page->debug.debt_mm));
	struct ledger_debt d = ledger_debt_of_page(page);

	d.holders = books->holders;
	cpumask_t unpaid = examine(books, &d);

	if (unlikely(unpaid))
		ledger_report_debt(books, &d, unpaid, claim);
	page->debug.debt_owed = 0;
}

void ledger_spare(struct page *page)
{
	page_due(page, &(struct ledger_claim){ .page = page,
					       .rule = RULE_ACCESSED_FLUSHED,
					       .event = "the gather takes the page for one that "
							"nobody used" });
}

void ledger_settle(struct page *page)
{
	page_due(page, &(struct ledger_claim){ .page = page,
					       .rule = RULE_GATHER_RECORD,
					       .event = "the gather gives the page up" });
}

/* The table that hung at va is to be handed on: a CPU's MMU must not come to it again. [P2] */
static void check_cut(const struct page *page, vaddr_t va)
{
	const struct mm *mm = page->pt_mm;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (unlikely(cpu_tree_leads(mm, cpu, va) && oracles()))
			ledger_report_hanging(mm, page, cpu, va);
}

void ledger_table_flushed(struct ptdesc *pt)
{
	const struct page_debug *p = &pt->page.debug;

	if (unlikely(pt->page.pt_mm->trees && pt->page.pt_level == 0 && p->debt_va))
		check_cut(&pt->page, p->debt_va & PAGE_MASK);
	page_due(&pt->page, &(struct ledger_claim){ .page = &pt->page,
						    .rule = RULE_TABLE_FLUSH_FIRST,
						    .event = "the table is handed on" });
}

/* The mm may be gone, and with it what it was loaded under: an invalidation of any tag counts. */
void ledger_page_free(struct page *page)
{
	if (likely(!page->debug.debt_owed))
		return;
	struct ledger_debt d = ledger_debt_of_page(page);
	cpumask_t unpaid = examine(NULL, &d);

	if (unlikely(unpaid))
		ledger_report_debt(NULL, &d, unpaid,
				   &(struct ledger_claim){ .page = page,
							   .rule = d.table
								   ? RULE_TABLE_FLUSH_FIRST
								   : RULE_FLUSH_BEFORE_FREE,
							   .event = "the frame is freed" });
	page->debug.debt_owed = 0;
}

static void recent_due(struct mm_ledger *books, struct ledger_recent *r)
{
	struct ledger_debt d = { .owed = r->owed, .at = r->at, .end = r->end };

	d.start = r->start & PAGE_MASK;
	d.level = r->start & LEDGER_LEVEL;
	d.table = r->start & LEDGER_TABLE;
	d.protect = r->start & LEDGER_PROTECT;
	d.holders = books->holders;
	cpumask_t unpaid = examine(books, &d);

	if (unlikely(unpaid))
		ledger_report_debt(books, &d, unpaid,
				   &(struct ledger_claim){
					   .rule = RULE_GATHER_NESTED,
					   .event = "an operation says that it is over" });
	r->owed = 0;
}

void ledger_operation_end(struct mm *mm, u64 since)
{
	struct mm_ledger *books = mm->ledger;
	bool on = local_irq_save(); /* the lock is taken in interrupts too */

	raw_spin_lock(&books->lock);
	for (unsigned int i = 0; i < books->nr_recent; i++)
		if (books->recent[i].owed && books->recent[i].at < since)
			recent_due(books, &books->recent[i]);
	raw_spin_unlock(&books->lock);
	local_irq_restore(on);
}

void ledger_absence(struct mm *mm, vaddr_t va, u64 since)
{
	vaddr_t page = ALIGN_DOWN(va, PAGE_SIZE);
	struct ledger_debt d = { .at = since - 1, .start = page };

	if (!arch.caches_invalid || !oracles())
		return;
	d.owed = cpumask_of(smp_processor_id());
	d.end = page + PAGE_SIZE;
	d.holders = mm->ledger->holders;
	if (unlikely(ledger_log_unpaid(&d) == d.owed && !ledger_log_lost(d.at)))
		ledger_report_debt(mm->ledger, &d, d.owed,
				   &(struct ledger_claim){
					   .rule = RULE_ABSENCE_DROPPED,
					   .event = "a fault found its entry there" });
}

void ledger_get_stats(struct ledger_stats *s)
{
	percpu_sum(s, &ledger_stats, sizeof(*s));
	s->invalidations = ledger_log_written();
}
#endif
