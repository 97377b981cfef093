// SPDX-License-Identifier: MIT
/*
 * What an oracle says when a rule is broken, and the switch of all oracles.
 *
 * Why it exists: "broken" is worth little without the rule, the frame, what became of it before,
 * and what all CPUs did to it: so there is one report for all, written for somebody who reads it
 * once.
 * Its first line is one that scripts look for: "RULE <id> <NAME> broken, says the <oracle>: ...".
 * Contexts: the report any, irqs in any state; options and console thread.
 * See also: <oracle.h>, kernel/panic.c (who else may print, and the end), docs/rules.md.
 */
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <ledger.h>
#include <mm.h>
#include <oracle.h>
#include <page.h>
#include <printk.h>
#include <string.h>
#include <trace.h>

#ifdef GRACE_DEBUG
#include "ledger_books.h"
#endif

#define EVENTS 40 /* of the trace, in a report */

static const struct {
	const char *word, *what;
} oracle_table[NR_ORACLES] = {
#define ORACLE_ENTRY(name, word, what) { word, what },
	ORACLE_TABLE(ORACLE_ENTRY)
#undef ORACLE_ENTRY
};

/* ---- The switch -------------------------------------------------------------------------- */

#ifdef GRACE_DEBUG
bool oracles_on = true;

int oracles_switch(bool on)
{
	WRITE_ONCE(oracles_on, on);
	return 0;
}
#else
/* There are none to be switched on. */
int oracles_switch(bool on)
{
	return on ? -EINVAL : 0;
}
#endif

static int parse_oracles(const char *value)
{
	if (strcmp(value, "on") == 0)
		return oracles_switch(true);
	return strcmp(value, "off") == 0 ? oracles_switch(false) : -EINVAL;
}
CMDLINE_OPTION(oracles, "oracles", "oracles=on|off  a debug build's witnesses of broken rules",
	       parse_oracles);

/* ---- The report -------------------------------------------------------------------------- */

/*
 * The mm that the table is of, or that the page was last cut out of; NULL: not known. What was
 * freed meanwhile is believed only if it looks like an mm: see mm_id().
 */
static const struct mm *mm_of(const struct page *about)
{
#ifdef GRACE_DEBUG
	const struct mm_ledger *books = page_to_virt(pfn_to_page(about->debug.debt_mm));

	if (about->type != PAGE_TABLE)
		return about->debug.debt_mm && pfn_valid(about->debug.debt_mm) ? books->mm : NULL;
#endif
	return about->type == PAGE_TABLE ? about->pt_mm : NULL;
}

/* WHY SAFE: what is in the direct map is memory, whoever has it by now. At worst a wrong number. */
static u32 mm_id(const struct mm *mm)
{
	if ((vaddr_t)mm < DIRECT_MAP || !pfn_valid(virt_to_phys(mm) >> PAGE_SHIFT) ||
	    virt_to_page(mm)->type != PAGE_SLAB)
		return 0;
	return mm->id;
}

/* What the events must have to do with: the frame, and where it was mapped or hooked last. */
static struct trace_subject subject_of(const struct page *about)
{
	struct trace_subject s = { 0 };

	if (!about)
		return s;
	s.frame = page_to_phys(about);
	s.mm = mm_id(mm_of(about));
#ifdef GRACE_DEBUG
	s.va = about->debug.debt_va & PAGE_MASK;
#endif
	return s;
}

static void print_events(const struct page *about)
{
	struct trace_subject s = subject_of(about);

	trace_print(about ? &s : NULL, EVENTS);
}

__noreturn void oracle_report(enum oracle who, unsigned int rule, const struct page *about,
			      const char *fmt, ...)
{
	const struct rule_info *r = &rule_table[rule];
	char text[384];
	va_list ap;

#ifdef GRACE_DEBUG
	/* The other CPUs stop soon; their events from here on would push out those of before. */
	WRITE_ONCE(oracles_on, false);
#endif
	va_start(ap, fmt);
	panic_begin(EXIT_BROKEN_RULE, fmt, ap);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("RULE %s %s broken, says the %s: %s", r->id, r->name, oracle_table[who].word, text);
	print_line("  rule: %s", r->sentence);
	print_line("  enforced by: %s%s", r->where,
		   rules_off & BIT(rule) ? " (knocked out in this run)" : "");
	if (about)
		page_life_print(about);
	print_line("  read: docs/rules.md, section %s", r->id);
	print_events(about);
	panic_end(EXIT_BROKEN_RULE);
}

/* ---- The console ------------------------------------------------------------------------- */

#ifdef GRACE_DEBUG
static int cmd_oracles(int argc, char **argv)
{
	struct ledger_stats s;

	if (argc > 2 || (argc == 2 && parse_oracles(argv[1])))
		return -EINVAL;
	print_line("oracles are %s", READ_ONCE(oracles_on) ? "on" : "off");
	for (unsigned int i = 0; i < NR_ORACLES; i++)
		print_line("  %-10s %s", oracle_table[i].word, oracle_table[i].what);
	ledger_get_stats(&s);
	print_line("ledger: debts %llu, paid %llu, unknown %llu; invalidations %llu",
		   (unsigned long long)s.debts, (unsigned long long)s.paid,
		   (unsigned long long)s.unknown, (unsigned long long)s.invalidations);
	return 0;
}
#else
static int cmd_oracles(int argc, char **argv)
{
	print_line("This is a release build: it has no oracles.");
	return argc == 1 ? 0 : -EINVAL;
}
#endif
COMMAND(oracles, "oracles", "oracles [on|off]  the witnesses of broken rules, and their switch",
	cmd_oracles);
