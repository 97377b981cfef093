// SPDX-License-Identifier: MIT
/*
 * Switching to an address space, away and back, against a flush of it.
 *
 * Rules: T1, T3, T6.
 */
#include "switching.h"

SCENARIO(switch_flush) = {
	.name = "switch_flush",
	.what = "switch of address space against a flush",
	.cpus = 2,
	.delays = 1,
	.setup = switching_setup,
	.roles = { { 0, switching_unmap, true }, { 1, switching_switch, false } },
};
