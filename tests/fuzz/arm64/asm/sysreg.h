/* SPDX-License-Identifier: MIT */
/*
 * System registers: read as the target says, written to nowhere.
 */
#ifndef ASM_SYSREG_H
#define ASM_SYSREG_H

#include <types.h>

u64 shim_sysreg(const char *name);

#define read_sysreg(name) shim_sysreg(#name)
#define write_sysreg(name, value) ((void)(value))
#define isb() ((void)0)
#define dsb(scope) ((void)0)

#endif
