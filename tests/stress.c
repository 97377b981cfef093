// SPDX-License-Identifier: MIT
/*
 * The race: threads on all CPUs walk, read and unmap the same windows of one address space.
 *
 * Terms. Windows and cookies: see tests/stress_roles.c, which holds the threads.
 * Why. Every rule of the kernel is about this moment: an unmapping meets a walker. A walker that
 * gets a page checks the cookie while it holds the reference; a reader checks it through its TLB.
 * Freed pages and tables are poisoned (debug builds), so whoever comes too late sees it. A run
 * proves nothing if nothing met: then it says INVALID, and is not a success.
 * See also: docs/lifetime.md, mm/gup.c, mm/mmu_gather.c.
 */
#include "stress.h"

#include <console.h>
#include <errno.h>
#include <gup.h>
#include <mm.h>
#include <mmu_gather.h>
#include <printk.h>
#include <ptdesc.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>

#define MAX_THREADS 160
#define PAUSE_NS (20 * NSEC_PER_MSEC) /* once a second */
#define EXTENSION 4 /* times its length: for so long a run goes on that has met too little yet */

struct stress st;
static struct worker workers[MAX_THREADS];
static struct thread *threads[MAX_THREADS];
static unsigned int nr_threads;
static unsigned int nr_online; /* CPUs, when the run began */

struct snapshot {
	struct gup_stats gup;
	struct gather_stats gather;
	struct tlb_stats tlb;
	struct rcu_stats rcu;
	struct pt_stats pt;
	struct mem_stats mem;
	struct fault_stats faults;
	u64 ipis, unmaps, reads, scans, slab, at;
};

/* ---- The run --------------------------------------------------------------------------------- */

static void snapshot(struct snapshot *s)
{
	unsigned int cpu;

	gup_get_stats(&s->gup);
	gather_get_stats(&s->gather);
	tlb_get_stats(&s->tlb);
	rcu_get_stats(&s->rcu);
	pt_get_stats(&s->pt);
	mem_get_stats(&s->mem);
	fault_get_stats(&s->faults);
	s->slab = slab_inuse();
	s->unmaps = READ_ONCE(st.unmaps);
	s->reads = READ_ONCE(st.reads);
	s->scans = READ_ONCE(st.scans);
	s->ipis = 0;
	for_each_possible_cpu(cpu)
		s->ipis += smp_ipis_taken(cpu);
	s->at = time_ns();
}

#define D(field) ((unsigned long long)(b->field - a->field))

static void print_progress(const struct snapshot *a, const struct snapshot *b)
{
	print_line("stress: %3llu s  walks %llu pages %llu retries %llu unmaps %llu faults %llu "
		   "tables waiting %llu fallbacks %llu",
		   (unsigned long long)((b->at - a->at + NSEC_PER_SEC / 2) / NSEC_PER_SEC),
		   D(gup.walks), D(gup.pages), D(gup.retries), D(unmaps), D(faults.resolved),
		   (unsigned long long)b->pt.waiting,
		   D(gather.table_batch_failures));
}

static void print_summary(const struct snapshot *a, const struct snapshot *b)
{
	print_line("stress: walks %llu, pages got %llu, retries %llu, slow paths %llu, "
		   "met an unmap %llu",
		   D(gup.walks), D(gup.pages), D(gup.retries), D(gup.slow), D(gup.overlaps));
	print_line("stress: unmaps %llu, reads %llu, scans %llu, faults %llu resolved and %llu "
		   "refused, %llu under mmap_lock, mm entries %llu",
		   D(unmaps), D(reads), D(scans), D(faults.resolved), D(faults.failed),
		   D(faults.slow),
		   (unsigned long long)st.joins);
	print_line("stress: freed %llu pages, %llu tables (rcu %llu, gather %llu, fallback %llu), "
		   "%llu under a walker",
		   D(gather.pages), D(gather.tables), D(gather.tables_by_rcu),
		   D(gather.tables_by_gather), D(gather.tables_by_fallback),
		   D(gather.tables_under_walker));
	print_line("stress: flushes of a range %llu, of the mm %llu, with tables %llu; "
		   "local %llu, by ipi %llu, fences by %s %llu; lazy skipped %llu",
		   D(tlb.flush_range), D(tlb.flush_mm), D(tlb.flush_tables), D(tlb.local_only),
		   D(tlb.remote_ipi), arch.unmaskable.name, D(tlb.remote_unmaskable),
		   D(tlb.lazy_skipped));
	print_line("stress: gathers %llu, nested %llu, page batch failures %llu; IPIs %llu; "
		   "grace periods %llu, expedited %llu; memory taken away %llu times",
		   D(gather.gathers), D(gather.nested), D(gather.page_batch_failures), D(ipis),
		   D(rcu.grace_periods), D(rcu.expedited), (unsigned long long)st.hogs);
	if (st.cpus)
		print_line("stress: CPUs taken down or up %llu times",
			   (unsigned long long)st.toggles);
	print_line("stress: most tables waiting %llu, longest wait %llu us",
		   (unsigned long long)b->pt.max_waiting,
		   (unsigned long long)(b->pt.longest_wait_ns / NSEC_PER_USEC));
}

static void add_thread(void (*fn)(void *), const char *name)
{
	unsigned int i = nr_threads;

	if (i == MAX_THREADS)
		return;
	workers[i].rng = st.seed + i * 0x9e3779b97f4a7c15ULL + 1;
	workers[i].index = i;
	threads[i] = thread_create(fn, &workers[i], ~0ULL, "%s/%u", name, i);
	if (!threads[i])
		return; /* a small machine runs the race with fewer */
	nr_threads++;
}

static void start_threads(void)
{
	unsigned int n = nr_online, i;

	st.windows = min(2 * n + 2, (unsigned int)MAX_WINDOWS);
	nr_threads = 0;
	for (const struct stress_role *role = stress_roles; role->fn; role++)
		for (i = role->count(n); i > 0; i--)
			add_thread(role->fn, role->name);
	for (i = 0; i < nr_threads; i++)
		thread_wake(threads[i]);
}

/* Everything that may come back late is made to: callbacks, per-CPU lists, slabs. */
static void settle(void)
{
	rcu_barrier();
	slab_drain();
	page_alloc_drain();
}

static bool same_memory(const struct snapshot *a, const struct snapshot *b)
{
	return memcmp(a->mem.by_type, b->mem.by_type, sizeof(a->mem.by_type)) == 0 &&
	       a->slab == b->slab && b->pt.live == a->pt.live &&
	       b->pt.waiting == 0;
}

/* All memory is accounted for, to the page; dead threads' stacks may take a moment. */
static bool check_memory(const struct snapshot *before, u32 since)
{
	struct snapshot now;

	for (int tries = 0; tries < 100; tries++) {
		settle();
		snapshot(&now);
		if (same_memory(before, &now))
			return true;
		thread_sleep(20 * NSEC_PER_MSEC);
	}
	for (int t = 0; t < NR_PAGE_TYPES; t++)
		if (now.mem.by_type[t] != before->mem.by_type[t])
			print_line("stress: LEAK of page type %d: %llu frames, %llu before", t,
				   (unsigned long long)now.mem.by_type[t],
				   (unsigned long long)before->mem.by_type[t]);
	print_line("stress: LEAK check: slab objects %llu, %llu before; tables live %llu, "
		   "%llu before; waiting %llu",
		   (unsigned long long)now.slab, (unsigned long long)before->slab,
		   (unsigned long long)now.pt.live, (unsigned long long)before->pt.live,
		   (unsigned long long)now.pt.waiting);
	page_owner_print_since("stress: ", since, 4);
	return false;
}

/* What a run has to have met to prove anything; NULL if it has. */
static const char *not_exercised(const struct snapshot *a, const struct snapshot *b)
{
	if (D(unmaps) == 0 || D(gup.pages) == 0)
		return "nothing was walked or nothing unmapped";
	if (st.cpus && st.toggles == 0 && nr_cpus > 1)
		return "no CPU went down";
	if (D(gather.tables_by_fallback) == 0)
		return "the fallback without memory was never taken";
	if (nr_online == 1 || !debug_build)
		return NULL; /* one CPU: walks have interrupts off, so nothing can meet them */
	if (D(gup.overlaps) == 0)
		return "no walk met an unmap";
	if (D(gather.tables_under_walker) == 0)
		return "no table was unhooked under a walker";
	return NULL;
}

static void run_threads(u64 seconds, const struct snapshot *before)
{
	struct snapshot now;

	start_threads();
	for (u64 s = 0; s < EXTENSION * seconds && !READ_ONCE(st.failures); s++) {
		if (s >= seconds && !not_exercised(before, &now))
			break;
		if (s == seconds)
			print_line("stress: going on for %llu s at most: %s",
				   (unsigned long long)((EXTENSION - 1) * seconds),
				   not_exercised(before, &now));
		thread_sleep(NSEC_PER_SEC - PAUSE_NS);
		WRITE_ONCE(st.pause, true);
		thread_sleep(PAUSE_NS);
		WRITE_ONCE(st.pause, false);
		snapshot(&now);
		print_progress(before, &now);
	}
	WRITE_ONCE(st.stop, true);
	for (unsigned int i = 0; i < nr_threads; i++)
		thread_join(threads[i]);
	gup_delay_ref = 0;
	gup_delay_table = 0;
}

static int verdict(const struct snapshot *before, const struct snapshot *after, bool memory_ok)
{
	const char *why = not_exercised(before, after);

	if (st.failures || !memory_ok) {
		print_line("stress: FAILURE (%u calls failed%s), seed %llu, tlb=%s", st.failures,
			   memory_ok ? "" : ", memory missing", (unsigned long long)st.seed,
			   tlb_transport_name());
		return -EIO;
	}
	if (why) {
		print_line("stress: INVALID: %s; seed %llu, tlb=%s", why,
			   (unsigned long long)st.seed, tlb_transport_name());
		return -EAGAIN;
	}
	print_line("stress: SUCCESS, seed %llu, tlb=%s, %u threads on %u CPUs%s",
		   (unsigned long long)st.seed, tlb_transport_name(), nr_threads, nr_online,
		   nr_online == 1 ? " (one CPU: no walk can meet an unmap)" : "");
	return 0;
}

static int stress(u64 seconds, u64 seed, bool cpus)
{
	static struct snapshot before, after; /* one run at a time: the console's */

	memset(&st, 0, sizeof(st));
	st.seed = seed ? seed : time_ns() | 1;
	st.cpus = cpus;
	nr_online = cpumask_weight(READ_ONCE(cpu_online_mask));
	st.stretch = stress_measure_stretch();
	settle();
	snapshot(&before);
	u32 since = page_step_now();

	pt_reset_peaks();
	st.mm = mm_create();
	if (!st.mm)
		return -ENOMEM;
	print_line("stress: %llu s, seed %llu, tlb=%s (%s by interrupts off)",
		   (unsigned long long)seconds, (unsigned long long)st.seed, tlb_transport_name(),
		   tlb_transport_maskable() ? "held up" : "not held up");
	run_threads(seconds, &before);
	mmput(st.mm);
	bool memory_ok = check_memory(&before, since);

	snapshot(&after);
	print_summary(&before, &after);
	return verdict(&before, &after, memory_ok);
}

static int stress_command(int argc, char **argv)
{
	u64 seconds = 5, seed = 0;

	bool cpus = argc == 4 && strcmp(argv[3], "cpus") == 0;

	if (argc > (cpus ? 4 : 3) || (argc > 1 && parse_u64(argv[1], &seconds) != 0) ||
	    (argc > 2 && parse_u64(argv[2], &seed) != 0) || !seconds)
		return -EINVAL;
	return stress(seconds, seed, cpus);
}
COMMAND(stress, "stress",
	"stress [SECONDS [SEED [cpus]]]  the race of walkers and unmappers; with cpus, CPUs go "
	"down and come up meanwhile; seed 0: a new one",
	stress_command);
