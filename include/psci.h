/* SPDX-License-Identifier: MIT */
/*
 * Arm Power State Coordination Interface (DEN 0022): the firmware that starts CPUs and ends
 * machines.
 */
#ifndef GRACE_PSCI_H
#define GRACE_PSCI_H

#include <fdt.h>
#include <types.h>

/* Looks for PSCI 0.2 or later in the device tree. Boot CPU, once. */
void psci_init(const struct fdt *f);
bool psci_present(void);
/*
 * Starts the CPU of that MPIDR affinity at a physical address, MMU off, with arg in x0. 0, or
 * -EINVAL,
 * -EEXIST (on already), -EPERM, -ENODEV, -EIO. Thread context.
 */
int psci_cpu_on(u64 mpidr, phys_t entry, u64 arg);
/* Switches this CPU off; returns only if that is refused. Everything masked. */
void psci_cpu_off(void);
/* Whether the CPU of that affinity has been switched off. Any context, where there is PSCI. */
bool psci_cpu_is_off(u64 mpidr);
/* Returns only if there is no PSCI or it refuses. Any context, before psci_init() too. */
void psci_system_off(void);

#endif
