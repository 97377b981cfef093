// SPDX-License-Identifier: MIT
/*
 * Spinlocks out of line, for debug builds: the bodies stand in <spinlock.h>, where a release build
 * takes them from.
 *
 * Why: with the calls of the lock checker, a copy at each place would make the image much larger.
 * Contexts: any but NMI. See also: <lockdep.h>.
 */
#define SPINLOCK_BODIES
#include <spinlock.h>
