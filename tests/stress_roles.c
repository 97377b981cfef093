// SPDX-License-Identifier: MIT
/*
 * The race's threads: walkers, readers, scanners, unmappers, and those who come and go.
 *
 * Terms. A window is a stretch of addresses that one unmapper maps, touches and unmaps again and
 * again. Each page of it begins with a cookie that says which mm and address it belongs to.
 * Why so many kinds. Each kind of witness is sent away by another means: readers by the flush,
 * walkers by the flush's IPI or a grace period, scanners by a grace period alone.
 * Contexts: each in a thread of its own. See also: tests/stress.c, which runs them.
 */
#include "stress.h"

#include <gup.h>
#include <hotplug.h>
#include <inject.h>
#include <oracle.h>
#include <printk.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <uaccess.h>

#define STRETCH_NS (200 * NSEC_PER_USEC) /* at most, of a window of the walk */
#define GUP_PAGES 16
#define MAX_REPORTS 5

/*
 * Whether the race goes on. Sits out its pauses, in which CPUs are idle and lazily on the mm, so
 * that all begins together again.
 */
static bool go_on(void)
{
	while (READ_ONCE(st.pause) && !READ_ONCE(st.stop))
		thread_sleep(NSEC_PER_MSEC);
	return !READ_ONCE(st.stop);
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

/*
 * A page holds zero until its toucher has written the cookie. A copy whose first try was refused
 * (no memory, no page) goes on byte by byte, on the writer's side and on the reader's: so each byte
 * is the cookie's, or zero.
 */
static bool cookie_ok(u64 got, vaddr_t va)
{
	u64 differs = got ^ cookie(va);

	for (unsigned int shift = 0; shift < 64; shift += 8)
		if ((differs >> shift & 0xff) && (got >> shift & 0xff))
			return false;
	return true;
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
			oracle_report(ORACLE_COOKIE, RULE_RECHECK_LEAF, pages[i],
				      "a walker got a page for %#llx that holds %#llx",
				      (unsigned long long)(va + i * PAGE_SIZE),
				      (unsigned long long)got);
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
unsigned int stress_measure_stretch(void)
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

	inject_allow(true);
	kthread_use_mm(st.mm);
	while (go_on()) {
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
			oracle_report(ORACLE_COOKIE, RULE_FLUSH_BEFORE_FREE, NULL,
				      "a reader found %#llx at %#llx through its TLB",
				      (unsigned long long)got, (unsigned long long)va);
		n++;
	}
	user_access_end();
	fetch_add_relaxed(&st.reads, n);
}

static void reader(void *arg)
{
	inject_allow(true);
	kthread_use_mm(st.mm);
	while (go_on()) {
		read_burst(arg);
		cond_resched();
	}
	kthread_unuse_mm();
}

/* ---- Scanners: under RCU alone --------------------------------------------------------------- */

#define SCANS_AT_A_TIME 64

/* One scan is over in a moment, so some together: and then it leaves the CPU to the others. */
static void scanner(void *arg)
{
	struct worker *w = arg;

	kthread_use_mm(st.mm);
	while (go_on()) {
		for (unsigned int i = 0; i < SCANS_AT_A_TIME; i++) {
			vaddr_t start = window_start(rand_next(&w->rng) % st.windows);

			(void)mm_count_mapped(st.mm, start, start + WINDOW_SIZE);
		}
		fetch_add_relaxed(&st.scans, SCANS_AT_A_TIME);
		thread_sleep(NSEC_PER_MSEC / 4);
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
	if (mm_munmap(st.mm, start, WINDOW_SIZE) != 0 &&
	    fetch_add_relaxed(&st.failures, 1) < MAX_REPORTS)
		print_line("stress: munmap of %#llx failed", (unsigned long long)start);
	fetch_add_relaxed(&st.unmaps, 1);
}

static void unmapper(void *arg)
{
	struct worker *w = arg;
	unsigned int mappers = st.windows / 2;

	inject_allow(true);
	kthread_use_mm(st.mm);
	for (unsigned int i = 0; go_on(); i++) {
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
	while (go_on()) {
		(void)mm_madvise_dontneed(st.mm, random_page(w), 4 * PAGE_SIZE);
		thread_sleep(NSEC_PER_MSEC / 4);
	}
	kthread_unuse_mm();
}

/*
 * ---- Those who come and go, and the one who takes all memory -----------------------------------
 */

/* A life of its own, of which it is the only user: others have the root loaded lazily at most. */
static void live_alone(struct mm *own)
{
	s64 at = mm_mmap(own, 0, 4 * PAGE_SIZE, PROT_READ | PROT_WRITE, 0);

	if (at < 0)
		return;
	(void)copy_to_user((void *)at, &at, sizeof(at));
	(void)mm_madvise_dontneed(own, (vaddr_t)at, 2 * PAGE_SIZE);
	(void)copy_to_user((void *)at, &at, sizeof(at));
}

/* Enters and leaves the mm, and makes and ends address spaces of its own. */
static void joiner(void *arg)
{
	struct worker *w = arg;

	inject_allow(true);
	while (!READ_ONCE(st.stop)) {
		struct mm *own = rand_next(&w->rng) % 4 ? NULL : mm_create();
		struct mm *mm = own ? own : st.mm;

		if (!own)
			mmget(mm);
		kthread_use_mm(mm);
		if (own)
			live_alone(own);
		else
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
/* Takes CPUs down and up; all are up again when it ends. */
static void toggler(void *arg)
{
	struct worker *w = arg;
	unsigned int cpu;

	while (!READ_ONCE(st.stop)) {
		if (cpu_toggle_random(rand_next(&w->rng)) == 0)
			fetch_add_relaxed(&st.toggles, 1);
		thread_sleep(50 * NSEC_PER_MSEC);
	}
	for_each_possible_cpu(cpu)
		if (!cpumask_has(READ_ONCE(cpu_online_mask), cpu))
			(void)cpu_up(cpu);
}

/* ---- Who there is ---------------------------------------------------------------------------- */

static unsigned int one(unsigned int cpus)
{
	return 1;
}

static unsigned int as_many(unsigned int cpus)
{
	return cpus;
}

static unsigned int half(unsigned int cpus)
{
	return (cpus + 1) / 2;
}

static unsigned int if_asked(unsigned int cpus)
{
	return st.cpus;
}

static unsigned int a_window_pair_each(unsigned int cpus)
{
	return st.windows / 2;
}

const struct stress_role stress_roles[] = {
	{ unmapper, "unmapper", a_window_pair_each },
	{ walker, "walker", as_many },
	{ reader, "reader", half },
	{ scanner, "scanner", one },
	{ discarder, "discarder", one },
	{ joiner, "joiner", one },
	{ hog, "hog", one },
	{ toggler, "toggler", if_asked },
	{ NULL, NULL, NULL },
};
