// SPDX-License-Identifier: MIT
/*
 * The census: who is inside the page tables, and who was when a table was unhooked.
 *
 * Terms. The clock counts unhookings: a walker notes what it shows as it goes in, a table the
 * number of its own unhooking. A walker whose note is smaller may have loaded the entry that led to
 * the table; one whose note is not cannot.
 * Why. A walk that meets a freed table mostly finds it as it was: the frame has to be used again,
 * and read again, before anything shows. This shows the overlap itself. And a race in which no
 * table is ever unhooked under a walker has proven nothing: that is counted by the same books.
 * Rules: the check of F1, F2, F4 and U1. Contexts: any but NMI; lockless. See also: mm/gup.c,
 * mm/scan.c, tests/test_census.c.
 *
 *   walker                                unmapper
 *   now = clock
 *   entered = now       (full barrier)    clears the entry         (full barrier)
 *   loads the entry                       the table's number = ++clock
 *   is in the table                       ...
 *   entered = 0         (release)         frees it: nobody of this mm with entered < number?
 *
 * Either the walker read the clock before the unmapper's step, and its note is smaller, or it loads
 * the entry after that, and finds it cleared.
 */
#ifdef GRACE_DEBUG
#include <arch.h>
#include <census.h>
#include <mm.h>
#include <oracle.h>
#include <percpu.h>
#include <ptdesc.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>

/*
 * One for the thread, one for an interrupt in its walk; the others for walkers that lost the CPU
 * inside, which takes U1 knocked out. Such a one may go on elsewhere: its note stays where it went
 * in.
 */
#define NOTES 6

struct note {
	const struct thread *who; /* NULL: free. Taken by cmpxchg() */
	const struct mm *mm;
	u64 entered; /* the clock; 0: not inside */
	u64 cycles;  /* when that was */
	bool exposed; /* with interrupts and preemption on */
};
struct notes {
	struct note of[NOTES];
};
static DEFINE_PER_CPU(struct notes, notes);

static u64 unhookings = 1; /* the clock */

/* A walker without a free note goes in unseen. */
static struct note *note_take(void)
{
	struct notes *here = this_cpu_ptr(&notes);

	/* Full barrier: the note's last owner is done with it. Pairs with census_leave(). */
	for (unsigned int i = 0; i < NOTES; i++)
		if (!READ_ONCE(here->of[i].who) && !cmpxchg(&here->of[i].who, NULL, current))
			return &here->of[i];
	return NULL;
}

void census_enter(const struct mm *mm)
{
	u64 now = READ_ONCE(unhookings);
	struct note *n = note_take();

	if (!n)
		return;
	n->mm = mm;
	n->cycles = arch_cycles();
	n->exposed = preemptible();
	/*
	 * Full barrier: orders the note, and the clock's reading, before the walk's first load of
	 * an entry. Pairs with census_unhooked() and note_inside().
	 */
	xchg(&n->entered, now);
}

/* The latest note of the calling thread on cpu, or NULL: an interrupt's walk ends first. */
static struct note *note_of_current(unsigned int cpu)
{
	struct notes *there = per_cpu_ptr(&notes, cpu);

	for (unsigned int i = NOTES; i-- > 0;)
		if (READ_ONCE(there->of[i].who) == current)
			return &there->of[i];
	return NULL;
}

void census_leave(void)
{
	struct note *n = note_of_current(smp_processor_id());
	unsigned int cpu;

	if (unlikely(!n && preemptible())) { /* U1 is knocked out, and it was moved meanwhile */
		for_each_possible_cpu(cpu)
			if ((n = note_of_current(cpu)))
				break;
	}
	if (!n)
		return;
	/* Orders the walk before its end. Pairs with note_inside(). */
	smp_store_release(&n->entered, 0);
	/* Orders the note's end before its next owner. Pairs with note_take(). */
	smp_store_release(&n->who, NULL);
}

/* The walk's clock if the note is that of a walk of mm, 0 if not. */
static u64 note_inside(const struct note *n, const struct mm *mm)
{
	/* Orders the note's moment before its mm. Pairs with census_enter(). */
	u64 entered = smp_load_acquire(&n->entered);

	if (!entered || READ_ONCE(n->mm) != mm)
		return 0;
	/* Orders the mm before the second look: was it one walk? Pairs with census_leave(). */
	smp_rmb();
	return READ_ONCE(n->entered) == entered ? entered : 0;
}

/* A walker on cpu that is inside mm and went in before the clock showed `before`, or NULL. */
static const struct note *find_on(unsigned int cpu, const struct mm *mm, u64 before)
{
	for (unsigned int i = 0; i < NOTES; i++) {
		const struct note *n = &per_cpu_ptr(&notes, cpu)->of[i];
		u64 entered = note_inside(n, mm);

		if (unlikely(entered && entered < before))
			return n;
	}
	return NULL;
}

bool census_inside(const struct mm *mm)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		if (find_on(cpu, mm, ~0ULL))
			return true;
	return false;
}

void census_unhooked(struct ptdesc *pt)
{
	unsigned int cpu;

	/*
	 * Full barrier: orders the clearing of the entry, which the caller has done, before the
	 * clock's step and the look at the notes. Pairs with census_enter().
	 */
	pt->page.pt_census = fetch_add(&unhookings, 1) + 1;
	pt->page.pt_walkers = 0;
	for_each_possible_cpu(cpu)
		if (find_on(cpu, pt->page.pt_mm, pt->page.pt_census))
			pt->page.pt_walkers |= cpumask_of(cpu);
}

bool census_find(const struct ptdesc *pt, struct census_walker *found)
{
	for_each_cpu(found->cpu, pt->page.pt_walkers) {
		const struct note *n = find_on(found->cpu, pt->page.pt_mm, pt->page.pt_census);

		if (n) {
			found->ns = cycles_to_ns(arch_cycles() - READ_ONCE(n->cycles));
			found->exposed = READ_ONCE(n->exposed);
			return true;
		}
	}
	return false;
}

/* What should have kept the table until this walker was out of it. */
static enum rule broken_rule(const struct ptdesc *pt, const struct census_walker *walker)
{
	if (walker->exposed)
		return RULE_WALK_IRQS_OFF;
	if (table_free_mode == TABLE_FREE_GATHER)
		return RULE_GATHER_FREE_MASKABLE;
	return pt->page.pt_gp ? RULE_TABLE_GRACE_PERIOD : RULE_FALLBACK_ALL_WALKERS;
}

u64 census_before(const struct ptdesc *pt)
{
	u64 inside = 0;
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		for (unsigned int i = 0; i < NOTES; i++) {
			const struct note *n = &per_cpu_ptr(&notes, cpu)->of[i];
			u64 entered = READ_ONCE(n->entered);

			if (entered && (!pt || (entered < pt->page.pt_census &&
						n->mm == pt->page.pt_mm)))
				inside |= BIT(cpu * NOTES + i);
		}
	return inside;
}

void census_table_free(struct ptdesc *pt)
{
	struct census_walker walker;

	if (!oracles() || likely(!census_find(pt, &walker)))
		return;
	oracle_report(ORACLE_CENSUS, broken_rule(pt, &walker), &pt->page,
		      "table %#llx is freed under a walker: CPU %u has been inside for %llu us, "
		      "the table out of the tree for %llu us",
		      (unsigned long long)page_to_phys(&pt->page), walker.cpu,
		      (unsigned long long)(walker.ns / NSEC_PER_USEC),
		      (unsigned long long)(page_step_now() - pt->page.debug.step_us[STEP_CLEAR]));
}
#endif
