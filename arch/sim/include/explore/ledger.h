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
#define ledger_load(mm, tag) if_books(ledger_load(mm, tag))
#define ledger_left(mm) if_books(ledger_left(mm))
#define ledger_leaving_lazy(mm) if_books(ledger_leaving_lazy(mm))
#define ledger_active(mm) if_books(ledger_active(mm))
#define ledger_now() (oracles_on ? ledger_now() : 0)
#define ledger_invalidated(drop) if_books(ledger_invalidated(drop))
#define ledger_clear(mm, page, va, level) if_books(ledger_clear(mm, page, va, level))
#define ledger_unhook(mm, pt, va, level) if_books(ledger_unhook(mm, pt, va, level))
#define ledger_protect(mm, start, end) if_books(ledger_protect(mm, start, end))
#define ledger_settle(page) if_books(ledger_settle(page))
#define ledger_table_flushed(pt) if_books(ledger_table_flushed(pt))
#define ledger_page_free(page) if_books(ledger_page_free(page))
#define ledger_operation_end(mm, since) if_books(ledger_operation_end(mm, since))
#define ledger_absence(mm, va, since) if_books(ledger_absence(mm, va, since))
#endif

#endif
