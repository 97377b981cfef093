/* SPDX-License-Identifier: MIT */
/*
 * <trace.h> without rings: what the kernel notes of itself is printed while a counterexample is
 * shown.
 */
#ifndef SIM_TRACE_H
#define SIM_TRACE_H

#include <oracle.h>

#pragma push_macro("GRACE_DEBUG")
#undef GRACE_DEBUG
#include_next <trace.h>
#pragma pop_macro("GRACE_DEBUG")

/* arch/sim/main.c */
void sim_event(const char *name, u64 a, u64 b);
#undef trace
#define trace(event, mm, a, b) sim_event(#event, a, b)

#endif
