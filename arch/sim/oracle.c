// SPDX-License-Identifier: MIT
/*
 * The kernel's own oracles beside the model's truth: the ledger, the census, the lock checker, the
 * counts of mappings, and F1's stamp in the descriptor.
 *
 * Terms. An oracle's file is one of SIM_ORACLES in build.mk. Its accesses are announced like all
 * others, but come here: objcopy has given the callbacks other names. They are no points, as there
 * are none in a release build; nobody stops inside an oracle, so it needs no lock, and interrupts
 * need not be off there.
 * What an oracle writes is undone with the rest, and is part of the state in the form that books.c
 * gives it, so a search that cuts states loses no report. What it reads of the kernel's, and of the
 * books, is what its step touches, for the reduction.
 * The oracle names the rule early, the model finds what it harms. `--oracles 0` leaves the model
 * alone, and so does a rule that is knocked out: what is found then, is found by harm.
 * See also: books.c, frame.c and mmu.c (the truth), docs/oracles.md.
 */
#include "sim.h"

#include "../../kernel/lockdep_private.h"

#include <boot.h>
#include <census.h>
#include <cpu_tree.h>
#include <ledger.h>
#include <lockdep.h>
#include <mm.h>
#include <oracle.h>
#include <page.h>
#include <pgtable.h>
#include <spinlock.h>
#include <stdio.h>
#include <string.h>

bool oracles_on, asking;

void oracles_start(bool on)
{
	oracles_on = on;
}

/* ---- Their accesses ---------------------------------------------------------------------- */

#define ACCESS(n)                                                                                  \
	ACCESS_KIND(n, read, note_oracle_read((u64)p, n))                                          \
	ACCESS_KIND(n, unaligned_read, note_oracle_read((u64)p, n))                                \
	ACCESS_KIND(n, volatile_read, note_oracle_read((u64)p, n))                                 \
	ACCESS_KIND(n, write, note_oracle((u64)p, n))                                              \
	ACCESS_KIND(n, unaligned_write, note_oracle((u64)p, n))                                    \
	ACCESS_KIND(n, volatile_write, note_oracle((u64)p, n))
#define ACCESS_KIND(n, kind, note)                                                                 \
	void oracle_tsan_##kind##n(void *p);                                                       \
	void oracle_tsan_##kind##n(void *p)                                                        \
	{                                                                                          \
		note;                                                                              \
	}
ACCESS(1)
ACCESS(2)
ACCESS(4)
ACCESS(8)
ACCESS(16)

#define RANGE(name, note)                                                                          \
	void oracle_tsan_##name(void *p, u64 n);                                                   \
	void oracle_tsan_##name(void *p, u64 n)                                                    \
	{                                                                                          \
		note;                                                                              \
	}
RANGE(read_range, note_oracle_read((u64)p, n))
RANGE(write_range, note_oracle((u64)p, n))

void oracle_tsan_init(void);
void oracle_tsan_init(void)
{
}

void oracle_tsan_atomic_thread_fence(int order);
void oracle_tsan_atomic_thread_fence(int order)
{
}

#define RMW(bits, T, op, expr)                                                                     \
	T oracle_tsan_atomic##bits##_##op(T *p, T v, int order);                                   \
	T oracle_tsan_atomic##bits##_##op(T *p, T v, int order)                                    \
	{                                                                                          \
		T old = *p;                                                                        \
		note_oracle((u64)p, bits / 8);                                                     \
		*p = (T)(expr);                                                                    \
		return old;                                                                        \
	}
#define ATOMIC(bits, T)                                                                            \
	T oracle_tsan_atomic##bits##_load(const T *p, int order);                                  \
	T oracle_tsan_atomic##bits##_load(const T *p, int order)                                   \
	{                                                                                          \
		note_oracle_read((u64)p, bits / 8);                                                \
		return *p;                                                                         \
	}                                                                                          \
	void oracle_tsan_atomic##bits##_store(T *p, T v, int order);                               \
	void oracle_tsan_atomic##bits##_store(T *p, T v, int order)                                \
	{                                                                                          \
		note_oracle((u64)p, bits / 8);                                                     \
		*p = v;                                                                            \
	}                                                                                          \
	RMW(bits, T, exchange, v)                                                                  \
	RMW(bits, T, fetch_add, old + v)                                                           \
	RMW(bits, T, fetch_sub, old - v)                                                           \
	RMW(bits, T, fetch_and, old &v)                                                            \
	RMW(bits, T, fetch_or, old | v)                                                            \
	RMW(bits, T, fetch_xor, old ^ v)                                                           \
	int oracle_tsan_atomic##bits##_compare_exchange_strong(T *p, T *want, T v, int order,      \
							       int failed);                        \
	int oracle_tsan_atomic##bits##_compare_exchange_strong(T *p, T *want, T v, int order,      \
							       int failed)                         \
	{                                                                                          \
		if (*p != *want) {                                                                 \
			*want = *p;                                                                \
			return 0;                                                                  \
		}                                                                                  \
		note_oracle((u64)p, bits / 8);                                                     \
		*p = v;                                                                            \
		return 1;                                                                          \
	}
ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)

void *oracle_memset(void *to, int c, size_t n);
void *oracle_memset(void *to, int c, size_t n)
{
	note_oracle((u64)to, n);
	return memset(to, c, n);
}

void *oracle_memcpy(void *to, const void *from, size_t n);
void *oracle_memcpy(void *to, const void *from, size_t n)
{
	note_oracle((u64)to, n);
	return memcpy(to, from, n);
}

/* ---- What they call of the kernel -------------------------------------------------------- */

/* Nobody comes between: interrupts need not go off, barriers order nothing. */
bool oracle_irq_save(void);
bool oracle_irq_save(void)
{
	return false;
}

void oracle_no_barrier(void);
void oracle_no_barrier(void)
{
}

void oracle_no_preemption(void);
void oracle_no_preemption(void)
{
}

/* The kernel's own function, without points. */
bool oracle_mm_cpu_lazy(const struct mm *mm, unsigned int cpu);
bool oracle_mm_cpu_lazy(const struct mm *mm, unsigned int cpu)
{
	/* What it is asked for: a debt may pass to that CPU. */
	touch_thing(THING_HELD, cpu, true);
	asking = true;
	bool lazy = mm_cpu_lazy(mm, cpu);

	asking = false;
	return lazy;
}

bool oracle_cpu_tree_leads(const struct mm *mm, unsigned int cpu, vaddr_t va);
bool oracle_cpu_tree_leads(const struct mm *mm, unsigned int cpu, vaddr_t va)
{
	asking = true;
	bool leads = cpu_tree_leads(mm, cpu, va);

	asking = false;
	return leads;
}

phys_t oracle_cpu_tree_own_root(const struct mm *mm);
phys_t oracle_cpu_tree_own_root(const struct mm *mm)
{
	asking = true;
	phys_t root = cpu_tree_own_root(mm);

	asking = false;
	return root;
}

u64 oracle_time_ns(void);
u64 oracle_time_ns(void)
{
	return M.now * 1000;
}

/* ---- Reports ----------------------------------------------------------------------------- */

static const char *const oracle_words[NR_ORACLES] = {
#define ORACLE_WORD(name, word, what) word,
	ORACLE_TABLE(ORACLE_WORD)
#undef ORACLE_WORD
};

__noreturn void oracle_report(enum oracle who, unsigned int rule, const struct page *about,
			      const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	finding(rule_table[rule].id, "%s%s%s%s", oracles_on ? "the " : "",
		oracles_on ? oracle_words[who] : "", oracles_on ? ": " : "", text);
}

/* Of the lock checker: what has no rule. It has switched the oracles off for its report. */
void panic_begin(int status, const char *fmt, va_list ap)
{
	oracles_on = true;
	vfinding("locks", fmt, ap);
}

__noreturn void panic_end(int status)
{
	finding("locks", "a report");
}

/* ---- The model's own checks, which need no books ----------------------------------------- */

#define LOCK_DESTROYED CLASS_DEAD

static void lock_dead(void)
{
	finding("F3", "a lock is used on CPU %u that was destroyed", sim_cpu());
}

void __real_lock_init(lock_class_t *lock, vaddr_t place);
void __wrap_lock_init(lock_class_t *lock, vaddr_t place);
void __wrap_lock_init(lock_class_t *lock, vaddr_t place)
{
	note_write((u64)&lock->nr, sizeof(lock->nr));
	if (oracles_on)
		__real_lock_init(lock, place);
	else
		lock->nr = 0;
}

void __real_lock_destroy(lock_class_t *lock, bool held);
void __wrap_lock_destroy(lock_class_t *lock, bool held);
void __wrap_lock_destroy(lock_class_t *lock, bool held)
{
	note_write((u64)&lock->nr, sizeof(lock->nr));
	if (oracles_on)
		__real_lock_destroy(lock, held);
	else if (held || lock->nr == LOCK_DESTROYED)
		lock_dead();
	lock->nr = LOCK_DESTROYED;
}

bool __real_lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip);
bool __wrap_lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip);
bool __wrap_lock_acquire(lock_class_t *lock, unsigned int how, vaddr_t ip)
{
	/* One that the compiler initialised gets its class now, and that stands beside the lock. */
	if (oracles_on && lock->nr == CLASS_STATIC)
		note_write((u64)&lock->nr, sizeof(lock->nr));
	if (oracles_on)
		return __real_lock_acquire(lock, how, ip);
	if (lock->nr == LOCK_DESTROYED)
		lock_dead();
	return true;
}

bool __real_lock_release(const lock_class_t *lock, vaddr_t ip);
bool __wrap_lock_release(const lock_class_t *lock, vaddr_t ip);
bool __wrap_lock_release(const lock_class_t *lock, vaddr_t ip)
{
	return !oracles_on || __real_lock_release(lock, ip);
}

bool __real_lock_may_wait(const char *function);
bool __wrap_lock_may_wait(const char *function);
bool __wrap_lock_may_wait(const char *function)
{
	if (oracles_on)
		return __real_lock_may_wait(function);
	if (!M.cpu[sim_cpu()].irqs_on)
		finding("T4", "%s() waits for other CPUs with interrupts off", function);
	return true;
}

void __real_user_entry_check_locked(const pte_t *ptep);
void __wrap_user_entry_check_locked(const pte_t *ptep);
void __wrap_user_entry_check_locked(const pte_t *ptep)
{
	const spinlock_t *ptl = &virt_to_page(ptep)->ptl;

	if (oracles_on)
		__real_user_entry_check_locked(ptep);
	else if (ptl->next == ptl->owner)
		finding("L2", "an entry changes and nobody has the table's lock");
}

void __real_user_entry_check_empty(pte_t *ptep, unsigned int level);
void __wrap_user_entry_check_empty(pte_t *ptep, unsigned int level);
void __wrap_user_entry_check_empty(pte_t *ptep, unsigned int level)
{
	if (oracles_on)
		__real_user_entry_check_empty(ptep, level);
	else if (ptep->val)
		finding(level ? "A4" : "A3", "an entry of level %u is made over another", level);
}

void __real_page_entry_count(struct page *p, unsigned int level, int by);
void __wrap_page_entry_count(struct page *p, unsigned int level, int by);
void __wrap_page_entry_count(struct page *p, unsigned int level, int by)
{
	if (!oracles_on)
		return;
	note_write((u64)&p->debug.entries, sizeof(p->debug.entries));
	__real_page_entry_count(p, level, by);
}

void __real_ledger_root_free(struct mm *mm);
void __wrap_ledger_root_free(struct mm *mm);
void __wrap_ledger_root_free(struct mm *mm)
{
	if (oracles_on) {
		books_use(USE_HELD, 0);
		__real_ledger_root_free(mm);
	}
	for (unsigned int i = 0; i < MAX_CPUS; i++)
		if (M.cpu[i].root == mm->root_pa)
			finding("A2", "a root is given up while CPU %u has it loaded", i);
}
