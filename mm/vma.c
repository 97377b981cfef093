// SPDX-License-Identifier: MIT
/*
 * The VMAs of an address space: an AVL tree by start address.
 *
 * Why a tree of our own: it is the smallest balanced one, 100 lines, and lookups are the first
 * thing that every fault does. Differs from Linux: no RCU readers, so no maple tree; neighbours are
 * not merged.
 * Locks: mmap_lock, for reading to look, for writing to change. See also: mm/mmap.c.
 */
#include <errno.h>
#include <mm.h>
#include <slab.h>

static struct kmem_cache *vma_cache;

struct vma *vma_alloc(vaddr_t start, vaddr_t end, u32 prot, u32 flags)
{
	struct vma *v = kmem_cache_alloc(vma_cache, GFP_KERNEL);

	if (v)
		*v = (struct vma){ .start = start, .end = end, .prot = prot, .flags = flags,
				   .height = 1 };
	return v;
}

void vma_free(struct vma *v)
{
	kmem_cache_free(vma_cache, v);
}

void vma_init(void)
{
	vma_cache = kmem_cache_create("vma", sizeof(struct vma), sizeof(void *));
	if (!vma_cache)
		boot_fail("too little memory: no room for address spaces");
}

static int height(const struct vma *v)
{
	return v ? v->height : 0;
}

static void update(struct vma *v)
{
	v->height = 1 + max(height(v->left), height(v->right));
}

static struct vma *rotate_right(struct vma *v)
{
	struct vma *top = v->left;

	v->left = top->right;
	top->right = v;
	update(v);
	update(top);
	return top;
}

static struct vma *rotate_left(struct vma *v)
{
	struct vma *top = v->right;

	v->right = top->left;
	top->left = v;
	update(v);
	update(top);
	return top;
}

/* Restores |height(left) - height(right)| <= 1 at v, whose children already have it. */
static struct vma *rebalance(struct vma *v)
{
	int lean = height(v->left) - height(v->right);

	update(v);
	if (lean > 1) {
		if (height(v->left->left) < height(v->left->right))
			v->left = rotate_left(v->left);
		return rotate_right(v);
	}
	if (lean < -1) {
		if (height(v->right->right) < height(v->right->left))
			v->right = rotate_right(v->right);
		return rotate_left(v);
	}
	return v;
}

static struct vma *insert(struct vma *root, struct vma *v)
{
	if (!root)
		return v;
	if (v->start < root->start)
		root->left = insert(root->left, v);
	else
		root->right = insert(root->right, v);
	return rebalance(root);
}

/* Takes the leftmost VMA out of root; *first is it. */
static struct vma *take_first(struct vma *root, struct vma **first)
{
	if (!root->left) {
		*first = root;
		return root->right;
	}
	root->left = take_first(root->left, first);
	return rebalance(root);
}

static struct vma *remove(struct vma *root, const struct vma *v)
{
	struct vma *next;

	if (v->start < root->start) {
		root->left = remove(root->left, v);
	} else if (v->start > root->start) {
		root->right = remove(root->right, v);
	} else {
		if (!root->right)
			return root->left;
		struct vma *right = take_first(root->right, &next);

		next->left = root->left;
		next->right = right;
		root = next;
	}
	return rebalance(root);
}

void vma_insert(struct mm *mm, struct vma *v)
{
	v->left = NULL;
	v->right = NULL;
	v->height = 1;
	mm->vmas = insert(mm->vmas, v);
	mm->nr_vmas++;
}

void vma_remove(struct mm *mm, struct vma *v)
{
	mm->vmas = remove(mm->vmas, v);
	mm->nr_vmas--;
}

struct vma *vma_find(struct mm *mm, vaddr_t addr)
{
	struct vma *v = mm->vmas, *best = NULL;

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

struct vma *vma_prev(struct mm *mm, vaddr_t addr)
{
	struct vma *v = mm->vmas, *best = NULL;

	while (v) {
		if (v->start < addr) {
			best = v;
			v = v->right;
		} else {
			v = v->left;
		}
	}
	return best;
}

s64 vma_find_gap(struct mm *mm, vaddr_t hint, u64 length, u64 align)
{
	vaddr_t at = ALIGN_UP(max(hint, USER_START), align);

	while (at <= user_end() && length <= user_end() - at) {
		struct vma *v = vma_find(mm, at);

		if (!v || v->start >= at + length)
			return (s64)at;
		at = ALIGN_UP(v->end, align);
	}
	return -ENOMEM;
}
