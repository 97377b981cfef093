// SPDX-License-Identifier: MIT
/*
 * Address spaces against a model: thousands of random operations, each done to the kernel's mm and
 * to an array with one element a page, which must then agree in everything that can be seen.
 *
 * The window lies across two level-1 spans, so that leaf tables come and go. A run prints its seed
 * if it fails, and repeats with it.
 */
#include "testlib.h"

#include <gup.h>
#include <rcu.h>

#define NR 96
#define OPERATIONS 3000

struct model_page {
	bool mapped, populated;
	u32 prot;
	u64 value;
};
static struct model_page model[NR];
static struct mm *mm;
static vaddr_t base;
static u64 seed;

static u64 pick(u64 below)
{
	return (rand_next(&seed) >> 33) % below;
}

static vaddr_t page_va(unsigned int i)
{
	return base + i * PAGE_SIZE;
}

static u32 pick_prot(void)
{
	static const u32 prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				     PROT_READ | PROT_WRITE };

	return prots[pick(ARRAY_SIZE(prots))];
}

/* ---- Operations: each changes both and compares the results ------------------------------ */

static bool all_mapped(unsigned int first, unsigned int n)
{
	for (unsigned int i = first; i < first + n; i++)
		if (!model[i].mapped)
			return false;
	return true;
}

static bool op_mmap(unsigned int first, unsigned int n)
{
	u32 prot = pick_prot();
	bool populate = pick(4) == 0 && prot != PROT_NONE;
	s64 at = mm_mmap(mm, page_va(first), n * PAGE_SIZE, prot,
			 MAP_FIXED | (populate ? MAP_POPULATE : 0));

	for (unsigned int i = first; i < first + n; i++)
		model[i] = (struct model_page){ true, populate, prot, 0 };
	return EXPECT_EQ(at, page_va(first));
}

static bool op_munmap(unsigned int first, unsigned int n)
{
	memset(&model[first], 0, n * sizeof(model[0]));
	return EXPECT_EQ(mm_munmap(mm, page_va(first), n * PAGE_SIZE), 0);
}

static bool op_mprotect(unsigned int first, unsigned int n)
{
	u32 prot = pick_prot();
	bool ok = all_mapped(first, n);

	for (unsigned int i = first; ok && i < first + n; i++)
		model[i].prot = prot;
	return EXPECT_EQ(mm_mprotect(mm, page_va(first), n * PAGE_SIZE, prot), ok ? 0 : -ENOMEM);
}

static bool op_dontneed(unsigned int first, unsigned int n)
{
	if (!all_mapped(first, n))
		return true; /* what happens to a range with holes is not promised */
	for (unsigned int i = first; i < first + n; i++) {
		model[i].populated = false;
		model[i].value = 0;
	}
	return EXPECT_EQ(mm_madvise_dontneed(mm, page_va(first), n * PAGE_SIZE), 0);
}

static bool op_write(unsigned int i)
{
	u64 value = rand_next(&seed);
	bool ok = model[i].mapped && (model[i].prot & PROT_WRITE);

	if (ok) {
		model[i].value = value;
		model[i].populated = true;
	}
	return EXPECT_EQ(test_poke(page_va(i) + 16, value), ok ? 0 : -EFAULT);
}

static bool op_read(unsigned int i)
{
	bool ok = model[i].mapped && model[i].prot != PROT_NONE;
	u64 value = 0;

	if (ok)
		model[i].populated = true;
	return EXPECT_EQ(test_peek(page_va(i) + 16, &value), ok ? 0 : -EFAULT) &&
	       (!ok || EXPECT_EQ(value, model[i].value));
}

/* gup_fast() gets exactly the populated pages up to the first that is not there or not allowed. */
static bool op_gup(unsigned int first, unsigned int n)
{
	struct page *pages[NR];
	u32 flags = pick(2) ? FOLL_WRITE : 0;
	u32 want = flags ? PROT_WRITE : PROT_READ;
	unsigned int expected = 0;
	bool ok = true;

	while (expected < n && model[first + expected].populated &&
	       (model[first + expected].prot & want))
		expected++;
	unsigned int got = gup_fast(page_va(first), n, flags, pages);

	ok = EXPECT_EQ(got, expected);
	for (unsigned int i = 0; i < got; i++) {
		u64 *words = page_to_virt(pages[i]);

		ok = ok && EXPECT_EQ(words[2], model[first + i].value);
		put_page(pages[i]);
	}
	return ok;
}

static bool operate(void)
{
	unsigned int first = (unsigned int)pick(NR);
	/* Mostly short, sometimes anything: every shape of sub-range comes up. */
	unsigned int most = pick(8) ? min(NR - first, 6u) : NR - first;
	unsigned int n = 1 + (unsigned int)pick(most);

	switch (pick(10)) {
	case 0:
	case 1:
		return op_mmap(first, n);
	case 2:
	case 3:
		return op_munmap(first, n);
	case 4:
		return op_mprotect(first, n);
	case 5:
		return op_dontneed(first, n);
	case 6:
		return op_gup(first, n);
	case 7:
		return op_read(first);
	default:
		return op_write(first);
	}
}

/* ---- Comparing the whole ----------------------------------------------------------------- */

#define DEEP 48 /* of 96 VMAs at random some 12 are above each other */

/* Whether a subtree is in order by address, inside [low, high), and a heap by priority. */
static bool check_tree(const struct vma *v, const struct vma *parent, vaddr_t low, vaddr_t high,
		       unsigned int depth)
{
	if (!v)
		return true;
	return v->parent == parent && (!parent || v->priority <= parent->priority) &&
	       v->start >= low && v->start < v->end && v->end <= high && depth < DEEP &&
	       check_tree(v->left, v, low, v->start, depth + 1) &&
	       check_tree(v->right, v, v->end, high, depth + 1);
}

static unsigned int tree_size(const struct vma *v)
{
	return v ? 1 + tree_size(v->left) + tree_size(v->right) : 0;
}

/* How many there are in the list, if it is linked both ways and in order. */
static unsigned int list_size(void)
{
	const struct vma *prev = NULL;
	unsigned int n = 0;

	for (const struct vma *v = vma_find(mm, 0); v; prev = v, v = v->next, n++)
		if (v->prev != prev || (prev && prev->end > v->start))
			return ~0u;
	return n;
}

static bool check_vmas(void)
{
	bool ok;

	down_read(&mm->mmap_lock);
	ok = EXPECT(check_tree(mm->vmas, NULL, USER_START, user_end(), 0)) &&
	     EXPECT_EQ(mm->nr_vmas, tree_size(mm->vmas)) && EXPECT_EQ(mm->nr_vmas, list_size());
	for (unsigned int i = 0; ok && i < NR; i++) {
		struct vma *v = vma_find(mm, page_va(i));
		bool mapped = v && v->start <= page_va(i);

		ok = EXPECT_EQ(mapped, model[i].mapped) &&
		     (!mapped || EXPECT_EQ(v->prot, model[i].prot));
	}
	up_read(&mm->mmap_lock);
	return ok;
}

static bool check_tables(void)
{
	s64 pages = 0;
	bool ok = true;

	for (unsigned int i = 0; ok && i < NR; i++) {
		pte_t *ptep = test_ptep(mm->root, page_va(i), 0);

		pages += model[i].populated;
		ok = EXPECT_EQ(ptep && pte_present(pte_read(ptep)), model[i].populated);
		if (!ok)
			test_note("at page %u of the window", i);
	}
	return ok && EXPECT_EQ(mm_count_mapped(mm, page_va(0), page_va(NR)), pages);
}

static void run_model(u64 first_seed)
{
	mm = test_mm_enter();
	if (!mm)
		return;
	seed = first_seed;
	base = test_window(4) + pt_span(1) - NR / 2 * PAGE_SIZE;
	memset(model, 0, sizeof(model));
	for (unsigned int i = 0; i < OPERATIONS; i++) {
		bool ok = operate() && (i % 50 != 0 || (check_vmas() && check_tables()));

		if (!ok) {
			test_note("operation %u, seed %#llx", i, (unsigned long long)first_seed);
			break;
		}
	}
	EXPECT_EQ(mm_munmap(mm, base - PAGE_SIZE, (NR + 2) * PAGE_SIZE), 0);
	EXPECT_EQ(mm_nr_pages(mm), 0);
	EXPECT_EQ(mm->nr_vmas, 0);
	EXPECT(test_tables_settle(mm, 1));
	test_mm_leave(mm);
}

TEST(mm, model_fixed_seed)
{
	run_model(0x9e3779b97f4a7c15ULL);
}

TEST(mm, model_new_seed)
{
	run_model(arch_cycles() | 1);
}

/* Every sub-range of a small mapping, each on a fresh one: before, inside, over the ends. */
#define SMALL 5

static void munmap_one_shape(unsigned int first, unsigned int n)
{
	u64 value;

	EXPECT_EQ(
	    mm_mmap(mm, base, SMALL * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_POPULATE),
	    base);
	EXPECT_EQ(mm_munmap(mm, base + first * PAGE_SIZE - PAGE_SIZE, n * PAGE_SIZE), 0);
	for (unsigned int i = 0; i < SMALL; i++) {
		bool gone = i + 1 >= first && i + 1 < first + n;

		if (!EXPECT_EQ(test_peek(page_va(i), &value), gone ? -EFAULT : 0))
			test_note("page %u after munmap of %u from %u - 1", i, n, first);
	}
	EXPECT_EQ(mm_munmap(mm, base, SMALL * PAGE_SIZE), 0);
}

TEST(mm, munmap_of_every_shape)
{
	mm = test_mm_enter();
	if (!mm)
		return;
	base = test_window(5) + pt_span(1) - 2 * PAGE_SIZE; /* across two leaf tables */
	for (unsigned int first = 0; first <= SMALL + 1; first++)
		for (unsigned int n = 1; first + n <= SMALL + 2; n++)
			munmap_one_shape(first, n);
	EXPECT(test_tables_settle(mm, 1));
	test_mm_leave(mm);
}
