/* SPDX-License-Identifier: MIT */
/*
 * <types.h>, but for tables that the linker puts together (options, commands): no red zones between
 * their entries.
 */
#include_next <types.h>

#ifdef __clang__
#undef __section
#define __section(s) __attribute__((section(s), no_sanitize("address")))
#endif
