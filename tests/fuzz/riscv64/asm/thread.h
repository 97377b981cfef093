/* SPDX-License-Identifier: MIT */
/*
 * The port's own: nothing in it is an instruction.
 */
#include "../../../../arch/riscv64/include/asm/thread.h"
