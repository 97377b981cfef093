/* SPDX-License-Identifier: MIT */
/*
 * Included before all else: no instruction of another CPU's reaches the host's assembler. What such
 * an instruction would have written is left as it was.
 */
#define __volatile__(...) ("")
