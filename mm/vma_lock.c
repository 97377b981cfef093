// SPDX-License-Identifier: MIT
/*
 * VMAs without mmap_lock: how a fault finds one and keeps it, and how it goes all the same.
 *
 * Terms. An open VMA may be locked by readers, a closed one not. The count of changes, mm->vma_seq,
 * is odd while the set of VMAs changes; a reader that finds it as before has seen one set.
 * Why. Every fault took mmap_lock for reading: two changes of one word for all CPUs of the mm, and
 * a wait for whoever had it for writing, wherever that one was at work.
 * Rules: L3, L4; L5 in mm/slab.c. Locks: a VMA's lock comes after mmap_lock; readers of VMAs take
 * no mmap_lock. See also: <vma_lock.h>, mm/fault.c, mm/mmap.c, tests/test_fault_race.c.
 *
 * A fault looks for its VMA as an RCU reader, locks what it found, and asks whether the set is
 * still the one in which it found it. If not, or if the VMA is closed, it goes by mmap_lock. Who
 * changes or removes a VMA closes it first, and waits for the faults inside.
 *
 * RACE L3. A fault is inside a VMA that goes:
 *   munmap                                 CPU 1: fault, without mmap_lock
 *   .                                      finds the VMA, locks it
 *   removes the VMA; cuts out its pages    .
 *   .                                      installs a page
 *   the page is where there is no VMA, or in a table that was unhooked
 *
 * RACE L4. What was found is something else by the time it is locked:
 *   CPU 0                                  CPU 1: fault at A
 *   .                                      finds the VMA of A
 *   munmap of A: removes it, frees it      .
 *   mmap of B: gets the same object        .
 *   .                                      locks it: it is open, as the VMA of B
 *   .                                      installs a page at A, where there is no VMA
 *
 * WHY SAFE, whatever is done to VMAs meanwhile:
 *   1. No pointer is followed before the set was seen unchanged after it was loaded. So what it
 *      leads to was in the set while we were a reader, and all of it had been written.
 *   2. Its memory is that of a VMA until we are no reader any more [L5]; and a free one is closed.
 *      So the lock of what was found too late is refused, or is another VMA's, which has a reader
 *      too many for a moment, until L4 finds out.
 *   3. Once it is locked and the set is the same, it is in the set and stays there: whoever takes
 *      it out waits for us [L3].
 *   4. Behind the unlocking nothing of the VMA or its mm is touched: both may be gone. Who waits
 *      for a VMA does so in a queue that is for all of them.
 */
#include <vma_lock.h>
#include <wait.h>

static WAIT_QUEUE(writers);

/* Down the tree. RCU reader. NULL also where the set is not that of seq any more. */
struct vma *vma_find_rcu(const struct mm *mm, vaddr_t addr, u32 seq)
{
	struct vma *v = READ_ONCE(mm->vmas);

	/* It ends: each turn is a step down a tree that stands still. */
	while (v && vma_set_unchanged(mm, seq)) {
		if (addr < READ_ONCE(v->start))
			v = READ_ONCE(v->left);
		else if (addr >= READ_ONCE(v->end))
			v = READ_ONCE(v->right);
		else
			return v;
	}
	return NULL;
}

void vma_wake_writers(void)
{
	wake_up_all(&writers);
}

void vma_wait_for_readers(struct vma *v)
{
	count_lock_wait();
	/*
	 * Acquire: what was done inside, then what the writer does. Pairs with vma_end_read() in
	 * include/vma_lock.h.
	 */
	wait_event(writers, smp_load_acquire(&v->lock) == 0);
}
