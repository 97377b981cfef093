/* SPDX-License-Identifier: MIT */
/*
 * How many bytes of tables may wait for a grace period at a time. mm/table_limit.c.
 */
#ifndef GRACE_TABLE_LIMIT_H
#define GRACE_TABLE_LIMIT_H

#include <page.h>

/* On behalf of each CPU, the tables and the pages that list them: 1 MiB of pages of 4 KiB. */
#define TABLE_LIMIT (256u * (u32)PAGE_SIZE)
/* So many tables, at most, can wait together: they and their list fit. */
#define TABLE_LIMIT_BATCH (TABLE_LIMIT / PAGE_SIZE - 1)

/*
 * Before bytes of tables go to call_rcu(): counts them, at most TABLE_LIMIT, as waiting on behalf
 * of this CPU, which it returns for the second. Where they would be too many it first has the
 * earlier ones freed, by rcu_expedite(). Thread context, may sleep; needs no memory.
 */
unsigned int table_limit_charge(u64 bytes);
/* They are free. Any context. */
void table_limit_uncharge(unsigned int cpu, u64 bytes);

struct table_limit_stats {
	u64 bytes;  /* charged ever */
	u64 peak;   /* sum of what was the most at a time on behalf of each CPU */
	u64 waits;  /* times that somebody had to have earlier tables freed first */
};
void table_limit_get_stats(struct table_limit_stats *s);
/* Forgets the peaks. */
void table_limit_reset_peaks(void);

#endif
