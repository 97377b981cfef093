/* SPDX-License-Identifier: MIT */
/*
 * C's memory and string functions, as far as the kernel uses them; and number parsing.
 */
#ifndef GRACE_STRING_H
#define GRACE_STRING_H

#include <types.h>

void *memcpy(void *dst, const void *src, size_t n);
void *memmove(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
int memcmp(const void *a, const void *b, size_t n);
size_t strlen(const char *s);
size_t strnlen(const char *s, size_t max);
int strcmp(const char *a, const char *b);
int strncmp(const char *a, const char *b, size_t n);
int strcasecmp(const char *a, const char *b);
char *strchr(const char *s, int c);
/* Copies at most size - 1 bytes and ends dst with 0; returns strlen(src). */
size_t strlcpy(char *dst, const char *src, size_t size);

/* A page, page-aligned. */
void clear_page(void *page);
void copy_page(void *dst, const void *src);

/*
 * A whole string as a number: decimal, or 0x...; one of K, M, G may follow. Returns 0, or -EINVAL
 * for anything else (sign, spaces, empty), -ERANGE if it does not fit.
 */
int parse_u64(const char *s, u64 *out);
/* Shell-like match of * and ?. */
bool glob_match(const char *pattern, const char *s);

/* xorshift64*: fast, seeded, not for secrets. The state must not be 0. */
static inline u64 rand_next(u64 *state)
{
	u64 x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dULL;
}

#endif
