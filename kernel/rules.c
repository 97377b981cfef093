// SPDX-License-Identifier: MIT
/*
 * The rules as data, and their switches.
 *
 * Why it exists: a rule that cannot be taken away cannot be shown to matter.
 * knockout=NAME[,NAME...] on the command line, or "rules off NAME" at the prompt, removes the named
 * ones at the single place where each is enforced.
 * Contexts: looking up any; switching from the boot CPU's command line or a console command.
 * See also: rules.h, which holds the table.
 */
#include <atomic.h>
#include <bug.h>
#include <cmdline.h>
#include <errno.h>
#include <rules.h>
#include <string.h>

/* How to break a rule is of no use where it cannot be switched, and much text. */
#ifdef GRACE_RULES_FIXED
#define BREAKING(where, run, by, known) NULL, NULL, NULL, NULL
#else
#define BREAKING(where, run, by, known) where, run, by, known
#endif

const struct rule_info rule_table[NR_RULES] = {
#define RULE_INFO(name, id, sentence, where, run, by, needs, known)                                \
	[RULE_##name] = { #name, id, sentence, NEED_##needs, BREAKING(where, run, by, known) },
	RULE_TABLE(RULE_INFO)
#undef RULE_INFO
};

int rule_find(const char *name_or_id)
{
	for (int r = 0; r < NR_RULES; r++) {
		if (strcasecmp(rule_table[r].name, name_or_id) == 0 ||
		    strcasecmp(rule_table[r].id, name_or_id) == 0)
			return r;
	}
	return -ENOENT;
}

#ifdef GRACE_RULES_FIXED
int rule_switch(enum rule r, bool on)
{
	return -EPERM;
}
#else
u64 rules_off;

/* The new state reaches the other CPUs whenever they look next: no order is needed. */
int rule_switch(enum rule r, bool on)
{
	if (on)
		__atomic_fetch_and(&rules_off, ~BIT(r), __ATOMIC_RELAXED);
	else
		__atomic_fetch_or(&rules_off, BIT(r), __ATOMIC_RELAXED);
	return 0;
}
#endif

/* Takes the word up to a comma out of *s. */
static int knock_out_next(const char **s)
{
	const char *comma = strchr(*s, ',');
	size_t len = comma ? (size_t)(comma - *s) : strlen(*s);
	char name[32];
	int r;

	if (len >= sizeof(name))
		return -ENOENT;
	memcpy(name, *s, len);
	name[len] = 0;
	*s += len + (comma != NULL);
	r = rule_find(name);
	return r < 0 ? r : rule_switch((enum rule)r, false);
}

static int parse_knockout(const char *value)
{
	int err;

	do {
		err = knock_out_next(&value);
	} while (!err && *value);
	return err;
}
CMDLINE_OPTION(knockout, "knockout", "knockout=RULE[,RULE...]  remove these rules (see: rules)",
	       parse_knockout);
