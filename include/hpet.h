/* SPDX-License-Identifier: MIT */
/*
 * The high precision event timer of a PC, as a counter of known rate and no more.
 */
#ifndef GRACE_HPET_H
#define GRACE_HPET_H

#include <types.h>

/*
 * Maps the timer block that the ACPI tables name and lets its counter run. Returns its counts a
 * second; 0 if there is none, or it says what cannot be. Boot CPU, once.
 */
u32 hpet_start(void);
/* The counter's low 32 bits. After hpet_start(). Any context. */
u32 hpet_read(void);

#endif
