// SPDX-License-Identifier: MIT
/*
 * The kernel's command line: words, and the options that they set.
 *
 * Why it exists: an option that is misspelt and silently ignored costs somebody an afternoon. So
 * each word must be an option, and each value must please its parser; else the boot ends here, in
 * one line that names the word and what would have been accepted.
 * Contexts: boot CPU, once.
 */
#include <boot.h>
#include <bug.h>
#include <cmdline.h>
#include <errno.h>
#include <printk.h>
#include <string.h>

extern const struct cmdline_option cmdline_options_start[], cmdline_options_end[];

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

char *word_next(char **s, bool *open)
{
	char *from = *s, *to, *word;
	char quote = 0;

	while (is_space(*from))
		from++;
	if (!*from)
		return NULL;
	word = to = from;
	for (; *from && (quote || !is_space(*from)); from++) {
		if (*from == quote)
			quote = 0;
		else if (!quote && (*from == '"' || *from == '\''))
			quote = *from;
		else
			*to++ = *from;
	}
	*open = quote != 0;
	*s = *from ? from + 1 : from;
	*to = 0;
	return word;
}

static const struct cmdline_option *find_option(const char *name)
{
	for (const struct cmdline_option *o = cmdline_options_start; o < cmdline_options_end; o++) {
		if (strcmp(o->name, name) == 0)
			return o;
	}
	return NULL;
}

static __noreturn void unknown_option(const char *name)
{
	char names[256];
	int n = 0;

	names[0] = 0;
	for (const struct cmdline_option *o = cmdline_options_start; o < cmdline_options_end; o++) {
		if (n < (int)sizeof(names))
			n += snprintf(names + n, sizeof(names) - (size_t)n, "%s%s", n ? ", " : "",
				      o->name);
	}
	boot_fail("unknown option \"%.64s\" on the command line; the options are: %s", name, names);
}

static void run_option(char *word)
{
	char *value = strchr(word, '=');
	const struct cmdline_option *o;
	int err;

	if (value)
		*value++ = 0;
	o = find_option(word);
	if (!o)
		unknown_option(word);
	err = o->parse(value ? value : "");
	if (err == -EPERM)
		boot_fail("option %s=%.64s: this kernel was built without it", word,
			  value ? value : "");
	if (err)
		boot_fail("option %s: the value \"%.64s\" is not accepted; usage: %s", word,
			  value ? value : "", o->help);
}

void cmdline_parse(void)
{
	static char line[BOOT_CMDLINE_MAX]; /* the parsers may keep pointers into it */
	char *rest = line, *word;
	bool open = false;

	strlcpy(line, boot.cmdline, sizeof(line));
	if (boot.cmdline_truncated)
		boot_fail("the command line is longer than %u bytes",
			  (unsigned int)sizeof(boot.cmdline) - 1);
	while ((word = word_next(&rest, &open)) != NULL) {
		if (open)
			boot_fail("a quote on the command line is not closed: %.64s", word);
		run_option(word);
	}
}

bool cmdline_peek(const char *name, char *value, size_t size)
{
	static char line[BOOT_CMDLINE_MAX];
	size_t n = strlen(name);
	char *rest = line, *word;
	bool open, found = false;

	strlcpy(line, boot.cmdline, sizeof(line));
	while ((word = word_next(&rest, &open)) != NULL)
		if (strncmp(word, name, n) == 0 && word[n] == '=')
			found = strlcpy(value, word + n + 1, size) < size; /* the last one counts */
	return found;
}

void cmdline_print_help(void)
{
	for (const struct cmdline_option *o = cmdline_options_start; o < cmdline_options_end; o++)
		print_line("  %s", o->help);
}
