// SPDX-License-Identifier: MIT
/*
 * What of a stopped stack will be read: the rest is cleared.
 *
 * Why: a slot whose value nobody wants any more, and a register that was saved though its value is
 * dead, keep what the CPU did before. States that go on in the same way then look different, by a
 * third as many again or more. Cleared in memory, not left out of the hash alone: so whoever reads
 * what was taken for dead finds zeroes, in every scenario, and does not get away with it.
 * How: scripts/frames.py finds, for each call in the program, the bytes of the frame and the
 * registers that may be read behind it. A register that a function has saved is wanted if one of
 * its callers wants it, which is seen here: the frames are gone through from the innermost.
 * What is not known (a call out of a function that the script did not understand) is kept, with all
 * that lies above it.
 * See also: state.c (the caller), switch.S (what a stopped stack begins with).
 */
#include "sim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define NR_SAVED 5 /* rbx, r12 to r15 */

/* As the script writes them. */
struct site {
	u32 addr, first, nr;
	u8 live, unused;
	u16 saved[NR_SAVED];
};
struct range {
	u16 below, length;
};
struct file {
	u32 nr_sites, nr_ranges;
	struct site sites[];
};

static const struct file *file;
static const struct range *ranges;
static u32 *site_at; /* by address, plus one */
static u64 lowest, highest;

static const void *map_beside_program(const char *suffix)
{
	char name[4096];
	ssize_t n = readlink("/proc/self/exe", name, sizeof(name) - 16);
	struct stat st;
	int fd;

	if (n < 0)
		return NULL;
	memcpy(name + n, suffix, strlen(suffix) + 1);
	fd = open(name, O_RDONLY);
	if (fd < 0 || fstat(fd, &st) != 0 || !st.st_size) {
		fprintf(stderr, "sim: no %s: make builds it with the program\n", name);
		exit(2);
	}
	void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);

	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

void live_init(void)
{
	file = map_beside_program(".frames");
	if (!file || !file->nr_sites) {
		fprintf(stderr, "sim: nothing is known of the program's frames\n");
		exit(2);
	}
	ranges = (const struct range *)(file->sites + file->nr_sites);
	lowest = ~0ULL;
	for (u32 i = 0; i < file->nr_sites; i++) {
		u64 addr = file->sites[i].addr;

		lowest = addr < lowest ? addr : lowest;
		highest = addr > highest ? addr : highest;
	}
	site_at = calloc(highest - lowest + 1, sizeof(*site_at));
	for (u32 i = 0; site_at && i < file->nr_sites; i++)
		site_at[file->sites[i].addr - lowest] = i + 1;
}

static const struct site *site_of(u64 addr)
{
	u32 i = addr - lowest <= highest - lowest ? site_at[addr - lowest] : 0;

	return i ? &file->sites[i - 1] : NULL;
}

/* A frame's own registers: dead unless somebody further out wants what it has saved of them. */
static void registers(const struct site *s, u64 *fp, u64 *where[NR_SAVED])
{
	for (unsigned int r = 0; r < NR_SAVED; r++) {
		if (s->live >> r & 1)
			where[r] = NULL;
		if (!s->saved[r])
			continue;
		if (where[r])
			*where[r] = 0;
		where[r] = (u64 *)((u64)fp - s->saved[r]);
	}
}

void live_clear(u64 *sp, u64 top)
{
	/* In the order of switch.S: r15 at sp, then the others, rbp, the address to return to. */
	u64 *where[NR_SAVED] = { sp + 4, sp + 3, sp + 2, sp + 1, sp };
	u64 *fp = (u64 *)sp[5];
	const struct site *s;

	for (u64 at = sp[6]; (s = site_of(at)) && (u64)fp > (u64)sp && (u64)fp < top - 8;
	     at = fp[1], fp = (u64 *)fp[0]) {
		registers(s, fp, where);
		for (u32 i = s->first; i < s->first + s->nr; i++)
			memset((char *)fp - ranges[i].below, 0, ranges[i].length);
	}
}
