/* SPDX-License-Identifier: MIT */
/*
 * <census.h>, whose calls are made only if the explorer asked for oracles.
 */
#ifndef SIM_CENSUS_H
#define SIM_CENSUS_H

#include_next <census.h>
#include <sim_books.h>

#ifndef SIM_ORACLE
#define census_enter(mm) if_books(books_use(0, USE_INSIDE), census_enter(mm))
#define census_leave() if_books(books_use(0, USE_INSIDE), census_leave())
#define census_unhooked(pt) if_books(books_use(USE_INSIDE, 0), census_unhooked(pt))
#define census_table_free(pt) if_books(books_use(USE_INSIDE, 0), census_table_free(pt))
#endif

#endif
