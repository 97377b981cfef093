// SPDX-License-Identifier: MIT
/*
 * Page faults: demand-zero memory for user addresses, -EFAULT for bad ones, a panic for the
 * kernel's own.
 *
 * Terms. A fault is spurious when the entry allows what faulted: the TLB held an older, stricter
 * one. The marks of an entry say that it was used, and for a store: <arch.h>, PA_ACCESSED.
 * Why. A user address is touched only through the user-access functions, each with an entry in the
 * fixup table; so a fault is either resolved here or turned into their error, never into a crash.
 * Rules: A3, A5; A1 and A4 through pt_walk_alloc(). Locks: the VMA's own for reading, so that
 * faults in different VMAs share no lock, or mmap_lock for reading; the table's lock to install.
 * See also: mm/vma_lock.c, mm/uaccess.c, arch trap.c, tests/test_uaccess.c,
 * tests/test_fault_race.c.
 */
#include <cpu_tree.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <ledger.h>
#include <mm.h>
#include <percpu.h>
#include <pgtable.h>
#include <printk.h>
#include <ptdesc.h>
#include <symbols.h>
#include <thread.h>
#include <trace.h>
#include <trap.h>
#include <vma_lock.h>

static DEFINE_PER_CPU(struct fault_stats, fault_stats);

void fault_get_stats(struct fault_stats *s)
{
	percpu_sum(s, &fault_stats, sizeof(*s));
}

/* The marks that the entry must have when the access is tried again. */
static u64 marks_of(u64 flags)
{
	if (!(flags & FAULT_ACCESS))
		return 0;
	return PA_ACCESSED | (flags & FAULT_WRITE ? PA_DIRTY : 0);
}

static bool vma_allows(const struct vma *v, u64 flags)
{
	if (flags & FAULT_WRITE)
		return v->prot & PROT_WRITE;
	if (flags & FAULT_EXEC)
		return v->prot & PROT_EXEC;
	return v->prot; /* readable if anything is allowed */
}

/* The leaf of a page. Masked so that the compiler leaves out what none of a user mapping has. */
static pte_t page_leaf(const struct page *page, u64 attr, unsigned int level)
{
	attr &= PA_READ | PA_WRITE | PA_EXEC | PA_ACCESSED | PA_DIRTY;
	return arch_pte_leaf(page_to_phys(page), PA_USER | attr, level);
}

/*
 * Puts a page there unless somebody else did meanwhile; true if it took the page over.
 *
 * RACE A3. Two faults at one address:
 *   CPU 0                                  CPU 1
 *   sees no page, gets A                   sees no page, gets B
 *   installs A, writes to it               .
 *   .                                      installs B: what was written is lost,
 *   .                                      and nobody frees A
 */
static bool install(struct mm *mm, pte_t *ptep, unsigned int level, u64 attr, struct page *page)
{
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;
	bool won;

	spin_lock(ptl);
	won = !rule(INSTALL_ONCE) || pte_none(pte_read(ptep));
	if (won) {
		atomic_inc(&page->mapcount);
		/*
		 * Release: the zeroes of the page before the entry. Pairs with descend() in
		 * mm/gup.c. Where there was no entry, none is in a TLB: what is cleared is
		 * invalidated before its page can come back [G1], which is what Arm's DDI 0487 D8
		 * asks for (break-before-make).
		 */
		user_entry_publish(ptep, page_leaf(page, attr, level), level);
		page_step(page, STEP_HOOK);
		trace(HOOK, mm->id, page_to_phys(page), level);
	}
	spin_unlock(ptl);
	return won;
}

/*
 * Sets marks that the CPU leaves to the kernel, in an entry that allows the access. Nothing in the
 * entry is lost that another CPU sets meanwhile: the exchange is tried again. True if it set any.
 */
static bool set_marks(pte_t *ptep, unsigned int level, u64 marks)
{
	spinlock_t *ptl = &ptep_ptdesc(ptep)->page.ptl;
	u64 needed = PA_READ | (marks & PA_DIRTY ? PA_WRITE : 0), attr;
	bool set = false;
	pte_t pte;

	spin_lock(ptl);
	do {
		pte = pte_read(ptep);
		attr = pte_attr(pte);
		if (!pte_present(pte) || (attr & needed) != needed || (attr & marks) == marks)
			break;
		set = user_leaf_protect(ptep, pte, attr | marks, level);
	} while (!set);
	spin_unlock(ptl);
	return set;
}

/*
 * RACE A5. Absence is remembered:
 *   CPU 0                                  CPU 1, whose TLB holds absence
 *   .                                      TLB: nothing at va
 *   installs the page                      .
 *   .                                      reads va: faults; the entry is there
 *   .                                      reads va: faults again, for ever
 *
 * As absence, so an entry without the marks that it has now. must: it has got them just now.
 * Neither CPU nor tag may change before the ledger has looked.
 */
static void drop_absence(struct mm *mm, vaddr_t addr, bool must)
{
	struct arch_flush f = { .start = ALIGN_DOWN(addr, PAGE_SIZE) };
	u64 since;

	f.end = f.start + PAGE_SIZE;
	f.stride_shift = PAGE_SHIFT;
	preempt_disable();
	since = ledger_now();
	f.tag = mm_tag(mm);
	if (must || rule(ABSENCE_DROPPED))
		arch_tlb_flush_local(&f);
	ledger_absence(mm, addr, since);
	preempt_enable();
}

/* Zeroed memory for one leaf of level, or NULL. */
static struct page *user_page(unsigned int level)
{
	u32 flags = GFP_KERNEL | GFP_ZERO | GFP_TYPE(PAGE_ANON);

	if (inject(PAGE))
		return NULL;
	return level ? alloc_pages(level * PT_INDEX_BITS, flags | GFP_COMPOUND) : alloc_page(flags);
}

/* What faulted is there already. */
static void found_present(struct mm *mm, pte_t *ptep, unsigned int level, vaddr_t addr, u64 flags)
{
	u64 marks = marks_of(flags);
	bool lacks = pte_attr_in(pte_read(ptep), marks) != marks;

	lacks = lacks && set_marks(ptep, level, marks);
	if (mm == current->mm)
		drop_absence(mm, addr, lacks);
}

/*
 * WHY SAFE, for tables and entries: v covers addr, and is kept by mmap_lock held for reading, or by
 * its own lock. Either way no munmap takes v out meanwhile [L3]; and those whose VMAs are gone
 * already keep the tables that lie partly in v: it was there when they measured their holes.
 */
static __always_inline int fault_in(struct mm *mm, const struct vma *v, vaddr_t addr, u64 flags)
{
	if (!vma_allows(v, flags))
		return -EACCES;
	unsigned int level = v->flags & MAP_HUGE ? 1 : 0;
	pte_t *ptep = pt_walk_alloc(mm, addr, level);

	if (!ptep)
		return -ENOMEM;
	if (!pte_none(pte_read(ptep))) {
		found_present(mm, ptep, level, addr, flags);
		return 0;
	}
	struct page *page = user_page(level);

	if (!page)
		return -ENOMEM;
	if (!install(mm, ptep, level, prot_attr(v->prot) | marks_of(flags), page))
		put_page(page);
	return 0;
}

int mm_fault_locked(struct mm *mm, vaddr_t addr, u64 flags)
{
	const struct vma *v = vma_find(mm, addr);

	if (!v || addr < v->start)
		return -EFAULT;
	return fault_in(mm, v, addr, flags);
}

/* Where the VMA is not to be had by itself: there is none, or it or others change just now. */
static __noinline int fault_slow(struct mm *mm, vaddr_t addr, u64 flags)
{
	preempt_disable();
	this_cpu(fault_stats).slow++;
	preempt_enable();
	down_read(&mm->mmap_lock);
	int err = mm_fault_locked(mm, addr, flags);

	if (err == 0)
		cpu_tree_link(mm, addr);
	up_read(&mm->mmap_lock);
	return err;
}

static __always_inline int fault_with(struct mm *mm, struct vma *v, vaddr_t addr, u64 flags)
{
	BUG_ON_RULE(RECHECK_VMA, debug_build && (addr < v->start || addr >= v->end));
	inject_delay(FAULT_WINDOW);
	int err = fault_in(mm, v, addr, flags);

	if (err == 0)
		cpu_tree_link(mm, addr);
	vma_end_read(v);
	return err;
}

int mm_fault(struct mm *mm, vaddr_t addr, u64 flags)
{
	struct vma *v = vma_start_read(mm, addr); /* irqs off: an RCU reader */
	int err;

	flags |= FAULT_ACCESS;
	arch_irq_enable();
	err = likely(v) ? fault_with(mm, v, addr, flags) : fault_slow(mm, addr, flags);
	local_irq_disable();
	return err;
}

/* Whether the fault may be resolved by sleeping: a thread's own user access, with nothing held. */
static bool may_resolve(const struct trap_frame *tf, vaddr_t addr)
{
	return addr < user_end() && current->mm && current->preempt_count == 0 && trap_irqs_on(tf);
}

static const char *guess(vaddr_t addr)
{
	if (addr < PAGE_SIZE)
		return " (a NULL pointer?)";
	if (addr < user_end())
		return " (a user address outside the user-access functions)";
	if (addr >= VMALLOC_START && addr < VMALLOC_END)
		return " (the guard of a stack or of a device mapping?)";
	return "";
}

void do_page_fault(struct trap_frame *tf, vaddr_t addr, u64 flags)
{
	bool user_access = current->user_access && addr < user_end();

	if (user_access && may_resolve(tf, addr) && mm_fault(current->mm, addr, flags) == 0) {
		this_cpu(fault_stats).resolved++;
		return;
	}
	if (user_access && arch_fixup(tf)) {
		this_cpu(fault_stats).failed++;
		return;
	}
	panic_trap(tf, "page fault: %s %#llx%s",
		   flags & FAULT_WRITE ? "write to" : flags & FAULT_EXEC ? "jump to" : "read of",
		   (unsigned long long)addr, guess(addr));
}
