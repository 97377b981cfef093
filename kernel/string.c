// SPDX-License-Identifier: MIT
/*
 * C's memory and string functions, pages, number parsing, and globs.
 *
 * Why it exists: the image has no C library, and the compiler itself calls memcpy(), memmove(),
 * memset() and memcmp(). It may also turn a loop that copies into a call of memcpy(), which would
 * then call itself: the pragma below forbids that in this file.
 * Contexts: any. No function here takes a lock or touches anything but its arguments.
 * Words are only read and written at their own alignment, since a port may trap on anything else.
 */
#pragma GCC optimize("no-tree-loop-distribute-patterns")

#include <arch.h>
#include <errno.h>
#include <page.h>
#include <string.h>

#define WORD sizeof(u64)
#define WORD_OFFSET(p) ((u64)(p) & (WORD - 1))

static void copy_forward(u8 *d, const u8 *s, size_t n)
{
	if (n >= 2 * WORD && WORD_OFFSET(d) == WORD_OFFSET(s)) {
		for (; WORD_OFFSET(d); n--)
			*d++ = *s++;
		for (; n >= WORD; n -= WORD, d += WORD, s += WORD)
			*(u64 *)d = *(const u64 *)s;
	}
	while (n--)
		*d++ = *s++;
}

/* d and s point behind the last byte. */
static void copy_backward(u8 *d, const u8 *s, size_t n)
{
	if (n >= 2 * WORD && WORD_OFFSET(d) == WORD_OFFSET(s)) {
		for (; WORD_OFFSET(d); n--)
			*--d = *--s;
		for (; n >= WORD; n -= WORD) {
			d -= WORD;
			s -= WORD;
			*(u64 *)d = *(const u64 *)s;
		}
	}
	while (n--)
		*--d = *--s;
}

void *memcpy(void *dst, const void *src, size_t n)
{
	copy_forward(dst, src, n);
	return dst;
}

void *memmove(void *dst, const void *src, size_t n)
{
	if ((u64)dst - (u64)src >= n)
		copy_forward(dst, src, n);
	else
		copy_backward((u8 *)dst + n, (const u8 *)src + n, n);
	return dst;
}

void *memset(void *dst, int c, size_t n)
{
	u64 word = (u8)c * 0x0101010101010101ULL;
	u8 *d = dst;

	if (n >= 2 * WORD) {
		for (; WORD_OFFSET(d); n--)
			*d++ = (u8)c;
		for (; n >= WORD; n -= WORD, d += WORD)
			*(u64 *)d = word;
	}
	while (n--)
		*d++ = (u8)c;
	return dst;
}

int memcmp(const void *a, const void *b, size_t n)
{
	const u8 *x = a, *y = b;

	for (; n; n--, x++, y++) {
		if (*x != *y)
			return *x - *y;
	}
	return 0;
}

/* By words: many a turn, since an emulator pays for each branch and a port may store several. */
void clear_page(void *page)
{
	enum { TURN = 64 };

	if (arch_clear_page(page))
		return;
	for (u64 *w = page, *end = w + PAGE_SIZE / WORD; w < end; w += TURN)
#pragma GCC unroll 64
		for (unsigned int i = 0; i < TURN; i++)
			w[i] = 0;
}

void copy_page(void *dst, const void *src)
{
	const u64 *s = src;
	u64 *d = dst, *end = d + PAGE_SIZE / WORD;

	for (; d < end; d += 4, s += 4) {
		u64 a = s[0], b = s[1], c = s[2], e = s[3];

		d[0] = a;
		d[1] = b;
		d[2] = c;
		d[3] = e;
	}
}

size_t strlen(const char *s)
{
	const char *p = s;

	while (*p)
		p++;
	return (size_t)(p - s);
}

size_t strnlen(const char *s, size_t max)
{
	size_t n = 0;

	while (n < max && s[n])
		n++;
	return n;
}

int strcmp(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return (u8)*a - (u8)*b;
}

int strncmp(const char *a, const char *b, size_t n)
{
	for (; n; n--, a++, b++) {
		if (*a != *b || !*a)
			return (u8)*a - (u8)*b;
	}
	return 0;
}

static int lower(char c)
{
	return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (u8)c;
}

int strcasecmp(const char *a, const char *b)
{
	while (*a && lower(*a) == lower(*b)) {
		a++;
		b++;
	}
	return lower(*a) - lower(*b);
}

char *strchr(const char *s, int c)
{
	for (;; s++) {
		if (*s == (char)c)
			return (char *)s;
		if (!*s)
			return NULL;
	}
}

size_t strlcpy(char *dst, const char *src, size_t size)
{
	size_t len = strlen(src);

	if (size) {
		size_t n = min(len, size - 1);

		memcpy(dst, src, n);
		dst[n] = 0;
	}
	return len;
}

/* The value of a digit, or a number that no base accepts. */
static unsigned int digit_value(char c)
{
	c = (char)lower(c);
	if (c >= '0' && c <= '9')
		return (unsigned int)(c - '0');
	if (c >= 'a' && c <= 'f')
		return (unsigned int)(c - 'a') + 10;
	return ~0u;
}

/* log2 of what the suffix multiplies by; -1 if it is none. */
static int suffix_shift(const char *s)
{
	if (!*s)
		return 0;
	if (s[1])
		return -1;
	switch (lower(*s)) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return -1;
	}
}

int parse_u64(const char *s, u64 *out)
{
	unsigned int base = 10;
	bool overflow = false;
	u64 value = 0;
	int shift;

	if (s[0] == '0' && lower(s[1]) == 'x') {
		base = 16;
		s += 2;
	}
	if (digit_value(*s) >= base)
		return -EINVAL;
	for (; digit_value(*s) < base; s++) {
		if (__builtin_mul_overflow(value, (u64)base, &value) ||
		    __builtin_add_overflow(value, (u64)digit_value(*s), &value))
			overflow = true;
	}
	shift = suffix_shift(s);
	if (shift < 0)
		return -EINVAL;
	if (overflow || (value << shift) >> shift != value)
		return -ERANGE;
	*out = value << shift;
	return 0;
}

/*
 * After a mismatch only the last * needs another try, one character further on: what an earlier *
 * could match, the last one can match too. So the work is at most |pattern| * |s|.
 */
bool glob_match(const char *pattern, const char *s)
{
	const char *star = NULL, *retry = NULL;

	while (*s) {
		if (*pattern == '*') {
			star = ++pattern;
			retry = s;
		} else if (*pattern && (*pattern == '?' || *pattern == *s)) {
			pattern++;
			s++;
		} else if (star) {
			pattern = star;
			s = ++retry;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return !*pattern;
}
