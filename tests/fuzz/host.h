/* SPDX-License-Identifier: MIT */
/*
 * Between the hosted half of a fuzz target (host.c, replay.c), which has the C library, and the
 * kernel's half (shim.c, the target's own file), which has the kernel's headers instead.
 *
 * A target supplies fuzz_one(). It makes memory of parts of the direct map, puts its input there,
 * and calls the kernel's code; the rest of the direct map stays unmapped, so that a stray access
 * ends the run as a finding. Before each input all data of the kernel's code is as at start.
 */
#ifndef FUZZ_HOST_H
#define FUZZ_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The target: one input. */
void fuzz_one(const uint8_t *data, size_t size);

/* Makes memory of [pa, pa + size) of the direct map: whole pages, zeroed at each call. */
void *fuzz_memory(uint64_t pa, size_t size);
/*
 * Of a piece of such memory, of max bytes: only the first size may be touched from now on, to the
 * byte.
 */
void fuzz_allow(void *p, size_t size, size_t max);
/* Copies without being looked at: the input, to where it goes. */
void fuzz_copy(void *to, const void *from, size_t size);

/* The kernel ended this boot, or this run, with a line: the input is done. */
_Noreturn void fuzz_done(void);
/* A finding that no sanitizer sees. */
_Noreturn void fuzz_finding(const char *what);
/* What the kernel printed; shown if FUZZ_VERBOSE is set. */
void fuzz_say(const char *text);

#define FUZZ_CHECK(cond)                                                                           \
	do {                                                                                       \
		if (!(cond))                                                                       \
			fuzz_finding("does not hold: " #cond);                                     \
	} while (0)

#endif
