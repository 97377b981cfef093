/* SPDX-License-Identifier: MIT */
/*
 * Invalidation of user translations on all CPUs that may hold them: policy and transport.
 */
#ifndef GRACE_TLB_H
#define GRACE_TLB_H

#include <mm.h>

/* tlb=: by IPI, which a CPU with interrupts off holds up, or by the port's unmaskable transport. */
enum tlb_mode { TLB_IPI, TLB_UNMASKABLE };
extern enum tlb_mode tlb_mode;
/* table_free=: tables go to RCU, or are freed with the gather's pages (F4: maskable only). */
enum table_free_mode { TABLE_FREE_RCU, TABLE_FREE_GATHER };
extern enum table_free_mode table_free_mode;

const char *tlb_transport_name(void); /* of the mode in use */
bool tlb_transport_maskable(void);

/* Past this many entries one flush of everything is cheaper (Linux x86: 33 pages). */
#define TLB_FLUSH_CEILING 33

/*
 * Invalidates [start, end) of mm on every CPU that may hold it; returns when done. tables: walk
 * caches too. level: the smallest leaf cleared. The caller has cleared the entries before; this
 * orders that before the mask is read [T1]. Thread context, irqs on, no lock that a walker spins on
 * [T4]. cpus, where the mm has trees by CPU: those in the masks of the leaf tables that were
 * changed or unhooked; the other two mean all.
 */
void tlb_flush_range_on(struct mm *mm, vaddr_t start, vaddr_t end, unsigned int level, bool tables,
			cpumask_t cpus);
static inline void tlb_flush_range(struct mm *mm, vaddr_t start, vaddr_t end, unsigned int level,
				   bool tables)
{
	tlb_flush_range_on(mm, start, end, level, tables, ~(cpumask_t)0);
}
void tlb_flush_mm(struct mm *mm, bool tables);

/* The same counters on every port. */
struct tlb_stats {
	u64 flush_range, flush_mm;	 /* requests, by scope */
	u64 flush_tables;		 /* of these: with walk caches */
	u64 local_only;			 /* of these: no other CPU to tell */
	u64 remote_ipi, remote_unmaskable; /* of these: by transport */
	u64 targets;			 /* CPUs told, summed */
	u64 lazy_skipped;
	u64 tag_rollovers;
};
void tlb_get_stats(struct tlb_stats *s);
void tlb_print(void); /* console */
void tlb_init(void);  /* checks table_free= against tlb= (F4): boot_fail() */

#endif
