/* SPDX-License-Identifier: MIT */
/*
 * <ledger.h>, whose calls are made only if the explorer asked for oracles. Those of a mm's begin
 * and end, and of its root, always are.
 */
#ifndef SIM_LEDGER_H
#define SIM_LEDGER_H

#include_next <ledger.h>
#include <sim_books.h>

#ifndef SIM_ORACLE
#define ledger_load(mm, tag)                                                                       \
	if_books(books_use(USE_CLOCK | USE_LOG, USE_HELD), ledger_load(mm, tag))
#define ledger_left(mm) if_books(books_use(0, USE_CLOCK | USE_HELD), ledger_left(mm))
#define ledger_leaving_lazy(mm) if_books(books_use(0, USE_HELD), ledger_leaving_lazy(mm))
#define ledger_active(mm) if_books(books_use(USE_LOG, USE_HELD), ledger_active(mm))
#define ledger_now() (oracles_on ? books_moment() : 0)
#define ledger_invalidated(drop) if_books(books_use(USE_HELD, USE_LOG), ledger_invalidated(drop))
#define ledger_clear(mm, page, va, level)                                                          \
	if_books(books_use(USE_HELD | USE_LOG, USE_CLOCK), ledger_clear(mm, page, va, level))
#define ledger_unhook(mm, pt, va, level)                                                           \
	if_books(books_use(USE_HELD | USE_LOG, USE_CLOCK), ledger_unhook(mm, pt, va, level))
#define ledger_protect(mm, start, end)                                                             \
	if_books(books_use(USE_HELD | USE_LOG, USE_CLOCK), ledger_protect(mm, start, end))
#define ledger_spare(page) if_books(books_use_of(page), ledger_spare(page))
#define ledger_settle(page) if_books(books_use_of(page), ledger_settle(page))
#define ledger_table_flushed(pt) if_books(books_use_of(&(pt)->page), ledger_table_flushed(pt))
#define ledger_page_free(page) if_books(books_use_of(page), ledger_page_free(page))
#define ledger_operation_end(mm, since)                                                            \
	if_books(books_use(USE_HELD | USE_LOG, USE_CLOCK),                                         \
		 ledger_operation_end(mm, books_moment_over(since)))
#define ledger_absence(mm, va, since)                                                              \
	if_books(books_use(USE_LOG, 0), ledger_absence(mm, va, books_moment_over(since)))
#endif

#endif
