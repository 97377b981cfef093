/* SPDX-License-Identifier: MIT */
/*
 * The ledger: an oracle of what the hardware may still hold.
 *
 * Clearing a present entry, or unhooking a table, records a debt: the mm, the address, the level,
 * and the CPUs that may hold a translation through it. Which those are, the ledger knows from root
 * loads alone, not from the mm's mask: while a root is loaded, lazily too, its CPU may at any time
 * fill its TLB and its walk caches by speculation; with tags, what it filled stays when another
 * root is loaded, until that tag or everything is dropped.
 * An invalidation that a port carried out is written into one log, with what it covers on that
 * architecture: addresses, tag, leaves only or walk caches too, and on which CPUs. A debt of a CPU
 * is paid by an entry of the log on that CPU that began after the clearing and covers it; an
 * invalidation of leaves never pays for a table. A frame that reaches the allocator with a debt
 * unpaid is a report.
 * A leaf that a lazy CPU may hold does no harm as long as the CPU makes no user access: such a debt
 * passes from the page to the CPU, which must have paid when it leaves lazy mode.
 * The log is finite: what is older than it counts as unknown, is counted, and never reported.
 */
#ifndef GRACE_LEDGER_H
#define GRACE_LEDGER_H

#include <cpumask.h>
#include <types.h>

struct mm;
struct page;
struct ptdesc;

#define LEDGER_ALL_TAGS ~0u

/* What became of the walk caches. */
enum ledger_caches {
	LEDGER_LEAVES,	  /* nothing: leaves alone were dropped */
	LEDGER_TABLES,	  /* what leads to one of the addresses was dropped too */
	LEDGER_TABLES_ALL /* all of the tag's went, whatever the address */
};

/*
 * An invalidation that was carried out: on each of cpus, since the clock's `since`, what translates
 * the addresses start, start + (1 << stride_shift), ... below end, under tag. start 0 and end ~0:
 * everything of the tag, walk caches too.
 */
struct ledger_drop {
	u64 since;
	cpumask_t cpus;
	vaddr_t start, end;
	unsigned int tag; /* LEDGER_ALL_TAGS: any */
	u8 stride_shift;
	u8 caches; /* enum ledger_caches */
};

struct ledger_stats {
	u64 debts, paid, unknown, invalidations;
};

#ifdef GRACE_DEBUG

/* The log, before the first mm; without memory for it, everything is unknown. Boot CPU, once. */
void ledger_init(void);
/* The books of a new mm; false without memory. Thread context. Given back with the mm's root. */
bool ledger_mm_init(struct mm *mm);
void ledger_mm_end(struct mm *mm);

/*
 * This CPU is about to load mm's root under tag (generation and number; 0 without tags): from here
 * on it may hold anything of it, or with a tree of its own what that leads to. irqs off.
 */
void ledger_load(struct mm *mm, u64 tag);
/* The register holds another root now, or the empty one: prev's is not loaded here. irqs off. */
void ledger_left(struct mm *prev);

/*
 * This CPU, lazily on mm, is about to lose the mark: a flusher that saw the mark has left something
 * to it. Until ledger_active() or ledger_left(). irqs off.
 */
void ledger_leaving_lazy(struct mm *mm);
/*
 * This CPU is about to use translations of mm again, which it had loaded lazily: what flushers left
 * to it must have been dropped [T8]. irqs off.
 */
void ledger_active(struct mm *mm);

/* The ledger's clock. Taken before an invalidation begins, it says what that one cannot pay. */
u64 ledger_now(void);
/* The ports tell what they carried out, when it is over. Any context but NMI; lockless. */
void ledger_invalidated(const struct ledger_drop *drop);

/*
 * A leaf entry of level at va that led to page (NULL: none) has just been cleared, and had been
 * accessed. (One that had not is owed by nobody: <arch.h>, PA_ACCESSED.)
 */
void ledger_clear(struct mm *mm, struct page *page, vaddr_t va, unsigned int level);
/* The entry of level at va that led to table pt has just been cleared. */
void ledger_unhook(struct mm *mm, struct ptdesc *pt, vaddr_t va, unsigned int level);
/* Leaf entries in [start, end) have just lost a permission; no frame is freed for it. */
void ledger_protect(struct mm *mm, vaddr_t start, vaddr_t end);

/*
 * The gather takes the page, whose entry was cleared, for one that no TLB leads to: there must be
 * no debt [T11].
 */
void ledger_spare(struct page *page);
/*
 * The gather's flush is over and it drops its reference: the debt must be paid, or be a lazy CPU's,
 * and is struck off. The mm of the debt is alive.
 */
void ledger_settle(struct page *page);
/*
 * The same for a table, which lazy CPUs must have paid for too [G2, G3, ...], and which must be in
 * no CPU's own tree any more [P2].
 */
void ledger_table_flushed(struct ptdesc *pt);
/* The frame reaches the allocator: a debt that is not paid is a report [G1, ...]. */
void ledger_page_free(struct page *page);
/*
 * The caller is going to tell its caller that a range of mm is gone or protected: what was cleared
 * or protected before `since`, by whomever, must be paid for [G5, G8].
 */
void ledger_operation_end(struct mm *mm, u64 since);
/* The root is about to be freed: no CPU may have it loaded [A2]. */
void ledger_root_free(struct mm *mm);
/*
 * A fault of this CPU found its entry there: unless the CPU never caches absence, it must have
 * dropped va since `since` [A5]. Preemption off since then: mm is loaded here, with the same tag.
 */
void ledger_absence(struct mm *mm, vaddr_t va, u64 since);

void ledger_get_stats(struct ledger_stats *s);

/* ---- Between mm/ledger.c, mm/ledger_log.c and tests/test_ledger.c -------------------------- */

/* What the ledger knows of an mm on one CPU. */
struct ledger_holder {
	u64 tag;	/* under which it loaded the root last; 0: never, or no tags */
	u64 tag_before; /* the last one of another number */
	u64 tag_at;	/* the clock when that changed */
	u64 loaded_at;	/* the clock just before the root was loaded last, */
	u64 left_at;	/* and just after it was unloaded */
	u64 deferred;	/* leaves cleared until then are to be dropped when it leaves lazy mode */
};

/* Entries of level in [start, end) were cleared at the clock's `at`. */
struct ledger_debt {
	cpumask_t owed;
	u64 at;
	vaddr_t start, end;
	unsigned int level;
	bool table;   /* the entries led to tables */
	bool protect; /* the entries are still there, and allow less */
	/* By CPU: under which tag it may hold them. NULL: any tag's invalidation counts. */
	const struct ledger_holder *holders;
};
static inline unsigned int ledger_tag_number(u64 tag)
{
	return tag & 0xffff;
}

/* The clock, moved on by one: nothing that begins later has an older `since`. Full barrier. */
u64 ledger_tick(void);
/* The owed CPUs for which the log holds no payment. */
cpumask_t ledger_log_unpaid(const struct ledger_debt *d);
/* True if something that began after `at` was lost from the log: then it may have been paid. */
bool ledger_log_lost(u64 at);
/* What the log has instead of a payment by cpu, for the report: the first of these that is true. */
enum ledger_near_miss { MISS_TAG, MISS_LEAVES, MISS_CPU, MISS_NONE };
enum ledger_near_miss ledger_log_near_miss(const struct ledger_debt *d, unsigned int cpu);
/* Since when everything on cpu is known to have been dropped, of all tags. */
u64 ledger_dropped_all(unsigned int cpu);
/*
 * This CPU is going to use the tag number for the mm with that number of books: the number of books
 * that used it before here without its being dropped since, or 0. irqs off.
 */
u32 ledger_tag_take(unsigned int tag, u32 books);
/*
 * The number of the books that the next user of tag on cpu must not find there, or 0; and since
 * when nobody uses it (~0: it is loaded). For who compares states, with all CPUs stopped.
 */
u32 ledger_tag_owner(unsigned int cpu, unsigned int tag, u64 *left);
/* It stopped using it: what began since the clock's `now` drops it for good. irqs off. */
void ledger_tag_leave(unsigned int tag, u32 books, u64 now);
/* How many entries the log has room for; how many were ever written. */
u64 ledger_log_size(void);
u64 ledger_log_written(void);

#else /* a release build keeps no books */
static inline void ledger_init(void)
{
}
static inline bool ledger_mm_init(struct mm *mm)
{
	return true;
}
static inline void ledger_mm_end(struct mm *mm)
{
}
static inline void ledger_load(struct mm *mm, u64 tag)
{
}
static inline void ledger_left(struct mm *prev)
{
}
static inline void ledger_leaving_lazy(struct mm *mm)
{
}
static inline void ledger_active(struct mm *mm)
{
}
static inline u64 ledger_now(void)
{
	return 0;
}
static inline void ledger_invalidated(const struct ledger_drop *drop)
{
}
static inline void ledger_clear(struct mm *mm, struct page *page, vaddr_t va, unsigned int level)
{
}
static inline void ledger_unhook(struct mm *mm, struct ptdesc *pt, vaddr_t va, unsigned int level)
{
}
static inline void ledger_protect(struct mm *mm, vaddr_t start, vaddr_t end)
{
}
static inline void ledger_spare(struct page *page)
{
}
static inline void ledger_settle(struct page *page)
{
}
static inline void ledger_table_flushed(struct ptdesc *pt)
{
}
static inline void ledger_page_free(struct page *page)
{
}
static inline void ledger_operation_end(struct mm *mm, u64 since)
{
}
static inline void ledger_root_free(struct mm *mm)
{
}
static inline void ledger_absence(struct mm *mm, vaddr_t va, u64 since)
{
}
#endif

#endif
