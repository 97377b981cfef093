// SPDX-License-Identifier: MIT
/*
 * The life of each frame, and the second count of the entries that map it. Debug builds.
 *
 * Terms. A step is what happened to a frame: given out, hooked, cleared, flushed, handed to RCU,
 * given back; the last time of each is kept, with the CPU. entries counts the leaf entries that
 * lead to the frame, by the accessors that write them; mapcount counts the same where the kernel
 * decides.
 * Why. A report that a frame was freed too early is of use only with what came before; and a count
 * that is kept twice, in two places, cannot go wrong in both unseen.
 * Rules: the checks of A3, A4 and G1. Contexts: any, irqs in any state; no locks. A step of a frame
 * is written by who owns that step.
 * See also: mm/page_owner.c (the backtraces), <pgtable.h> (the accessors), tests/test_oracle.c.
 */
#ifdef GRACE_DEBUG
#include <page.h>
#include <pgtable.h>
#include <printk.h>
#include <time.h>

/* ---- Steps ------------------------------------------------------------------------------- */

u32 page_step_now(void)
{
	u32 us = (u32)(time_ns() / NSEC_PER_USEC);

	return us ? us : 1;
}

/* The last moment at which an entry may be wrong: from here on the frame is another's. */
static void check_unmapped(const struct page *p)
{
	if (unlikely(p->debug.entries))
		oracle_report(ORACLE_COUNTS, RULE_FLUSH_BEFORE_FREE, p,
			      "page %#llx is freed while %u entries lead to it, mapped %d times",
			      (unsigned long long)page_to_phys(p), p->debug.entries,
			      atomic_read(&p->mapcount));
}

void page_step(struct page *p, enum page_step step)
{
	if (step == STEP_ALLOC)
		p->debug = (struct page_debug){ 0 };
	else if (step == STEP_FREE)
		check_unmapped(p);
	if (!oracles())
		return;
	p->debug.step_us[step] = page_step_now();
	p->debug.step_cpu[step] = (u8)smp_processor_id();
}

/* ---- The second count -------------------------------------------------------------------- */

/* A user leaf of level is about to lead to p, which has `now` of them then. */
static void check_mapped(const struct page *p, unsigned int level, unsigned int now)
{
	unsigned long long pa = page_to_phys(p);

	if (unlikely(p->type != PAGE_ANON))
		oracle_report(ORACLE_COUNTS, RULE_FLUSH_BEFORE_FREE, p,
			      "frame %#llx is mapped, but is no user page (any more)", pa);
	if (unlikely(p->order != level * PT_INDEX_BITS))
		oracle_report(ORACLE_COUNTS, RULE_INSTALL_ONCE, p,
			      "page %#llx of order %u is mapped by a leaf of level %u", pa,
			      p->order, level);
	if (unlikely(now != 1))
		oracle_report(ORACLE_COUNTS, RULE_INSTALL_ONCE, p,
			      "page %#llx of one owner is mapped by %u entries", pa, now);
}

void page_entry_count(struct page *p, unsigned int level, int by)
{
	u16 old = fetch_add_relaxed(&p->debug.entries, by);

	if (by > 0)
		check_mapped(p, level, old + 1u);
	else if (unlikely(!old))
		oracle_report(ORACLE_COUNTS, RULE_FLUSH_BEFORE_FREE, p,
			      "an entry to page %#llx was cleared that was not made in its life",
			      (unsigned long long)page_to_phys(p));
}

/* An entry was about to be lost: a page keeps its count for ever, a table is never freed. */
static void report_overwritten(pte_t old, unsigned int level)
{
	const struct page *p = page_head(pte_page(old));
	bool leaf = pte_leaf(old, level);

	oracle_report(leaf ? ORACLE_COUNTS : ORACLE_STATES,
		      leaf ? RULE_INSTALL_ONCE : RULE_HOOK_ONCE, p,
		      "an entry of level %u (%s) was written over: it led to %s %#llx", level,
		      pt_level_name(level), leaf ? "page" : "table",
		      (unsigned long long)pte_pa(old));
}

void user_entry_check_empty(pte_t *ptep, unsigned int level)
{
	pte_t old = pte_read(ptep);

	if (unlikely(pte_present(old)))
		report_overwritten(old, level);
}

void user_entry_check_locked(const pte_t *ptep)
{
	const struct page *table = virt_to_page(ptep);

	if (oracles() && unlikely(!lock_is_held(&table->ptl.class)))
		oracle_report(ORACLE_LOCKS, RULE_ENTRY_LOCKED, table,
			      "entry %u of a table of level %u changes without the table's lock",
			      (unsigned int)((vaddr_t)ptep % PAGE_SIZE / sizeof(*ptep)),
			      table->pt_level);
}

/* ---- The life in print ------------------------------------------------------------------- */

static const char *step_name(const struct page *p, enum page_step step)
{
	static const char *const names[NR_PAGE_STEPS] = {
		[STEP_ALLOC] = "given out",	[STEP_HOOK] = "an entry leads to it",
		[STEP_CLEAR] = "entry cleared", [STEP_FLUSH] = "flushed everywhere",
		[STEP_WAIT] = "handed to RCU",	[STEP_FREE] = "given back",
	};

	return names[step];
}

/* The steps of this life in order of time, in *order; returns how many. */
static unsigned int sort_steps(const struct page_debug *d, u8 *order)
{
	unsigned int n = 0;

	for (unsigned int step = 0; step < NR_PAGE_STEPS; step++) {
		unsigned int i = n;

		if (!d->step_us[step])
			continue;
		/* As many before it as are not later: differences, as the clock goes round. */
		for (; i > 0 && (s32)(d->step_us[order[i - 1]] - d->step_us[step]) > 0; i--)
			order[i] = order[i - 1];
		order[i] = (u8)step;
		n++;
	}
	return n;
}

static void print_stack_of(const char *what, stack_nr_t nr)
{
	if (!nr)
		return;
	print_line("    %s by", what);
	stack_print("      ", nr);
}

void page_life_print(const struct page *p)
{
	const struct page_debug *d = &p->debug;
	u8 order[NR_PAGE_STEPS];
	unsigned int n = sort_steps(d, order);

	print_line("  frame %#llx, type %s, references %d, mapped %d, entries %u; its life:",
		   (unsigned long long)page_to_phys(p), page_type_name(p->type),
		   atomic_read(&p->refcount), atomic_read(&p->mapcount), d->entries);
	for (unsigned int i = 0; i < n; i++) {
		u32 us = d->step_us[order[i]];

		print_line("    %5u.%06u s  CPU %-2u  %s", us / 1000000, us % 1000000,
			   d->step_cpu[order[i]], step_name(p, order[i]));
	}
	if (!n)
		print_line("    not known: it was given out while oracles were off, or at boot");
	print_stack_of("given out", d->alloc_stack);
	print_stack_of("given back", d->free_stack);
}
#endif
