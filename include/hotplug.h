/* SPDX-License-Identifier: MIT */
/*
 * Taking a CPU down and up again, while everything else goes on.
 * Differs from Linux: no states to register for; kernel/hotplug.c calls each subsystem in turn.
 */
#ifndef GRACE_HOTPLUG_H
#define GRACE_HOTPLUG_H

#include <types.h>

/*
 * Thread context, may sleep; one at a time, others wait. cpu_down() returns when the CPU is off and
 * everything that it had is somewhere else; it waits for a grace period, so the caller is no reader
 * and holds nothing that one waits for. cpu_up() returns when threads may run there.
 * -EINVAL: no such CPU. -EALREADY: it is so. -EBUSY: CPU 0, which stays. -EOPNOTSUPP: the firmware
 * cannot stop CPUs. -ETIMEDOUT: it is left by everything, and the firmware does not say that it is
 * off; or it was started, and has not come. cpu_up() also: -ENOMEM, and what arch_cpu_start() says.
 */
int cpu_down(unsigned int cpu);
int cpu_up(unsigned int cpu);

/* Takes a CPU down that is up, or up that is down; which one, the number says. For the torture. */
int cpu_toggle_random(u64 random);

/* The idle loop, irqs off: whether this CPU is to stop now; and stops it. */
bool hotplug_stop_wanted(void);
__noreturn void hotplug_stop(void);

#endif
