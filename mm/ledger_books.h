/* SPDX-License-Identifier: MIT */
/*
 * Private to ledger.c (who owes what) and ledger_report.c (what is said of a debt not paid);
 * oracle.c looks up whose books a page was in.
 */
#ifndef GRACE_MM_LEDGER_BOOKS_H
#define GRACE_MM_LEDGER_BOOKS_H

#include <ledger.h>
#include <mm.h>
#include <percpu.h>
#include <rules.h>
#include <spinlock.h>

/* Clears that follow one another, of one thread; see remember(). */
struct ledger_recent {
	cpumask_t owed; /* 0: paid */
	u64 at;
	vaddr_t start, end; /* start holds the level and a flag in its low bits */
};
#define LEDGER_LEVEL (BIT(3) - 1)
#define LEDGER_TABLE BIT(3)
#define LEDGER_PROTECT BIT(4)

/* The debt that is kept in a frame's descriptor; without its holders. */
static inline struct ledger_debt ledger_debt_of_page(const struct page *page)
{
	const struct page_debug *p = &page->debug;
	struct ledger_debt d = { .owed = p->debt_owed, .at = p->debt_at };

	d.level = p->debt_va & LEDGER_LEVEL;
	d.table = p->debt_va & LEDGER_TABLE;
	d.start = p->debt_va & PAGE_MASK;
	d.end = d.start + pt_span(d.level);
	return d;
}

/* A page. The holders, one a CPU, stand behind it, and the recent debts behind those. */
struct mm_ledger {
	struct mm *mm;
	u32 number;
	/* Atomic. */
	cpumask_t loaded;  /* CPUs whose root it is, from before the load until after another's */
	cpumask_t ever;	   /* CPUs that loaded it once */
	cpumask_t shared;  /* of these, where the mm has trees by CPU: ever the shared root */
	cpumask_t leaving; /* CPUs about to lose the lazy mark, or have just caught up */

	spinlock_t lock; /* raw, irqs off: the recent debts */
	struct ledger_recent *recent;
	unsigned int nr_recent, next;
	const struct thread *last_by; /* who wrote the one before next, and mm->tlb_gen then */
	u64 last_flushes;

	struct ledger_holder holders[]; /* each its CPU's, but for deferred, which others raise */
};

/* The books that a CPU opened last: of the root that it has, or is about to load. */
DECLARE_PER_CPU(const struct mm_ledger *, ledger_newest);

/* What an unpaid debt is reported as, where the log does not tell more. */
struct ledger_claim {
	const struct page *page; /* the frame that is going to be freed, or NULL */
	enum rule rule;
	const char *event; /* "... while CPU 2 may still use it" */
};

/* Reports that the CPUs of unpaid have not paid. books NULL: those of a mm that may be gone. */
__noreturn void ledger_report_debt(const struct mm_ledger *books, const struct ledger_debt *d,
				   cpumask_t unpaid, const struct ledger_claim *claim);
/* A leaf table is handed on, and still hangs in cpu's tree [P2]. */
__noreturn void ledger_report_hanging(const struct mm *mm, const struct page *page,
				      unsigned int cpu, vaddr_t va);
/* This CPU takes a tag that other books used here, and that was not dropped since [T5]. */
__noreturn void ledger_report_tag(const struct mm_ledger *books, u64 tag, u32 before);
/* The root is loaded on those CPUs and about to be freed [A2]. */
__noreturn void ledger_report_root(const struct mm_ledger *books, cpumask_t loaded);

#endif
