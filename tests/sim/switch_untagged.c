// SPDX-License-Identifier: MIT
/*
 * The same where the TLB has no tags: a switch drops all, and leaves the mask.
 *
 * Where no flush waits for interrupts off, only the ledger sees a CPU that is between two masks: it
 * makes no access there, and tables wait for it as for any reader.
 * Rules: T1, T6.
 */
#include "switching.h"

SCENARIO(switch_untagged) = {
	.name = "switch_untagged",
	.what = "switch against a flush, without tags",
	.cpus = 2,
	.delays = 1,
	.untagged = true,
	.oracles = true,
	.setup = switching_setup,
	.roles = { { 0, switching_unmap, true }, { 1, switching_switch, false } },
};
