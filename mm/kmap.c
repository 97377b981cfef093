// SPDX-License-Identifier: MIT
/*
 * The kernel half of the page tables: built once, then only leaves in the VMALLOC area change.
 *
 * Terms. <layout.h> draws the areas. The boot root is the table that the port's boot.S made; the
 * final root is the one that kmap_init() builds. kernel_root names the one that counts.
 * Why a second one. The boot tables map much in few entries, writable and executable; the final
 * ones let nothing be both, leave guards unmapped, and map every frame there is.
 * Rules: A1 for its own tables. Locks: map_lock (irqs off) for new tables and the next device
 * address; a leaf belongs to whoever owns its address. No table is ever freed, so readers need no
 * lock.
 * See also: mm/stack.c, tests/test_kmap.c.
 *
 * Why user roots never miss anything. x86_64 and riscv64 copy the kernel half's root entries into
 * every user root. kmap_init() makes every root entry that there will ever be: the VMALLOC area,
 * the only one that changes later, lies under one entry there, whose table exists from the start.
 */
#include <boot.h>
#include <kmap.h>
#include <pgtable.h>
#include <printk.h>
#include <smp.h>
#include <thread.h>

phys_t kernel_root;

/* Room for devices mapped after boot whose leaf tables are there already. */
#define IOREMAP_AHEAD MiB(4)

static spinlock_t map_lock = SPINLOCK_INIT;
static vaddr_t ioremap_next = VMALLOC_START + PAGE_SIZE; /* map_lock */

/* ---- Tables and leaves ------------------------------------------------------------------- */

static pte_t *table_new(void)
{
	if (!page_alloc_ready)
		return boot_alloc(PAGE_SIZE, PAGE_SIZE);
	struct page *p = alloc_page(GFP_NOWAIT | GFP_ZERO);

	return p ? page_to_virt(p) : NULL;
}

/* The entry of va at level; the tables above it are made as needed. NULL without memory. */
static pte_t *entry_at(pte_t *root, vaddr_t va, unsigned int level)
{
	pte_t *ptep = root + pt_index(va, pt_top_level());

	for (unsigned int l = pt_top_level(); l > level; l--) {
		if (pte_none(pte_read(ptep))) {
			pte_t *table = table_new();

			if (!table)
				return NULL;
			/*
			 * Release: the table's zeroes are seen before the entry [A1]. Pairs with
			 * entry_at() of another CPU, which loads it with pte_read().
			 */
			arch_pte_publish(ptep, arch_pte_table(virt_to_phys(table), false), true);
		}
		BUG_ON(pte_leaf(pte_read(ptep), l));
		ptep = pte_table(pte_read(ptep)) + pt_index(va, l - 1);
	}
	return ptep;
}

/* The highest level whose leaf fits at va and pa and is not larger than size. */
static unsigned int fitting_level(vaddr_t va, phys_t pa, u64 size)
{
	unsigned int level = pt_top_level();

	while (level > 0 && (!(arch.leaf_levels & BIT(level)) || size < pt_span(level) ||
			     !IS_ALIGNED(va | pa, pt_span(level))))
		level--;
	return level;
}

/*
 * The entry for the largest leaf that fits at va, and its level. A table that is there already
 * stays, be it empty. NULL without memory.
 */
static pte_t *leaf_entry(pte_t *root, vaddr_t va, phys_t pa, u64 size, unsigned int *level)
{
	pte_t *ptep;

	*level = fitting_level(va, pa, size);
	for (;;) {
		ptep = entry_at(root, va, *level);
		if (!ptep || *level == 0 || pte_none(pte_read(ptep)))
			return ptep;
		(*level)--;
	}
}

static void map_leaf(pte_t *ptep, phys_t pa, u64 attr, unsigned int level)
{
	BUG_ON(!pte_none(pte_read(ptep)));
	BUG_ON((attr & PA_WRITE) && (attr & PA_EXEC));
	attr |= PA_GLOBAL | PA_ACCESSED | PA_DIRTY;
	arch_pte_publish(ptep, arch_pte_leaf(pa, attr, level), true);
}

/*
 * Page-aligned; the largest leaves that fit, and one way down for those that share a table. False
 * without memory for a table: the part before is mapped then.
 */
static bool map_range(pte_t *root, vaddr_t va, phys_t pa, u64 size, u64 attr)
{
	while (size > 0) {
		unsigned int level;
		pte_t *ptep = leaf_entry(root, va, pa, size, &level);
		u64 span = pt_span(level);

		if (!ptep)
			return false;
		do {
			map_leaf(ptep++, pa, attr, level);
			va += span;
			pa += span;
			size -= span;
		} while (size >= span && pt_index(va, level) != 0 && pte_none(pte_read(ptep)));
	}
	return true;
}

/* ---- The areas --------------------------------------------------------------------------- */

static phys_t image_pa(const char *symbol)
{
	return (vaddr_t)symbol - KERNEL_VA + image_phys_base;
}

static void map_direct(pte_t *root, phys_t start, phys_t end, u64 attr)
{
	if (start < end)
		(void)map_range(root, DIRECT_MAP + start, start, end - start, attr);
}

/* One range of memory; what the image must not change is not changed through here either. */
static void map_memory(pte_t *root, phys_t start, phys_t end)
{
	phys_t fixed = max(start, min(end, image_pa(text_start)));
	phys_t fixed_end = max(fixed, min(end, image_pa(rodata_end)));

	map_direct(root, start, fixed, PA_READ | PA_WRITE);
	map_direct(root, fixed, fixed_end, PA_READ);
	map_direct(root, fixed_end, end, PA_READ | PA_WRITE);
}

static void map_image_part(pte_t *root, const char *start, const char *end, u64 attr)
{
	if (start < end)
		(void)map_range(root, (vaddr_t)start, image_pa(start), (u64)(end - start), attr);
}

static void map_image(pte_t *root)
{
	map_image_part(root, text_start, text_end, PA_READ | PA_EXEC);
	map_image_part(root, rodata_start, rodata_end, PA_READ);
	/* The guard under the boot CPU's first stack stays unmapped, like those in mm/stack.c. */
	map_image_part(root, data_start, init_stack, PA_READ | PA_WRITE);
	map_image_part(root, init_stack + STACK_SIZE, image_end, PA_READ | PA_WRITE);
}

/* Backs struct pages at va with one leaf; returns how much it covers. */
static u64 back_vmemmap(pte_t *root, vaddr_t va, vaddr_t end)
{
	unsigned int level = fitting_level(va, 0, min(end - va, pt_span(1)));
	phys_t pa = boot_alloc_phys(pt_span(level), pt_span(level));

	if (!pa && level > 0) {
		level = 0;
		pa = boot_alloc_phys(PAGE_SIZE, PAGE_SIZE);
	}
	if (!pa)
		boot_fail("too little memory: no room for the table of page frames");
	map_leaf(entry_at(root, va, level), pa, PA_READ | PA_WRITE, level);
	return pt_span(level);
}

/*
 * struct pages for whole MAX_ORDER blocks, although a range may begin or end inside one: so the
 * buddy of any frame has one, and page_head() of a stale page too.
 */
static void map_vmemmap(pte_t *root)
{
	const pfn_t block = 1UL << MAX_ORDER;
	vaddr_t done = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		pfn_t first = ALIGN_DOWN(boot.mem[i].start >> PAGE_SHIFT, block);
		pfn_t last = ALIGN_UP(boot.mem[i].end >> PAGE_SHIFT, block);
		vaddr_t va = max((vaddr_t)pfn_to_page(first), done);
		vaddr_t end = ALIGN_UP((vaddr_t)pfn_to_page(last), PAGE_SIZE);

		while (va < end)
			va += back_vmemmap(root, va, end);
		done = va;
	}
}

/* The device tree, where the firmware put it outside of all memory. */
static void map_fdt(pte_t *root)
{
	if (!boot.fdt)
		return;
	phys_t start = ALIGN_DOWN(virt_to_phys(boot.fdt), PAGE_SIZE);
	phys_t end = ALIGN_UP(virt_to_phys(boot.fdt) + boot.fdt_size, PAGE_SIZE);

	for (; start < end; start += PAGE_SIZE)
		if (!pfn_valid(start >> PAGE_SHIFT))
			map_direct(root, start, start + PAGE_SIZE, PA_READ);
}

static void make_tables(pte_t *root, vaddr_t start, vaddr_t end)
{
	for (; start < end; start += pt_span(1))
		(void)entry_at(root, start, 0);
}

/* The VMALLOC area is whole entries of this level: one, if tables have 512 entries. */
static unsigned int vmalloc_level(void)
{
	unsigned int level = 1;

	while (pt_span(level + 1) <= VMALLOC_END - VMALLOC_START)
		level++;
	return level;
}

/*
 * Hooks the tables of the boot root's VMALLOC area into the new root, so that what was mapped early
 * stays where it is; then makes the tables that are to be there before anybody needs them.
 */
static void carry_vmalloc(pte_t *old, pte_t *new)
{
	unsigned int level = vmalloc_level();

	for (vaddr_t va = VMALLOC_START; va < VMALLOC_END; va += pt_span(level)) {
		pte_t from = pte_read(entry_at(old, va, level));

		if (pte_present(from))
			arch_pte_publish(entry_at(new, va, level),
					 arch_pte_table(pte_pa(from), false), true);
	}
	make_tables(new, ioremap_next, ioremap_next + IOREMAP_AHEAD);
	make_tables(new, STACK_AREA_START, VMALLOC_END);
}

void kmap_init(void)
{
	pte_t *root = table_new();

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		map_memory(root, boot.mem[i].start, boot.mem[i].end);
	map_image(root);
	map_vmemmap(root);
	map_fdt(root);
	carry_vmalloc(phys_to_virt(kernel_root), root);
	kernel_root = virt_to_phys(root);
}

/* ---- After boot -------------------------------------------------------------------------- */

static void flush_local(void *arg)
{
	const vaddr_t *range = arg;

	arch_tlb_flush_local_kernel(range[0], range[1]);
}

void kmap_flush(vaddr_t start, vaddr_t end)
{
	vaddr_t range[2] = { start, end };

	if (preemptible()) {
		smp_call_all(flush_local, range, true);
		return;
	}
	BUG_ON(cpumask_weight(READ_ONCE(cpu_online_mask)) > 1);
	preempt_disable();
	flush_local(range);
	preempt_enable();
}

/* Where a TLB may remember "not mapped", no CPU may come to a new mapping with such a memory. */
static void forget_not_mapped(vaddr_t start, vaddr_t end)
{
	if (arch.caches_invalid && page_alloc_ready)
		kmap_flush(start, end);
}

void kmap_set(vaddr_t va, const phys_t *pa, unsigned int nr, u64 attr)
{
	for (unsigned int i = 0; i < nr; i++)
		(void)map_range(phys_to_virt(kernel_root), va + i * PAGE_SIZE, pa[i], PAGE_SIZE,
				attr);
	forget_not_mapped(va, va + nr * PAGE_SIZE);
}

phys_t kmap_clear(vaddr_t va)
{
	pte_t pte = pte_get_and_clear(entry_at(phys_to_virt(kernel_root), va, 0));

	BUG_ON(!pte_present(pte));
	return pte_pa(pte);
}

static bool overlaps_memory(phys_t start, phys_t end)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++)
		if (start < boot.mem[i].end && boot.mem[i].start < end)
			return true;
	return false;
}

/*
 * Maps [start, end) at the next free place where leaves as large as the range has room for fit.
 * map_lock held. 0 without memory or addresses.
 */
static vaddr_t map_device(phys_t start, phys_t end)
{
	u64 align = end - start >= pt_span(1) ? pt_span(1) : PAGE_SIZE;
	vaddr_t va = ALIGN_UP(ioremap_next - start % align, align) + start % align;

	if (va >= STACK_AREA_START || end - start >= STACK_AREA_START - va)
		return 0;
	/* A page is left out behind each. What failed half-way is left out too: nobody uses it. */
	ioremap_next = va + (end - start) + PAGE_SIZE;
	if (!map_range(phys_to_virt(kernel_root), va, start, end - start,
		       PA_READ | PA_WRITE | PA_DEVICE))
		return 0;
	return va;
}

/* Firmware may name a device where no entry leads. */
static bool entries_hold(phys_t pa)
{
	return pte_pa(arch_pte_leaf(pa, PA_READ | PA_WRITE | PA_DEVICE, 0)) == pa;
}

void *ioremap(phys_t pa, size_t size)
{
	phys_t start = ALIGN_DOWN(pa, PAGE_SIZE), end = ALIGN_UP(pa + size, PAGE_SIZE);

	/* Memory is mapped cached already: a second, uncached mapping would be undefined. */
	if (size == 0 || pa + size < pa || overlaps_memory(start, end) ||
	    !entries_hold(end - PAGE_SIZE))
		return NULL;
	bool on = spin_lock_irqsave(&map_lock);
	vaddr_t va = map_device(start, end);

	spin_unlock_irqrestore(&map_lock, on);
	if (!va)
		return NULL;
	forget_not_mapped(va, va + (end - start));
	return (void *)(va + (pa - start));
}

/* ---- Looking ----------------------------------------------------------------------------- */

pte_t kmap_lookup(vaddr_t va, unsigned int *level)
{
	unsigned int l = pt_top_level();
	pte_t pte = pte_read((pte_t *)phys_to_virt(kernel_root) + pt_index(va, l));

	/* WHY SAFE: the kernel's tables are never freed, and an entry that was set to one stays. */
	while (l > 0 && pte_present(pte) && !pte_leaf(pte, l)) {
		l--;
		pte = pte_read(pte_table(pte) + pt_index(va, l));
	}
	*level = l;
	return pte;
}

struct run {
	vaddr_t start, end;
	phys_t pa;
	u64 attr;
	unsigned int level;
};

static bool continues(const struct run *r, const struct run *next)
{
	return r->start != r->end && r->end == next->start && r->attr == next->attr &&
	       r->level == next->level && r->pa + (r->end - r->start) == next->pa;
}

void kmap_for_each(void (*fn)(vaddr_t start, vaddr_t end, phys_t pa, u64 attr, unsigned int level,
			      void *arg),
		   void *arg)
{
	struct run r = { 0 }, next;
	vaddr_t va = DIRECT_MAP;

	do {
		pte_t pte = kmap_lookup(va, &next.level);

		next.start = va;
		va = ALIGN_DOWN(va, pt_span(next.level)) + pt_span(next.level);
		if (!pte_present(pte))
			continue;
		next.end = va;
		next.pa = pte_pa(pte);
		next.attr = pte_attr(pte);
		if (continues(&r, &next)) {
			r.end = va;
			continue;
		}
		if (r.start != r.end)
			fn(r.start, r.end, r.pa, r.attr, r.level, arg);
		r = next;
	} while (va != KERNEL_END);
	if (r.start != r.end)
		fn(r.start, r.end, r.pa, r.attr, r.level, arg);
}
