// SPDX-License-Identifier: MIT
/*
 * Trees by CPU: upper tables of each CPU's own above leaf tables that all share.
 *
 * Terms. The shared tree is the mm's own, in which everything is found; software walks no other. A
 * CPU's tree is what its MMU walks instead. A leaf table's mask names the CPUs in whose trees it
 * hangs. A sharer is a CPU that loads the shared root after all.
 * Why. A CPU that has an mm loaded may hold any translation that its MMU can reach, touched or not;
 * so with one tree for all, every unmapping tells every CPU of the mm's mask. In a tree of its own
 * a CPU reaches only what it has faulted in, and the mask of a table is whom to tell.
 * What it costs. A fault for each CPU and leaf table, the upper tables once a CPU, and for a table
 * that dies as many entries as CPUs: so the policy is trees=shared unless trees=cpu is given.
 * When may a CPU's own table die? Together with the root, when no CPU has it loaded [A2]: nothing
 * in it ever leads to a freed table [P2], so there is no need to be quicker.
 * Rules: P1, P2, P3. Locks: mmap_lock, as each function says. A CPU's own entries are made by that
 * CPU, with preemption off, and cut by whoever unhooks the table: never both at one time, since a
 * table is unhooked only where no VMA is, and the maker holds the VMA.
 * See also: mm/context.c (who loads which root), mm/unmap.c, tests/test_cpu_tree.c.
 *
 * The store buffering race of P1, and the barrier on each side that forbids it:
 *
 *   unmapper                               CPU that faults
 *   clears the entry                       joins the table's mask
 *   full barrier (the exchange)            full barrier (the RMW on the mask)
 *   reads the table's mask: is it in?      hooks the table; the MMU reads the entry
 *
 * Either the unmapper sees it in the mask, or its MMU sees the entry cleared.
 */
#include <cmdline.h>
#include <cpu_tree.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <percpu.h>
#include <printk.h>
#include <rules.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <tlb.h>

bool cpu_tree_policy;
static struct kmem_cache *tree_cache;

static int parse_trees(const char *value)
{
	if (strcmp(value, "shared") == 0)
		cpu_tree_policy = false;
	else if (strcmp(value, "cpu") == 0)
		cpu_tree_policy = true;
	else
		return -EINVAL;
	return 0;
}
CMDLINE_OPTION(trees, "trees",
	       "trees=shared|cpu  what the CPUs of an address space load: one tree; or each a tree "
	       "of its own above shared leaf tables: then only who touched a range is told of its "
	       "end",
	       parse_trees);

/* ---- Beginning and end ------------------------------------------------------------------- */

void cpu_tree_boot(void)
{
	if (cpu_tree_policy)
		printk("mmu: each CPU has a tree of its own, above leaf tables that all share");
	tree_cache = kmem_cache_create("cpu_tree", nr_cpus * sizeof(pte_t *), sizeof(void *));
	if (!tree_cache)
		boot_fail("too little memory: no room for trees by CPU");
}

void cpu_tree_give(struct mm *mm)
{
	pte_t **trees = NULL;

	if (table_free_mode == TABLE_FREE_RCU) /* [F4] */
		trees = kmem_cache_alloc(tree_cache, GFP_KERNEL);
	if (!trees)
		return;
	memset(trees, 0, nr_cpus * sizeof(*trees));
	mm->trees = trees;
}

void cpu_tree_init(struct mm *mm)
{
	if (cpu_tree_policy)
		cpu_tree_give(mm);
}

/* Another table for a CPU's tree of mm; NULL without memory. Never waits: preemption is off. */
static pte_t *own_table(struct mm *mm, unsigned int level)
{
	/* Not among the tables of mm->nr_tables: these come and go with what is mapped. */
	struct ptdesc *pt = ptdesc_alloc(NULL, level, GFP_NOWAIT);

	if (!pt)
		return NULL;
	atomic64_inc(&mm->nr_own_tables);
	return ptdesc_table(pt);
}

/* A table of level and the CPU's own tables below it: those of level 1 lead to nothing any more. */
static void free_own(struct mm *mm, pte_t *table, unsigned int level)
{
	for (unsigned int i = 0; i < PTRS_PER_TABLE; i++) {
		pte_t pte = pte_read(table + i);

		if (level == pt_top_level() && (u64)i << pt_shift(level) >= user_end())
			break; /* the kernel's half */
		BUG_ON(level == 1 && !pte_none(pte));
		if (!pte_none(pte))
			free_own(mm, pte_table(pte), level - 1);
	}
	atomic64_dec(&mm->nr_own_tables);
	ptdesc_free_unpublished(ptep_ptdesc(table));
}

void cpu_tree_end(struct mm *mm)
{
	unsigned int cpu;

	if (!mm->trees)
		return;
	for_each_possible_cpu(cpu)
		if (mm->trees[cpu])
			free_own(mm, mm->trees[cpu], pt_top_level());
	kmem_cache_free(tree_cache, mm->trees);
}

/* ---- Which root -------------------------------------------------------------------------- */

/* Whether this CPU loads the shared tree. Preemption off. */
static bool shares(const struct mm *mm)
{
	return cpumask_has(READ_ONCE(mm->sharers), smp_processor_id());
}

phys_t cpu_tree_own_root(const struct mm *mm)
{
	pte_t *own = mm->trees[smp_processor_id()];

	if (shares(mm))
		return mm->root_pa;
	return own ? virt_to_phys(own) : 0;
}

/* This CPU goes over to the shared tree, until the mm ends. Preemption off. */
static void share(struct mm *mm)
{
	/*
	 * Full barrier: a sharer before the shared root is loaded. Pairs with flush() in mm/tlb.c:
	 * either that finds it a sharer, or its MMU finds the entry cleared. [P3]
	 */
	fetch_or(&mm->sharers, cpumask_of(smp_processor_id()));
	mm_reload(mm);
}

void cpu_tree_share(struct mm *mm)
{
	preempt_disable();
	if (mm->trees && !shares(mm))
		share(mm);
	preempt_enable();
}

/*
 * RACE P3. In no table's mask, and yet it reaches all:
 *   unmapper                               CPU 1, has no memory for a tree of its own
 *   .                                      loads the shared root
 *   .                                      TLB: va -> page
 *   clears the entry                       .
 *   reads the table's mask: not CPU 1      .
 *   tells nobody, frees the page           uses va -> page
 */
cpumask_t cpu_tree_told_slow(const struct mm *mm, cpumask_t mask, cpumask_t cpus)
{
	return mask & (cpus | (rule(SHARED_ROOT_TOLD) ? READ_ONCE(mm->sharers) : 0));
}

static bool make_root(struct mm *mm, pte_t **mine)
{
	pte_t *root = own_table(mm, pt_top_level());

	if (!root)
		return false;
	arch_root_init(root);
	/* Other CPUs look at it only for tables in whose masks this CPU is. */
	WRITE_ONCE(*mine, root);
	mm_reload(mm);
	return true;
}

/* ---- Hanging in and cutting out ---------------------------------------------------------- */

/*
 * The entry of level 1 for va in the tree under root; NULL if there is a leaf or nothing above it.
 * WHY SAFE: in the shared tree the caller keeps the VMA of va, and that keeps the tables [L1]; a
 * CPU's own tables live as long as the mm.
 */
static pte_t *find_entry(pte_t *root, vaddr_t va)
{
	unsigned int level = pt_top_level();
	pte_t pte, *ptep = root + pt_index(va, level);

	while (level > 1 && pte_is_table(pte = pte_read(ptep)))
		ptep = pte_table(pte) + pt_index(va, --level);
	return level == 1 ? ptep : NULL;
}

/* This CPU's own entry of level 1 for addr, with the tables above it; NULL without memory. */
static pte_t *own_entry(struct mm *mm, vaddr_t addr)
{
	pte_t **mine = &mm->trees[smp_processor_id()];
	unsigned int level = pt_top_level();

	if (!*mine && !make_root(mm, mine))
		return NULL;
	pte_t *ptep = *mine + pt_index(addr, level);

	for (; level > 1; ptep = pte_table(pte_read(ptep)) + pt_index(addr, --level)) {
		if (!pte_none(pte_read(ptep)))
			continue;
		pte_t *table = own_table(mm, level - 1);

		if (!table)
			return NULL;
		/* Release: the zeroes before the entry. Pairs with this CPU's MMU. [A1] */
		arch_pte_publish(ptep, arch_pte_table(virt_to_phys(table), true), false);
	}
	return ptep;
}

/*
 * Full barrier: in the table's mask before the table hangs in the tree. Pairs with zap_entries() in
 * mm/unmap.c. [P1]
 */
static void join(struct ptdesc *pt)
{
	fetch_or(&pt->page.pt_cpus, cpumask_of(smp_processor_id()));
}

/*
 * RACE P1. The table hangs in a tree that its mask does not know of yet:
 *   unmapper                               CPU 1, faults at va
 *   .                                      hooks the leaf table into its tree
 *   .                                      TLB: va -> page
 *   clears the entry                       .
 *   reads the table's mask: not CPU 1      .
 *   tells nobody, frees the page           joins the table's mask: too late
 */
static void hang(pte_t *ptep, pte_t to)
{
	bool before = rule(TABLE_MASK_FIRST);

	if (before)
		join(pte_ptdesc(to));
	inject_delay(SWITCH_WINDOW);
	/* Release: what hangs there before the entry. Pairs with this CPU's MMU. */
	arch_pte_publish(ptep, to, false);
	inject_delay(SWITCH_WINDOW);
	if (!before)
		join(pte_ptdesc(to));
}

void cpu_tree_link_slow(struct mm *mm, vaddr_t addr)
{
	preempt_disable(); /* this CPU's tree, and its turn to change it */
	if (!shares(mm)) {
		pte_t *own = own_entry(mm, addr), *shared = find_entry(mm->root, addr);
		pte_t to = shared ? pte_read(shared) : PTE_NONE;

		if (!own || !pte_is_table(to))
			share(mm);
		else if (pte_none(pte_read(own)))
			hang(own, to);
	}
	preempt_enable();
}

/* The same in cpu's tree, if any. Address dependency: the pointer before what it leads to. */
static pte_t *find_entry_of(const struct mm *mm, unsigned int cpu, vaddr_t va)
{
	pte_t *root = READ_ONCE(mm->trees[cpu]);

	return root ? find_entry(root, va) : NULL;
}

/*
 * RACE P2. Gone from the shared tree, and still on the MMU's way:
 *   unmapper                               MMU of CPU 1, which has its own tree
 *   unhooks the table, flushes             drops what it has
 *   .                                      walks to the table again: it still hangs there
 *   frees the table                        begins its next walk inside it
 */
void cpu_tree_cut_slow(struct mm *mm, vaddr_t va, cpumask_t cpus)
{
	unsigned int cpu;

	for_each_cpu(cpu, cpus) {
		pte_t *ptep = find_entry_of(mm, cpu, va);

		/* Full barrier: cut before the flush begins. Pairs with that CPU's MMU. */
		if (ptep && rule(TABLE_CUT_EVERYWHERE))
			pte_get_and_clear(ptep);
	}
}

bool cpu_tree_leads(const struct mm *mm, unsigned int cpu, vaddr_t va)
{
	pte_t *ptep = find_entry_of(mm, cpu, va);

	return ptep && !pte_none(pte_read(ptep));
}
