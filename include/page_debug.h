/* SPDX-License-Identifier: MIT */
/*
 * What a debug build remembers of each frame: its life, its allocator, its debts.
 *
 * Part of struct page in debug builds only; the release build's calls are empty.
 */
#ifndef GRACE_PAGE_DEBUG_H
#define GRACE_PAGE_DEBUG_H

#include <types.h>

struct page;

/* Steps of a frame's life; the last time of each is kept. */
enum page_step {
	STEP_ALLOC,   /* given out */
	STEP_HOOK,    /* an entry was made to lead to it */
	STEP_CLEAR,   /* its entry was cleared; of a table: unhooked */
	STEP_FLUSH,   /* the gather's invalidation was over */
	STEP_WAIT,    /* handed to RCU */
	STEP_FREE,    /* given back */
	NR_PAGE_STEPS
};

/* A stack's number; 0: not known. */
typedef u16 stack_nr_t;

#ifdef GRACE_DEBUG
struct page_debug {
	/* The ledger's debt: <ledger.h>. Written by who cleared the entry, then by the freer. */
	u64 debt_owed;	     /* CPUs that may hold a translation through the entry; 0: no debt */
	u64 debt_at;	     /* the ledger's clock when it was cleared */
	u64 debt_va;	     /* address | level */
	u32 debt_mm;	     /* frame number of the mm's books */
	stack_nr_t alloc_stack, free_stack; /* backtraces, by number: mm/page_owner.c */
	u32 step_us[NR_PAGE_STEPS]; /* microseconds since boot, modulo 2^32; 0: not in this life */
	u8 step_cpu[NR_PAGE_STEPS];
	u16 entries;	     /* leaf entries that map it, counted by the entry accessors */
};
_Static_assert(sizeof(struct page_debug) == 64, "struct page stays a power of two");

/*
 * Notes a step of the frame's life. STEP_ALLOC forgets the life before; STEP_FREE reports entries
 * that still map it. Any context. mm/page_debug.c.
 */
void page_step(struct page *p, enum page_step step);
/* The clock of steps: microseconds since boot, modulo 2^32, never 0. */
u32 page_step_now(void);
/* Prints a frame's life: each step with CPU and time, and the backtraces. Any context. */
void page_life_print(const struct page *p);
/* An entry accessor made, or took away (by -1), a leaf entry of level that maps p. */
void page_entry_count(struct page *p, unsigned int level, int by);

/*
 * Notes who allocates or frees the block, with a backtrace; after page_step(). Any context.
 * mm/page_owner.c.
 */
void page_owner_set(struct page *p, unsigned int order, bool alloc);
/*
 * Prints the frames that were allocated since that moment (page_step_now()) and are in use, by the
 * place where that was, the most first, `max` places at most; each line begins with prefix. Those
 * allocated with oracles off are not known. Thread context, may sleep.
 */
void page_owner_print_since(const char *prefix, u32 since, unsigned int max);
/* Prints a stack in lines that begin with indent: "alloc_x+0x10 <- caller+0x20". Any context. */
void stack_print(const char *indent, stack_nr_t nr);

/*
 * A set of stacks: each is kept once, under a number that never changes. Adding takes no lock. When
 * it is full, what is new gets number 0, and is counted.
 */
#define STACK_DEPTH 8
struct stack_record {
	u64 hash;	      /* 0: free. Taken by cmpxchg() */
	u32 pcs[STACK_DEPTH]; /* from image_start; 0: the end */
	u32 frames, type;     /* while frames are sorted by place */
};
struct stack_table {
	struct stack_record *records; /* NULL: none yet, all is unknown. [0] is not used */
	unsigned int size;	      /* a power of two */
	u32 used, refused;
};
stack_nr_t stack_table_add(struct stack_table *t, const u32 pcs[STACK_DEPTH]);
#else
static inline void page_step(struct page *p, enum page_step step)
{
}
static inline void page_owner_set(struct page *p, unsigned int order, bool alloc)
{
}
static inline u32 page_step_now(void)
{
	return 0;
}
static inline void page_life_print(const struct page *p)
{
}
static inline void page_entry_count(struct page *p, unsigned int level, int by)
{
}
static inline void page_owner_print_since(const char *prefix, u32 since, unsigned int max)
{
}
#endif

#endif
