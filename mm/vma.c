// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space: a treap by start address, and a list in the same order.
 *
 * Terms. A treap is a binary tree by key that is a heap by priority too; priorities are random, so
 * it is a random tree in whatever order VMAs come: a look takes some 2 ln n steps on average.
 * Why a treap. Where a place in the list is known, a VMA comes or goes with two rotations on
 * average however many there are; other balanced trees look after the whole way to the root. The
 * hint knows the place where something changed last, which is where the next change mostly is.
 * Differs from Linux: a treap, not a maple tree, so readers without mmap_lock start over if it
 * changes; neighbours are not merged.
 * Rules: L5 keeps the memory of VMAs. Locks: mmap_lock, for reading to look, for writing to change;
 * a VMA's own lock where it goes. See also: mm/vma_lock.c, readers without mmap_lock; mm/mmap.c,
 * tests/test_mm_model.c.
 */
#include <errno.h>
#include <mm.h>
#include <rules.h>
#include <slab.h>
#include <vma_lock.h>

static struct kmem_cache *vma_cache;

struct vma *vma_alloc(void)
{
	struct vma *v = kmem_cache_alloc(vma_cache, GFP_KERNEL);

	if (!v)
		return NULL;
	WRITE_ONCE(v->lock, 0); /* late readers of what the object was may look at it */
	lock_init(&v->class, lock_place());
	return v;
}

void vma_free(struct vma *v)
{
	BUG_ON_RULE(VMA_CLOSED, debug_build && READ_ONCE(v->lock) != 0);
	lock_destroy(&v->class, false);
	kmem_cache_free(vma_cache, v);
}

void vma_init(void)
{
	vma_cache = kmem_cache_create_stable("vma", sizeof(struct vma), 64);
	if (!vma_cache)
		boot_fail("too little memory: no room for address spaces");
}

/* ---- The tree -------------------------------------------------------------------------------- */

/* Puts a subtree, perhaps an empty one, where old hangs. */
static void replace(struct mm *mm, const struct vma *old, struct vma *new)
{
	struct vma *parent = old->parent;

	if (!parent)
		WRITE_ONCE(mm->vmas, new);
	else if (parent->left == old)
		WRITE_ONCE(parent->left, new);
	else
		WRITE_ONCE(parent->right, new);
	if (new)
		new->parent = parent;
}

/* v and its parent change places; the order by address stays. */
static void rotate_up(struct mm *mm, struct vma *v)
{
	struct vma *parent = v->parent, *between;

	replace(mm, parent, v);
	if (parent->left == v) {
		between = v->right;
		WRITE_ONCE(parent->left, between);
		WRITE_ONCE(v->right, parent);
	} else {
		between = v->left;
		WRITE_ONCE(parent->right, between);
		WRITE_ONCE(v->left, parent);
	}
	if (between)
		between->parent = parent;
	parent->parent = v;
}

/* Hangs v between its neighbours: one of them has no child there. */
static void tree_insert(struct mm *mm, struct vma *v)
{
	WRITE_ONCE(v->left, NULL);
	WRITE_ONCE(v->right, NULL);
	if (v->prev && !v->prev->right) {
		v->parent = v->prev;
		WRITE_ONCE(v->parent->right, v);
	} else if (v->next) {
		v->parent = v->next;
		WRITE_ONCE(v->parent->left, v);
	} else {
		v->parent = NULL;
		WRITE_ONCE(mm->vmas, v);
	}
	while (v->parent && v->parent->priority < v->priority)
		rotate_up(mm, v);
}

static void tree_remove(struct mm *mm, struct vma *v)
{
	while (v->left && v->right)
		rotate_up(mm, v->left->priority > v->right->priority ? v->left : v->right);
	replace(mm, v, v->left ? v->left : v->right);
}

/* ---- The list, and both ---------------------------------------------------------------------- */

static struct vma *last_vma(const struct mm *mm)
{
	struct vma *v = mm->vmas;

	while (v && v->right)
		v = v->right;
	return v;
}

/* The set changes from the one to the other call; mmap_lock held for writing. */
static inline void change_begin(struct mm *mm)
{
	WRITE_ONCE(mm->vma_seq, mm->vma_seq + 1);
	/* Orders "odd" before the change. Pairs with vma_set_unchanged() in include/vma_lock.h. */
	smp_wmb();
}

static inline void change_end(struct mm *mm)
{
	/* Orders the change before "even". Pairs with vma_start_read() in include/vma_lock.h. */
	smp_store_release(&mm->vma_seq, mm->vma_seq + 1);
}

/* A linear congruential generator: its upper bits are what priorities are told apart by. */
static u32 next_priority(struct mm *mm)
{
	mm->vma_priority = mm->vma_priority * 1664525 + 1013904223;
	return mm->vma_priority;
}

void vma_insert(struct mm *mm, struct vma *v)
{
	v->next = vma_find(mm, v->start);
	v->prev = v->next ? v->next->prev : last_vma(mm);
	v->priority = next_priority(mm);
	change_begin(mm);
	if (v->next)
		v->next->prev = v;
	if (v->prev)
		v->prev->next = v;
	tree_insert(mm, v);
	WRITE_ONCE(mm->vma_hint, v);
	change_end(mm);
	mm->nr_vmas++;
	vma_end_write(v);
}

void vma_remove(struct mm *mm, struct vma *v)
{
	vma_start_write(v);
	change_begin(mm);
	tree_remove(mm, v);
	if (v->next)
		v->next->prev = v->prev;
	if (v->prev)
		v->prev->next = v->next;
	WRITE_ONCE(mm->vma_hint, v->next);
	change_end(mm);
	mm->nr_vmas--;
}

void vma_set_end(struct mm *mm, struct vma *v, vaddr_t end)
{
	change_begin(mm);
	WRITE_ONCE(v->end, end);
	change_end(mm);
}

struct vma *vma_find(const struct mm *mm, vaddr_t addr)
{
	struct vma *v = mm->vma_hint, *best = NULL;

	if (v && v->end > addr && (!v->prev || v->prev->end <= addr))
		return v;
	v = mm->vmas;
	while (v) {
		if (v->end > addr) {
			best = v;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	return best;
}

s64 vma_find_gap(const struct mm *mm, vaddr_t hint, u64 length, u64 align)
{
	vaddr_t at = ALIGN_UP(max(hint, USER_START), align);
	struct vma *v = vma_find(mm, at);

	while (at <= user_end() && length <= user_end() - at) {
		while (v && v->end <= at)
			v = v->next;
		if (!v || v->start >= at + length)
			return (s64)at;
		at = ALIGN_UP(v->end, align);
	}
	return -ENOMEM;
}
