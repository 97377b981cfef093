/* SPDX-License-Identifier: MIT */
/*
 * One thread: nothing to order, nobody to wait for.
 */
#ifndef GRACE_ASM_BARRIER_H
#define GRACE_ASM_BARRIER_H

#define arch_mb_after_rmw() ((void)0)
#define arch_io_mb() ((void)0)
#define cpu_relax() ((void)0)

#endif
