/* SPDX-License-Identifier: MIT */
/*
 * Page frames: struct page for each, the buddy allocator with per-CPU magazines, references.
 */
#ifndef GRACE_PAGE_H
#define GRACE_PAGE_H

#include <arch.h>
#include <atomic.h>
#include <bug.h>
#include <layout.h>
#include <list.h>
#include <oracle.h>
#include <page_debug.h>
#include <rcu.h>
#include <spinlock.h>

#define PAGE_SIZE (1UL << PAGE_SHIFT)
#define PAGE_MASK (~(PAGE_SIZE - 1))
#define MAX_ORDER 10

enum page_type {
	PAGE_RESERVED, /* not the allocator's: firmware, the image, boot memory */
	PAGE_FREE,     /* in the buddy lists or a magazine */
	PAGE_KERNEL,   /* alloc_pages() with no other type set since */
	PAGE_SLAB,
	PAGE_TABLE,  /* a page table: <ptdesc.h> */
	PAGE_ANON,   /* user memory */
	PAGE_GATHER, /* a batch of an mmu_gather */
	PAGE_STACK,
	NR_PAGE_TYPES
};

/* State of a table page; drawn and tabulated in <ptdesc.h>. */
enum pt_state { PT_FREE, PT_LIVE, PT_UNHOOKED, PT_FLUSHED, PT_WAITING, PT_DEPOSITED, NR_PT_STATES };

/*
 * 64 bytes a frame, and as many again in a debug build. Lives as long as the machine: descriptor,
 * lock and counts of a page may be touched at any time, whatever became of the page [F3].
 */
struct page {
	union {
		struct {
			u8 type;	   /* enum page_type */
			u8 order;	   /* of the block; in the head, and where PG_TAIL */
			u8 flags;	   /* PG_* */
			atomic_t mapcount; /* leaf entries that map it */
		};
		u64 state; /* all of these in one store or load: PAGE_STATE() */
	};
	union {
		struct {
			atomic_t refcount; /* 0: free, being freed, or not the head */
			atomic_t pincount; /* of the references: those taken by pin_user_pages() */
		};
		atomic64_t counts; /* both; changed as one, by PAGE_REF or PAGE_PIN */
	};
	union {
		struct {
			struct list_head node; /* buddy list, depot; owner's use */
			union {
				u64 private;	    /* owner's use */
				struct page *below; /* free: the next frame of its magazine */
			};
		};
		struct { /* PAGE_SLAB */
			union {
				struct list_head slab_node;
				struct rcu_head slab_rcu; /* of a stable cache, given up */
			};
			struct kmem_cache *cache;
			void *freelist;
			u32 inuse, objects;
		};
		struct { /* PAGE_TABLE: struct ptdesc's fields, see <ptdesc.h> */
			spinlock_t ptl;
			u8 pt_level, pt_state;
			u16 pt_first, pt_nr; /* unhooked: entries still there, <ptdesc.h> */
			struct mm *pt_mm;
			u64 pt_census;	      /* the census's clock when it was unhooked, and */
			cpumask_t pt_walkers; /* the CPUs with walkers inside then (debug) */
			union {
				cpumask_t pt_cpus; /* LIVE: in whose trees it hangs, <cpu_tree.h> */
				u64 pt_gp; /* unhooked: the grace period to end, or 0 (debug) */
			};
		};
	};
#ifdef GRACE_DEBUG
	struct page_debug debug;
#endif
};
_Static_assert(sizeof(struct page) == (debug_build ? 128 : 64), "struct page has a round size");

/*
 * `state` while nobody maps the page; what each entry adds to it; `counts` of one reference, and of
 * one that is a pin.
 */
#define PAGE_STATE(type, order, flags) ((u64)(type) | (u64)(order) << 8 | (u64)(flags) << 16)
#define PAGE_MAPPED_ONCE BIT(32)
#define PAGE_REF ((s64)1)
#define PAGE_PIN (BIT(32) + PAGE_REF)
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "PAGE_STATE(), PAGE_REF and PAGE_PIN");

#define PG_TAIL BIT(0)	   /* tail of a compound page */
#define PG_POISONED BIT(1) /* contents are PAGE_POISON (debug) */
#define PG_BUDDY BIT(2)	   /* heads a free block in the buddy lists; zone lock */
#define PG_COMPOUND BIT(3) /* head of a compound page of `order` */
#define PG_INNER BIT(4)	   /* behind the head of a block that is not compound: no references */
#define PG_ZEROED BIT(5)   /* free, and zero throughout: it was a table (not in a debug build) */

/*
 * What freed pages are filled with in a debug build. No port decodes it as an entry, present or
 * PROT_NONE, and it is not "none": a walker that meets it is in a freed table.
 */
#define PAGE_POISON 0x0a5a0a5a0a5a0a00ULL

static inline struct page *pfn_to_page(pfn_t pfn)
{
	return (struct page *)VMEMMAP + pfn;
}
static inline pfn_t page_to_pfn(const struct page *p)
{
	return (pfn_t)(p - (struct page *)VMEMMAP);
}
static inline phys_t page_to_phys(const struct page *p)
{
	return page_to_pfn(p) << PAGE_SHIFT;
}
static inline struct page *phys_to_page(phys_t pa)
{
	return pfn_to_page(pa >> PAGE_SHIFT);
}
static inline void *phys_to_virt(phys_t pa)
{
	return (void *)(DIRECT_MAP + pa);
}
/* Direct-map addresses only. */
static inline phys_t virt_to_phys(const void *va)
{
	return (phys_t)va - DIRECT_MAP;
}
static inline struct page *virt_to_page(const void *va)
{
	return phys_to_page(virt_to_phys(va));
}
static inline void *page_to_virt(const struct page *p)
{
	return phys_to_virt(page_to_phys(p));
}
/* True if the frame is memory that has a struct page. */
bool pfn_valid(pfn_t pfn);

/* Allocation flags. */
#define GFP_KERNEL 0u	  /* thread context: may wait once for tables that RCU holds */
#define GFP_NOWAIT BIT(0) /* any context; fails early, leaving a reserve to GFP_KERNEL */
#define GFP_ZERO BIT(1)
#define GFP_COMPOUND BIT(2) /* one object of many frames: references go to its head */
#define GFP_TYPE(t) ((u32)((t) ^ PAGE_KERNEL) << 8) /* enum page_type; without: PAGE_KERNEL */

/*
 * 1 << order frames, aligned to their size. The head has one reference, the frames behind it none
 * (GFP_COMPOUND: references to them go to the head). NULL if there is no such block, or order is
 * above MAX_ORDER: an ordinary event. Contents undefined without GFP_ZERO.
 */
struct page *alloc_pages(unsigned int order, u32 flags);
/*
 * Drops the owner's reference to what alloc_pages() gave. Frees the block, unless a lockless walker
 * has a reference for a moment (a stale entry led it here, and it will find out): then its
 * put_page() does. A count of 0 frees at once. Any context with irqs in any state.
 */
void free_pages(struct page *p, unsigned int order);
/* Accounts the block that p heads as another type from now on. The owner only. */
void page_set_type(struct page *p, enum page_type type);
/* alloc_pages() of one frame, by way of this CPU's magazine. */
struct page *alloc_page(u32 flags);

/*
 * The frame that p's references are counted in. Computed, not followed: a walker may ask about a
 * page that is being freed or made anew, and then gets some frame of the same MAX_ORDER block,
 * which has a struct page; it looks again once it has its reference. So whoever changes flags or
 * order marks the store, whatever lock it holds.
 */
static inline struct page *page_head(struct page *p)
{
	if (likely(!(READ_ONCE(p->flags) & PG_TAIL)))
		return p;
	return (struct page *)ALIGN_DOWN((vaddr_t)p, sizeof(*p) << READ_ONCE(p->order));
}

/* Frees a page whose count has reached zero. */
void page_release(struct page *head);
/* The same with every check, and for blocks: what is not one frame as it should be. */
void page_release_checked(struct page *head);
/* For try_get_refs(): p itself has no reference, but may be a tail. mm/page_ref.c. */
bool try_get_refs_head(struct page *p, s64 refs);
/* The report of a reference taken on a count of zero, or dropped below it [U3]. */
__noreturn void page_count_broken(const struct page *p, int count);

/* Debug. Fills a frame with PAGE_POISON. */
void page_poison(struct page *p);
/* True if a frame still is filled; else the first place that is not. */
bool page_poison_intact(const struct page *p, size_t *offset, u64 *value);
/* The same for a free object of size bytes (slab.c), whose first word is a link. */
void object_poison(void *obj, size_t size);
/* The first word that is not as it was left, or NULL. */
const u64 *object_poison_broken(const void *obj, size_t size);

/* More beside a reference that the caller has: PAGE_REF, PAGE_PIN. In debug: on zero, a report. */
static inline void get_refs(struct page *p, s64 refs)
{
	int old = (int)fetch_add_relaxed(&page_head(p)->counts.counter, refs);

	if (debug_build && unlikely(old <= 0))
		page_count_broken(p, old);
}
static inline void get_page(struct page *p)
{
	get_refs(p, PAGE_REF);
}
/*
 * PAGE_REF or PAGE_PIN on a page that may be being freed: only if its count is not zero [U3]. What
 * has a count heads itself, and a tail has none: flags are looked at only where it is zero.
 * Full barrier if it succeeds: pairs with the unmapper's clear-then-read, and orders the count
 * before the flags that a new page got before it. Pairs with page_give() in mm/page_alloc.c.
 */
static inline bool try_get_refs(struct page *p, s64 refs)
{
	return likely(atomic64_add_not_zero(&p->counts, refs)) || try_get_refs_head(p, refs);
}
static inline bool try_get_page(struct page *p)
{
	return try_get_refs(p, PAGE_REF);
}
/* Drops what try_get_refs() took; the last one frees. Any context with irqs in any state. */
static inline void put_refs(struct page *p, s64 refs)
{
	struct page *head = page_head(p);
	s64 now = atomic64_add_return(&head->counts, -refs);

	/* Pins without a reference: a debug build reports them, a release build keeps the page. */
	if (now == 0 || (debug_build && (int)now == 0))
		page_release(head);
	else if (debug_build && unlikely((int)now < 0 || now < 0))
		page_count_broken(p, (int)now < 0 ? (int)now : (int)(now >> 32));
}
static inline void put_page(struct page *p)
{
	put_refs(p, PAGE_REF);
}
/*
 * put_page() of each of n heads, in order, of which an entry that is gone was counted in mapcount:
 * this is no longer. Frames whose last reference that was go to this CPU's magazine in runs of
 * PUT_RUN at most, with interrupts off once a run; everything else is as there. Full barrier before
 * each reference is dropped.
 */
void put_mapped_pages(struct page *const *pages, unsigned int n);
/*
 * The same of frames that no entry mapped and that hold nothing but zeroes: GFP_ZERO will not zero
 * them again. A debug build poisons them like all others.
 */
void put_zeroed_pages(struct page *const *pages, unsigned int n);
#define PUT_RUN 16
/* True if some reference was taken by pin_user_pages(): a device may write the page. */
static inline bool page_maybe_pinned(struct page *p)
{
	return atomic_read(&page_head(p)->pincount) > 0;
}

/* Frames by type, and totals; frames of all types add up to total. */
struct mem_stats {
	u64 total, free, by_type[NR_PAGE_TYPES];
	u64 nowait_failures, kernel_failures;
};
void mem_get_stats(struct mem_stats *s);
void mem_print(void);			       /* console */
const char *page_type_name(unsigned int type); /* "table"; "?" for what is none */
/* Free blocks in the buddy lists, by order. */
void page_free_blocks(u64 nr[MAX_ORDER + 1]);
/*
 * Frees the stacks that are kept for later, and returns every CPU's magazines, by cross-call, and
 * those of the depot to the buddy lists. Thread context, preemptible.
 */
void page_alloc_drain(void);
/* This CPU's own magazines, before it goes down. irqs off. */
void page_alloc_drain_cpu(void);
/* Frames below which GFP_NOWAIT fails. */
extern u64 page_reserve;

/*
 * Boot memory, before and while page_alloc_init() runs: zeroed, never freed. boot_fail() without.
 * align is a power of two.
 */
void *boot_alloc(size_t size, size_t align);
/*
 * The same from anywhere in boot.mem, as a physical address and not zeroed: it may be out of reach
 * until the port has loaded kmap_init()'s tables. 0 without memory.
 */
phys_t boot_alloc_phys(u64 size, u64 align);
/* The first run of whole frames in [from, to) that nobody has claimed; false if there is none. */
bool boot_next_free(phys_t from, phys_t to, phys_t *start, phys_t *end);
/* Ends boot memory: whoever asks after it is wrong. */
void boot_alloc_end(void);

/* Builds struct page for all of boot.mem and frees what nobody reserved. Boot CPU, once. */
void page_alloc_init(void);
/* True once it has run: before, memory comes from boot_alloc(). */
extern bool page_alloc_ready;

/*
 * Between mm/page_init.c and mm/page_alloc.c: the allocator starts empty; then blocks that cannot
 * merge with any other are added.
 */
void page_alloc_start(u64 total);
void page_alloc_add(struct page *p, unsigned int order);

#endif
