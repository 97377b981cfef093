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

/*
 * A de Bruijn sequence: its 64 windows of six bits, round the end, are the numbers from 0 to 63. So
 * the lowest bit of x, by which it is multiplied, is known by the six bits that come out on top.
 * C. Leiserson, H. Prokop, K. Randall: Using de Bruijn Sequences to Index a 1 in a Computer Word,
 * 1998.
 */
#define SEQUENCE 0x022fdd63cc95386dULL
#define PLACE(n) [(SEQUENCE << (n)) >> 58] = (n)
#define PLACES(n) PLACE(n), PLACE((n) + 1), PLACE((n) + 2), PLACE((n) + 3)

/* x is not 0. */
int __ctzdi2(u64 x)
{
	static const u8 places[64] = {
		PLACES(0), PLACES(4), PLACES(8), PLACES(12), PLACES(16), PLACES(20),
		PLACES(24), PLACES(28), PLACES(32), PLACES(36), PLACES(40), PLACES(44),
		PLACES(48), PLACES(52), PLACES(56), PLACES(60),
	};

	return places[((x & -x) * SEQUENCE) >> 58];
}

/* Every bit from the highest set one down becomes one; the rest is counted. x is not 0. */
int __clzdi2(u64 x)
{
	for (unsigned int shift = 1; shift < 64; shift *= 2)
		x |= x >> shift;
	return __popcountdi2(~x);
}
