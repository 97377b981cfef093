// SPDX-License-Identifier: MIT
/*
 * What the ledger says of a debt that nobody paid: which CPU, why it may still hold the
 * translation, what it was told instead, and which rule would have seen to it.
 *
 * Why apart: the books say for certain that something may be used that should be gone. Which rule
 * was broken is read off what is in the log instead, and is the best guess.
 * Rules: none of its own. Contexts: any but NMI; does not return.
 * See also: mm/ledger.c.
 */
#ifdef GRACE_DEBUG
#include "ledger_books.h"

#include <oracle.h>
#include <printk.h>

/* A load counts as one of just before the clearing if so many steps of the clock lie between. */
#define JUST_BEFORE 64

/* Nothing of the range reached this CPU, though others were told. */
static enum rule rule_of_forgotten(const struct mm_ledger *books, const struct ledger_debt *d,
				   unsigned int cpu)
{
	bool in_mask = cpumask_has(READ_ONCE(books->mm->cpu_mask), cpu);

	if (books->mm->trees && in_mask)
		return cpumask_has(READ_ONCE(books->shared), cpu) ? RULE_SHARED_ROOT_TOLD
								  : RULE_TABLE_MASK_FIRST;
	if (!cpumask_has(READ_ONCE(books->loaded), cpu))
		return RULE_MASK_MAY_HOLD;
	if (mm_cpu_lazy(books->mm, cpu))
		return RULE_LAZY_TABLES;
	if (per_cpu(ledger_newest, cpu) != books) /* it is about to load another root */
		return RULE_SWITCH_IN_BOTH;
	if (!in_mask || d->at - READ_ONCE(books->holders[cpu].loaded_at) < JUST_BEFORE)
		return RULE_MASK_BEFORE_LOAD;
	return RULE_FLUSH_PINNED;
}

static enum rule rule_of(const struct mm_ledger *books, const struct ledger_debt *d,
			 unsigned int cpu, enum ledger_near_miss miss, enum rule otherwise)
{
	if (d->protect)
		return RULE_PROTECT_FLUSHED;
	if (!books || otherwise == RULE_LAZY_CATCHES_UP || otherwise == RULE_ABSENCE_DROPPED ||
	    otherwise == RULE_ACCESSED_FLUSHED)
		return otherwise;
	if (miss == MISS_TAG)
		return RULE_TAG_AFTER_CLEAR;
	if (miss == MISS_LEAVES)
		return arch.range_flush_spares_walk_caches ? RULE_TABLE_FENCE_SCOPE
							   : RULE_TABLE_WALK_CACHES;
	/* Who ends an operation may have met another's in the midst of telling. */
	if (miss == MISS_CPU && otherwise != RULE_GATHER_NESTED)
		return rule_of_forgotten(books, d, cpu);
	if (otherwise == RULE_TABLE_FLUSH_FIRST && atomic_read(&books->mm->users) == 0)
		return RULE_EXIT_UNHOOK_FIRST;
	return otherwise;
}

static const char *instead(enum ledger_near_miss miss)
{
	static const char *const words[] = {
		[MISS_TAG] = "it was told of another tag",
		[MISS_LEAVES] = "it was told of leaves only",
		[MISS_CPU] = "others were told",
		[MISS_NONE] = "nobody was told",
	};

	return words[miss];
}

static void hold_reason(const struct mm_ledger *books, unsigned int cpu, char *to, size_t size)
{
	const struct ledger_holder *h = books ? &books->holders[cpu] : NULL;

	if (!books)
		snprintf(to, size, "it had the root loaded, or its tag in the TLB");
	else if (cpumask_has(READ_ONCE(books->loaded), cpu))
		snprintf(to, size, "it has the root loaded%s%s",
			 mm_cpu_lazy(books->mm, cpu) ? ", lazily" : "",
			 cpumask_has(READ_ONCE(books->mm->cpu_mask), cpu)
				 ? "" : ", and is not in the mm's mask");
	else
		snprintf(to, size, "it loaded the root under tag %u and has not dropped that since",
			 ledger_tag_number(h->tag));
}

__noreturn void ledger_report_debt(const struct mm_ledger *books, const struct ledger_debt *d,
				   cpumask_t unpaid, const struct ledger_claim *claim)
{
	unsigned int cpu = (unsigned int)__builtin_ctzll(unpaid);
	enum ledger_near_miss miss = ledger_log_near_miss(d, cpu);
	char why[96];

	hold_reason(books, cpu, why, sizeof(why));
	oracle_report(ORACLE_LEDGER, rule_of(books, d, cpu, miss, claim->rule), claim->page,
		      "%s, but CPU %u may use %s %s entry at %#llx (mm %u), as it was: %s; %s",
		      claim->event, cpu, d->table ? "the table of a" : "a",
		      pt_level_name(d->level), (unsigned long long)d->start,
		      books ? books->mm->id : 0, why, instead(miss));
}

__noreturn void ledger_report_hanging(const struct mm *mm, const struct page *page,
				      unsigned int cpu, vaddr_t va)
{
	oracle_report(ORACLE_LEDGER, RULE_TABLE_CUT_EVERYWHERE, page,
		      "the table is handed on, and the tree of CPU %u still leads to it at %#llx "
		      "(mm %u)",
		      cpu, (unsigned long long)va, mm->id);
}

__noreturn void ledger_report_tag(const struct mm_ledger *books, u64 tag, u32 before)
{
	oracle_report(ORACLE_LEDGER, RULE_TAG_REUSE, NULL,
		      "CPU %u loads mm %u under tag %u, which it used for another mm (books %u, "
		      "now %u) and has not dropped since",
		      smp_processor_id(), books->mm->id, ledger_tag_number(tag), before,
		      books->number);
}

__noreturn void ledger_report_root(const struct mm_ledger *books, cpumask_t loaded)
{
	oracle_report(ORACLE_LEDGER, RULE_ROOT_UNLOADED,
		      phys_to_page(books->mm->root_pa),
		      "the root of mm %u is about to be freed while CPU %u has it loaded",
		      books->mm->id, (unsigned int)__builtin_ctzll(loaded));
}
#endif
