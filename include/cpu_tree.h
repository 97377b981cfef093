/* SPDX-License-Identifier: MIT */
/*
 * Trees by CPU: with trees=cpu, each CPU of an mm has upper tables of its own, and the leaf tables,
 * which all share, hang in the trees of those CPUs alone that have touched what they map. So an
 * unmapper knows whom to tell: as in RadixVM (Clements, Kaashoek, Zeldovich, EuroSys 2013).
 */
#ifndef GRACE_CPU_TREE_H
#define GRACE_CPU_TREE_H

#include <mm.h>
#include <ptdesc.h>

/* trees=cpu */
extern bool cpu_tree_policy;
/* Once, before the first mm. */
void cpu_tree_boot(void);
/*
 * Gives a new mm trees by CPU if the policy says so. Without memory, all CPUs share its one tree.
 * Thread context; before the mm is known to anybody.
 */
void cpu_tree_init(struct mm *mm);
/* The same, whatever the policy: for tests. */
void cpu_tree_give(struct mm *mm);
/* Frees every CPU's own tables. No CPU has any of them loaded [A2]. */
void cpu_tree_end(struct mm *mm);

/*
 * What this CPU is to load for mm: the shared root; or, with trees by CPU, its own, which is 0 as
 * long as it has touched nothing. Preemption off.
 */
phys_t cpu_tree_own_root(const struct mm *mm);
static inline phys_t cpu_tree_root(const struct mm *mm)
{
	return likely(!mm->trees) ? mm->root_pa : cpu_tree_own_root(mm);
}

/* The CPU of the caller, which lives in mm, loads the shared tree from here on. Any thread. */
void cpu_tree_share(struct mm *mm);

/*
 * A fault at addr was resolved: hangs the leaf table into this CPU's tree. Without memory, or for a
 * huge leaf, this CPU goes over to the shared tree. Thread context; the lock that keeps the VMA of
 * addr is held, so the table stays [L1].
 */
void cpu_tree_link_slow(struct mm *mm, vaddr_t addr);
static inline void cpu_tree_link(struct mm *mm, vaddr_t addr)
{
	if (unlikely(mm->trees))
		cpu_tree_link_slow(mm, addr);
}

/*
 * The leaf table that covers va was unhooked from the shared tree: cuts it out of the trees of
 * cpus, those that were in its mask. Full barrier.
 */
void cpu_tree_cut_slow(struct mm *mm, vaddr_t va, cpumask_t cpus);
static inline void cpu_tree_cut(struct mm *mm, vaddr_t va, cpumask_t cpus)
{
	if (unlikely(mm->trees))
		cpu_tree_cut_slow(mm, va, cpus);
}

/* Those of the mm's mask that may hold anything of the tables whose masks are in cpus. [P3] */
cpumask_t cpu_tree_told_slow(const struct mm *mm, cpumask_t mask, cpumask_t cpus);
static inline cpumask_t cpu_tree_told(const struct mm *mm, cpumask_t mask, cpumask_t cpus)
{
	return likely(!mm->trees) ? mask : cpu_tree_told_slow(mm, mask, cpus);
}

/* Whether cpu's own tree of mm leads to the leaf table that covers va: for the oracles. */
bool cpu_tree_leads(const struct mm *mm, unsigned int cpu, vaddr_t va);

#endif
