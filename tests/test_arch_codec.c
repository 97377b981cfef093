// SPDX-License-Identifier: MIT
/*
 * The port contract, entries 1 to 11: constants, facts, the entry codec, and publishing an entry.
 *
 * Each test is named after the number of the entry of <arch.h> that it holds a port to.
 * See also: test_arch_tlb.c (12 to 20), test_arch_cpu.c (21 to 43).
 */
#include "testlib.h"

#include <irqflags.h>
#include <kmap.h>
#include <tlb.h>

TEST(arch, e01_geometry)
{
	EXPECT_EQ(PAGE_SIZE, 1UL << PAGE_SHIFT);
	EXPECT_EQ(PTRS_PER_TABLE * sizeof(pte_t), PAGE_SIZE);
	EXPECT(arch.pt_levels >= 2 && arch.pt_levels <= PT_LEVELS_MAX);
	EXPECT_EQ(pt_span(0), PAGE_SIZE);
	EXPECT_EQ(pt_span(1), PAGE_SIZE * PTRS_PER_TABLE);
}

TEST(arch, e02_facts_make_sense)
{
	unsigned int covered = PAGE_SHIFT + PT_INDEX_BITS * arch.pt_levels;

	EXPECT(arch.name != NULL && arch.name[0] != '\0');
	EXPECT(arch.va_bits <= covered && arch.va_bits > covered - PT_INDEX_BITS);
	EXPECT(arch.va_bits <= 63 && arch.tag_bits <= 16);
	EXPECT(arch.leaf_levels & BIT(0));
	EXPECT_EQ(arch.leaf_levels >> arch.pt_levels, 0);
	EXPECT(arch.unmaskable.name != NULL && !arch.unmaskable.maskable);
	EXPECT(arch.timer_hz >= 1000000);
	EXPECT(strnlen(arch.features, sizeof(arch.features)) < sizeof(arch.features));
}

TEST(arch, e03_all_zero_is_none)
{
	pte_t none = { 0 };

	EXPECT_EQ(sizeof(pte_t), 8);
	EXPECT(pte_none(none));
	EXPECT(!pte_present(none) && !pte_is_table(none));
	EXPECT(!pte_user_allows(none, false));
}

/* Every set of attributes that the kernel may ask for. */
static const u64 permissions[] = {
	0, PA_READ, PA_READ | PA_WRITE, PA_READ | PA_EXEC, PA_READ | PA_WRITE | PA_EXEC, PA_EXEC,
};

/* Each asked for by itself. */
static u64 attr_by_attr(pte_t pte)
{
	u64 attr = 0;

	for (unsigned int bit = 0; bit < 64; bit++)
		attr |= pte_attr_in(pte, BIT(bit));
	return attr;
}

/* pte_user_allows() says what pte_attr() does, for every kind of leaf. */
static bool check_allows(pte_t pte, u64 attr)
{
	bool read = (attr & (PA_USER | PA_READ | PA_SPECIAL)) == (PA_USER | PA_READ);

	return EXPECT_EQ(pte_user_allows(pte, false), read) &&
	       EXPECT_EQ(pte_user_allows(pte, true), read && attr & PA_WRITE);
}

static void check_leaf(phys_t pa, u64 attr, unsigned int level)
{
	pte_t pte = arch_pte_leaf(pa, attr, level);
	bool ok = EXPECT(!pte_none(pte)) && EXPECT(pte_present(pte)) &&
		  EXPECT(pte_leaf(pte, level)) && EXPECT_EQ(pte_pa(pte), pa) &&
		  (pa >= DIRECT_MAP_SIZE || EXPECT_EQ(pte_memory_pa(pte), pa)) &&
		  EXPECT_EQ(pte_attr(pte), attr) && EXPECT_EQ(attr_by_attr(pte), attr) &&
		  EXPECT_EQ(pte_write(pte), (attr & PA_WRITE) != 0) &&
		  EXPECT(level == 0 || !pte_is_table(pte)) && check_allows(pte, attr);

	if (!ok)
		test_note("leaf at level %u, pa %#llx, attributes %#llx gives %#llx", level,
			  (unsigned long long)pa, (unsigned long long)attr,
			  (unsigned long long)pte.val);
}

static void check_leaves(u64 kind)
{
	for (unsigned int level = 0; level < arch.pt_levels; level++) {
		if (!(arch.leaf_levels & BIT(level)))
			continue;
		for (unsigned int i = 0; i < ARRAY_SIZE(permissions); i++) {
			check_leaf(0, permissions[i] | kind, level);
			check_leaf(pt_span(level), permissions[i] | kind, level);
			check_leaf(5 * pt_span(level) & (BIT(39) - 1), permissions[i] | kind,
				   level);
		}
	}
}

TEST(arch, e04_user_leaf_roundtrip)
{
	check_leaves(PA_USER);
	check_leaves(PA_USER | PA_SPECIAL);
	check_leaves(PA_USER | PA_ACCESSED);
	check_leaves(PA_USER | PA_ACCESSED | PA_DIRTY);
	check_leaves(PA_USER | PA_DIRTY);
}

TEST(arch, e04_kernel_leaf_roundtrip)
{
	check_leaves(0);
	check_leaves(PA_GLOBAL);
	check_leaves(PA_GLOBAL | PA_DEVICE);
	check_leaves(PA_GLOBAL | PA_ACCESSED | PA_DIRTY);
}

TEST(arch, e05_highest_frame_roundtrip)
{
	phys_t last = DIRECT_MAP_SIZE - PAGE_SIZE;

	check_leaf(last, PA_USER | PA_READ | PA_WRITE, 0);
	check_leaf(last, PA_USER, 0);
	check_leaf(last, PA_GLOBAL | PA_READ | PA_WRITE, 0);
}

TEST(arch, e05_attributes_differ)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(permissions); i++)
		for (unsigned int j = 0; j < i; j++)
			EXPECT(!pte_same(arch_pte_leaf(PAGE_SIZE, PA_USER | permissions[i], 0),
					 arch_pte_leaf(PAGE_SIZE, PA_USER | permissions[j], 0)));
}

/* Reads va with irqs off, so that nothing but the entry as it is can answer. */
static int read_unresolved(vaddr_t va, u64 *value)
{
	bool on = local_irq_save();
	int err;

	user_access_begin();
	err = user_read_u64(va, value);
	user_access_end();
	local_irq_restore(on);
	return err;
}

static int write_unresolved(vaddr_t va, u64 value)
{
	bool on = local_irq_save();
	int err;

	user_access_begin();
	err = user_write_u64(va, value);
	user_access_end();
	local_irq_restore(on);
	return err;
}

/* The hardware's view of an entry with these permissions: may it be read, may it be written? */
static void check_hardware(struct twin *t, u64 attr, int read_err, int write_err)
{
	u64 value = 0;

	twin_point(t, arch_pte_leaf(pte_pa(t->b), PA_USER | PA_ACCESSED | PA_DIRTY | attr, 0));
	tlb_flush_mm(t->mm, false);
	EXPECT_EQ(read_unresolved(t->va, &value), read_err);
	if (read_err == 0)
		EXPECT_EQ(value, TWIN_B);
	EXPECT_EQ(write_unresolved(t->va, TWIN_B), write_err);
}

TEST(arch, e05_hardware_obeys_permissions)
{
	struct mm *mm = test_mm_enter();
	struct twin t;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		check_hardware(&t, PA_READ | PA_WRITE, 0, 0);
		check_hardware(&t, PA_READ, 0, -EFAULT);
		check_hardware(&t, 0, -EFAULT, -EFAULT); /* PROT_NONE: present to software alone */
		check_hardware(&t, PA_READ | PA_WRITE, 0, 0);
		twin_end(&t);
	}
	test_mm_leave(mm);
}

/* Entries differ in their marks alone, or in more. */
TEST(arch, e05_same_mapping)
{
	const u64 rw = PA_USER | PA_READ | PA_WRITE, marks[] = { 0, PA_ACCESSED, PA_DIRTY,
								 PA_ACCESSED | PA_DIRTY };
	pte_t plain = arch_pte_leaf(PAGE_SIZE, rw, 0);

	for (unsigned int i = 0; i < ARRAY_SIZE(marks); i++) {
		pte_t pte = arch_pte_leaf(PAGE_SIZE, rw | marks[i], 0);

		EXPECT(pte_same_mapping(plain, pte));
		EXPECT_EQ(pte_same(plain, pte), marks[i] == 0);
		EXPECT(!pte_same_mapping(pte, arch_pte_leaf(2 * PAGE_SIZE, rw | marks[i], 0)));
		EXPECT(!pte_same_mapping(
			pte, arch_pte_leaf(PAGE_SIZE, (rw & ~PA_WRITE) | marks[i], 0)));
		EXPECT(!pte_same_mapping(pte, PTE_NONE));
	}
}

/* PA_ACCESSED is one bit: of several leaves together it says whether one has it. */
TEST(arch, e10_accessed_is_one_bit)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(permissions); i++) {
		for (unsigned int j = 0; j < ARRAY_SIZE(permissions); j++) {
			pte_t a = arch_pte_leaf(PAGE_SIZE, PA_USER | permissions[i], 0);
			pte_t b = arch_pte_leaf(2 * PAGE_SIZE, PA_USER | permissions[j], 0);
			pte_t c = arch_pte_leaf(0, PA_USER | PA_ACCESSED | permissions[j], 0);

			EXPECT(!(pte_attr((pte_t){ a.val | b.val }) & PA_ACCESSED));
			EXPECT(pte_attr((pte_t){ a.val | c.val }) & PA_ACCESSED);
		}
	}
}

static u64 marks_of(const struct twin *t)
{
	return pte_attr(pte_read(t->ptep)) & (PA_ACCESSED | PA_DIRTY);
}

/*
 * An access of the kind to an entry with the marks `from`, with interrupts off and then on: where
 * the CPU does not set what is missing, the first faults and leaves the entry as it was.
 */
static void check_marks(struct twin *t, bool write, u64 from)
{
	u64 marks = PA_ACCESSED | (write ? PA_DIRTY : 0), value;
	bool sets = !(marks & ~from & ~arch.cpu_marks);

	twin_point(t, arch_pte_leaf(pte_pa(t->b), PA_USER | PA_READ | PA_WRITE | from, 0));
	tlb_flush_mm(t->mm, false);
	EXPECT_EQ(write ? write_unresolved(t->va, TWIN_B) : read_unresolved(t->va, &value),
		  sets ? 0 : -EFAULT);
	EXPECT_EQ(marks_of(t), sets ? from | marks : from | (marks & arch.cpu_marks & PA_ACCESSED));
	EXPECT_EQ(write ? test_poke(t->va, TWIN_B) : test_peek(t->va, &value), 0);
	EXPECT_EQ(marks_of(t), from | marks);
}

TEST(arch, e05_cpu_or_fault_sets_marks)
{
	struct mm *mm = test_mm_enter();
	struct twin t;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		check_marks(&t, false, 0);
		check_marks(&t, true, 0);
		check_marks(&t, true, PA_ACCESSED);
		check_marks(&t, false, PA_ACCESSED);
		check_marks(&t, true, PA_ACCESSED | PA_DIRTY);
		twin_end(&t);
	}
	test_mm_leave(mm);
}

/*
 * Reading and writing a page whose entry has its marks leaves that, and the one above it, as they
 * were.
 */
TEST(arch, e05_no_access_writes_a_marked_entry)
{
	struct mm *mm = test_mm_enter();
	struct twin t;
	u64 value;

	if (!mm)
		return;
	if (twin_init(&t, mm)) {
		pte_t *above = test_ptep(mm->root, t.va, 1), table = pte_read(above);

		twin_point(&t, t.b);
		tlb_flush_mm(mm, true);
		EXPECT_EQ(read_unresolved(t.va, &value), 0);
		EXPECT_EQ(write_unresolved(t.va, TWIN_B), 0);
		EXPECT(pte_same(pte_read(t.ptep), t.b));
		EXPECT(pte_same(pte_read(above), table));
		twin_end(&t);
	}
	test_mm_leave(mm);
}

TEST(arch, e06_table_roundtrip)
{
	static const phys_t pas[] = { 0, PAGE_SIZE, 0x7654321000 & ~(PAGE_SIZE - 1),
				      DIRECT_MAP_SIZE - PAGE_SIZE };

	for (unsigned int i = 0; i < ARRAY_SIZE(pas); i++) {
		for (unsigned int level = 1; level < arch.pt_levels; level++) {
			pte_t user = arch_pte_table(pas[i], true);
			pte_t kernel = arch_pte_table(pas[i], false);

			EXPECT(pte_present(user) && pte_present(kernel));
			EXPECT(!pte_none(user) && !pte_none(kernel));
			EXPECT(!pte_leaf(user, level) && !pte_leaf(kernel, level));
			EXPECT(pte_is_table(user) && pte_is_table(kernel));
			EXPECT_EQ(pte_pa(user), pas[i]);
			if (pas[i] < DIRECT_MAP_SIZE)
				EXPECT_EQ(pte_memory_pa(user), pas[i]);
			EXPECT_EQ(pte_pa(kernel), pas[i]);
		}
	}
}

TEST(arch, e07_poison_is_neither_none_nor_present)
{
	for (unsigned int i = 0; i < 256; i++) {
		pte_t poison = { PAGE_POISON + i };

		if (i == 0)
			EXPECT(!pte_none(poison));
		else if (i % 64)
			continue;
		EXPECT(!pte_present(poison) && !pte_is_table(poison));
		EXPECT(!pte_user_allows(poison, false));
	}
}

TEST(arch, e08_leaf_or_table)
{
	for (unsigned int level = 1; level < arch.pt_levels; level++) {
		if (arch.leaf_levels & BIT(level)) /* PROT_NONE too */
			EXPECT(pte_leaf(arch_pte_leaf(0, PA_USER, level), level));
		EXPECT(!pte_leaf(arch_pte_table(pt_span(level), true), level));
	}
	EXPECT(pte_leaf(arch_pte_leaf(PAGE_SIZE, PA_USER, 0), 0));
}

/* Entries 9 and 10, pte_pa() and pte_attr_in(), on what the kernel itself maps. */
TEST(arch, e09_kernel_table_decodes)
{
	pte_t *root = phys_to_virt(kernel_root);
	struct page *page = alloc_page(GFP_KERNEL);
	vaddr_t va = (vaddr_t)page_to_virt(page);

	ASSERT(page != NULL);
	for (unsigned int level = 0; level < arch.pt_levels; level++) {
		pte_t *ptep = test_ptep(root, va, level);

		if (!ptep || !pte_leaf(pte_read(ptep), level))
			continue;
		EXPECT_EQ(pte_pa(pte_read(ptep)) + (va & (pt_span(level) - 1)), page_to_phys(page));
		EXPECT_EQ(pte_attr(pte_read(ptep)) & (PA_READ | PA_WRITE | PA_EXEC | PA_USER),
			  PA_READ | PA_WRITE);
	}
	put_page(page);
}

/*
 * The next access after arch_pte_publish() uses the entry, even if "nothing there" was just seen.
 */
TEST(arch, e11_publish_is_seen_at_once)
{
	struct mm *mm = test_mm_enter();
	vaddr_t va = mm ? test_map(mm, 2, 0) : 0;
	u64 value = 0;

	if (va && EXPECT_EQ(test_poke(va, TWIN_A), 0)) {
		pte_t *ptep = test_ptep(mm->root, va, 0);
		bool on = local_irq_save();

		user_access_begin();
		EXPECT_EQ(user_read_u64(va + PAGE_SIZE, &value), -EFAULT);
		arch_pte_publish(ptep + 1, pte_read(ptep), false);
		if (arch.caches_invalid) /* then a user entry is seen after a fault's flush */
			arch_tlb_flush_local_all();
		EXPECT_EQ(user_read_u64(va + PAGE_SIZE, &value), 0);
		user_access_end();
		local_irq_restore(on);
		EXPECT_EQ(value, TWIN_A);
		pte_get_and_clear(ptep + 1);
		tlb_flush_range(mm, va + PAGE_SIZE, va + 2 * PAGE_SIZE, 0, false);
		EXPECT_EQ(read_unresolved(va + PAGE_SIZE, &value), -EFAULT);
	}
	if (mm)
		test_mm_leave(mm);
}
