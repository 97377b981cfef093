// SPDX-License-Identifier: MIT
/*
 * The hosted half of every fuzz target: memory, findings, and the kernel's data put back.
 *
 * Why the data is put back: a kernel boots once, so its code may leave anything behind; an input
 * must not be judged by what the one before it left.
 * See also: host.h.
 */
#define _GNU_SOURCE
#include "host.h"

#include <sanitizer/asan_interface.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define DIRECT_MAP 0x200000000000
#define DIRECT_MAP_SIZE 0x2000000000

#define UNCHECKED __attribute__((no_sanitize("address"), noinline))

extern uint8_t fuzz_data_start[], fuzz_data_end[];
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static jmp_buf end_of_input;
static uint8_t *saved_data;
static bool verbose;

/* Byte by byte through volatile: the compiler makes no call of it that would be checked. */
static UNCHECKED void copy_unchecked(void *to, const void *from, size_t n)
{
	volatile uint64_t *d8 = to;
	const volatile uint64_t *s8 = from;
	volatile uint8_t *d = to;
	const volatile uint8_t *s = from;
	size_t i = 0;

	if ((((uintptr_t)to | (uintptr_t)from) & 7) == 0)
		for (; i + 8 <= n; i += 8)
			d8[i / 8] = s8[i / 8];
	for (; i < n; i++)
		d[i] = s[i];
}

void fuzz_copy(void *to, const void *from, size_t size)
{
	copy_unchecked(to, from, size);
}

static void die(const char *what)
{
	fprintf(stderr, "FINDING: %s\n", what);
	abort();
}

/* The whole direct map as addresses that nothing else gets, and that fault. */
static void reserve_direct_map(void)
{
	void *p = mmap((void *)DIRECT_MAP, DIRECT_MAP_SIZE, PROT_NONE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)DIRECT_MAP)
		die("the host has no room at the direct map's addresses");
}

void *fuzz_memory(uint64_t pa, size_t size)
{
	uint8_t *p = (uint8_t *)DIRECT_MAP + pa;

	if (mprotect(p, size, PROT_READ | PROT_WRITE) != 0 || madvise(p, size, MADV_DONTNEED) != 0)
		die("the host refuses memory");
	return p;
}

void fuzz_allow(void *p, size_t size, size_t max)
{
	ASAN_UNPOISON_MEMORY_REGION(p, max);
	ASAN_POISON_MEMORY_REGION((uint8_t *)p + size, max - size);
}

void fuzz_done(void)
{
	longjmp(end_of_input, 1);
}

void fuzz_finding(const char *what)
{
	die(what);
	abort();
}

void fuzz_say(const char *text)
{
	if (verbose)
		fprintf(stderr, "%s\n", text);
}

static void start(void)
{
	size_t size = (size_t)(fuzz_data_end - fuzz_data_start);

	verbose = getenv("FUZZ_VERBOSE") != NULL;
	reserve_direct_map();
	saved_data = malloc(size + 64);
	if (!saved_data)
		die("no memory");
	ASAN_UNPOISON_MEMORY_REGION(saved_data, size);
	copy_unchecked(saved_data, fuzz_data_start, size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!saved_data)
		start();
	copy_unchecked(fuzz_data_start, saved_data, (size_t)(fuzz_data_end - fuzz_data_start));
	if (setjmp(end_of_input) == 0)
		fuzz_one(data, size);
	return 0;
}
