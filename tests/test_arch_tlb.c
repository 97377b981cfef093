// SPDX-License-Identifier: MIT
/*
 * The port contract, entries 12 to 20: roots and invalidation.
 *
 * A missing invalidation can only be seen by a machine that keeps stale translations. So each test
 * of an invalidation first shows, in the same window, that the old page is still seen without it:
 * map A, read, point the entry to B, read A again (stale), invalidate, read B. The window has irqs
 * off, prints nothing, and opens user access once: on some machines each of these would drop the
 * TLB by itself.
 * See also: test_tlb.c, for the policies above the transports.
 */
#include "testlib.h"

#include <cpu_tree.h>
#include <irqflags.h>
#include <kmap.h>
#include <tlb.h>

#define TRIES 10

/* ---- Roots ------------------------------------------------------------------------------- */

TEST(arch, e12_root_init)
{
	struct page *page = alloc_page(GFP_KERNEL | GFP_ZERO);
	unsigned int first_kernel = pt_index(DIRECT_MAP, pt_top_level());
	bool copied = true, empty = true;

	ASSERT(page != NULL);
	pte_t *root = page_to_virt(page), *kernel = phys_to_virt(kernel_root);

	arch_root_init(root);
	for (unsigned int i = 0; i <= pt_index(user_end() - 1, pt_top_level()); i++)
		if (!EXPECT(pte_none(root[i])))
			break;
	for (unsigned int i = first_kernel; i < PTRS_PER_TABLE; i++) {
		copied &= pte_same(root[i], kernel[i]);
		empty &= pte_none(root[i]);
	}
	EXPECT(copied || empty);
	put_page(page);
}

/* An mm with one page at va that holds value, which has had a tag. */
static struct mm *mm_with_word(vaddr_t va, u64 value)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return NULL;
	EXPECT_EQ(mm_mmap(mm, va, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED), va);
	EXPECT_EQ(test_poke(va, value), 0);
	kthread_unuse_mm();
	return mm;
}

struct root_seen {
	phys_t one, two, none, again;
	u64 in_one, in_two, in_one_again;
	int err_one, err_two, err_none, err_again;
};

/* Switches between the two roots behind the kernel's back; the caller lives in the first. */
static void visit_roots(struct mm *one, struct mm *two, vaddr_t va, bool flush, struct root_seen *s)
{
	bool on = local_irq_save();

	user_access_begin();
	s->one = arch_root_current();
	s->err_one = user_read_u64(va, &s->in_one);
	arch_root_load(two->root_pa, mm_tag(two), flush);
	s->two = arch_root_current();
	s->err_two = user_read_u64(va, &s->in_two);
	arch_root_load_none();
	s->none = arch_root_current();
	s->err_none = user_read_u64(va, &s->in_one_again);
	arch_root_load(one->root_pa, mm_tag(one), flush);
	s->again = arch_root_current();
	s->err_again = user_read_u64(va, &s->in_one_again);
	user_access_end();
	local_irq_restore(on);
}

static void check_roots(bool flush)
{
	vaddr_t va = test_window(1);
	struct mm *one = mm_with_word(va, TWIN_A), *two = mm_with_word(va, TWIN_B);
	struct root_seen s = { 0 };

	if (one && two) {
		kthread_use_mm(one);
		cpu_tree_share(one);
		visit_roots(one, two, va, flush, &s);
		kthread_unuse_mm();
		EXPECT_EQ(s.one, one->root_pa);
		EXPECT_EQ(s.two, two->root_pa);
		EXPECT_EQ(s.none, 0);
		EXPECT_EQ(s.again, one->root_pa);
		EXPECT_EQ(s.err_one, 0);
		EXPECT_EQ(s.in_one, TWIN_A);
		EXPECT_EQ(s.err_two, 0);
		EXPECT_EQ(s.in_two, TWIN_B);
		EXPECT_EQ(s.err_again, 0);
		EXPECT_EQ(s.in_one_again, TWIN_A);
		EXPECT_EQ(s.err_none, -EFAULT); /* entry 15: no user address translates */
	}
	if (one)
		mmput(one);
	if (two)
		mmput(two);
}

TEST(arch, e13_root_load_and_flush)
{
	check_roots(true);
}

TEST(arch, e14_root_load_by_tag_and_current)
{
	check_roots(false);
}

/* With flush, nothing of the tag is used again, although the root stays the same. */
TEST(arch, e13_root_load_drops_the_tag)
{
	struct mm *mm = test_mm_enter();
	struct twin t;
	u64 before = 0, after = 0;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		bool on = local_irq_save();

		user_access_begin();
		user_read_u64(t.va, &before);
		twin_point(&t, t.b);
		arch_root_load(mm->root_pa, mm_tag(mm), true);
		user_read_u64(t.va, &after);
		user_access_end();
		local_irq_restore(on);
		EXPECT_EQ(before, TWIN_A);
		EXPECT_EQ(after, TWIN_B);
		twin_end(&t);
	}
	test_mm_leave(mm);
}

TEST(arch, e15_no_root_no_user)
{
	u64 value;

	/*
	 * This thread has no mm; what a lazily loaded root would show must not be reachable either.
	 */
	EXPECT_EQ(test_peek(test_window(0), &value), -EFAULT);
	bool on = local_irq_save();

	arch_root_load_none();
	phys_t root = arch_root_current();
	struct mm *lazy = current->active_mm;

	if (lazy)
		arch_root_load(lazy->root_pa, mm_tag(lazy), true);
	local_irq_restore(on);
	EXPECT_EQ(root, 0);
}

/* ---- Local invalidation ------------------------------------------------------------------ */

typedef void (*drop_fn)(const struct twin *t);

struct window {
	u64 first, stale, fresh;
};

static void local_window(struct twin *t, drop_fn drop, struct window *w)
{
	bool on = local_irq_save();

	user_access_begin();
	user_read_u64(t->va, &w->first);
	twin_point(t, t->b);
	user_read_u64(t->va, &w->stale);
	drop(t);
	user_read_u64(t->va, &w->fresh);
	twin_point(t, t->a);
	arch_tlb_flush_local_all();
	user_access_end();
	local_irq_restore(on);
}

/* True if a stale translation was seen and drop ended it; skips if this machine keeps none. */
static void check_drop(struct twin *t, drop_fn drop)
{
	struct window w;
	bool stale = false;

	for (unsigned int i = 0; i < TRIES && !stale; i++) {
		w = (struct window){ 0 };
		local_window(t, drop, &w);
		if (!EXPECT_EQ(w.first, TWIN_A) || !EXPECT_EQ(w.fresh, TWIN_B))
			return;
		stale = w.stale == TWIN_A;
	}
	if (!stale)
		test_skip("this machine keeps no stale translations");
}

static void local_drop_test(drop_fn drop)
{
	struct mm *mm = test_mm_enter();
	struct twin t;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		check_drop(&t, drop);
		twin_end(&t);
	}
	test_mm_leave(mm);
}

static void drop_page(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), t->va, t->va + PAGE_SIZE, PAGE_SHIFT, false };

	arch_tlb_flush_local(&f);
}

static void drop_range_with_tables(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), ALIGN_DOWN(t->va, pt_span(1)),
				ALIGN_DOWN(t->va, pt_span(1)) + pt_span(1), PAGE_SHIFT, true };

	arch_tlb_flush_local(&f);
}

static void drop_pages_around(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), t->va - 8 * PAGE_SIZE, t->va + 9 * PAGE_SIZE,
				PAGE_SHIFT, false };

	arch_tlb_flush_local(&f);
}

/* How many pages of the range stand before the twin's, and how many are in it. */
static unsigned int before, pages;

static void drop_pages_of_range(const struct twin *t)
{
	vaddr_t start = t->va - before * PAGE_SIZE;
	struct arch_flush f = { mm_tag(t->mm), start, start + pages * PAGE_SIZE, PAGE_SHIFT,
				pages % 2 && !arch.range_flush_spares_walk_caches };

	arch_tlb_flush_local(&f);
}

static void drop_tag(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), 0, ~0ULL, PAGE_SHIFT, false };

	arch_tlb_flush_local(&f);
}

static void drop_tag_with_tables(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), 0, ~0ULL, PAGE_SHIFT, true };

	arch_tlb_flush_local(&f);
}

static void drop_everything(const struct twin *t)
{
	arch_tlb_flush_local_all();
}

TEST(arch, e16_flush_range_of_pages)
{
	local_drop_test(drop_pages_around);
}

/* Machines that invalidate by ranges have them in a few sizes: each page of any range counts. */
TEST(arch, e16_flush_reaches_every_page_of_a_range)
{
	static const u16 sizes[] = { 2, 3, 4, 5, 6, 61, 62, 63, 64, 65, 66, 67, 130, 2047, 2049 };

	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		pages = sizes[i];
		const unsigned int places[] = { 0, 1, pages / 2, pages - 2, pages - 1 };

		for (unsigned int j = 0; j < ARRAY_SIZE(places); j++) {
			before = places[j];
			local_drop_test(drop_pages_of_range);
		}
	}
}

/* How many translations make the emulator's table large, and how often it doubles on the way. */
#define MANY_PAGES 1024
#define DOUBLINGS 3

static void fill_tlb(vaddr_t va)
{
	u64 value;

	for (unsigned int i = 0; i < DOUBLINGS; i++) {
		for (unsigned int j = 0; j < MANY_PAGES; j++)
			EXPECT_EQ(test_peek(va + j * PAGE_SIZE, &value), 0);
		preempt_disable();
		arch_tlb_flush_local_all();
		preempt_enable();
	}
}

/*
 * The emulator drops all that it has for a range with more bytes than its table of translations: so
 * short ranges are flushed where that has grown, and one that misses the page is seen.
 */
TEST(arch, e16_flush_of_short_ranges_is_exact)
{
	struct mm *mm = test_mm_enter();
	vaddr_t many = mm ? test_map(mm, MANY_PAGES, MAP_POPULATE) : 0;
	struct twin t;

	if (many && twin_init(&t, mm)) {
		for (pages = 2; pages <= 6; pages++) {
			fill_tlb(many);
			for (before = 0; before < pages; before++)
				check_drop(&t, drop_pages_of_range);
		}
		twin_end(&t);
	}
	if (mm)
		test_mm_leave(mm);
}

TEST(arch, e16_flush_whole_tag)
{
	local_drop_test(drop_tag);
	local_drop_test(drop_tag_with_tables);
}

TEST(arch, e17_flush_local_page)
{
	local_drop_test(drop_page);
}

TEST(arch, e17_flush_local_with_tables)
{
	local_drop_test(drop_range_with_tables);
}

TEST(arch, e19_flush_local_all)
{
	local_drop_test(drop_everything);
}

/* ---- Remote invalidation ----------------------------------------------------------------- */

/* One round with CPU h->cpu, which has irqs off and never turns them on. */
static void remote_window(struct twin *t, struct holder *h, cpumask_t mask, struct window *w)
{
	struct arch_flush f = { mm_tag(t->mm), t->va, t->va + PAGE_SIZE, PAGE_SHIFT, false };

	hold_read(h, t->va, &w->first);
	twin_point(t, t->b);
	hold_read(h, t->va, &w->stale);
	preempt_disable();
	arch_tlb_flush_remote(mask, &f);
	preempt_enable();
	hold_read(h, t->va, &w->fresh);
	twin_point(t, t->a);
	f.end = ~0ULL;
	f.start = 0;
	preempt_disable();
	arch_tlb_flush_remote(mask, &f);
	preempt_enable();
}

static void remote_test(bool with_self)
{
	struct mm *mm = test_mm_enter();
	struct window w;
	struct holder h;
	struct twin t;
	bool stale = false, ok = true;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		if (hold_start(&h, test_cpu(1), HOLD_IRQS, mm)) {
			cpumask_t self = with_self ? cpumask_of(test_cpu(0)) : 0;
			cpumask_t mask = cpumask_of(h.cpu) | self;

			for (unsigned int i = 0; i < TRIES && !stale; i++) {
				w = (struct window){ 0 };
				remote_window(&t, &h, mask, &w);
				ok = EXPECT_EQ(w.first, TWIN_A) && EXPECT_EQ(w.fresh, TWIN_B);
				if (!ok)
					break;
				stale = w.stale == TWIN_A;
			}
			hold_end(&h);
			if (ok && !stale)
				test_skip("this machine keeps no stale translations");
		}
		twin_end(&t);
	}
	test_mm_leave(mm);
}

TEST(arch, e18_flush_remote_while_target_has_irqs_off)
{
	if (test_needs_cpus(2))
		remote_test(false);
}

TEST(arch, e18_flush_remote_with_self)
{
	if (test_needs_cpus(2))
		remote_test(true);
}

/* The caller alone in the mask: as good as a local one. */
static void drop_remote_self(const struct twin *t)
{
	struct arch_flush f = { mm_tag(t->mm), t->va, t->va + PAGE_SIZE, PAGE_SHIFT, false };

	arch_tlb_flush_remote(cpumask_of(smp_processor_id()), &f);
}

TEST(arch, e18_flush_remote_of_self_alone)
{
	local_drop_test(drop_remote_self);
}

/* Many at once, from several CPUs to every CPU: all of them return. */
static void storm(void *arg)
{
	struct mm *mm = arg;
	struct arch_flush f = { mm_tag(mm), test_window(0), test_window(0) + PAGE_SIZE,
				PAGE_SHIFT, false };

	for_bounded_rounds(i, 10) {
		preempt_disable();
		arch_tlb_flush_remote(cpu_online_mask, &f);
		preempt_enable();
	}
}

TEST(arch, e18_flush_remote_from_many_to_all)
{
	struct mm *mm = test_mm_enter();

	if (!mm)
		return;
	test_run_on_few(4, storm, mm);
	test_mm_leave(mm);
}

/* ---- Kernel ranges ----------------------------------------------------------------------- */

/* The page of one fresh stack, mapped by single pages, gives way to that of another. */
static void kernel_window(vaddr_t va, pte_t *a, pte_t *b, struct window *w)
{
	bool on = local_irq_save();
	pte_t pa = pte_read(a), pb = pte_read(b);

	w->first = READ_ONCE(*(u64 *)va);
	WRITE_ONCE(a->val, pb.val);
	barrier();
	w->stale = READ_ONCE(*(u64 *)va);
	smp_mb();
	arch_tlb_flush_local_kernel(va, va + PAGE_SIZE);
	w->fresh = READ_ONCE(*(u64 *)va);
	WRITE_ONCE(a->val, pa.val);
	smp_mb();
	arch_tlb_flush_local_kernel(va, va + PAGE_SIZE);
	local_irq_restore(on);
}

TEST(arch, e20_flush_local_kernel)
{
	vaddr_t stack = stack_alloc(), other = stack_alloc();
	struct window w = { 0 };

	ASSERT(stack != 0 && other != 0);
	pte_t *root = phys_to_virt(kernel_root);
	pte_t *a = test_ptep(root, stack, 0), *b = test_ptep(root, other, 0);
	bool stale = false, ok = true;

	*(u64 *)stack = TWIN_A;
	*(u64 *)other = TWIN_B;
	if (EXPECT(a && b)) {
		for (unsigned int i = 0; i < TRIES && !stale; i++) {
			kernel_window(stack, a, b, &w);
			ok = EXPECT_EQ(w.first, TWIN_A) && EXPECT_EQ(w.fresh, TWIN_B);
			if (!ok)
				break;
			stale = w.stale == TWIN_A;
		}
		if (ok && !stale)
			test_skip("this machine keeps no stale translations");
	}
	stack_free(other);
	stack_free(stack);
}
