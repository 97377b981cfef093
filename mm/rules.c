// SPDX-License-Identifier: MIT
/*
 * The rules at the console: what they say, where they stand, and whether this machine needs them.
 *
 * Terms. A rule matters on a machine if breaking it there can do harm; what it needs for that
 * (tags, a transport, a walk cache that an invalidation spares) stands in the table as a word, and
 * is looked up here in what the port says of itself.
 * Why apart from kernel/rules.c: transports and policies are mm/'s.
 * Contexts: thread (console). See also: <rules.h>, scripts/rules.py, which runs the matrix.
 */
#include <arch.h>
#include <console.h>
#include <errno.h>
#include <printk.h>
#include <rules.h>
#include <string.h>
#include <tlb.h>

static bool machine_has(enum rule_need need)
{
	bool maskable = tlb_transport_maskable();

	switch (need) {
	case NEED_TAGS:
		return arch.tag_bits > 0;
	case NEED_LAZY:
		return maskable;
	case NEED_LAZY_OR_NO_TAGS:
		return maskable || arch.tag_bits == 0;
	case NEED_LEAF_ONLY_OR_LAZY:
		return maskable || arch.leaf_flush_spares_walk_caches;
	case NEED_RANGE_LEAVES:
		return arch.range_flush_spares_walk_caches;
	case NEED_ABSENCE:
		return arch.caches_invalid;
	case NEED_UNMASKABLE:
	case NEED_UNMASKABLE_REDUNDANT:
		return !maskable;
	default:
		return true;
	}
}

static const struct {
	const char *verdict, *why;
} needs[NR_NEEDS] = {
#define NEED_ENTRY(name, verdict, why) { verdict, why },
	RULE_NEEDS(NEED_ENTRY)
#undef NEED_ENTRY
};

static void print_breaking(const struct rule_info *r)
{
	print_line("  enforced by %s; see docs/rules.md", r->where);
	print_line("  without it: knockout=%s, then \"%s\"; reported by: %s", r->name,
		   r->run, r->by);
	print_line("  known by: %s", r->known);
}

static void print_one(const struct rule_info *r)
{
	bool has = machine_has(r->needs);

	print_line("%s %s: %s", r->id, r->name, r->sentence);
	if (r->where)
		print_breaking(r);
	if (has)
		print_line("  on this machine it matters");
	else
		print_line("  on this machine: %s, %s", needs[r->needs].verdict,
			   needs[r->needs].why);
}

/* One line a rule, fields between bars: for scripts. */
static void print_table(void)
{
	for (unsigned int i = 0; i < NR_RULES; i++) {
		const struct rule_info *r = &rule_table[i];
		bool has = machine_has(r->needs);

		print_line("rule|%s|%s|%s|%s", r->id, r->name,
			   has ? "run" : needs[r->needs].verdict,
			   has ? "" : needs[r->needs].why);
	}
}

static void print_all(void)
{
	for (unsigned int i = 0; i < NR_RULES; i++)
		print_line("  %s %-3s %-20s %s", rules_off & BIT(i) ? "OFF" : "on ",
			   rule_table[i].id, rule_table[i].name, rule_table[i].sentence);
}

static int switch_rule(bool on, const char *name)
{
	int r = rule_find(name), err;

	if (r < 0)
		return r;
	err = rule_switch((enum rule)r, on);
	if (!err)
		print_line("%s %s is %s", rule_table[r].id, rule_table[r].name, on ? "on" : "off");
	return err;
}

static int cmd_rules(int argc, char **argv)
{
	int r;

	if (argc == 1) {
		print_all();
		return 0;
	}
	if (argc == 3 && (strcmp(argv[1], "on") == 0 || strcmp(argv[1], "off") == 0))
		return switch_rule(strcmp(argv[1], "on") == 0, argv[2]);
	if (argc != 2)
		return -EINVAL;
	if (strcmp(argv[1], "table") == 0) {
		print_table();
		return 0;
	}
	r = rule_find(argv[1]);
	if (r < 0)
		return r;
	print_one(&rule_table[r]);
	return 0;
}
COMMAND(rules, "rules",
	"rules [NAME | on NAME | off NAME | table]  the ordering rules; one by name or id; "
	"switches one",
	cmd_rules);
