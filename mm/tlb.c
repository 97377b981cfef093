// SPDX-License-Identifier: MIT
/*
 * Invalidation of user translations: who has to be told, and by which transport.
 *
 * Terms. The mm's mask holds the CPUs that may have translations of it. A maskable transport (IPIs)
 * is held up by a target with interrupts off, an unmaskable one is not; a flush that is for this
 * CPU alone needs neither. Lazy: see mm/context.c.
 * Why two transports. Only the maskable one also sends away walkers with interrupts off; systems
 * that counted on that broke when their flushes stopped being IPIs. Running both shows what rests
 * on what.
 * Rules: T1 (the unmapper's half), T2, T4 (asserted), T7, T9, G10, F4. Locks: none; callers may
 * sleep. See also: mm/context.c (the other half of T1), tests/test_tlb.c.
 *
 * The store buffering race of T1, and the barrier on each side that forbids it:
 *
 *   unmapper                               CPU that switches to the mm
 *   clears the entry                       joins cpu_mask
 *   full barrier (tlb_gen++)               full barrier (the RMW on cpu_mask)
 *   reads cpu_mask: is it in?              loads the root, walks, reads the entry
 *
 * Either the unmapper sees it in the mask, or it sees the entry cleared.
 */
#include <cmdline.h>
#include <cpu_tree.h>
#include <errno.h>
#include <inject.h>
#include <irqflags.h>
#include <mm.h>
#include <percpu.h>
#include <printk.h>
#include <rules.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <tlb.h>
#include <trace.h>

enum tlb_mode tlb_mode;
enum table_free_mode table_free_mode;
static bool tlb_mode_given;

static DEFINE_PER_CPU(struct tlb_stats, tlb_stats);
/* Under preempt_disable(). */
#define count(field, n) (this_cpu(tlb_stats).field += (n))

static int parse_tlb(const char *value)
{
	if (strcmp(value, "ipi") == 0)
		tlb_mode = TLB_IPI;
	else if (strcmp(value, "unmaskable") == 0 || strcmp(value, arch.unmaskable.name) == 0)
		tlb_mode = TLB_UNMASKABLE;
	else
		return -EINVAL;
	tlb_mode_given = true;
	return 0;
}
CMDLINE_OPTION(tlb, "tlb",
	       "tlb=ipi|unmaskable  how other CPUs' TLBs are invalidated; unmaskable (also by its "
	       "name: nmi, broadcast, sbi) is not held up by interrupts off",
	       parse_tlb);

static int parse_table_free(const char *value)
{
	if (strcmp(value, "rcu") == 0)
		table_free_mode = TABLE_FREE_RCU;
	else if (strcmp(value, "gather") == 0)
		table_free_mode = TABLE_FREE_GATHER;
	else
		return -EINVAL;
	return 0;
}
CMDLINE_OPTION(table_free, "table_free",
	       "table_free=rcu|gather  when tables are freed: after a grace period, or with the "
	       "gather's pages (maskable transport only)",
	       parse_table_free);

const char *tlb_transport_name(void)
{
	return tlb_mode == TLB_IPI ? "ipi" : arch.unmaskable.name;
}

bool tlb_transport_maskable(void)
{
	return tlb_mode == TLB_IPI;
}

/*
 * RACE F4. A flush that interrupts nobody waits for nobody:
 *   unmapper, tlb=unmaskable               gup_fast() on CPU 1, irqs off
 *   unhooks the table                      inside it
 *   flushes: CPU 1's TLB is done at once   notices nothing
 *   frees the table with the gather        reads a freed table
 */
void tlb_init(void)
{
	if (!tlb_mode_given)
		tlb_mode = arch.default_unmaskable ? TLB_UNMASKABLE : TLB_IPI;
	if (!rule(GATHER_FREE_MASKABLE) || table_free_mode != TABLE_FREE_GATHER)
		return;
	if (cpu_tree_policy)
		boot_fail("table_free=gather cannot be had with trees=cpu: that flush tells only "
			  "CPUs that touched the range, so walkers on others would be left in "
			  "freed tables [F4]; use trees=shared");
	if (!tlb_transport_maskable())
		boot_fail("table_free=gather cannot be had with tlb=%s: that flush does not wait "
			  "for walkers with interrupts off, so they would be left in freed tables "
			  "[F4]; use tlb=ipi",
			  tlb_transport_name());
}

static void flush_here(const struct arch_flush *f)
{
	if (inject(FLAKY))
		return;
	arch_tlb_flush_local(f);
	trace(INVALIDATE, 0, f->start, f->end);
}

static void flush_ipi(void *arg)
{
	flush_here(arg);
}

/*
 * The CPUs of mask that need no interrupt for the flush that made tlb_gen be gen: lazy ones catch
 * up in mm_leave_lazy().
 */
static cpumask_t lazy_cpus(const struct mm *mm, cpumask_t mask, u64 gen)
{
	cpumask_t lazy = 0;
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		if (mm_cpu_lazy_before(mm, cpu, gen))
			lazy |= cpumask_of(cpu);
	return lazy;
}

/*
 * RACE T2. A lazy CPU does not use the mm, but its MMU may:
 *   unmapper                               CPU 1, lazy: the root is loaded
 *   unhooks the table                      walk cache: va -> table
 *   skips lazy CPU 1                       .
 *   frees the table; it is written to      speculation fills the TLB from it
 */
static void tell_by_ipi(struct mm *mm, cpumask_t others, struct arch_flush *f, u64 gen)
{
	/*
	 * A lazy CPU makes no user access, so a stale leaf does no harm until it leaves lazy mode;
	 * but its walker may read the tables of the loaded root at any time, so freed tables cannot
	 * wait [T2].
	 */
	if (!f->tables || !rule(LAZY_TABLES)) {
		cpumask_t lazy = lazy_cpus(mm, others, gen);

		others &= ~lazy;
		count(lazy_skipped, cpumask_weight(lazy));
	}
	if (!others) {
		count(local_only, 1);
		return;
	}
	count(remote_ipi, 1);
	count(targets, cpumask_weight(others));
	smp_call_mask(others, flush_ipi, f, true);
}

/* Tells the CPUs of mask: others, and perhaps me. Apart, so that a flush for me alone is short. */
static __noinline void tell_others(struct mm *mm, cpumask_t mask, cpumask_t me,
				   struct arch_flush *f, u64 gen)
{
	if (tlb_mode == TLB_IPI) {
		if (mask & me)
			flush_here(f);
		tell_by_ipi(mm, mask & ~me, f, gen);
		return;
	}
	if (inject(FLAKY))
		return;
	count(remote_unmaskable, 1);
	count(targets, cpumask_weight(mask & ~me));
	arch_tlb_flush_remote(mask, f);
}

/* Only with T9 knocked out: the caller may be on another CPU behind this. */
static void migrate_here(void)
{
	thread_yield();
}

/*
 * RACE T7. The tag is another one by the time of the flush:
 *   unmapper                               CPU 1
 *   reads the mm's tag: 5                  .
 *   .                                      roll-over; runs the mm as tag 9
 *   clears the entry                       TLB: va -> page under 9
 *   flushes 5, frees the page              keeps what is under 9
 *
 * RACE T9. "Everybody but me", and then "me" is another:
 *   unmapper                               CPU 0
 *   on CPU 0: others = mask - CPU 0        TLB: va -> page
 *   is moved to CPU 1                      .
 *   flushes here, tells the others         told by nobody
 *   frees the page                         uses va -> page
 */
static __always_inline void flush(struct mm *mm, struct arch_flush *f, cpumask_t cpus)
{
	bool pinned = rule(FLUSH_PINNED);

	/* The caller waits for other CPUs: no spinlock held, interrupts on [T4]. */
	BUG_ON_RULE(NO_WAIT_LOCKED, debug_build && !preemptible());
	/*
	 * Full barrier: orders the caller's clearing of entries before the loads of the tag, the
	 * mask and the lazy marks. Pairs with join_mask(), mm_leave_lazy() and leave_for_good() in
	 * mm/context.c. Pairs with share() in mm/cpu_tree.c. [T1, P3]
	 */
	u64 gen = (u64)atomic64_inc_return(&mm->tlb_gen);

	if (pinned)
		preempt_disable(); /* the local flush is of the CPU that is taken out of the mask */
	f->tag = rule(TAG_AFTER_CLEAR) ? mm_tag(mm) : READ_ONCE(mm->last_flush_tag);
	if (debug_build)
		WRITE_ONCE(mm->last_flush_tag, mm_tag(mm));
	cpumask_t me = cpumask_of(smp_processor_id());
	cpumask_t mask = cpu_tree_told(mm, READ_ONCE(mm->cpu_mask), cpus);

	trace(FLUSH_BEGIN, mm->id, mask, f->start);
	inject_delay(FLUSH_WINDOW);
	if (!pinned)
		migrate_here();
	if (mask & ~me) {
		tell_others(mm, mask, me, f, gen);
	} else {
		count(local_only, 1);
		if (mask)
			flush_here(f);
	}
	trace(FLUSH_END, mm->id, mask, f->start);
	if (f->tables)
		count(flush_tables, 1);
	if (pinned)
		preempt_enable();
}

/* Everything of the mm, on those of cpus that have any of it. */
static __noinline void flush_mm_on(struct mm *mm, bool tables, cpumask_t cpus)
{
	struct arch_flush f = { .start = 0, .end = ~0ULL, .tables = tables };

	f.stride_shift = PAGE_SHIFT;
	count(flush_mm, 1);
	flush(mm, &f, cpus);
}

void tlb_flush_mm(struct mm *mm, bool tables)
{
	flush_mm_on(mm, tables, ~(cpumask_t)0);
}

/* Whether tables are beyond the reach of an invalidation by address here. [G10] */
static bool needs_whole_tag(bool tables)
{
	return tables && arch.range_flush_spares_walk_caches;
}

/*
 * RACE G10. A fence by address does not reach the way there:
 *   unmapper                               MMU of CPU 1
 *   unhooks the table                      walk cache: va -> table
 *   fences va by address                   drops the leaf of va alone
 *   frees the table                        begins its next walk inside it
 */
void tlb_flush_range_on(struct mm *mm, vaddr_t start, vaddr_t end, unsigned int level, bool tables,
			cpumask_t cpus)
{
	struct arch_flush f = { .start = start, .end = end, .tables = tables };

	if ((end - start) >> pt_shift(level) > TLB_FLUSH_CEILING ||
	    (needs_whole_tag(tables) && rule(TABLE_FENCE_SCOPE))) {
		flush_mm_on(mm, tables, cpus);
		return;
	}
	f.stride_shift = pt_shift(level);
	count(flush_range, 1);
	flush(mm, &f, cpus);
}

void tlb_get_stats(struct tlb_stats *s)
{
	percpu_sum(s, &tlb_stats, sizeof(*s));
	s->tag_rollovers = context_rollovers();
}

void tlb_print(void)
{
	struct tlb_stats s;

	tlb_get_stats(&s);
	print_line("transport %s (%s by interrupts off), tags of %u bits, tables freed by %s",
		   tlb_transport_name(), tlb_transport_maskable() ? "held up" : "not held up",
		   arch.tag_bits, table_free_mode == TABLE_FREE_RCU ? "rcu" : "gather");
	print_line("flushes: of a range %llu, of an mm %llu; of these with walk caches %llu",
		   (unsigned long long)s.flush_range, (unsigned long long)s.flush_mm,
		   (unsigned long long)s.flush_tables);
	print_line("told: only this CPU %llu, others by ipi %llu, by %s %llu; CPUs told %llu",
		   (unsigned long long)s.local_only, (unsigned long long)s.remote_ipi,
		   arch.unmaskable.name, (unsigned long long)s.remote_unmaskable,
		   (unsigned long long)s.targets);
	print_line("lazy CPUs skipped %llu, tag roll-overs %llu",
		   (unsigned long long)s.lazy_skipped, (unsigned long long)s.tag_rollovers);
}
