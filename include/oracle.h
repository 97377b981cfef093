/* SPDX-License-Identifier: MIT */
/*
 * Oracles: a debug build's own witnesses of broken rules, and the report they give.
 *
 * An emulator hides most of what goes wrong with page tables, so debug builds keep books of their
 * own. Oracles never change what the kernel does. A release build has none.
 */
#ifndef GRACE_ORACLE_H
#define GRACE_ORACLE_H

#include <atomic.h>
#include <bug.h>
#include <rules.h>

struct page;

/* Who reports. Names are printed, stand in the rules' table and are looked for by the matrix. */
#define ORACLE_TABLE(X)                                                                            \
	X(LEDGER, "ledger", "what hardware may still hold: debts, and what pays them")             \
	X(CENSUS, "census", "walkers that were inside when a table was unhooked")                  \
	X(POISON, "poison", "the pattern in freed frames, met by a walker or written over")        \
	X(COOKIE, "cookie", "what a page holds says whose it is")                                  \
	X(COUNTS, "counts", "references and mappings, counted twice")                              \
	X(STATES, "states", "the state of each table, asserted at each step")                      \
	X(LOCKS, "locks", "order and context of locks")                                            \
	X(AGES, "ages", "readers of RCU find how old what they see is")                            \
	X(ASSERTION, "assertion", "an assertion beside the code")

enum oracle {
#define ORACLE_ENUM(name, word, what) ORACLE_##name,
	ORACLE_TABLE(ORACLE_ENUM)
#undef ORACLE_ENUM
	NR_ORACLES
};

/*
 * True while oracles keep books. `oracles=off` on the command line and `oracles on|off` at the
 * console switch them, so that one run can measure what they cost. A debt is written down only
 * while they are on, so switching never makes a false report.
 */
#ifdef GRACE_DEBUG
extern bool oracles_on;
#define oracles() likely(READ_ONCE(oracles_on))
#else
#define oracles() false
#endif
/* Returns 0; -EINVAL where they are to be on, and there are none. */
int oracles_switch(bool on);

/*
 * Ends the run with EXIT_BROKEN_RULE and a report: the rule's id, name and sentence, the oracle,
 * the message, the life of the frame `about` so far (NULL: none), what to read, and the last events
 * of all CPUs that concern it, in columns. Any context, irqs in any state.
 */
__noreturn void oracle_report(enum oracle who, unsigned int rule, const struct page *about,
			      const char *fmt, ...) __printf(4, 5);

/* An assertion that stands for a rule. */
#define BUG_ON_RULE(name, cond)                                                                    \
	do {                                                                                       \
		if (unlikely(cond))                                                                \
			oracle_report(ORACLE_ASSERTION, RULE_##name, NULL, "%s:%d: %s", __FILE__,  \
				      __LINE__, #cond);                                            \
	} while (0)

#endif
