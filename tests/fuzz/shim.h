/* SPDX-License-Identifier: MIT */
/*
 * What the shim gives to targets beside <kernel headers>.
 */
#ifndef FUZZ_SHIM_H
#define FUZZ_SHIM_H

#include "host.h"

#include <types.h>

/* What must hold of `boot` once a parser has filled it, whatever it was given. */
void shim_check_boot(void);

/* Reads an input front to back; zeroes behind its end. */
struct input {
	const u8 *p;
	size_t left;
};
static inline u64 input_number(struct input *in, unsigned int bytes)
{
	u64 v = 0;

	for (unsigned int i = 0; i < bytes && in->left; i++, in->left--)
		v |= (u64)*in->p++ << 8 * i;
	return v;
}

/*
 * What an adversarial firmware answers, call by call: a byte each, sign-extended; 0x80 says that 8
 * bytes follow. In the input: how many bytes (2), then they. Behind their end every answer is def.
 */
extern struct input shim_answers;
static inline s64 shim_answer(s64 def)
{
	if (shim_answers.left == 0)
		return def;
	u8 first = (u8)input_number(&shim_answers, 1);

	return first == 0x80 ? (s64)input_number(&shim_answers, 8) : (s8)first;
}
static inline void input_answers(struct input *in)
{
	size_t n = input_number(in, 2);

	n = n < in->left ? n : in->left;
	shim_answers = (struct input){ in->p, n };
	in->p += n;
	in->left -= n;
}

struct fdt;
/*
 * The rest of the input as the machine's device tree: opened and walked as the ports do. The input
 * is done if it is no tree.
 */
void shim_open_tree(struct fdt *f, const struct input *in);
/* Every CPU's hardware id stands there once. */
void shim_check_cpus(void);

#endif
