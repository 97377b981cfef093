/* SPDX-License-Identifier: MIT */
/*
 * Address spaces: struct mm, its VMAs, and the operations on them.
 */
#ifndef GRACE_MM_H
#define GRACE_MM_H

#include <atomic.h>
#include <cpumask.h>
#include <list.h>
#include <mutex.h>
#include <page.h>
#include <pgtable.h>

#define PROT_NONE 0u
#define PROT_READ 1u
#define PROT_WRITE 2u
#define PROT_EXEC 4u

#define MAP_FIXED BIT(0)    /* exactly here, replacing what is there */
#define MAP_POPULATE BIT(1) /* fault everything in at once */
#define MAP_HUGE BIT(2)	    /* leaves of level 1 only; address and length aligned to them */

/*
 * A piece of an address space. Changes under mmap_lock held for writing, and prot and the ends only
 * while it is closed too: <vma_lock.h>.
 */
struct vma {
	struct vma *prev, *next; /* by address */
	struct vma *parent;	 /* the treap by start: its other links are below */
	/* What is looked at without mmap_lock; stores are marked. */
	vaddr_t start, end; /* page-aligned, end exclusive */
	struct vma *left, *right;
	u32 prot, flags;

	/* A line of its own: it changes with each fault. */
	u32 lock; /* <vma_lock.h> */
	lock_class_t class;
	u32 priority;
};

/*
 * users counts those who use the address space (threads that adopted it): at zero everything in it
 * is unmapped. refs counts those who need the struct and the root alone (all users together count
 * one; each CPU that has it as a lazy mm counts one): at zero the root is freed [A2].
 */
struct mm {
	/* Immutable. */
	unsigned int id;
	pte_t *root;
	phys_t root_pa;
	pte_t **trees; /* each CPU's own root, or NULL; NULL: all load root. mm/cpu_tree.c */

	/*
	 * The set of VMAs: written with mmap_lock held for writing, read with it held, or without
	 * it as <vma_lock.h> does.
	 */
	struct vma *vmas;     /* the treap's root */
	struct vma *vma_hint; /* what vma_find() looks at first; changes with VMAs only */
	u32 vma_seq;	      /* odd while the set changes */
	unsigned int nr_vmas;
	u32 vma_priority; /* the one drawn last */

	atomic_t users, refs;

	/* Trees by CPU. */
	cpumask_t sharers;	  /* CPUs that load root all the same; only more [P3] */
	atomic64_t nr_own_tables; /* of all CPUs */

	/* Read for madvise and the slow way of faults, write for mmap, munmap, mprotect. */
	struct rwsem mmap_lock;

	/* Atomic, any context: see mm/context.c and mm/tlb.c. */
	atomic64_t tag;		     /* generation << 16 | tag; 0: none yet */
	u64 cpu_mask;		     /* CPUs that may hold translations of it [T1, T3, T6] */
	atomic64_t tlb_gen;	     /* counts flushes */
	atomic_t tlb_flush_pending;  /* gathers under way [G5] */
	unsigned int last_flush_tag; /* for the knock-out of T7 alone */

	atomic64_t nr_tables; /* root included; the root alone when the last user has gone */

	struct list_head all_node; /* mm_list_lock */
#ifdef GRACE_DEBUG
	struct mm_ledger *ledger; /* the oracle's books: <ledger.h> */
#endif
};

/* An empty address space with one user, the caller; NULL without memory. Thread context. */
struct mm *mm_create(void);
/* Another user; drop one (the last unmaps everything: may sleep). */
void mmget(struct mm *mm);
void mmput(struct mm *mm);
/* Another reference to the struct and root; drop one. Any context. */
void mmgrab(struct mm *mm);
void mmdrop(struct mm *mm);

/* The calling kernel thread lives in mm from here to the second call. It must be a user of mm. */
void kthread_use_mm(struct mm *mm);
void kthread_unuse_mm(void);

/* Highest user address + 1. */
static inline vaddr_t user_end(void)
{
	return 1ULL << arch.va_bits;
}
/* The lowest address that is ever mapped; below it, faults are errors. */
#define USER_START 0x10000ULL

/*
 * Maps length bytes of demand-zero memory. Returns the address, or -errno: -EINVAL (alignment,
 * length, flags), -ENOMEM (no room, or no memory). Without MAP_FIXED, addr is a hint. May sleep.
 */
s64 mm_mmap(struct mm *mm, vaddr_t addr, u64 length, u32 prot, u32 flags);
/*
 * Unmaps any sub-range; VMAs are split. Returns 0, -EINVAL, or -ENOMEM (a split without memory:
 * then nothing was unmapped). May sleep.
 */
int mm_munmap(struct mm *mm, vaddr_t addr, u64 length);
/* Changes the protection of a range that must be mapped throughout (-ENOMEM else). May sleep. */
int mm_mprotect(struct mm *mm, vaddr_t addr, u64 length, u32 prot);
/* Drops the pages of a range and keeps the VMAs: the next access sees zeroes. May sleep. */
int mm_madvise_dontneed(struct mm *mm, vaddr_t addr, u64 length);

/*
 * Faults one address in, for an access of this CPU to its own mm that is tried again: the entry
 * gets its marks. Under its VMA's own lock, or under mmap_lock where that is not to be had: the
 * caller is a thread that holds neither. irqs off, as a trap leaves them: they are on meanwhile,
 * and it may sleep. flags: FAULT_* in <trap.h>. Returns 0, -EFAULT, -EACCES, -ENOMEM.
 */
int mm_fault(struct mm *mm, vaddr_t addr, u64 flags);
/*
 * The same with mmap_lock held for reading, irqs on, and for any mm. Only with FAULT_ACCESS it is
 * for such an access; without, a new entry has no marks.
 */
int mm_fault_locked(struct mm *mm, vaddr_t addr, u64 flags);

/*
 * Finds the entry for addr: at level 0, or where a leaf or nothing stands above it; *level says
 * which. addr is in a VMA that mmap_lock or its own lock keeps; or mmap_lock is held for writing;
 * or the caller is an RCU-sched reader of a live mm.
 */
pte_t *pt_walk(struct mm *mm, vaddr_t addr, unsigned int *level);
/*
 * The entry of `to` for addr, with the tables above it made as needed; NULL without memory. addr is
 * in a VMA that mmap_lock or its own lock keeps.
 */
pte_t *pt_walk_alloc(struct mm *mm, vaddr_t addr, unsigned int to);
/* Attributes of the leaves of a mapping. */
u64 prot_attr(u32 prot);

/*
 * Counts the pages mapped in [start, end) as a monitor does: under rcu_read_lock() alone, without
 * mmap_lock, interrupts on. The answer is of no one moment. The caller is a user of mm. mm/scan.c.
 */
u64 mm_count_mapped(struct mm *mm, vaddr_t start, vaddr_t end);
/*
 * All of them. Counted when asked for: an account that every fault keeps is a line that all CPUs
 * of the mm fight for.
 */
static inline u64 mm_nr_pages(struct mm *mm)
{
	return mm_count_mapped(mm, 0, user_end());
}

/*
 * Cut out of [start, end) what is mapped there; the tables of the range that lie between floor and
 * ceiling, where nothing is mapped any more; or both in one walk, then pages with their tables.
 * mmap_lock, and for tables no VMA between floor and ceiling. mm/unmap.c.
 */
struct mmu_gather;
void unmap_pages(struct mmu_gather *tlb, vaddr_t start, vaddr_t end);
void unmap_tables(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor,
		  vaddr_t ceiling);
void unmap_range(struct mmu_gather *tlb, vaddr_t start, vaddr_t end, vaddr_t floor,
		 vaddr_t ceiling);

/* Faults of user accesses so far: resolved, and turned into -EFAULT; and those under mmap_lock. */
struct fault_stats {
	u64 resolved, failed, slow;
};
void fault_get_stats(struct fault_stats *s);

/* VMAs; mmap_lock. What is inserted overlaps none. mm/vma.c. */
struct vma *vma_find(const struct mm *mm, vaddr_t addr); /* the first with end > addr, or NULL */
void vma_insert(struct mm *mm, struct vma *v);
void vma_remove(struct mm *mm, struct vma *v);
struct vma *vma_alloc(void); /* closed: nobody but the caller may use it */
static inline void vma_set(struct vma *v, vaddr_t start, vaddr_t end, u32 prot, u32 flags)
{
	WRITE_ONCE(v->start, start);
	WRITE_ONCE(v->end, end);
	v->prot = prot;
	v->flags = flags;
}
/* One that is in no mm: never inserted, or removed. */
void vma_free(struct vma *v);
void vma_init(void);
/* Moves the end of a VMA that is closed. mmap_lock held for writing. */
void vma_set_end(struct mm *mm, struct vma *v, vaddr_t end);
/* Lowest gap of length at or above hint, aligned; or -ENOMEM. */
s64 vma_find_gap(const struct mm *mm, vaddr_t hint, u64 length, u64 align);

/*
 * Context switching; irqs off. mm/context.c. prev is what this CPU has loaded, or NULL. next NULL:
 * stay lazily with prev. The caller drops its reference to prev only after it returns [A2].
 */
void switch_mm(struct mm *prev, struct mm *next);
/* A lazy CPU goes back to the same mm: catches up with flushes that skipped it. */
void mm_leave_lazy(struct mm *mm);
/* True if cpu has mm loaded lazily: no thread of it runs there. Any CPU; see tlb_flush_range(). */
bool mm_cpu_lazy(const struct mm *mm, unsigned int cpu);
/* The same, since before tlb_gen became gen: then it will know of that flush when it goes on. */
bool mm_cpu_lazy_before(const struct mm *mm, unsigned int cpu, u64 gen);
/* Makes every CPU that is lazily on mm drop it. Thread context. */
void mm_shoot_lazy(struct mm *mm);
/* Makes the tag that a flush of mm must name; call after a full barrier behind the clearing. */
unsigned int mm_tag(const struct mm *mm);
u64 context_rollovers(void);
/* This CPU runs in mm and is to load another root for it: cpu_tree_root(). Preemption off. */
void mm_reload(struct mm *mm);
/*
 * This CPU, which runs its idle thread and no other any more: gives up the root that it has loaded,
 * drops its whole TLB, and leaves every mm's mask [H1]. irqs off.
 */
void context_leave_all(void);
void context_init_cpu(void);
/* Forces a roll-over of the tags now: tests and fault=rollover. */
void context_force_rollover(void);

/* Prints: one line per mm; its VMAs; its tables and leaves, runs merged. */
void mm_print_all(void);
/* Calls fn for each mm, under a spinlock. A user's reference to the mm of that number, or NULL. */
void mm_for_each(void (*fn)(struct mm *mm, void *arg), void *arg);
struct mm *mm_find_get(unsigned int id);
void mm_print(struct mm *mm);
void mm_print_tables(struct mm *mm, vaddr_t from, vaddr_t to);
void mm_init(void);

#endif
