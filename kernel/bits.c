// SPDX-License-Identifier: MIT
/*
 * What the compiler calls where the CPU has no instruction for it: counting bits.
 *
 * Why it exists: the image links no compiler library. Names and results are those of GCC's libgcc
 * manual, "Integer library routines".
 * Contexts: any.
 */
#include <types.h>

int __popcountdi2(u64 x);
int __ctzdi2(u64 x);
int __clzdi2(u64 x);

/* Sums of neighbouring 1, 2, 4 bits side by side, then all bytes at once by a multiplication. */
int __popcountdi2(u64 x)
{
	x -= (x >> 1) & 0x5555555555555555ULL;
	x = (x & 0x3333333333333333ULL) + ((x >> 2) & 0x3333333333333333ULL);
	x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return (int)((x * 0x0101010101010101ULL) >> 56);
}

/* The bits below the lowest set one, counted. x is not 0. */
int __ctzdi2(u64 x)
{
	return __popcountdi2(~x & (x - 1));
}

/* Every bit from the highest set one down becomes one; the rest is counted. x is not 0. */
int __clzdi2(u64 x)
{
	for (unsigned int shift = 1; shift < 64; shift *= 2)
		x |= x >> shift;
	return __popcountdi2(~x);
}
