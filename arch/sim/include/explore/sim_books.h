/* SPDX-License-Identifier: MIT */
/*
 * Calls of an oracle that keeps books: made if the explorer asked for oracles (arch/sim/oracle.c).
 */
#ifndef SIM_BOOKS_H
#define SIM_BOOKS_H

#include <types.h>

extern bool oracles_on;
#define if_books(call) ((void)(__builtin_expect(oracles_on, 0) && ((call), 0)))

#endif
