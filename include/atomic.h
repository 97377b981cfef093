/* SPDX-License-Identifier: MIT */
/*
 * Atomics and memory barriers, with the names of the Linux kernel memory model.
 *
 * Three strengths exist, and the name says which:
 *   *_relaxed and functions that return nothing order nothing;
 *   *_acquire and *_release order one way;
 *   every other read-modify-write that returns a value is a full barrier on both sides, also for
 *   the plain accesses around it. C11's seq_cst is weaker than that on arm64 and riscv64, so each
 *   is followed by the port's arch_mb_after_rmw().
 * A compare-exchange that fails orders nothing. (It asks for SEQ_CST all the same: gcc 12 takes the
 * barrier before a riscv64 LR/SC pair from the failure order.)
 * Differs from Linux: atomic_t is 32 bits, atomic64_t 64 bits, on every port; there is no long.
 */
#ifndef GRACE_ATOMIC_H
#define GRACE_ATOMIC_H

#include <asm/barrier.h> /* arch_mb_after_rmw(), cpu_relax() */
#include <contention.h> /* count_rmw(): empty but in builds that count */
#include <types.h>

#define READ_ONCE(x) (*(const volatile typeof(x) *)&(x))
#define WRITE_ONCE(x, v) (*(volatile typeof(x) *)&(x) = (v))

#define smp_mb() __atomic_thread_fence(__ATOMIC_SEQ_CST)
#define smp_rmb() __atomic_thread_fence(__ATOMIC_ACQUIRE)
#define smp_wmb() __atomic_thread_fence(__ATOMIC_RELEASE)
#define smp_mb_after_atomic() arch_mb_after_rmw()

#define smp_load_acquire(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
#define smp_store_release(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)

/* Any integer or pointer lvalue of 1 to 8 bytes. Full barriers when they succeed. */
#define xchg(p, v)                                                                                 \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) xchg_old = __atomic_exchange_n((p), (v), __ATOMIC_SEQ_CST);           \
		arch_mb_after_rmw();                                                               \
		xchg_old;                                                                          \
	})
#define cmpxchg(p, old, new)                                                                       \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) cmpxchg_old = (old);                                                  \
		if (__atomic_compare_exchange_n((p), &cmpxchg_old, (new), false, __ATOMIC_SEQ_CST, \
						__ATOMIC_SEQ_CST))                                 \
			arch_mb_after_rmw();                                                       \
		cmpxchg_old;                                                                       \
	})
#define cmpxchg_acquire(p, old, new)                                                               \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) cmpxchg_old = (old);                                                  \
		(void)__atomic_compare_exchange_n((p), &cmpxchg_old, (new), false,                 \
						  __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);             \
		cmpxchg_old;                                                                       \
	})
#define fetch_add(p, v)                                                                            \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) fetch_old = __atomic_fetch_add((p), (v), __ATOMIC_SEQ_CST);           \
		arch_mb_after_rmw();                                                               \
		fetch_old;                                                                         \
	})
#define fetch_or(p, v)                                                                             \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) fetch_old = __atomic_fetch_or((p), (v), __ATOMIC_SEQ_CST);            \
		arch_mb_after_rmw();                                                               \
		fetch_old;                                                                         \
	})
#define fetch_and(p, v)                                                                            \
	({                                                                                         \
		count_rmw(p);                                                                      \
		typeof(*(p)) fetch_old = __atomic_fetch_and((p), (v), __ATOMIC_SEQ_CST);           \
		arch_mb_after_rmw();                                                               \
		fetch_old;                                                                         \
	})
#define fetch_add_relaxed(p, v)                                                                    \
	({                                                                                         \
		count_rmw(p);                                                                      \
		__atomic_fetch_add((p), (v), __ATOMIC_RELAXED);                                    \
	})

typedef struct {
	int counter;
} atomic_t;

typedef struct {
	s64 counter;
} atomic64_t;

#define ATOMIC_INIT(i)                                                                             \
	{                                                                                          \
		(i)                                                                                \
	}

#define GRACE_ATOMIC_OPS(pfx, T, I)                                                                \
	static inline I pfx##_read(const T *v)                                                     \
	{                                                                                          \
		return READ_ONCE(v->counter);                                                      \
	}                                                                                          \
	static inline void pfx##_set(T *v, I i)                                                    \
	{                                                                                          \
		WRITE_ONCE(v->counter, i);                                                         \
	}                                                                                          \
	static inline void pfx##_add(T *v, I i)                                                    \
	{                                                                                          \
		count_rmw(&v->counter);                                                            \
		__atomic_fetch_add(&v->counter, i, __ATOMIC_RELAXED);                              \
	}                                                                                          \
	static inline void pfx##_inc(T *v)                                                         \
	{                                                                                          \
		pfx##_add(v, 1);                                                                   \
	}                                                                                          \
	static inline void pfx##_dec(T *v)                                                         \
	{                                                                                          \
		pfx##_add(v, -1);                                                                  \
	}                                                                                          \
	static inline I pfx##_add_return(T *v, I i)                                                \
	{                                                                                          \
		return fetch_add(&v->counter, i) + i;                                              \
	}                                                                                          \
	static inline I pfx##_inc_return(T *v)                                                     \
	{                                                                                          \
		return pfx##_add_return(v, 1);                                                     \
	}                                                                                          \
	static inline I pfx##_dec_return(T *v)                                                     \
	{                                                                                          \
		return pfx##_add_return(v, -1);                                                    \
	}                                                                                          \
	static inline bool pfx##_dec_and_test(T *v)                                                \
	{                                                                                          \
		return pfx##_dec_return(v) == 0;                                                   \
	}                                                                                          \
	static inline I pfx##_xchg(T *v, I i)                                                      \
	{                                                                                          \
		return xchg(&v->counter, i);                                                       \
	}                                                                                          \
	static inline I pfx##_cmpxchg(T *v, I o, I n)                                              \
	{                                                                                          \
		return cmpxchg(&v->counter, o, n);                                                 \
	}                                                                                          \
	/* Adds i unless the value is zero; true if it was added. Full barrier then. */            \
	static inline bool pfx##_add_not_zero(T *v, I i)                                           \
	{                                                                                          \
		I c = pfx##_read(v);                                                               \
		while (c != 0) {                                                                   \
			count_rmw(&v->counter);                                                    \
			if (__atomic_compare_exchange_n(&v->counter, &c, c + i, false,             \
							__ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST)) {     \
				arch_mb_after_rmw();                                               \
				return true;                                                       \
			}                                                                          \
		}                                                                                  \
		return false;                                                                      \
	}                                                                                          \
	static inline bool pfx##_inc_not_zero(T *v)                                                \
	{                                                                                          \
		return pfx##_add_not_zero(v, 1);                                                   \
	}

GRACE_ATOMIC_OPS(atomic, atomic_t, int)
GRACE_ATOMIC_OPS(atomic64, atomic64_t, s64)

#endif
