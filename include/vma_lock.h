/* SPDX-License-Identifier: MIT */
/*
 * A VMA's own lock: faults take it for reading, found without mmap_lock; who changes or removes the
 * VMA takes it for writing, with mmap_lock held for writing too. mm/vma_lock.c has the races, and
 * why all of this is safe.
 *
 * Differs from Linux: the reader is given the VMA by one look at a count of changes of the whole
 * set, not by what the VMA says of itself; writers wait in one queue for all VMAs.
 */
#ifndef GRACE_VMA_LOCK_H
#define GRACE_VMA_LOCK_H

#include <inject.h>
#include <mm.h>
#include <rules.h>

/* vma->lock: these, and VMA_READER for each reader. 0: closed, and nobody inside. */
#define VMA_OPEN 1u
#define VMA_READER 2u

/* For the inline functions below. */
struct vma *vma_find_rcu(const struct mm *mm, vaddr_t addr, u32 seq);
void vma_wake_writers(void);
void vma_wait_for_readers(struct vma *v);

/*
 * Whether all that was loaded since the count of changes was `seq` is of the set as it was then.
 * Never where it was odd.
 */
static inline bool vma_set_unchanged(const struct mm *mm, u32 seq)
{
	/* Orders what was loaded before the count. Pairs with change_begin() in mm/vma.c. */
	smp_rmb();
	return likely(READ_ONCE(mm->vma_seq) == (seq & ~1u));
}

static inline bool vma_try_read(struct vma *v)
{
	u32 old = READ_ONCE(v->lock);

	while (likely(old & VMA_OPEN)) {
		/*
		 * Acquire: what was written while it was closed, then what is done inside; and the
		 * set is looked at again after it. Pairs with vma_end_write().
		 */
		u32 seen = cmpxchg_acquire(&v->lock, old, old + VMA_READER);

		if (likely(seen == old))
			return true;
		old = seen;
	}
	return false;
}

static inline void vma_end_read(struct vma *v)
{
	if (!lock_release(&v->class, caller_address()))
		return;
	/*
	 * Full barrier: what was done inside comes before. Pairs with vma_start_write(). Pairs with
	 * vma_wait_for_readers() in mm/vma_lock.c.
	 */
	if (unlikely(fetch_add(&v->lock, -VMA_READER) == VMA_READER))
		vma_wake_writers(); /* closed, and we were the last */
}

/*
 * The VMA of a live mm at addr, locked for reading, without mmap_lock: until vma_end_read() it
 * stays as it is, and so do the tables that serve it. NULL where there is none, or where it or the
 * set of VMAs changes just now: who has to know takes mmap_lock. The caller is a thread, and an RCU
 * reader for as long as this takes (irqs or preemption off); it may sleep with the VMA locked, and
 * must not take mmap_lock then.
 */
static inline struct vma *vma_start_read(struct mm *mm, vaddr_t addr)
{
	/* Orders the count before the set. Pairs with change_end() in mm/vma.c. */
	u32 seq = smp_load_acquire(&mm->vma_seq);
	struct vma *v = READ_ONCE(mm->vma_hint);

	if (unlikely(!v || !vma_set_unchanged(mm, seq) || addr < READ_ONCE(v->start) ||
		     addr >= READ_ONCE(v->end)))
		v = vma_find_rcu(mm, addr, seq);
	inject_delay(FAULT_WINDOW);
	if (unlikely(!v || !vma_try_read(v)))
		return NULL;
	(void)lock_acquire(&v->class, LOCK_SLEEPS | LOCK_TRY, caller_address());
	if (likely(!rule(RECHECK_VMA) || vma_set_unchanged(mm, seq)))
		return v;
	vma_end_read(v);
	return NULL;
}

/*
 * Closes a VMA to vma_start_read() and waits for those inside [L3]: until vma_end_write(), or until
 * it is freed. mmap_lock held for writing. May sleep.
 */
static inline void vma_start_write(struct vma *v)
{
	might_sleep();
	if (!lock_acquire(&v->class, LOCK_SLEEPS, caller_address()))
		return;
	/* Full barrier: closed, and then what the faults before did. Pairs with vma_end_read(). */
	if (unlikely(fetch_and(&v->lock, ~VMA_OPEN) > VMA_OPEN) && rule(VMA_CLOSED))
		vma_wait_for_readers(v);
	(void)lock_release(&v->class, caller_address()); /* mmap_lock keeps other writers out */
}

static inline void vma_end_write(struct vma *v)
{
	/* Orders what was changed before "open". Pairs with vma_try_read(). */
	smp_store_release(&v->lock, VMA_OPEN);
}

#endif
