// SPDX-License-Identifier: MIT
/*
 * The user half of each CPU's MMU, and the copies that go through it.
 *
 * A TLB and a walk cache, filled by accesses alone: what stands there is used, so that an
 * invalidation that was forgotten is seen by the next access. (What speculation may fill beside is
 * the explorer's subject: arch/sim/mmu.c.) What an invalidation covers is that machine's:
 * arch/sim/model.c.
 */
#include "host.h"

#include "../sim.h"

#include <ledger.h>
#include <page.h>
#include <pgtable.h>
#include <printk.h>
#include <string.h>
#include <thread.h>
#include <trap.h>

#define TLB_ENTRIES 64
#define WALK_ENTRIES 16
#define ALL (~0ULL) /* as the end of a range that begins at 0 */

/* key 0: empty; else address of the page, or of what a leaf table spans, with tag + 1 below. */
struct entry {
	u64 key;
	pte_t pte;	    /* a leaf */
	unsigned int level; /* of the leaf */
};

static struct mmu {
	phys_t root;
	unsigned int tag;
	struct entry tlb[TLB_ENTRIES];
	struct entry walk[WALK_ENTRIES]; /* pte: that leads to a table of level 0 */
} mmus[HOST_CPUS];

static struct mmu *me(void)
{
	return &mmus[host_cpu()];
}

static u64 key_of(vaddr_t va, unsigned int level, unsigned int tag)
{
	return ALIGN_DOWN(va, pt_span(level)) | (tag + 1);
}

static struct entry *slot(struct entry *set, unsigned int nr, vaddr_t va, unsigned int level)
{
	return &set[va / pt_span(level) % nr];
}

/* ---- Translation ------------------------------------------------------------------------- */

static pte_t *entry_at(phys_t table, vaddr_t va, unsigned int level)
{
	return (pte_t *)(DIRECT_MAP + table) + pt_index(va, level);
}

static pte_t load(const pte_t *ptep)
{
	return (pte_t){ *(const volatile u64 *)&ptep->val };
}

/* Where the entry is that maps va, or the invalid one where the walk ended. */
static pte_t *walk(struct mmu *m, vaddr_t va, unsigned int *level)
{
	struct entry *w = slot(m->walk, WALK_ENTRIES, va, 1);
	pte_t pte, *ptep;

	*level = pt_top_level();
	if (w->key == key_of(va, 1, m->tag)) {
		*level = 0;
		return entry_at(pte_pa(w->pte), va, 0);
	}
	for (phys_t table = m->root;; table = pte_pa(pte), --*level) {
		ptep = entry_at(table, va, *level);
		pte = load(ptep);
		if (!(pte.val & PTE_VALID) || pte_leaf(pte, *level))
			return ptep;
		if (*level == 1)
			*w = (struct entry){ .key = key_of(va, 1, m->tag), .pte = pte };
	}
}

static bool allows(pte_t pte, bool write)
{
	return (pte.val & PTE_VALID) && (!write || pte_write(pte));
}

/* The marks that the access asks for and the entry has not; none if it is not allowed anyway. */
static u64 marks_missing(pte_t pte, bool write)
{
	u64 marks = (PA_ACCESSED | (write ? PA_DIRTY : 0)) << PTE_ATTR_SHIFT;

	return allows(pte, write) ? marks & ~pte.val : 0;
}

/*
 * Reads va's entry anew, and sets the marks in it if this machine does: as one change of what is
 * in memory, or not at all.
 */
static void fill(struct mmu *m, vaddr_t va, bool write, struct entry *e)
{
	u64 missing;
	pte_t *ptep;

	e->key = key_of(va, 0, m->tag);
	do {
		ptep = walk(m, va, &e->level);
		e->pte = load(ptep);
		missing = model->cpu_marks ? marks_missing(e->pte, write) : 0;
	} while (missing &&
		 !__sync_bool_compare_and_swap(&ptep->val, e->pte.val, e->pte.val | missing));
	e->pte.val |= missing;
}

/* Where va's byte is, or NULL: a fault. */
static void *translate(vaddr_t va, bool write)
{
	struct mmu *m = me();
	struct entry *e = slot(m->tlb, TLB_ENTRIES, va, 0), now = *e;

	if (!m->root)
		return NULL;
	if (now.key != key_of(va, 0, m->tag) ||
	    (model->cpu_marks && marks_missing(now.pte, write))) {
		fill(m, va, write, &now);
		if ((allows(now.pte, false) && !marks_missing(now.pte, false)) ||
		    arch.caches_invalid)
			*e = now;
	}
	if (!allows(now.pte, write) || marks_missing(now.pte, write))
		return NULL;
	return (void *)(DIRECT_MAP + pte_pa(now.pte) + va % pt_span(now.level));
}

/* ---- Roots and invalidation -------------------------------------------------------------- */

void arch_root_init(pte_t *root)
{
}

static bool covers(const struct arch_flush *f, const struct entry *e, unsigned int level,
		   bool any_tag)
{
	vaddr_t start = ALIGN_DOWN(e->key, PAGE_SIZE);

	return (any_tag || (e->key & ~PAGE_MASK) == f->tag + 1) && start < f->end &&
	       start + pt_span(level) > f->start;
}

static bool reaches_walk_caches(const struct arch_flush *f)
{
	bool all = f->start == 0 && f->end == ALL;

	return all || (!model->range_spares && (f->tables || !model->leaf_spares));
}

static void drop(struct mmu *m, const struct arch_flush *f, bool any_tag)
{
	for (unsigned int i = 0; i < TLB_ENTRIES; i++)
		if (covers(f, &m->tlb[i], 0, any_tag))
			m->tlb[i].key = 0;
	for (unsigned int i = 0; i < WALK_ENTRIES && reaches_walk_caches(f); i++)
		if (covers(f, &m->walk[i], 1, any_tag))
			m->walk[i].key = 0;
}

static void tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f, unsigned int tag)
{
	struct ledger_drop d = { .since = since,
				 .cpus = cpus,
				 .tag = tag,
				 .start = f->start,
				 .end = f->end,
				 .caches = reaches_walk_caches(f) ? LEDGER_TABLES : LEDGER_LEAVES };

	d.stride_shift = (u8)(f->stride_shift ? f->stride_shift : PAGE_SHIFT);
	ledger_invalidated(&d);
}

void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	const struct arch_flush all = { .tag = tag, .end = ALL, .tables = true };
	u64 since = ledger_now();

	me()->root = root;
	me()->tag = tag;
	if (!flush && arch.tag_bits)
		return;
	drop(me(), &all, false);
	tell_ledger(since, cpumask_of(host_cpu()), &all, tag);
}

phys_t arch_root_current(void)
{
	return me()->root;
}

void arch_root_load_none(void)
{
	arch_root_load(0, 0, false);
}

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	drop(me(), f, false);
	tell_ledger(since, cpumask_of(host_cpu()), f, f->tag);
}

void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	u64 since = ledger_now();
	unsigned int cpu;

	if (model->broadcast)
		mask = cpu_online_mask;
	for_each_cpu (cpu, mask) {
		host_step();
		drop(&mmus[cpu], f, false);
	}
	tell_ledger(since, mask, f, f->tag);
}

void arch_tlb_flush_local_all(void)
{
	const struct arch_flush all = { .end = ALL, .tables = true };
	u64 since = ledger_now();

	drop(me(), &all, true);
	tell_ledger(since, cpumask_of(host_cpu()), &all, LEDGER_ALL_TAGS);
}

/* ---- User copies ------------------------------------------------------------------------- */

bool arch_fixup(struct trap_frame *tf)
{
	tf->ended = tf->user_copy;
	return tf->ended;
}

bool trap_register(const struct trap_frame *tf, unsigned int n, char *name, u64 *value)
{
	memcpy(name, "pc", 3);
	*value = tf->pc;
	return n == 0;
}

/* False: the fault ends the copy. */
static bool fault(vaddr_t va, bool write)
{
	struct trap_frame tf = { .pc = (vaddr_t)arch_user_copy,
				 .fp = (vaddr_t)__builtin_frame_address(0),
				 .user_copy = true };

	tf.irqs_on = arch_irq_save();
	do_page_fault(&tf, va, write ? FAULT_WRITE : 0);
	if (tf.irqs_on)
		arch_irq_enable();
	return !tf.ended;
}

/* As many bytes as one instruction moves. */
static size_t width(vaddr_t va, const void *other, size_t left)
{
	return left >= 8 && IS_ALIGNED(va | (vaddr_t)other, 8) ? 8 : 1;
}

static void move(void *to, const void *from, size_t n)
{
	if (oracles() && (host_forbidden((vaddr_t)to) || host_forbidden((vaddr_t)from)))
		panic("user access through a stale translation: %p or %p is free", to, from);
	if (n == 8)
		*(volatile u64 *)to = *(const volatile u64 *)from;
	else
		*(volatile u8 *)to = *(const volatile u8 *)from;
}

size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user)
{
	while (n > 0) {
		vaddr_t va = (vaddr_t)(to_user ? dst : src);
		size_t step = width(va, to_user ? src : dst, n);
		void *at = translate(va, to_user);

		if (at) {
			move(to_user ? at : dst, to_user ? src : at, step);
			dst = (char *)dst + step;
			src = (const char *)src + step;
			n -= step;
		} else if (!fault(va, to_user)) {
			return n;
		}
		host_step();
	}
	return 0;
}
