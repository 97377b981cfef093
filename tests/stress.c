// SPDX-License-Identifier: MIT
/*
 * The race: threads on all CPUs walk, read and unmap the same windows of one address space.
 *
 * Terms. A window is a stretch of addresses that one unmapper maps, touches and unmaps again and
 * again. Each page of it begins with a cookie that says which mm and address it belongs to.
 * Why. Every rule of the kernel is about this moment: an unmapping meets a walker. A walker that
 * gets a page checks the cookie while it holds the reference; a reader checks it through its TLB.
 * Freed pages and tables are poisoned (debug builds), so whoever comes too late sees it. A run
 * proves nothing if nothing met: then it says INVALID, and is not a success.
 * See also: docs/lifetime.md, mm/gup.c, mm/mmu_gather.c.
 */
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
#include <uaccess.h>

/*
 * Windows come in pairs of neighbours in one leaf table's span, each pair in a part of the tree of
 * its own: unmapping one frees no table that the other needs, unmapping both frees a whole subtree.
 */
#define WINDOW_PAGES 96
#define WINDOW_SIZE (WINDOW_PAGES * PAGE_SIZE)
#define MAX_WINDOWS 32
#define MAX_THREADS 160
#define MAX_REPORTS 5
#define STRETCH_NS (200 * NSEC_PER_USEC) /* at most, of a window of the walk */
#define EXTENSION 4 /* times its length: for so long a run goes on that has met too little yet */
#define GUP_PAGES 16

static struct {
	struct mm *mm;
	unsigned int windows;
	unsigned int stretch; /* loops of cpu_relax() */
	u64 seed;
	bool stop;
	unsigned int failures; /* atomic */
	u64 unmaps, reads, joins, hogs; /* atomic, relaxed */
	struct thread *threads[MAX_THREADS];
	unsigned int nr_threads;
} st;

struct worker {
	u64 rng;
	unsigned int index;
};
static struct worker workers[MAX_THREADS];

struct snapshot {
	struct gup_stats gup;
	struct gather_stats gather;
	struct tlb_stats tlb;
	struct rcu_stats rcu;
	struct pt_stats pt;
	struct mem_stats mem;
	u64 faults, faults_failed, ipis, unmaps, reads, slab, at;
};

static void fail(const char *who, vaddr_t va, u64 got)
{
	if (fetch_add(&st.failures, 1) < MAX_REPORTS)
		print_line("stress: FOREIGN %s at %#llx found %#llx%s on CPU %u", who,
			   (unsigned long long)va, (unsigned long long)got,
			   got == PAGE_POISON ? " (a freed page)" : "", smp_processor_id());
}

/* ---- Windows and cookies ------------------------------------------------------------------- */

static vaddr_t window_start(unsigned int w)
{
	/*
	 * Pairs 1 GiB apart up to a third of the user half, each at another offset in its leaf
	 * table.
	 */
	u64 step = min(GiB(1), user_end() / (MAX_WINDOWS + 2));

	return GiB(1) + (w / 2) * ALIGN_DOWN(step, pt_span(1)) + (w % 2) * WINDOW_SIZE +
	       (w % 8 / 2) * MiB(4);
}

static u64 cookie(vaddr_t va)
{
	return 0xc00c1e0000000000ULL ^ ((u64)st.mm->id << 52) ^ (va >> PAGE_SHIFT);
}

/* A page holds zero until its toucher has written the cookie. */
static bool cookie_ok(u64 got, vaddr_t va)
{
	return got == 0 || got == cookie(va);
}

static vaddr_t random_page(struct worker *w)
{
	u64 r = rand_next(&w->rng);

	return window_start(r % st.windows) + ((r >> 32) % WINDOW_PAGES) * PAGE_SIZE;
}

/* ---- Walkers --------------------------------------------------------------------------------- */

static void check_pages(vaddr_t va, struct page **pages, s64 n)
{
	for (s64 i = 0; i < n; i++) {
		u64 got = READ_ONCE(*(u64 *)page_to_virt(pages[i]));

		if (!cookie_ok(got, va + i * PAGE_SIZE))
			fail("page", va + i * PAGE_SIZE, got);
	}
}

static void walk_once(struct worker *w)
{
	struct page *pages[GUP_PAGES];
	u64 r = rand_next(&w->rng);
	vaddr_t va = random_page(w);
	unsigned int nr = 1 + (r >> 8) % GUP_PAGES;
	u32 flags = (r & 1 ? FOLL_WRITE : 0) | (r & 2 ? FOLL_PIN : 0);
	s64 n = (r & 0x1f0000) ? gup_fast(va, nr, flags, pages)
			       : get_user_pages(va, nr, flags, pages);

	check_pages(va, pages, n);
	for (u64 hold = (r >> 24) & 255; hold; hold--)
		barrier();
	check_pages(va, pages, n); /* still ours, as long as the reference is held */
	for (s64 i = 0; i < n; i++) {
		if (flags & FOLL_PIN)
			unpin_user_page(pages[i]);
		else
			put_page(pages[i]);
	}
}

/*
 * Now and then the walk's two windows are stretched, for all walkers: long enough for an unmapper
 * to free the page or the table and for somebody else to get it.
 */
static void stretch_windows(struct worker *w)
{
	u64 r = rand_next(&w->rng);

	WRITE_ONCE(gup_delay_ref, r % 8 == 0 ? (r >> 8) % st.stretch : 0);
	WRITE_ONCE(gup_delay_table, r % 8 == 1 ? (r >> 8) % st.stretch : 0);
}

/* How many loops of cpu_relax() take STRETCH_NS: one may be a cycle or a microsecond. */
static unsigned int measure_stretch(void)
{
	u64 start = time_ns();

	for (unsigned int i = 0; i < 1000; i++)
		cpu_relax();
	u64 loops = 1000 * STRETCH_NS / max(time_ns() - start, (u64)1);

	return (unsigned int)min(max(loops, (u64)16), (u64)1 << 20);
}

static void walker(void *arg)
{
	struct worker *w = arg;

	kthread_use_mm(st.mm);
	while (!READ_ONCE(st.stop)) {
		stretch_windows(w);
		for (int i = 0; i < 64; i++)
			walk_once(w);
		cond_resched();
	}
	kthread_unuse_mm();
}

/* ---- Readers: through the TLB ---------------------------------------------------------------- */

/*
 * One page over and over with access open, so that a translation that should be gone is used. Ends
 * when the page is unmapped: faults that are refused again and again would only fight for
 * mmap_lock.
 */
static void read_burst(struct worker *w)
{
	vaddr_t va = random_page(w);
	unsigned int n = 0;
	u64 got;

	user_access_begin();
	while (n < 256 && user_read_u64(va, &got) == 0) {
		if (!cookie_ok(got, va))
			fail("reader", va, got);
		n++;
	}
	user_access_end();
	fetch_add_relaxed(&st.reads, n);
}

static void reader(void *arg)
{
	kthread_use_mm(st.mm);
	while (!READ_ONCE(st.stop)) {
		read_burst(arg);
		cond_resched();
	}
	kthread_unuse_mm();
}

/* ---- Unmappers ------------------------------------------------------------------------------- */

static void touch(struct worker *w, vaddr_t start, unsigned int pages)
{
	user_access_begin();
	for (unsigned int i = 0; i < pages; i++) {
		vaddr_t va = start + (rand_next(&w->rng) % WINDOW_PAGES) * PAGE_SIZE;

		/* No memory, or read-only just now: ordinary. */
		(void)user_write_u64(va, cookie(va));
	}
	user_access_end();
}

static void change_some(struct worker *w, vaddr_t start)
{
	u64 r = rand_next(&w->rng);
	vaddr_t at = start + (r >> 8) % (WINDOW_PAGES / 2) * PAGE_SIZE;
	u64 length = (1 + (r >> 24) % (WINDOW_PAGES / 2)) * PAGE_SIZE;

	switch (r % 4) {
	case 0:
		(void)mm_madvise_dontneed(st.mm, at, length);
		break;
	case 1:
		(void)mm_mprotect(st.mm, at, length, PROT_READ);
		break;
	case 2:
		(void)mm_munmap(st.mm, at, length); /* leaves a hole, or cuts a VMA in two */
		break;
	default:
		break;
	}
}

/* munmap may want memory to split a VMA; unmapping the whole window never does. */
static void unmap_once(struct worker *w, vaddr_t start)
{
	if (mm_mmap(st.mm, start, WINDOW_SIZE, PROT_READ | PROT_WRITE, MAP_FIXED) != (s64)start)
		return;
	touch(w, start, 8 + rand_next(&w->rng) % 24);
	change_some(w, start);
	touch(w, start, 4);
	if (mm_munmap(st.mm, start, WINDOW_SIZE) != 0)
		fail("munmap", start, 0);
	fetch_add_relaxed(&st.unmaps, 1);
}

static void unmapper(void *arg)
{
	struct worker *w = arg;
	unsigned int mappers = st.windows / 2;

	kthread_use_mm(st.mm);
	for (unsigned int i = 0; !READ_ONCE(st.stop); i++) {
		/*
		 * Windows are shared out, so that two unmappers are neighbours and never the same.
		 */
		unmap_once(w, window_start((w->index + (i % 2) * mappers) % st.windows));
		cond_resched();
	}
	kthread_unuse_mm();
}

/* Two gathers in one range at once [G5]: against the unmappers' own madvise and munmap. */
static void discarder(void *arg)
{
	struct worker *w = arg;

	kthread_use_mm(st.mm);
	while (!READ_ONCE(st.stop)) {
		(void)mm_madvise_dontneed(st.mm, random_page(w), 4 * PAGE_SIZE);
		thread_sleep(NSEC_PER_MSEC / 4);
	}
	kthread_unuse_mm();
}

/*
 * ---- Those who come and go, and the one who takes all memory -----------------------------------
 */

/* Enters and leaves the mm, and makes and ends address spaces of its own. */
static void joiner(void *arg)
{
	struct worker *w = arg;

	while (!READ_ONCE(st.stop)) {
		struct mm *own = rand_next(&w->rng) % 4 ? NULL : mm_create();
		struct mm *mm = own ? own : st.mm;
		s64 at;

		if (!own)
			mmget(mm);
		kthread_use_mm(mm);
		if (own && (at = mm_mmap(own, 0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, 0)) > 0)
			(void)copy_to_user((void *)at, &at, sizeof(at));
		else if (!own)
			walk_once(w);
		kthread_unuse_mm();
		mmput(mm);
		fetch_add_relaxed(&st.joins, 1);
		thread_sleep(NSEC_PER_MSEC);
	}
}

struct hoard {
	struct page *head[MAX_ORDER + 1]; /* linked through private */
};

static void hoard_all(struct hoard *h)
{
	for (int order = MAX_ORDER; order >= 0; order--) {
		struct page *p;

		while (!READ_ONCE(st.stop) && (p = alloc_pages(order, GFP_NOWAIT))) {
			p->private = (u64)h->head[order];
			h->head[order] = p;
		}
	}
}

static void hoard_free(struct hoard *h)
{
	for (int order = MAX_ORDER; order >= 0; order--) {
		struct page *next, *p;

		for (p = h->head[order]; p; p = next) {
			next = (struct page *)p->private;
			free_pages(p, order);
		}
		h->head[order] = NULL;
	}
}

static void hog(void *arg)
{
	struct hoard h = { 0 };

	while (!READ_ONCE(st.stop)) {
		hoard_all(&h);
		thread_sleep(20 * NSEC_PER_MSEC);
		hoard_free(&h);
		fetch_add_relaxed(&st.hogs, 1);
		thread_sleep(100 * NSEC_PER_MSEC);
	}
}

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
	fault_get_stats(&s->faults, &s->faults_failed);
	s->slab = slab_inuse();
	s->unmaps = READ_ONCE(st.unmaps);
	s->reads = READ_ONCE(st.reads);
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
		   D(gup.walks), D(gup.pages), D(gup.retries), D(unmaps), D(faults),
		   (unsigned long long)(b->pt.unhooked + b->pt.waiting),
		   D(gather.table_batch_failures));
}

static void print_summary(const struct snapshot *a, const struct snapshot *b)
{
	print_line("stress: walks %llu, pages got %llu, retries %llu, slow paths %llu, "
		   "met an unmap %llu",
		   D(gup.walks), D(gup.pages), D(gup.retries), D(gup.slow), D(gup.overlaps));
	print_line("stress: unmaps %llu, reads %llu, faults %llu resolved and %llu refused, "
		   "mm entries %llu",
		   D(unmaps), D(reads), D(faults), D(faults_failed), (unsigned long long)st.joins);
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
	print_line("stress: most tables waiting %llu, longest wait %llu us",
		   (unsigned long long)b->pt.max_waiting,
		   (unsigned long long)(b->pt.longest_wait_ns / NSEC_PER_USEC));
}

static void add_thread(void (*fn)(void *), const char *name)
{
	unsigned int i = st.nr_threads;

	if (i == MAX_THREADS)
		return;
	workers[i].rng = st.seed + i * 0x9e3779b97f4a7c15ULL + 1;
	workers[i].index = i;
	st.threads[i] = thread_create(fn, &workers[i], ~0ULL, "%s/%u", name, i);
	if (!st.threads[i])
		return; /* a small machine runs the race with fewer */
	st.nr_threads++;
}

static void start_threads(void)
{
	unsigned int n = cpumask_weight(cpu_online_mask), i;

	st.windows = min(2 * n + 2, (unsigned int)MAX_WINDOWS);
	for (i = 0; i < st.windows / 2; i++)
		add_thread(unmapper, "unmapper"); /* first: their index is their window */
	for (i = 0; i < n; i++)
		add_thread(walker, "walker");
	for (i = 0; i < (n + 1) / 2; i++)
		add_thread(reader, "reader");
	add_thread(discarder, "discarder");
	add_thread(joiner, "joiner");
	add_thread(hog, "hog");
	for (i = 0; i < st.nr_threads; i++)
		thread_wake(st.threads[i]);
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
	       b->pt.unhooked + b->pt.waiting == 0;
}

/* All memory is accounted for, to the page; dead threads' stacks may take a moment. */
static bool check_memory(const struct snapshot *before)
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
		   (unsigned long long)(now.pt.unhooked + now.pt.waiting));
	return false;
}

/* What a run has to have met to prove anything; NULL if it has. */
static const char *not_exercised(const struct snapshot *a, const struct snapshot *b)
{
	if (D(unmaps) == 0 || D(gup.pages) == 0)
		return "nothing was walked or nothing unmapped";
	if (D(gather.tables_by_fallback) == 0)
		return "the fallback without memory was never taken";
	if (cpumask_weight(cpu_online_mask) == 1 || !debug_build)
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
		thread_sleep(NSEC_PER_SEC);
		snapshot(&now);
		print_progress(before, &now);
	}
	WRITE_ONCE(st.stop, true);
	for (unsigned int i = 0; i < st.nr_threads; i++)
		thread_join(st.threads[i]);
	gup_delay_ref = 0;
	gup_delay_table = 0;
}

static int verdict(const struct snapshot *before, const struct snapshot *after, bool memory_ok)
{
	const char *why = not_exercised(before, after);

	if (st.failures || !memory_ok) {
		print_line("stress: FAILURE (%u wrong pages%s), seed %llu, tlb=%s", st.failures,
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
		   (unsigned long long)st.seed, tlb_transport_name(), st.nr_threads,
		   cpumask_weight(cpu_online_mask),
		   cpumask_weight(cpu_online_mask) == 1 ? " (one CPU: no walk can meet an unmap)"
							: "");
	return 0;
}

static int stress(u64 seconds, u64 seed)
{
	static struct snapshot before, after; /* one run at a time: the console's */

	memset(&st, 0, sizeof(st));
	st.seed = seed ? seed : time_ns() | 1;
	st.stretch = measure_stretch();
	settle();
	snapshot(&before);
	pt_reset_peaks();
	st.mm = mm_create();
	if (!st.mm)
		return -ENOMEM;
	print_line("stress: %llu s, seed %llu, tlb=%s (%s by interrupts off)",
		   (unsigned long long)seconds, (unsigned long long)st.seed, tlb_transport_name(),
		   tlb_transport_maskable() ? "held up" : "not held up");
	run_threads(seconds, &before);
	mmput(st.mm);
	bool memory_ok = check_memory(&before);

	snapshot(&after);
	print_summary(&before, &after);
	return verdict(&before, &after, memory_ok);
}

static int stress_command(int argc, char **argv)
{
	u64 seconds = 5, seed = 0;

	if (argc > 3 || (argc > 1 && parse_u64(argv[1], &seconds) != 0) ||
	    (argc > 2 && parse_u64(argv[2], &seed) != 0) || !seconds)
		return -EINVAL;
	return stress(seconds, seed);
}
COMMAND(stress, "stress", "stress [SECONDS [SEED]]  the race of walkers and unmappers",
	stress_command);
