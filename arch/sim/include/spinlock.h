/* SPDX-License-Identifier: MIT */
/*
 * <spinlock.h> as a release build has it: the books of the lock checker are shared by all CPUs, and
 * would make every two steps depend on each other.
 */
#include <atomic.h>
#include <irqflags.h>
#include <lockdep.h>
#include <thread.h>

#pragma push_macro("GRACE_DEBUG")
#undef GRACE_DEBUG
#include_next <spinlock.h>
#pragma pop_macro("GRACE_DEBUG")
