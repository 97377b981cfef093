// SPDX-License-Identifier: MIT
/*
 * The ledger's log: which invalidations were carried out, and what they pay for.
 *
 * Terms. The clock counts debts. An invalidation pays for what was cleared before it began, so it
 * notes the clock first; of its entry in the log, done is the clock when it was written.
 * Why one log: whether a CPU still holds something is asked far less often than CPUs invalidate;
 * and what a port says it did can be held against any debt, whoever asked for it.
 * Rules: the check of T5 (who used a tag's number before). Locks: none. Contexts: any but NMI.
 * See also: mm/ledger.c (the debts), the ports' mmu.c (who writes here), tests/test_ledger.c.
 *
 * A slot is written by one CPU at a time, which holds it BUSY. Whoever finds it so, a whole round
 * of the log later, goes without: what is not in the log, or not any more, is remembered as lost,
 * by the latest clock at which one of them began. A debt that is older may have been paid.
 */
#ifdef GRACE_DEBUG
#include <arch.h>
#include <ledger.h>
#include <oracle.h>
#include <page.h>
#include <percpu.h>
#include <pgtable.h>

#define LOG_ORDER_MAX 6 /* 4096 entries */
#define LOG_SHARE 1024	/* of memory: one part in so many */

#define BUSY ~0ULL

struct entry {
	u64 mark; /* its number + 1; BUSY while it is written; 0: never yet */
	u64 done;
	struct ledger_drop drop;
};

static struct {
	u64 clock __aligned(64); /* debts so far + 1 */
	u64 head __aligned(64);	 /* entries so far: the next one's number */
	u64 lost;
	struct entry *entries;
	u64 size;
} ledger_log = { .clock = 1 };

/* Who used a tag's number on a CPU last. */
struct tag_use {
	u32 number, books;
	u64 left;    /* what began before it does not count; ~0: loaded */
	u64 dropped; /* the clock since which the tag is known to have been dropped */
};
#define TAG_USES (PAGE_SIZE / sizeof(struct tag_use))

struct tag_uses {
	u64 dropped_all;
	struct tag_use *uses; /* NULL: no tags, or no memory */
};
static DEFINE_PER_CPU(struct tag_uses, tag_uses);

void ledger_init(void)
{
	struct mem_stats mem;
	unsigned int order = LOG_ORDER_MAX, cpu;

	mem_get_stats(&mem);
	while (order && (mem.total >> order) < LOG_SHARE)
		order--;
	struct page *page = alloc_pages(order, GFP_KERNEL | GFP_ZERO);

	if (page) {
		ledger_log.size = (PAGE_SIZE << order) / sizeof(struct entry);
		ledger_log.entries = page_to_virt(page);
	}
	for_each_possible_cpu(cpu) {
		page = arch.tag_bits ? alloc_page(GFP_KERNEL | GFP_ZERO) : NULL;
		per_cpu(tag_uses, cpu).uses = page ? page_to_virt(page) : NULL;
	}
}

u64 ledger_log_size(void)
{
	return ledger_log.size;
}

u64 ledger_log_written(void)
{
	return READ_ONCE(ledger_log.head);
}

/* ---- The clock --------------------------------------------------------------------------- */

/*
 * Full barrier: orders what the caller did before the reading, and the reading before the
 * invalidation that it is taken for. Pairs with ledger_tick().
 */
u64 ledger_now(void)
{
	smp_mb();
	u64 now = READ_ONCE(ledger_log.clock);

	smp_mb();
	return now;
}

/*
 * Full barrier: the clearing comes before the step, and that before the look at the books. Pairs
 * with ledger_now(). Pairs with ledger_load() and ledger_left() in ledger.c.
 */
u64 ledger_tick(void)
{
	return fetch_add(&ledger_log.clock, 1);
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

/* ---- Writing ----------------------------------------------------------------------------- */

static bool drops_whole_tag(const struct ledger_drop *drop)
{
	return drop->start == 0 && drop->end == ~0ULL;
}

static struct tag_use *tag_use_of(unsigned int cpu, unsigned int number)
{
	struct tag_use *uses = per_cpu(tag_uses, cpu).uses;

	return uses ? &uses[number % TAG_USES] : NULL;
}

/* For T5. Beside the CPU's own writing a step may be lost: then a report is. */
static void note_tag_dropped(const struct ledger_drop *drop)
{
	unsigned int cpu;

	for_each_cpu(cpu, drop->cpus) {
		struct tag_use *use;

		if (drop->tag == LEDGER_ALL_TAGS) {
			raise(&per_cpu(tag_uses, cpu).dropped_all, drop->since);
			continue;
		}
		use = tag_use_of(cpu, drop->tag);
		if (use && READ_ONCE(use->number) == drop->tag)
			raise(&use->dropped, drop->since);
	}
}

void ledger_invalidated(const struct ledger_drop *drop)
{
	if (drops_whole_tag(drop))
		note_tag_dropped(drop);
	if (!ledger_log.entries || !oracles()) {
		raise(&ledger_log.lost, drop->since);
		return;
	}
	u64 number = fetch_add(&ledger_log.head, 1);
	struct entry *e = &ledger_log.entries[number % ledger_log.size];
	u64 old = READ_ONCE(e->mark);

	/* Before the old one is gone: who does not find it finds that it is lost. */
	if (old && old != BUSY)
		raise(&ledger_log.lost, e->drop.since);
	/* Full barrier: the mark goes before the contents. Pairs with entry_read(). */
	if (old == BUSY || cmpxchg(&e->mark, old, BUSY) != old) {
		raise(&ledger_log.lost, drop->since);
		return;
	}
	e->drop = *drop;
	e->done = ledger_now();
	/* Release: the contents come before the mark. Pairs with entry_read(). */
	smp_store_release(&e->mark, number + 1);
}

/* ---- Reading ----------------------------------------------------------------------------- */

/* False: not there yet, or not any more. */
static bool entry_read(u64 number, struct entry *to)
{
	const struct entry *e = &ledger_log.entries[number % ledger_log.size];

	/* Acquire: the mark before the contents. Pairs with ledger_invalidated(). */
	if (smp_load_acquire(&e->mark) != number + 1)
		return false;
	*to = *e;
	/* The contents before the mark again. Pairs with ledger_invalidated(). */
	smp_rmb();
	return READ_ONCE(e->mark) == number + 1;
}

/*
 * Entries from the newest to the oldest that may pay for what was cleared at `at`: the one before
 * *number. False: there are no more. An entry that was written by then, and all before it, cannot.
 */
static bool entry_before(u64 *number, u64 at, struct entry *e)
{
	u64 head = READ_ONCE(ledger_log.head);
	u64 oldest = head > ledger_log.size ? head - ledger_log.size : 0;

	while (*number > oldest) {
		if (!entry_read(--*number, e))
			continue;
		if (e->done <= at)
			return false;
		if (e->drop.since > at)
			return true;
	}
	return false;
}

/* Whether one of the drop's addresses is in the block of level at va. */
static bool hits(const struct ledger_drop *drop, vaddr_t va, unsigned int level)
{
	vaddr_t at = drop->start;

	if (at < va)
		at += ALIGN_UP(va - at, BIT(drop->stride_shift));
	return at >= va && at - va < pt_span(level) && at < drop->end;
}

/* Whether everything that translates through the cleared entries was dropped, if leaves were. */
static bool covers_addresses(const struct ledger_drop *drop, const struct ledger_debt *d)
{
	vaddr_t last = ALIGN_DOWN(d->end - 1, pt_span(d->level));

	if (drops_whole_tag(drop))
		return true;
	if (d->start != last && drop->stride_shift > pt_shift(d->level))
		return false; /* blocks between would be left out */
	return hits(drop, d->start, d->level) && hits(drop, last, d->level);
}

static bool covers(const struct ledger_drop *drop, const struct ledger_debt *d)
{
	if (!d->table)
		return covers_addresses(drop, d);
	if (drop->caches == LEDGER_TABLES_ALL || drops_whole_tag(drop))
		return true;
	return drop->caches == LEDGER_TABLES && covers_addresses(drop, d);
}

static bool tag_matches(const struct ledger_drop *drop, const struct ledger_debt *d,
			unsigned int cpu)
{
	return !d->holders || drop->tag == LEDGER_ALL_TAGS ||
	       drop->tag == ledger_tag_number(READ_ONCE(d->holders[cpu].tag));
}

cpumask_t ledger_log_unpaid(const struct ledger_debt *d)
{
	cpumask_t unpaid = d->owed;
	u64 number = READ_ONCE(ledger_log.head);
	struct entry e;
	unsigned int cpu;

	while (unpaid && entry_before(&number, d->at, &e)) {
		if (!(e.drop.cpus & unpaid) || !covers(&e.drop, d))
			continue;
		for_each_cpu(cpu, e.drop.cpus & unpaid)
			if (tag_matches(&e.drop, d, cpu))
				unpaid &= ~cpumask_of(cpu);
	}
	return unpaid;
}

bool ledger_log_lost(u64 at)
{
	return !ledger_log.entries || READ_ONCE(ledger_log.lost) > at;
}

static enum ledger_near_miss near_miss(const struct ledger_drop *drop, const struct ledger_debt *d,
				       unsigned int cpu)
{
	if (!covers_addresses(drop, d))
		return MISS_NONE;
	if (!cpumask_has(drop->cpus, cpu))
		return tag_matches(drop, d, cpu) ? MISS_CPU : MISS_NONE;
	if (tag_matches(drop, d, cpu))
		return covers(drop, d) ? MISS_NONE : MISS_LEAVES;
	/* Another mm's flush, unless the tag was this one's, or nobody's. */
	return !drop->tag || drop->tag == ledger_tag_number(d->holders[cpu].tag_before)
		       ? MISS_TAG : MISS_NONE;
}

enum ledger_near_miss ledger_log_near_miss(const struct ledger_debt *d, unsigned int cpu)
{
	enum ledger_near_miss best = MISS_NONE;
	u64 number = READ_ONCE(ledger_log.head);
	struct entry e;

	while (entry_before(&number, d->at, &e)) {
		enum ledger_near_miss miss = near_miss(&e.drop, d, cpu);

		best = min(best, miss);
	}
	return best;
}

/* ---- Tags -------------------------------------------------------------------------------- */

u64 ledger_dropped_all(unsigned int cpu)
{
	return READ_ONCE(per_cpu(tag_uses, cpu).dropped_all);
}

u32 ledger_tag_take(unsigned int tag, u32 books)
{
	struct tag_use *use = tag_use_of(smp_processor_id(), tag);
	u32 before = 0;

	if (!use)
		return 0;
	if (use->number == tag && use->books && use->books != books &&
	    max(use->dropped, ledger_dropped_all(smp_processor_id())) < use->left)
		before = use->books;
	if (use->number != tag)
		use->dropped = 0;
	use->number = tag;
	use->books = books;
	use->left = ~0ULL;
	return before;
}

u32 ledger_tag_owner(unsigned int cpu, unsigned int tag, u64 *left)
{
	const struct tag_use *use = tag_use_of(cpu, tag);

	if (!use || use->number != tag || !use->books)
		return 0;
	*left = use->left;
	return use->left == ~0ULL || max(use->dropped, ledger_dropped_all(cpu)) < use->left
		       ? use->books : 0;
}

void ledger_tag_leave(unsigned int tag, u32 books, u64 now)
{
	struct tag_use *use = tag_use_of(smp_processor_id(), tag);

	if (use && use->number == tag && use->books == books)
		use->left = now;
}
#endif
