/* SPDX-License-Identifier: MIT */
/*
 * <ledger.h> as a release build has it: the model knows what the ledger has to guess, and its
 * books, which all CPUs share, would make every two steps depend on each other. What the kernel
 * tells it of
 * roots is used.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#pragma push_macro("GRACE_DEBUG")
#undef GRACE_DEBUG
#include_next <ledger.h>
#pragma pop_macro("GRACE_DEBUG")

/* The root is about to be freed: a finding if a CPU has it loaded [A2]. arch/sim/kernel.c. */
void sim_root_free(const struct mm *mm);
#define ledger_root_free(mm) sim_root_free(mm)

#endif
