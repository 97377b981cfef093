// SPDX-License-Identifier: MIT
/*
 * mmap, munmap, mprotect, madvise: the operations that change an address space.
 *
 * Why in this order. munmap detaches the VMAs under the write lock, each when no fault is inside
 * [L3], so that none can bring anything back, then downgrades: the long part, cutting out pages and
 * tables, runs beside readers of mmap_lock. Faults of neighbours run beside all of it.
 * Rules: those of the gather. Locks: mmap_lock, as each function says. See also: mm/unmap.c,
 * mm/vma.c, tests/test_mm.c. Differs from Linux: neighbours are not merged; madvise knows DONTNEED
 * alone.
 */
#include <errno.h>
#include <ledger.h>
#include <mm.h>
#include <mmu_gather.h>
#include <pgtable.h>
#include <ptdesc.h>
#include <tlb.h>
#include <trap.h>
#include <vma_lock.h>

static bool range_ok(vaddr_t addr, u64 length)
{
	return length && IS_ALIGNED(addr, PAGE_SIZE) && addr < user_end() &&
	       length <= user_end() - addr;
}

/* Splits v at addr: v keeps the lower part, upper (allocated by the caller) gets the rest. */
static void split(struct mm *mm, struct vma *v, vaddr_t addr, struct vma *upper)
{
	vma_set(upper, addr, v->end, v->prot, v->flags);
	vma_start_write(v); /* a fault inside may be in the upper part */
	vma_set_end(mm, v, addr);
	vma_end_write(v);
	vma_insert(mm, upper);
}

/* The first VMA with end > addr, from v on. */
static struct vma *from(struct vma *v, vaddr_t addr)
{
	while (v && v->end <= addr)
		v = v->next;
	return v;
}

static bool lies_across(const struct vma *v, vaddr_t addr)
{
	return v && v->start < addr;
}

/* For split_ends(), where the VMA at either end, or one at both, lies across it. */
static __noinline int split_across(struct mm *mm, struct vma *const whole[2], const vaddr_t at[2],
				   struct vma **first)
{
	struct vma *spare[2] = { NULL, NULL };
	int err = 0;

	for (int i = 0; i < 2 && !err; i++) {
		if (!lies_across(whole[i], at[i]))
			continue;
		if (whole[i]->flags & MAP_HUGE && !IS_ALIGNED(at[i], pt_span(1)))
			err = -EINVAL;
		else if (!(spare[i] = vma_alloc()))
			err = -ENOMEM;
	}
	for (int i = 0; i < 2; i++) {
		if (!spare[i])
			continue;
		if (err)
			vma_free(spare[i]);
		else
			split(mm, vma_find(mm, at[i]), at[i], spare[i]);
	}
	if (spare[0] && !err)
		*first = spare[0];
	return err;
}

/*
 * Makes start and end VMA boundaries; *first is the first VMA behind start then, or NULL. Allocates
 * before it changes anything: 0, -ENOMEM, or -EINVAL where a huge mapping would be cut between its
 * leaves.
 */
static int split_ends(struct mm *mm, vaddr_t start, vaddr_t end, struct vma **first)
{
	struct vma *v = vma_find(mm, start), *last = from(v, end);

	*first = v;
	if (likely(!lies_across(v, start) && !lies_across(last, end)))
		return 0;
	return split_across(mm, (struct vma *[]){ v, last }, (vaddr_t[]){ start, end }, first);
}

/* What lies between two neighbours. */
struct hole {
	vaddr_t floor, ceiling;
};

/* Takes every VMA from first up to end out; returns what is around then. Boundaries were made. */
static struct hole detach(struct mm *mm, struct vma *first, vaddr_t end)
{
	struct hole hole = { .floor = first->prev ? first->prev->end : 0 };
	struct vma *v, *next;

	for (v = first; v && v->start < end; v = next) {
		next = v->next;
		vma_remove(mm, v);
		vma_free(v);
	}
	hole.ceiling = v ? v->start : user_end();
	return hole;
}

/*
 * The part of munmap behind the detaching. mmap_lock held in any way, and not dropped since: no
 * VMA can appear in the hole, so what lies there serves nobody else.
 */
static void unmap_detached(struct mm *mm, vaddr_t start, vaddr_t end, struct hole hole)
{
	struct mmu_gather tlb;

	tlb_gather_mmu(&tlb, mm);
	unmap_range(&tlb, start, end, hole.floor, hole.ceiling);
	tlb_finish_mmu(&tlb);
}

int mm_munmap(struct mm *mm, vaddr_t addr, u64 length)
{
	struct vma *first;

	might_sleep();
	length = ALIGN_UP(length, PAGE_SIZE);
	if (!range_ok(addr, length))
		return -EINVAL;
	down_write(&mm->mmap_lock);
	int err = split_ends(mm, addr, addr + length, &first);

	if (err || !first || first->start >= addr + length) {
		up_write(&mm->mmap_lock);
		return err;
	}
	struct hole hole = detach(mm, first, addr + length);

	downgrade_write(&mm->mmap_lock);
	unmap_detached(mm, addr, addr + length, hole);
	up_read(&mm->mmap_lock);
	return 0;
}

/* Where the mapping goes. mmap_lock held for writing. */
static s64 place(struct mm *mm, vaddr_t addr, u64 length, u32 flags)
{
	u64 align = flags & MAP_HUGE ? pt_span(1) : PAGE_SIZE;

	if (!(flags & MAP_FIXED)) {
		s64 at =
		    vma_find_gap(mm, ALIGN_DOWN(min(addr, user_end()), PAGE_SIZE), length, align);

		/* No room above the hint: it is only a hint. */
		return at == -ENOMEM ? vma_find_gap(mm, USER_START, length, align) : at;
	}
	struct vma *first;
	int err = split_ends(mm, addr, addr + length, &first);

	if (err)
		return err;
	if (first && first->start < addr + length)
		unmap_detached(mm, addr, addr + length, detach(mm, first, addr + length));
	return (s64)addr;
}

static int populate(struct mm *mm, vaddr_t start, u64 length, u32 prot, u32 flags)
{
	u64 step = flags & MAP_HUGE ? pt_span(1) : PAGE_SIZE;
	int err = 0;

	down_read(&mm->mmap_lock);
	for (vaddr_t va = start; va < start + length && !err; va += step)
		err = mm_fault_locked(mm, va, prot & PROT_WRITE ? FAULT_WRITE : 0);
	up_read(&mm->mmap_lock);
	return err;
}

static bool mmap_args_ok(vaddr_t addr, u64 length, u32 prot, u32 flags)
{
	u64 align = flags & MAP_HUGE ? pt_span(1) : PAGE_SIZE;

	if (!length || length > user_end() || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC) ||
	    flags & ~(MAP_FIXED | MAP_POPULATE | MAP_HUGE))
		return false;
	if (flags & MAP_HUGE && (!IS_ALIGNED(length, align) || !(arch.leaf_levels & BIT(1))))
		return false;
	return !(flags & MAP_FIXED) ||
	       (addr >= USER_START && IS_ALIGNED(addr, align) && range_ok(addr, length));
}

s64 mm_mmap(struct mm *mm, vaddr_t addr, u64 length, u32 prot, u32 flags)
{
	might_sleep();
	if (length > user_end())
		return -ENOMEM;
	length = ALIGN_UP(length, PAGE_SIZE);
	if (!mmap_args_ok(addr, length, prot, flags))
		return -EINVAL;
	struct vma *v = vma_alloc();

	if (!v)
		return -ENOMEM;
	down_write(&mm->mmap_lock);
	s64 at = place(mm, addr, length, flags);

	if (at < 0) {
		up_write(&mm->mmap_lock);
		vma_free(v);
		return at;
	}
	vma_set(v, (vaddr_t)at, (vaddr_t)at + length, prot, flags & MAP_HUGE);
	vma_insert(mm, v);
	up_write(&mm->mmap_lock);
	if (flags & MAP_POPULATE && populate(mm, (vaddr_t)at, length, prot, flags) != 0) {
		(void)mm_munmap(mm, (vaddr_t)at, length);
		return -ENOMEM;
	}
	return at;
}

/* Whether VMAs cover the whole of [start, end), and no huge leaf is cut. 0, -ENOMEM, -EINVAL. */
static int check_covered(struct mm *mm, vaddr_t start, vaddr_t end)
{
	struct vma *v = vma_find(mm, start);

	for (vaddr_t at = start; at < end; at = v->end, v = v->next) {
		if (!v || v->start > at)
			return -ENOMEM;
		if (v->flags & MAP_HUGE &&
		    (!IS_ALIGNED(at, pt_span(1)) || !IS_ALIGNED(min(end, v->end), pt_span(1))))
			return -EINVAL;
	}
	return 0;
}

/*
 * Gives the leaf a new protection without ever making it "none": a walker or a fault that saw none
 * would act on it. The marks stay: what is dirty is dirty if nobody may write any more. The CPU may
 * set one meanwhile, so the exchange may have to be tried again.
 */
static void protect_leaf(pte_t *ptep, unsigned int level, u32 prot)
{
	for (;;) {
		pte_t old = pte_read(ptep);
		u64 attr = pte_attr_in(old, PA_SPECIAL | PA_ACCESSED | PA_DIRTY);

		attr |= prot_attr(prot);
		if (!pte_present(old) || user_leaf_protect(ptep, old, attr, level))
			return;
	}
}

static void protect_table(pte_t *table, unsigned int level, vaddr_t va, vaddr_t end, u32 prot)
{
	spinlock_t *ptl = &ptep_ptdesc(table)->page.ptl;

	while (va < end) {
		vaddr_t next = pt_next(va, end, level);
		pte_t *ptep = table + pt_index(va, level);
		pte_t pte = pte_read(ptep);

		if (pte_present(pte) && pte_leaf(pte, level)) {
			spin_lock(ptl);
			protect_leaf(ptep, level, prot);
			spin_unlock(ptl);
		} else if (pte_present(pte)) {
			/* WHY SAFE: mmap_lock is held for writing, and unhooking needs it. */
			protect_table(pte_table(pte), level - 1, va, next, prot);
		}
		va = next;
	}
}

/*
 * RACE G12. "Done" is said while a TLB still allows it:
 *   mprotect(PROT_READ)                    CPU 1
 *   makes the entry read-only              TLB: va is writable
 *   returns; the caller copies the page    .
 *   .                                      writes at va: the copy lacks it
 */
int mm_mprotect(struct mm *mm, vaddr_t addr, u64 length, u32 prot)
{
	might_sleep();
	length = ALIGN_UP(length, PAGE_SIZE);
	if (!range_ok(addr, length) || prot & ~(PROT_READ | PROT_WRITE | PROT_EXEC))
		return -EINVAL;
	vaddr_t end = addr + length;

	down_write(&mm->mmap_lock);
	struct vma *v;
	int err = check_covered(mm, addr, end);

	if (!err)
		err = split_ends(mm, addr, end, &v);
	if (!err) {
		struct vma *first = v;

		for (; v && v->start < end; v = v->next) {
			vma_start_write(v); /* a fault inside goes by the old protection */
			v->prot = prot;
		}
		protect_table(mm->root, pt_top_level(), addr, end, prot);
		ledger_protect(mm, addr, end);
		u64 since = ledger_now();

		/* Before the lock goes: whoever is told "done" may count on the new protection. */
		if (rule(PROTECT_FLUSHED))
			tlb_flush_range(mm, addr, end, 0, false);
		ledger_operation_end(mm, since);
		for (v = first; v && v->start < end; v = v->next)
			vma_end_write(v);
	}
	up_write(&mm->mmap_lock);
	return err;
}

int mm_madvise_dontneed(struct mm *mm, vaddr_t addr, u64 length)
{
	struct mmu_gather tlb;

	might_sleep();
	length = ALIGN_UP(length, PAGE_SIZE);
	if (!range_ok(addr, length))
		return -EINVAL;
	down_read(&mm->mmap_lock);
	int err = check_covered(mm, addr, addr + length);

	if (!err) {
		tlb_gather_mmu(&tlb, mm);
		unmap_pages(&tlb, addr, addr + length);
		tlb_finish_mmu(&tlb);
	}
	up_read(&mm->mmap_lock);
	return err;
}
