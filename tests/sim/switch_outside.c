// SPDX-License-Identifier: MIT
/*
 * The same, and who unmaps lives elsewhere: perhaps no CPU has the address space loaded.
 *
 * Rules: T3, T1.
 */
#include "switching.h"

SCENARIO(switch_outside) = {
	.name = "switch_outside",
	.what = "switch of address space against a flush from outside",
	.cpus = 2,
	.setup = switching_setup,
	.roles = { { 0, switching_unmap, false }, { 1, switching_switch, false } },
};
