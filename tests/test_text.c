// SPDX-License-Identifier: MIT
/*
 * Text: printf, numbers, globs, strings, the words of a command line, whole lines from many CPUs,
 * and names of functions.
 */
#include "testlib.h"

#include <cmdline.h>
#include <console.h>
#include <rules.h>
#include <symbols.h>

/* ---- printf ------------------------------------------------------------------------------ */

static char text[80];

#define EXPECT_TEXT(expected, ...)                                                                 \
	do {                                                                                       \
		int text_n = snprintf(text, sizeof(text), __VA_ARGS__);                            \
		if (!EXPECT(strcmp(text, expected) == 0))                                          \
			test_note("got \"%s\", expected \"%s\"", text, expected);                  \
		EXPECT_EQ(text_n, strlen(expected));                                               \
	} while (0)

TEST(text, printf_numbers)
{
	EXPECT_TEXT("0 -1 2147483647 -2147483648", "%d %i %d %d", 0, -1, 0x7fffffff,
		    -0x7fffffff - 1);
	EXPECT_TEXT("4294967295 ff FF", "%u %x %X", ~0u, 255, 255);
	EXPECT_TEXT("-9223372036854775808 18446744073709551615", "%lld %llu", (long long)BIT(63),
		    (unsigned long long)~0ULL);
	EXPECT_TEXT("-5 5 17", "%ld %lu %zu", -5L, 5UL, (size_t)17);
	EXPECT_TEXT("0x1f 0X1F", "%#x %#X", 31, 31);
	EXPECT_TEXT("%", "%%");
}

TEST(text, printf_width_and_precision)
{
	EXPECT_TEXT("   42|42   |00042|  -42|-0042", "%5d|%-5d|%05d|%5d|%05d", 42, 42, 42, -42,
		    -42);
	EXPECT_TEXT("   7|7   |  007", "%*d|%-*d|%5.3d", 4, 7, 4, 7, 7);
	EXPECT_TEXT("abc|  abc|abc  |ab", "%s|%5s|%-5s|%.2s", "abc", "abc", "abc", "abc");
	EXPECT_TEXT("ab|a", "%.*s|%c", 2, "abc", 'a');
	EXPECT_TEXT("+5 -5", "%+d %+d", 5, -5);
}

TEST(text, printf_string_without_end)
{
	char raw[3] = { 'a', 'b', 'c' };

	EXPECT_TEXT("abc", "%.3s", raw);
}

TEST(text, snprintf_cuts_and_tells)
{
	char small[4] = "zzz";

	EXPECT_EQ(snprintf(small, sizeof(small), "%d", 123456), 6);
	EXPECT_EQ(strcmp(small, "123"), 0);
	EXPECT_EQ(snprintf(small, 1, "abc"), 3);
	EXPECT_EQ(small[0], '\0');
	small[0] = 'q';
	EXPECT_EQ(snprintf(small, 0, "abc"), 3);
	EXPECT_EQ(small[0], 'q');
}

/* ---- Numbers and globs ------------------------------------------------------------------- */

TEST(text, parse_numbers)
{
	static const struct {
		const char *text;
		int err;
		u64 value;
	} cases[] = {
		{ "0", 0, 0 }, { "42", 0, 42 }, { "0x1F", 0, 31 },
		{ "0xffffffffffffffff", 0, ~0ULL },
		{ "18446744073709551615", 0, ~0ULL }, { "4K", 0, KiB(4) }, { "3M", 0, MiB(3) },
		{ "8G", 0, GiB(8) }, { "0x10K", 0, KiB(16) }, { "", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 }, { "+1", -EINVAL, 0 }, { " 1", -EINVAL, 0 },
		{ "1 ", -EINVAL, 0 }, { "0x", -EINVAL, 0 }, { "12a", -EINVAL, 0 },
		{ "K", -EINVAL, 0 }, { "1KK", -EINVAL, 0 }, { "x1", -EINVAL, 0 },
		{ "18446744073709551616", -ERANGE, 0 }, { "0x10000000000000000", -ERANGE, 0 },
		{ "18446744073709551615K", -ERANGE, 0 }, { "99999999999999999999999", -ERANGE, 0 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		u64 value = 0;
		int err = parse_u64(cases[i].text, &value);

		if (!EXPECT_EQ(err, cases[i].err) || (!err && !EXPECT_EQ(value, cases[i].value)))
			test_note("from \"%s\"", cases[i].text);
	}
}

TEST(text, globs)
{
	EXPECT(glob_match("", ""));
	EXPECT(glob_match("*", "") && glob_match("*", "anything"));
	EXPECT(glob_match("gup.*", "gup.fast") && !glob_match("gup.*", "gup"));
	EXPECT(glob_match("a?c", "abc") && !glob_match("a?c", "ac"));
	EXPECT(glob_match("*b*d", "abcbd") && !glob_match("*b*d", "abc"));
	EXPECT(glob_match("a**c", "abc"));
	EXPECT(!glob_match("abc", "ab") && !glob_match("ab", "abc"));
	/* Much backtracking must still end soon. */
	EXPECT(!glob_match("*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

/* ---- Strings ----------------------------------------------------------------------------- */

TEST(text, memory_functions)
{
	u8 buf[300], ref[300];

	for (unsigned int off = 0; off < 9; off++) {
		for (unsigned int n = 0; n < 40; n += 3) {
			for (unsigned int i = 0; i < sizeof(buf); i++)
				buf[i] = ref[i] = (u8)i;
			memmove(buf + 50 + off, buf + 50, n);
			for (unsigned int i = 0; i < n; i++)
				ref[50 + off + i] = (u8)(50 + i);
			memmove(buf + 150, buf + 150 + off, n);
			for (unsigned int i = 0; i < n; i++)
				ref[150 + i] = (u8)(150 + off + i);
			memset(buf + 220 + off, 0xee, n);
			for (unsigned int i = 0; i < n; i++)
				ref[220 + off + i] = 0xee;
			if (!EXPECT_EQ(memcmp(buf, ref, sizeof(buf)), 0))
				return;
		}
	}
	EXPECT(memcmp("abc", "abd", 3) < 0 && memcmp("abd", "abc", 3) > 0);
	EXPECT_EQ(memcmp("abc", "abd", 2), 0);
}

TEST(text, string_functions)
{
	char dst[4];

	EXPECT_EQ(strlen(""), 0);
	EXPECT_EQ(strlen("abc"), 3);
	EXPECT_EQ(strnlen("abc", 2), 2);
	EXPECT(strcmp("abc", "abc") == 0 && strcmp("ab", "abc") < 0 && strcmp("b", "abc") > 0);
	EXPECT(strncmp("abx", "aby", 2) == 0 && strncmp("abx", "aby", 3) < 0);
	EXPECT(strcasecmp("RECHECK_leaf", "recheck_LEAF") == 0 && strcasecmp("a", "b") != 0);
	EXPECT(strcmp(strchr("a=b=c", '='), "=b=c") == 0 && strchr("abc", 'x') == NULL);
	EXPECT_EQ(strlcpy(dst, "abcdef", sizeof(dst)), 6);
	EXPECT_EQ(strcmp(dst, "abc"), 0);
}

TEST(text, pages_are_cleared_and_copied)
{
	struct page *a = alloc_page(GFP_KERNEL), *b = alloc_page(GFP_KERNEL);

	if (EXPECT(a && b)) {
		u64 *pa = page_to_virt(a), *pb = page_to_virt(b), sum = 0;

		memset(pa, 0x5c, PAGE_SIZE);
		copy_page(pb, pa);
		EXPECT_EQ(memcmp(pa, pb, PAGE_SIZE), 0);
		clear_page(pb);
		for (unsigned int i = 0; i < PAGE_SIZE / 8; i++)
			sum |= pb[i];
		EXPECT_EQ(sum, 0);
		EXPECT_EQ(pa[PAGE_SIZE / 8 - 1], 0x5c5c5c5c5c5c5c5cULL);
	}
	if (a)
		put_page(a);
	if (b)
		put_page(b);
}

TEST(text, random_numbers_repeat_with_their_seed)
{
	u64 a = 42, b = 42, c = 43, same = 0;

	for (unsigned int i = 0; i < 100; i++) {
		u64 x = rand_next(&a);

		EXPECT_EQ(x, rand_next(&b));
		same += x == rand_next(&c);
	}
	EXPECT_EQ(same, 0);
}

/* ---- Words of a command line, rules by name ---------------------------------------------- */

TEST(text, words_and_quotes)
{
	char line[] = "  one two=\"three four\" 'five six'   ";
	char open_line[] = "a \"b c";
	char *s = line, *w;
	bool open = false;

	ASSERT((w = word_next(&s, &open)) && strcmp(w, "one") == 0);
	ASSERT((w = word_next(&s, &open)) && strcmp(w, "two=three four") == 0);
	ASSERT((w = word_next(&s, &open)) && strcmp(w, "five six") == 0);
	EXPECT(word_next(&s, &open) == NULL);
	EXPECT(!open);
	s = open_line;
	EXPECT(word_next(&s, &open) != NULL && !open);
	EXPECT(word_next(&s, &open) != NULL && open);
}

TEST(text, rules_are_found_by_name_and_id)
{
	EXPECT_EQ(rule_find("RECHECK_LEAF"), RULE_RECHECK_LEAF);
	EXPECT_EQ(rule_find("recheck_leaf"), RULE_RECHECK_LEAF);
	EXPECT_EQ(rule_find("u4"), RULE_RECHECK_LEAF);
	EXPECT_EQ(rule_find("U99"), -ENOENT);
	EXPECT_EQ(rule_find(""), -ENOENT);
	for (unsigned int i = 0; i < NR_RULES; i++)
		for (unsigned int j = 0; j < i; j++)
			EXPECT(strcmp(rule_table[i].id, rule_table[j].id) != 0);
}

TEST(text, commands_and_errors_have_names)
{
	static const char *const names[] = { "help", "test",    "stress", "pt",    "mm", "cpus",
					     "rcu",  "threads", "tlb",    "mem",   "bt", "sym",
					     "rules", "poweroff" };

	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++)
		if (!EXPECT(command_find(names[i]) != NULL))
			test_note("no command %s", names[i]);
	EXPECT(command_find("no_such_command") == NULL && command_find("") == NULL);
	EXPECT_EQ(strcmp(errno_name(-EINVAL), "EINVAL"), 0);
	EXPECT_EQ(strcmp(errno_name(-9999), "?"), 0);
}

TEST(text, command_lines_are_run)
{
	ASSERT(capture_start());
	int err = console_run("echo one  \"two three\"; echo 'four; five'");
	const char *said = capture_stop();

	EXPECT_EQ(err, 0);
	const char *first = test_strstr(said, "one two three");

	if (!EXPECT(first && test_strstr(first, "four; five")))
		print_raw(said, strlen(said));
	capture_free();
}

/* ---- printk ------------------------------------------------------------------------------ */

#define LINES 12
static atomic_t printers;

/* Prints lines of one letter, as different in length as can be. */
static void print_lines(void *unused)
{
	unsigned int n = (unsigned int)atomic_inc_return(&printers);
	char letters[61];

	memset(letters, 'A' + n % 26, sizeof(letters) - 1);
	letters[sizeof(letters) - 1] = '\0';
	for (unsigned int i = 0; i < LINES; i++) {
		if (i % 2)
			printk("<%s>", letters + i);
		else
			print_line("<%s>\n<%s>", letters + i, letters + i + 1); /* one call */
	}
}

/* How many whole "<AAA>" lines text has; 0 if one is broken. */
static unsigned int count_whole_lines(const char *said)
{
	unsigned int lines = 0;

	while ((said = test_strstr(said, "<"))) {
		const char *p = ++said;

		while (*p >= 'A' && *p <= 'Z' && *p == *said)
			p++;
		if (p == said || p[0] != '>' || (p[1] != '\r' && p[1] != '\n'))
			return 0;
		lines++;
	}
	return lines;
}

TEST(text, printk_whole_lines_from_every_cpu)
{
	atomic_set(&printers, 0);
	ASSERT(capture_start());
	test_run_on_each(print_lines, NULL);
	const char *said = capture_stop();
	unsigned int cpus = (unsigned int)atomic_read(&printers);

	/* What fits into the record: whole lines only, up to its end. */
	EXPECT_EQ(cpus, cpumask_weight(cpu_online_mask));
	if (cpus <= 16)
		EXPECT_EQ(count_whole_lines(said), cpus * LINES * 3 / 2);
	capture_free();
}

TEST(text, printk_stamps_and_ends_lines)
{
	ASSERT(capture_start());
	printk("one %d", 1);
	printk("two\n");
	print_line("three");
	const char *said = capture_stop();

	const char *one = test_strstr(said, "] one 1\r\n"), *two = test_strstr(said, "] two\r\n");

	EXPECT(one && two && one < two);
	EXPECT(said[0] == '[');
	EXPECT(test_strstr(said, "\nthree\r\n") != NULL);
	EXPECT(test_strstr(said, "\n\r") == NULL && test_strstr(said, "\n\n") == NULL);
	capture_free();
}

/* ---- Symbols ----------------------------------------------------------------------------- */

static __noinline void backtrace_from_here(void)
{
	backtrace_print_current();
	barrier();
}

TEST(text, symbols_both_ways)
{
	vaddr_t addr = (vaddr_t)(void *)vsnprintf;
	size_t offset = 99;
	const char *name = symbol_name(addr, &offset);

	EXPECT(name && strcmp(name, "vsnprintf") == 0);
	EXPECT_EQ(offset, 0);
	name = symbol_name(addr + 5, &offset);
	EXPECT(name && strcmp(name, "vsnprintf") == 0);
	EXPECT_EQ(offset, 5);
	EXPECT_EQ(symbol_addr("vsnprintf"), addr);
	EXPECT_EQ(symbol_addr("no_such_function"), 0);
	EXPECT(symbol_name((vaddr_t)&text, &offset) == NULL);
	EXPECT(symbol_name(0, &offset) == NULL && symbol_name(~0ULL, &offset) == NULL);
}

TEST(text, backtrace_names_functions)
{
	ASSERT(capture_start());
	backtrace_from_here();
	const char *said = capture_stop();
	const char *inner = test_strstr(said, "backtrace_from_here");
	const char *outer = test_strstr(said, "test_text_backtrace_names_functions");

	if (!EXPECT(inner && outer && inner < outer))
		test_note("%s", said);
	capture_free();
}
