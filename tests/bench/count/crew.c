// SPDX-License-Identifier: MIT
/*
 * The crew of the counting benchmarks, their rows and their command.
 *
 * Rules: none. Contexts: thread; nothing else runs. See also: count.h, scripts/bench_smp.py.
 */
#include "count.h"

#include <console.h>
#include <cpu_tree.h>
#include <errno.h>
#include <irqflags.h>
#include <printk.h>

unsigned int cpus;
struct mm *mm;
bool tables_go;
const char *transport;

/* ---- The crew -------------------------------------------------------------------------- */

static struct member {
	struct thread *thread;
	unsigned int asked, done; /* tasks; the leader writes the one, the member the other */
	void (*task)(unsigned int me);
} crew[MAX_CPUS];
static bool dismissed;

void halt(void)
{
	local_irq_disable();
	arch_cpu_idle();
}

static void member(void *arg)
{
	struct member *m = arg;

	for (unsigned int turn = 1;; turn++) {
		/* Acquire: orders the order before the task. Pairs with crew_begin(). */
		while (smp_load_acquire(&m->asked) != turn) {
			if (READ_ONCE(dismissed))
				return;
			halt();
		}
		m->task((unsigned int)(m - crew));
		/* Release: orders what was done before it is known. Pairs with crew_done(). */
		smp_store_release(&m->done, turn);
	}
}

bool crew_done(unsigned int who)
{
	/* Acquire: orders the end before what the leader reads. Pairs with member(). */
	return smp_load_acquire(&crew[who].done) == crew[who].asked;
}

bool crew_asleep(unsigned int who)
{
	const struct thread *t = crew[who].thread;

	return READ_ONCE(t->state) == THREAD_SLEEPING && !READ_ONCE(t->on_cpu);
}

void crew_begin(unsigned int who, void (*task)(unsigned int))
{
	crew[who].task = task;
	/* Release: orders the order before it is seen. Pairs with member(). */
	smp_store_release(&crew[who].asked, crew[who].asked + 1);
	/* For no reason that smp_send() knows, so that it is in no count. */
	arch_send_ipi(cpumask_of(test_cpu(who)));
}

void crew_finish(unsigned int who)
{
	BENCH_CHECK(WAIT_UNTIL(crew_done(who)));
}

void by_turns(unsigned int from, unsigned int to, void (*task)(unsigned int))
{
	for (unsigned int i = from; i < to; i++) {
		crew_begin(i, task);
		crew_finish(i);
	}
}

bool crew_start(void)
{
	dismissed = false;
	for (unsigned int i = 0; i < cpus; i++) {
		crew[i] = (struct member){ 0 };
		crew[i].thread = test_thread_new(cpumask_of(test_cpu(i)), member, &crew[i]);
		if (!crew[i].thread)
			return false;
		thread_wake(crew[i].thread);
	}
	return true;
}

void crew_dismiss(void)
{
	WRITE_ONCE(dismissed, true);
	for (unsigned int i = 0; i < cpus; i++)
		if (crew[i].thread)
			thread_join(crew[i].thread);
}

void enter(unsigned int me)
{
	kthread_use_mm(mm);
}

void leave(unsigned int me)
{
	kthread_unuse_mm();
}

bool trees;

bool enter_mm(unsigned int members)
{
	mm = mm_create();
	if (!BENCH_CHECK(mm != NULL))
		return false;
	if (trees) {
		cpu_tree_give(mm);
		BENCH_CHECK(mm->trees != NULL);
	}
	by_turns(0, members, enter);
	return true;
}

void leave_mm(unsigned int members)
{
	by_turns(0, members, leave);
	mmput(mm);
	bench_settle();
}

/* ---- Rows ------------------------------------------------------------------------------ */

void tally_add(struct tally *t, s64 sign)
{
	struct tlb_stats now;
	const u64 *from = (const u64 *)&now;
	u64 *to = (u64 *)&t->tlb;
	unsigned int cpu;

	tlb_get_stats(&now);
	for (unsigned int i = 0; i < sizeof(now) / sizeof(u64); i++)
		to[i] += (u64)sign * from[i];
	for_each_possible_cpu (cpu)
		t->ipis += (u64)sign * smp_ipis_sent(cpu);
}

void count_row(const char *scenario, const char *what, u64 total, u64 ops)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/%s/%s", transport, scenario, what);
	bench_row(name, total, ops);
}

void tally_rows(const char *scenario, const struct tally *t, u64 ops)
{
	count_row(scenario, "ipis", t->ipis, ops);
	count_row(scenario, "told", t->tlb.targets, ops);
	count_row(scenario, "fences", t->tlb.remote_unmaskable, ops);
	count_row(scenario, "range", t->tlb.flush_range, ops);
	count_row(scenario, "mm", t->tlb.flush_mm, ops);
	count_row(scenario, "tables", t->tlb.flush_tables, ops);
	count_row(scenario, "lazy", t->tlb.lazy_skipped, ops);
}

/* ---- A page for all -------------------------------------------------------------------- */

vaddr_t shared_page(void)
{
	return bench_window(1);
}

/* One page, alone in its table or not, populated and not used. */
void map_shared(unsigned int me)
{
	if (!tables_go)
		bench_map(mm, shared_page() + pt_span(1) - PAGE_SIZE, 1);
	bench_map(mm, shared_page(), 1);
}

/* ---- The command ----------------------------------------------------------------------- */

static void all_by(enum tlb_mode mode)
{
	tlb_mode = mode;
	transport = tlb_transport_name();
	count_idle();
	if (crew_start()) {
		count_unmapping();
		count_walkers();
	}
	crew_dismiss();
	bench_settle();
}

static int cmd_bench_smp(int argc, char **argv)
{
	enum tlb_mode old = tlb_mode;
	unsigned int failed = bench_failures();

	cpus = cpumask_weight(READ_ONCE(cpu_online_mask));
	if (cpus < 2)
		return -EINVAL;
	thread_set_allowed(current, cpumask_of(test_cpu(0)));
	all_by(TLB_IPI);
	all_by(TLB_UNMASKABLE);
	tlb_mode = old;
	thread_set_allowed(current, ~0ULL);
	failed = bench_failures() - failed;
	print_line("BENCH-END smp %u", failed);
	return failed ? -EIO : 0;
}
COMMAND(bench_smp, "bench-smp",
	"bench-smp  what CPUs do to each other, counted; scripts/bench_smp.py reads it",
	cmd_bench_smp);
