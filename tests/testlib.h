/* SPDX-License-Identifier: MIT */
/*
 * What the selftests share: waiting with a limit, threads on a chosen CPU, a CPU that is held with
 * interrupts or preemption off, a scratch address space, a user page whose entry can be swapped
 * under the TLB, a hog that takes all memory, and a console that records what is printed.
 *
 * A virtual CPU may lose its host for tens of milliseconds at any point. So no test depends on
 * something being quick: what must happen is waited for with TEST_PATIENCE, and what must not
 * happen is watched for TEST_WATCH.
 */
#ifndef GRACE_TESTLIB_H
#define GRACE_TESTLIB_H

#include <errno.h>
#include <mm.h>
#include <mmu_gather.h>
#include <ptdesc.h>
#include <string.h>
#include <test.h>
#include <thread.h>
#include <time.h>
#include <uaccess.h>

#define TEST_PATIENCE (20 * NSEC_PER_SEC)
#define TEST_WATCH (50 * NSEC_PER_MSEC)

/*
 * True as soon as cond holds; false after TEST_PATIENCE. The first sleeps, the second spins (any
 * context).
 */
#define WAIT_UNTIL(cond)                                                                           \
	({                                                                                         \
		u64 until_end = time_ns() + TEST_PATIENCE;                                         \
		bool until_ok;                                                                     \
		while (!(until_ok = (cond)) && time_ns() < until_end)                              \
			thread_sleep(NSEC_PER_MSEC);                                               \
		until_ok;                                                                          \
	})
#define SPIN_UNTIL(cond)                                                                           \
	({                                                                                         \
		u64 until_end = time_ns() + TEST_PATIENCE;                                         \
		bool until_ok;                                                                     \
		while (!(until_ok = (cond)) && time_ns() < until_end)                              \
			cpu_relax();                                                               \
		until_ok;                                                                          \
	})
/* True if cond stayed false for TEST_WATCH. Sleeps. */
#define NOT_WITHIN_WATCH(cond)                                                                     \
	({                                                                                         \
		u64 until_end = time_ns() + TEST_WATCH;                                            \
		bool until_ok = true;                                                              \
		while (until_ok && time_ns() < until_end) {                                        \
			until_ok = !(cond);                                                        \
			thread_sleep(NSEC_PER_MSEC);                                               \
		}                                                                                  \
		until_ok;                                                                          \
	})

/*
 * A loop of at most max rounds that ends after TEST_EFFORT too, though not before the second. Where
 * CPUs take turns: with more virtual CPUs than the host has, each turn may take milliseconds.
 */
#define TEST_EFFORT (100 * NSEC_PER_MSEC)
#define for_bounded_rounds(i, max)                                                                 \
	for (u64 i = 0, bounded_end = time_ns() + TEST_EFFORT;                                     \
	     i < (max) && (i < 2 || time_ns() < bounded_end); i++)

/* ---- CPUs and threads -------------------------------------------------------------------- */

/* The n-th online CPU. Tests run on test_cpu(0) and use the others. */
unsigned int test_cpu(unsigned int n);
/*
 * False, with the test skipped, if fewer than n are online. True: the caller is pinned to
 * test_cpu(0).
 */
bool test_needs_cpus(unsigned int n);
/*
 * A thread to be joined; NULL, with the test failed, without memory. test_thread_new() leaves its
 * start to thread_wake(): making a thread may take a cross-call for its stack, which a CPU with
 * interrupts off would hold up.
 */
struct thread *test_thread_new(cpumask_t allowed, void (*fn)(void *), void *arg);
struct thread *test_thread(cpumask_t allowed, void (*fn)(void *), void *arg);
/* Runs fn(arg) in a thread on cpu, in one thread on each of the first n, or of all, and waits. */
void test_run_on(unsigned int cpu, void (*fn)(void *), void *arg);
void test_run_on_few(unsigned int n, void (*fn)(void *), void *arg);
void test_run_on_each(void (*fn)(void *), void *arg);

/*
 * A CPU kept busy in a thread: with irqs or preemption off, or neither. In an mm, with user access
 * open all the time, it reads user words on demand. Between hold_start() and hold_end() the caller
 * must not be on that CPU: test_needs_cpus() pins it.
 */
enum hold_kind { HOLD_NOTHING, HOLD_PREEMPT, HOLD_IRQS };
struct holder {
	struct thread *thread;
	unsigned int cpu;
	enum hold_kind kind;
	struct mm *mm;
	u64 ns; /* lets go by itself after that; 0: only when told */
	bool holding, release;
	bool leaving; /* set just before interrupts and preemption come on again */
	bool over;
	unsigned int req, ack;
	vaddr_t addr;
	u64 value;
	int err;
};
bool hold_start(struct holder *h, unsigned int cpu, enum hold_kind kind, struct mm *mm);
/*
 * The same, for ns only: for a caller that is going to wait for that very CPU with preemption off.
 */
bool hold_start_for(struct holder *h, unsigned int cpu, enum hold_kind kind, struct mm *mm, u64 ns);
void hold_end(struct holder *h);
/* The word at addr as the held CPU sees it now, or -EFAULT. */
int hold_read(struct holder *h, vaddr_t addr, u64 *value);

/* ---- Address spaces ---------------------------------------------------------------------- */

/* A new mm, adopted by the caller; NULL with the test failed. test_mm_leave() ends both. */
struct mm *test_mm_enter(void);
void test_mm_leave(struct mm *mm);
/* Maps nr pages of PROT_READ | PROT_WRITE at a place of its own; 0 with the test failed. */
vaddr_t test_map(struct mm *mm, u64 nr, u32 flags);
/* The same, and writes 0 to each page, so that a TLB may hold all of them. */
vaddr_t test_map_used(struct mm *mm, u64 nr);
/*
 * Faults nr pages in as if an access of some other thread's did, without one. 0, -EFAULT, -EACCES,
 * -ENOMEM.
 */
int test_fault_in(struct mm *mm, vaddr_t va, u64 nr);
/* Where test windows are: the start of a level-1 span in the middle of nowhere. */
vaddr_t test_window(unsigned int n);
/* The entry for va at level in the tree under root, or NULL. Nobody may unmap meanwhile. */
pte_t *test_ptep(pte_t *root, vaddr_t va, unsigned int level);
/* User words, by copy_from_user() and copy_to_user(). */
int test_peek(vaddr_t va, u64 *value);
int test_poke(vaddr_t va, u64 value);
/* Waits until RCU has freed the tables of mm but for left of them; false if it does not. */
bool test_tables_settle(struct mm *mm, s64 left);

/* Sets tlb_mode; false, with the test skipped, if that is not allowed beside table_free=. */
bool test_set_tlb_mode(bool unmaskable);
/* Restores what it was, if it was set. */
void test_restore_tlb_mode(void);

/*
 * A mapped user page whose entry can be made to point to page A or to page B behind the TLB's back.
 */
#define TWIN_A 0xa0a1a2a3a4a5a6a7ULL
#define TWIN_B 0xb0b1b2b3b4b5b6b7ULL
struct twin {
	struct mm *mm;
	vaddr_t va;
	pte_t *ptep;
	pte_t a, b;
	struct page *page_b;
};
/* In the mm that the caller has adopted. False with the test failed. */
bool twin_init(struct twin *t, struct mm *mm);
void twin_point(struct twin *t, pte_t pte);
/* Points back to A, invalidates on every CPU, frees B. The mapping of A stays. */
void twin_end(struct twin *t);

/*
 * Between the two no injected fault makes a gather flush early or do without a batch: for tests
 * that count what one gather does.
 */
void test_plain_batches_begin(void);
void test_plain_batches_end(void);

/* ---- Memory and console ------------------------------------------------------------------ */

/* Everything that GFP_NOWAIT gives, on every CPU's lists too. */
struct hog {
	struct list_head pages;
	u64 nr;
};
void hog_take(struct hog *h);
void hog_release(struct hog *h);

/*
 * Records the console instead of printing. Nothing may fail or skip in between. False: no memory.
 */
bool capture_start(void);
/* What was printed, until capture_free(). */
const char *capture_stop(void);
void capture_free(void);
/* The first occurrence of needle in s, or NULL. */
const char *test_strstr(const char *s, const char *needle);

#endif
