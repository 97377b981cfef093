// SPDX-License-Identifier: MIT
/*
 * The MMUs: what each CPU's TLB and walk cache may hold, roots, and invalidation.
 *
 * Terms. What an MMU may hold is a set: every translation, and every pointer to a table, that could
 * be reached from the loaded root, or from a table that it remembers, at any moment since an
 * invalidation that covers it. Speculation may have fetched any of it, so the set is not sampled:
 * it is kept whole, and no schedule is needed to find the bad moment.
 * The set is kept for the addresses that the scenario plays with, by tag. Each entry names the
 * frame it leads to and the frame's life (its generation), so that a frame used again is told
 * apart. Walks see memory as all CPUs do; stores in a buffer are not there yet.
 * A leaf that is not marked accessed is not in the set. The mark is set by an access that finds no
 * translation: by the MMU, in a step of its own that changes the entry as it is then, or by the
 * fault handler, as the machine does. (Speculation may set it as well: an access stands for that.)
 * Dirty makes no difference to what may be held.
 * Rules: the hardware half of G1 to G3, G10, T1 to T8, A2. See also: frame.c, which judges.
 */
#include "sim.h"

#include <arch.h>
#include <ledger.h>
#include <page.h>
#include <percpu.h>
#include <pgtable.h>
#include <string.h>

vaddr_t sim_vas[MAX_VAS];
unsigned int nr_sim_vas;

/*
 * An entry of the set: level 63:61 (0: a leaf; else the level of the entry that led to a table),
 * writable 60, generation 59:52, frame 51:36, tag 35:28, page number of the address 27:0.
 */
#define HELD(level, w, gen, pfn, tag, vpn)                                                         \
	((u64)(level) << 61 | (u64)(w) << 60 | (u64)(gen) << 52 | (u64)(pfn) << 36 |               \
	 (u64)(tag) << 28 | (vpn))
#define HELD_ABSENT 7 /* as a level: nothing is there */
#define HELD_LEVEL(h) ((unsigned int)((h) >> 61))
#define HELD_WRITE(h) ((h) >> 60 & 1)
#define HELD_GEN(h) ((u8)((h) >> 52))
#define HELD_PFN(h) ((h) >> 36 & 0xffff)
#define HELD_TAG(h) ((unsigned int)((h) >> 28 & 0xff))
#define HELD_VPN(h) ((h)&0xfffffff)

static void add(struct vcpu *v, u64 h)
{
	touch_thing(THING_MMU, (unsigned int)(v - M.cpu), true);

	unsigned int i = 0;

	while (i < v->nr_held && v->held[i] < h)
		i++;
	if (i < v->nr_held && v->held[i] == h)
		return;
	if (v->nr_held == MAX_HELD)
		finding("model", "the set of what a TLB may hold is full");
	for (unsigned int j = v->nr_held++; j > i; j--)
		v->held[j] = v->held[j - 1];
	v->held[i] = h;
}

/* The part of va that an entry of level covers. */
static u64 vpn_at(vaddr_t va, unsigned int level)
{
	return ALIGN_DOWN(va, pt_span(level)) >> PAGE_SHIFT;
}

static const pte_t *raw(u64 pfn)
{
	return (const pte_t *)(DIRECT_MAP + (pfn << PAGE_SHIFT));
}

/* Walks on for va in the table of that frame, whose entries are of `level`. */
static void walk(struct vcpu *v, u64 pfn, unsigned int level, vaddr_t va)
{
	for (;; level--) {
		pte_t pte = raw(pfn)[pt_index(va, level)];

		if (!(pte.val & PTE_VALID))
			return;
		pfn = pte_pa(pte) >> PAGE_SHIFT;
		if (pfn >= DIRECT_MAP_SIZE >> PAGE_SHIFT)
			return;
		if (pte_leaf(pte, level)) {
			if (level == 0 && (pte_attr_in(pte, PA_ACCESSED)))
				add(v, HELD(0, pte_write(pte), frame_gen(pfn), pfn, v->tag,
					    vpn_at(va, 0)));
			return;
		}
		add(v, HELD(level, 0, frame_gen(pfn), pfn, v->tag, vpn_at(va, level)));
	}
}

/* Speculation: everything that it can reach now. */
void mmu_refill(struct vcpu *v)
{
	if (!v->root)
		return;
	for (unsigned int i = 0; i < nr_sim_vas; i++)
		walk(v, v->root >> PAGE_SHIFT, pt_top_level(), sim_vas[i]);
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i];
		unsigned int level = HELD_LEVEL(h);

		if (!level || level == HELD_ABSENT || HELD_TAG(h) != v->tag ||
		    HELD_GEN(h) != frame_gen(HELD_PFN(h)))
			continue;
		for (unsigned int a = 0; a < nr_sim_vas; a++)
			if (vpn_at(sim_vas[a], level) == HELD_VPN(h))
				walk(v, HELD_PFN(h), level - 1, sim_vas[a]);
	}
}

void mmu_tables_changed(u64 addr)
{
	u64 pfn = (addr - DIRECT_MAP) >> PAGE_SHIFT;

	if (addr < DIRECT_MAP || pfn >= DIRECT_MAP_SIZE >> PAGE_SHIFT ||
	    pfn_to_page(pfn)->type != PAGE_TABLE)
		return;
	touch_all(THING_MMU, true);
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		mmu_refill(&M.cpu[i]);
}

/* ---- Roots ------------------------------------------------------------------------------- */

void arch_root_init(pte_t *root)
{
}

static void drop(struct vcpu *v, const struct arch_flush *f, bool any_tag)
{
	bool all = f->start == 0 && f->end == ~0ULL;
	unsigned int n = 0;

	touch_thing(THING_MMU, (unsigned int)(v - M.cpu), true);
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i], start = HELD_VPN(h) << PAGE_SHIFT;
		unsigned int level = HELD_LEVEL(h);
		bool leaf = !level || level == HELD_ABSENT;
		bool inside = start < f->end && start + pt_span(leaf ? 0 : level) > f->start;
		bool reaches =
		    all || (inside && leaf) ||
		    (inside && !model->range_spares && (f->tables || !model->leaf_spares));

		if (!(reaches && (any_tag || HELD_TAG(h) == f->tag)))
			v->held[n++] = h;
	}
	v->nr_held = (u8)n;
	mmu_refill(v);
}

/* Tells the kernel's ledger what the model's instruction covered, as a port does. */
static void tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f, unsigned int tag)
{
	struct ledger_drop drop = { .cpus = cpus, .tag = tag };

	drop.since = books_moment_over(since);
	drop.start = f->start;
	drop.end = f->end;
	drop.stride_shift = (u8)(f->stride_shift ? f->stride_shift : PAGE_SHIFT);
	drop.caches = LEDGER_LEAVES;
	if (!model->range_spares && (f->tables || !model->leaf_spares))
		drop.caches = LEDGER_TABLES;
	ledger_invalidated(&drop);
}

/* What stands under a tag that comes into use must not lead to frames that are others' by now. */
static void check_tag(const struct vcpu *v)
{
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i], pfn = HELD_PFN(h);

		if (HELD_TAG(h) == v->tag && HELD_LEVEL(h) && HELD_LEVEL(h) != HELD_ABSENT &&
		    (HELD_GEN(h) != frame_gen(pfn) || frame_is_free(pfn)))
			finding("walk cache",
				"under tag %u that is loaded now, CPU %u's walk cache leads "
				"to table frame %#llx, which was freed",
				v->tag, sim_cpu(), (unsigned long long)pfn);
	}
}

void arch_root_load(phys_t root, unsigned int tag, bool flush)
{
	struct vcpu *v = &M.cpu[sim_cpu()];
	struct arch_flush all = { .tag = tag, .end = ~0ULL, .tables = true };
	u64 since = ledger_now();

	/* Other CPUs see earlier stores by then only where the instruction is serialising. */
	if (model->in_order)
		order_fence(__ATOMIC_SEQ_CST);
	order_instruction_over();
	point(OP_CALL, NULL, __builtin_return_address(0));
	touch_thing(THING_MMU, sim_cpu(), true);
	v->root = root;
	v->tag = (u8)tag;
	if (flush) {
		drop(v, &all, false);
		tell_ledger(since, cpumask_of(sim_cpu()), &all, tag);
	}
	check_tag(v);
	mmu_refill(v);
	if (!quiet && root && frame_is_free(root >> PAGE_SHIFT))
		finding("A2", "CPU %u loads a root that was freed", sim_cpu());
}

phys_t arch_root_current(void)
{
	return M.cpu[sim_cpu()].root;
}

void arch_root_load_none(void)
{
	arch_root_load(0, 0, !arch.tag_bits);
}

/* ---- Invalidation ------------------------------------------------------------------------ */

void arch_tlb_flush_local(const struct arch_flush *f)
{
	u64 since = ledger_now();

	order_fence(__ATOMIC_SEQ_CST);
	point(OP_CALL, NULL, __builtin_return_address(0));
	drop(&M.cpu[sim_cpu()], f, false);
	tell_ledger(since, cpumask_of(sim_cpu()), f, f->tag);
}

void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	u64 since = ledger_now();
	unsigned int cpu;

	order_fence(__ATOMIC_SEQ_CST);
	if (model->broadcast)
		mask = cpu_online_mask;
	for_each_cpu (cpu, mask) {
		point(OP_CALL, NULL, __builtin_return_address(0));
		drop(&M.cpu[cpu], f, false);
	}
	tell_ledger(since, mask, f, f->tag);
}

void arch_tlb_flush_local_all(void)
{
	const struct arch_flush all = { .end = ~0ULL, .tables = true };

	u64 since = ledger_now();

	order_fence(__ATOMIC_SEQ_CST);
	drop(&M.cpu[sim_cpu()], &all, true);
	tell_ledger(since, cpumask_of(sim_cpu()), &all, LEDGER_ALL_TAGS);
}

void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
}

/* ---- Judging ----------------------------------------------------------------------------- */

bool mmu_may_hold_table(const struct vcpu *v, u64 pfn)
{
	touch_thing(THING_MMU, (unsigned int)(v - M.cpu), false);
	if (v->root && v->root >> PAGE_SHIFT == pfn)
		return true;
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i];

		if (HELD_LEVEL(h) && HELD_LEVEL(h) != HELD_ABSENT && HELD_PFN(h) == pfn &&
		    HELD_TAG(h) == v->tag && v->root && HELD_GEN(h) == frame_gen(pfn))
			return true;
	}
	return false;
}

bool mmu_may_hold_leaf(const struct vcpu *v, u64 pfn)
{
	touch_thing(THING_MMU, (unsigned int)(v - M.cpu), false);
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i];

		if (!HELD_LEVEL(h) && HELD_PFN(h) == pfn && HELD_TAG(h) == v->tag && v->root &&
		    HELD_GEN(h) == frame_gen(pfn))
			return true;
	}
	return false;
}

/* Whether user code on some CPU may use a translation of va other than to frame `except`. */
bool mmu_user_reaches(vaddr_t va, u64 except, bool write)
{
	touch_all(THING_MMU, false);
	for (unsigned int c = 0; c < MAX_CPUS; c++) {
		const struct vcpu *v = &M.cpu[c];

		for (unsigned int i = 0; i < v->nr_held && v->state == VCPU_USER; i++) {
			u64 h = v->held[i];

			if (!HELD_LEVEL(h) && HELD_TAG(h) == v->tag &&
			    HELD_VPN(h) == va >> PAGE_SHIFT && HELD_PFN(h) != except &&
			    (!write || HELD_WRITE(h)))
				return true;
		}
	}
	return false;
}

/* An access found nothing at va: some TLBs remember that. */
void mmu_note_absent(vaddr_t va)
{
	struct vcpu *v = &M.cpu[sim_cpu()];

	if (arch.caches_invalid)
		add(v, HELD(HELD_ABSENT, 0, 0, 0, v->tag, vpn_at(va, 0)));
}

bool mmu_holds_absence(vaddr_t va)
{
	const struct vcpu *v = &M.cpu[sim_cpu()];
	u64 h = HELD(HELD_ABSENT, 0, 0, 0, v->tag, vpn_at(va, 0));

	touch_thing(THING_MMU, sim_cpu(), false);
	for (unsigned int i = 0; i < v->nr_held; i++)
		if (v->held[i] == h)
			return true;
	return false;
}

/* The leaf for va, by way of the root, if it lacks marks that an access would set; or NULL. */
static pte_t *unmarked(const struct vcpu *v, vaddr_t va, bool write, u64 *old, u64 *marked)
{
	u64 pfn = v->root >> PAGE_SHIFT;

	for (unsigned int level = pt_top_level(); v->root; level--) {
		pte_t *ptep = (pte_t *)raw(pfn) + pt_index(va, level), pte = *ptep;

		pfn = pte_pa(pte) >> PAGE_SHIFT;
		if (!(pte.val & PTE_VALID) || pfn >= DIRECT_MAP_SIZE >> PAGE_SHIFT)
			return NULL;
		if (!pte_leaf(pte, level))
			continue;
		*old = pte.val;
		*marked = pte.val | (PA_ACCESSED | (write ? PA_DIRTY : 0)) << PTE_ATTR_SHIFT;
		return *old == *marked || (write && !pte_write(pte)) ? NULL : ptep;
	}
	return NULL;
}

int __tsan_atomic64_compare_exchange_strong(volatile u64 *p, u64 *want, u64 v, int order,
					    int failed);

/* An access of the running CPU that finds no translation: its MMU marks the leaf, if it does. */
void mmu_mark(vaddr_t va, bool write)
{
	const struct vcpu *v = &M.cpu[sim_cpu()];
	u64 old, marked;
	pte_t *ptep;

	while (model->cpu_marks && (ptep = unmarked(v, va, write, &old, &marked)) != NULL)
		if (__tsan_atomic64_compare_exchange_strong(&ptep->val, &old, marked,
							    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			return;
}

/* The n-th translation of va that the running CPU may use; 0 if there are fewer. */
u64 mmu_translation(vaddr_t va, unsigned int n)
{
	const struct vcpu *v = &M.cpu[sim_cpu()];

	touch_thing(THING_MMU, sim_cpu(), false);
	for (unsigned int i = 0; i < v->nr_held; i++) {
		u64 h = v->held[i];

		if (HELD_LEVEL(h) || HELD_TAG(h) != v->tag || HELD_VPN(h) != va >> PAGE_SHIFT)
			continue;
		if (n-- == 0)
			return h;
	}
	return 0;
}

u64 mmu_use(u64 h, vaddr_t va, bool write)
{
	u64 pfn = HELD_PFN(h);

	if (write && !HELD_WRITE(h))
		return 0;
	if (frame_is_free(pfn) || HELD_GEN(h) != frame_gen(pfn))
		finding("TLB",
			"CPU %u reaches frame %#llx through its TLB at %#llx: the frame was "
			"freed since",
			sim_cpu(), (unsigned long long)pfn, (unsigned long long)va);
	return DIRECT_MAP + (pfn << PAGE_SHIFT) + (va & ~PAGE_MASK);
}
