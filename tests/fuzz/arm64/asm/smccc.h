/* SPDX-License-Identifier: MIT */
/*
 * The firmware is the target's.
 */
#ifndef GRACE_ASM_SMCCC_H
#define GRACE_ASM_SMCCC_H

#include <types.h>

s64 smccc_call(bool smc, u64 function, u64 a, u64 b, u64 c);

#endif
