/* SPDX-License-Identifier: MIT */
/*
 * Ways for the kernel to go down, for the command crash.
 */
#ifndef GRACE_TESTS_CRASH_H
#define GRACE_TESTS_CRASH_H

#include <types.h>

struct crash_kind {
	const char *name;
	void (*fn)(void); /* does not return */
};
/* fn: static, of its own frame, so that its name is in the backtrace. */
#define CRASH(name_)                                                                               \
	static __noinline void crash_##name_(void);                                                \
	static const struct crash_kind __used __section(".crashes") __aligned(8)                   \
		crash_kind_##name_ = { #name_, crash_##name_ };                                    \
	static __noinline void crash_##name_(void)

#endif
