// SPDX-License-Identifier: MIT
/*
 * Life and death of an address space, and the threads that live in it.
 *
 * Terms. A user is a thread that has adopted the mm; a reference keeps the struct and its root. All
 * users together hold one reference, each CPU that has the mm lazily loaded holds one.
 * Why two counts. When the last user goes, everything mapped can go at once; but a CPU that runs a
 * kernel thread may still have the root loaded, and its table walker may read it at any time [A2].
 * Rules: A2, T10. Locks: mm_list_lock for the list of all; see each function.
 * See also: mm/context.c, tests/test_context.c.
 *
 *   exit of the last user                    CPU 1, idle, lazily on the mm
 *   unmaps everything, flushes               root loaded
 *   mm_shoot_lazy(): IPI                     loads the empty root, then drops its reference
 *   drops the users' reference               .
 *   whoever drops the last one frees the root: no CPU has it loaded
 */
#include <cpu_tree.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <ledger.h>
#include <mm.h>
#include <mmu_gather.h>
#include <percpu.h>
#include <printk.h>
#include <ptdesc.h>
#include <slab.h>
#include <spinlock.h>
#include <thread.h>
#include <tlb.h>

static struct kmem_cache *mm_cache;
static spinlock_t mm_list_lock = SPINLOCK_INIT;
static LIST_HEAD(mm_list);
static unsigned int last_mm_id; /* mm_list_lock */

void mm_init(void)
{
	vma_init();
	cpu_tree_boot();
	ledger_init();
	mm_cache = kmem_cache_create("mm", sizeof(struct mm), 64);
	if (!mm_cache)
		boot_fail("too little memory: no room for address spaces");
}

struct mm *mm_create(void)
{
	struct mm *mm = kmem_cache_alloc(mm_cache, GFP_KERNEL);

	if (!mm)
		return NULL;
	*mm = (struct mm){ .users = ATOMIC_INIT(1), .refs = ATOMIC_INIT(1) };
	rwsem_init(&mm->mmap_lock);
	struct ptdesc *root = ptdesc_alloc(mm, pt_top_level(), GFP_KERNEL);

	if (!root) {
		kmem_cache_free(mm_cache, mm);
		return NULL;
	}
	if (!ledger_mm_init(mm)) {
		ptdesc_free_unpublished(root);
		kmem_cache_free(mm_cache, mm);
		return NULL;
	}
	mm->root = ptdesc_table(root);
	mm->root_pa = page_to_phys(&root->page);
	arch_root_init(mm->root);
	cpu_tree_init(mm);

	bool on = spin_lock_irqsave(&mm_list_lock);

	mm->id = ++last_mm_id;
	list_add_tail(&mm->all_node, &mm_list);
	spin_unlock_irqrestore(&mm_list_lock, on);
	return mm;
}

/* Unmaps everything. Nobody uses the mm any more; CPUs may have it loaded lazily. */
static void exit_mmap(struct mm *mm)
{
	struct mmu_gather tlb;
	struct vma *v;

	down_write(&mm->mmap_lock);
	while ((v = vma_find(mm, 0))) {
		vma_remove(mm, v);
		vma_free(v);
	}
	tlb_gather_mmu_fullmm(&tlb, mm);
	unmap_range(&tlb, 0, user_end(), 0, user_end());
	tlb_finish_mmu(&tlb);
	up_write(&mm->mmap_lock);
	BUG_ON(atomic64_read(&mm->nr_tables) != 1);
}

void mmget(struct mm *mm)
{
	BUG_ON(!atomic_inc_not_zero(&mm->users));
}

void mmput(struct mm *mm)
{
	/* Full barrier: what other users did, then the unmapping. Pairs with mmput() of these. */
	if (!atomic_dec_and_test(&mm->users))
		return;
	might_sleep();
	exit_mmap(mm);
	if (rule(ROOT_UNLOADED))
		mm_shoot_lazy(mm);
	else
		ledger_root_free(mm); /* knocked out: as if the last user's leaving were enough */
	mmdrop(mm);
}

void mmgrab(struct mm *mm)
{
	atomic_inc(&mm->refs);
}

/*
 * The last reference is gone: no CPU has the root loaded, or can load it [A2].
 *
 * RACE A2. The last user is gone, and the root is still in a register:
 *   last user, exits                       CPU 1, kernel thread, lazy on the mm
 *   unmaps everything, flushes             root loaded
 *   frees the root; it is written to       speculation walks from it
 */
static void mm_free(struct mm *mm)
{
	struct ptdesc *root = ptep_ptdesc(mm->root);
	bool on = spin_lock_irqsave(&mm_list_lock);

	list_del(&mm->all_node);
	spin_unlock_irqrestore(&mm_list_lock, on);
	/*
	 * The root was never unhooked from anything: A2 stands for the flush. Walkers in software
	 * reach it through current->mm only, and there is no user left.
	 */
	ledger_root_free(mm);
	cpu_tree_end(mm);
	ptdesc_free_unpublished(root);
	ledger_mm_end(mm);
	kmem_cache_free(mm_cache, mm);
}

void mmdrop(struct mm *mm)
{
	/*
	 * Full barrier: pairs with the drops of other CPUs, which come after they loaded another
	 * root.
	 */
	if (atomic_dec_and_test(&mm->refs))
		mm_free(mm);
}

/*
 * RACE T10. Between the two, the thread says B and the register A:
 *   kthread_use_mm(B)                      interrupt on this CPU
 *   mm = active_mm = B                     .
 *   (A's root is loaded, lazily)           shoots lazy users of A: "it runs B", stays
 *   .                                      or switches: leaves B, where A is loaded
 *   switch_mm(A, B)                        A's root is freed while loaded
 */
void kthread_use_mm(struct mm *mm)
{
	struct thread *t = current;

	BUG_ON(t->mm);
	mmgrab(mm); /* for active_mm, which may outlive the adoption */
	/* Off: an interrupt that flushes or shoots lazy CPUs sees mm and the root change as one. */
	bool off = rule(ADOPT_ATOMIC), on = off ? local_irq_save() : false;
	struct mm *old = t->active_mm;

	t->mm = mm;
	t->active_mm = mm;
	inject_delay(SWITCH_WINDOW);
	if (!off) /* knocked out: whatever interrupts here finds them apart */
		on = local_irq_save();
	switch_mm(old, mm);
	local_irq_restore(on);
	if (old)
		mmdrop(old);
}

void kthread_unuse_mm(void)
{
	struct thread *t = current;
	bool on = local_irq_save(); /* see kthread_use_mm() */

	BUG_ON(!t->mm);
	t->mm = NULL;
	switch_mm(t->active_mm, NULL);
	local_irq_restore(on);
}

void mm_for_each(void (*fn)(struct mm *mm, void *arg), void *arg)
{
	struct mm *mm;
	bool on = spin_lock_irqsave(&mm_list_lock);

	list_for_each_entry (mm, &mm_list, all_node)
		fn(mm, arg);
	spin_unlock_irqrestore(&mm_list_lock, on);
}

struct mm *mm_find_get(unsigned int id)
{
	struct mm *mm, *found = NULL;
	bool on = spin_lock_irqsave(&mm_list_lock);

	list_for_each_entry (mm, &mm_list, all_node) {
		/*
		 * Under the lock mm_free() cannot pass; a count of zero users is on its way there.
		 */
		if (mm->id == id && atomic_inc_not_zero(&mm->users)) {
			found = mm;
			break;
		}
	}
	spin_unlock_irqrestore(&mm_list_lock, on);
	return found;
}
