// SPDX-License-Identifier: MIT
/*
 * What the compiler calls at every access of the kernel: steps of the search.
 *
 * gcc's -fsanitize=thread puts a call before each load and store, and makes a call of each atomic
 * operation; the functions are ours, not the sanitizer's. A marked access (volatile or atomic) of a
 * word that two CPUs use and one writes is a point; a plain one is not, since nobody may race with
 * it (race.c); it is noted, so that it can be undone.
 * See also: state.c (which words those are), order.c (what waits).
 */
#include "sim.h"

#include <arch.h>
#include <thread.h>

#define PC __builtin_return_address(0)

static bool in_arena(const volatile void *p)
{
	return (u64)p - SIM_ARENA < SIM_ARENA_SIZE;
}

static void hung(void *pc)
{
	if (--budget_us == 0)
		finding("hang", "a CPU does not come to an end at %p", pc);
}

/* Before a marked access. */
static void marked(const volatile void *p, unsigned int size, enum op op, int order, void *pc)
{
	order_instruction_over();
	if (quiet || !in_arena(p))
		return;
	if (asking) {
		note_read((u64)p, size);
		return;
	}
	hung(pc);
	if (conflicting((u64)p, size, op != OP_READ)) {
		M.cpu[sim_cpu()].size = (u8)size;
		point(op, p, pc);
		if (op == OP_READ)
			order_load((u64)p, size, order != __ATOMIC_RELAXED, pc);
		touch((u64)p, size, false);
	}
	frame_access((u64)p, pc);
	if (races_on && op == OP_READ)
		race_load((u64)p, size, order != __ATOMIC_RELAXED, pc);
	else if (races_on && op == OP_WRITE)
		race_store((u64)p, size, order != __ATOMIC_RELAXED, pc);
	struct vcpu *v = &M.cpu[sim_cpu()];

	if (!v->relaxed || op == OP_WRITE)
		return;
	u64 word = (u64)p & ~7UL;

	/* Too many: the loop is over. */
	if (v->nr_watch == MAX_WATCH)
		v->relaxed = false;
	else
		v->watch[v->nr_watch++] = (struct watch){ word, *(u64 *)word };
}

/* The interrupt that waits may come where the count of the thread changes. */
static void count_changes(const void *p, void *pc)
{
	struct vcpu *v = &M.cpu[sim_cpu()];

	touch_thing(THING_IPI, sim_cpu(), false);
	if (v->ipi && v->irqs_on && p == &sim_thread->preempt_count)
		point(OP_IRQ, p, pc);
}

static void plain_read(const void *p, u64 size, void *pc)
{
	order_instruction_over();
	if (quiet)
		return;
	hung(pc);
	note_read((u64)p, size);
	if (asking)
		return;
	frame_access((u64)p, pc);
	if (races_on)
		race_plain((u64)p, size, false, pc);
}

static void plain_write(const void *p, u64 size, void *pc)
{
	order_instruction_over();
	if (quiet)
		return;
	hung(pc);
	count_changes(p, pc);
	frame_access((u64)p, pc);
	if (races_on)
		race_plain((u64)p, size, true, pc);
	order_store((u64)p, (unsigned int)size, false, pc);
	note_write((u64)p, size);
}

#define PLAIN(n)                                                                                   \
	void __tsan_read##n(void *p);                                                              \
	void __tsan_read##n(void *p)                                                               \
	{                                                                                          \
		plain_read(p, n, PC);                                                              \
	}                                                                                          \
	void __tsan_write##n(void *p);                                                             \
	void __tsan_write##n(void *p)                                                              \
	{                                                                                          \
		plain_write(p, n, PC);                                                             \
	}                                                                                          \
	void __tsan_unaligned_read##n(void *p);                                                    \
	void __tsan_unaligned_read##n(void *p)                                                     \
	{                                                                                          \
		plain_read(p, n, PC);                                                              \
	}                                                                                          \
	void __tsan_unaligned_write##n(void *p);                                                   \
	void __tsan_unaligned_write##n(void *p)                                                    \
	{                                                                                          \
		plain_write(p, n, PC);                                                             \
	}                                                                                          \
	void __tsan_volatile_read##n(void *p);                                                     \
	void __tsan_volatile_read##n(void *p)                                                      \
	{                                                                                          \
		marked(p, n, OP_READ, __ATOMIC_RELAXED, PC);                                       \
	}                                                                                          \
	void __tsan_volatile_write##n(void *p);                                                    \
	void __tsan_volatile_write##n(void *p)                                                     \
	{                                                                                          \
		marked(p, n, OP_WRITE, __ATOMIC_RELAXED, PC);                                      \
		order_store((u64)p, n, false, PC);                                                 \
		order_stores_next((u64)p);                                                         \
		note_write((u64)p, n);                                                             \
	}
PLAIN(1)
PLAIN(2)
PLAIN(4)
PLAIN(8)
PLAIN(16)

void __tsan_init(void);
void __tsan_init(void)
{
}
void __tsan_read_range(void *p, u64 size);
void __tsan_read_range(void *p, u64 size)
{
	plain_read(p, size, PC);
}
void __tsan_write_range(void *p, u64 size);
void __tsan_write_range(void *p, u64 size)
{
	plain_write(p, size, PC);
}
void __tsan_atomic_thread_fence(int order);
void __tsan_atomic_thread_fence(int order)
{
	order_fence(order);
}

static void before_rmw(const volatile void *p, unsigned int size, int order, void *pc)
{
	marked(p, size, OP_RMW, order, pc);
	while (order_rmw((u64)p, order))
		;
	if (races_on)
		race_rmw((u64)p, size, order, pc);
	order_rmw_stores((u64)p);
	note_write((u64)p, size);
}

/* A compare-exchange that fails is a load that orders nothing. */
static void before_failure(const volatile void *p, unsigned int size, void *pc)
{
	touch((u64)p, size, false);
	if (races_on)
		race_load((u64)p, size, false, pc);
}

#define RMW(bits, T, name, expr)                                                                   \
	T __tsan_atomic##bits##_##name(volatile T *p, T v, int order);                             \
	T __tsan_atomic##bits##_##name(volatile T *p, T v, int order)                              \
	{                                                                                          \
		before_rmw(p, bits / 8, order, PC);                                                \
		T old = *p;                                                                        \
		*p = (T)(expr);                                                                    \
		order_stored((u64)p);                                                              \
		return old;                                                                        \
	}

#define ATOMIC(bits, T)                                                                            \
	T __tsan_atomic##bits##_load(const volatile T *p, int order);                              \
	T __tsan_atomic##bits##_load(const volatile T *p, int order)                               \
	{                                                                                          \
		marked(p, bits / 8, OP_READ, order, PC);                                           \
		T now = *p;                                                                        \
		order_instruction_over();                                                          \
		return now;                                                                        \
	}                                                                                          \
	void __tsan_atomic##bits##_store(volatile T *p, T v, int order);                           \
	void __tsan_atomic##bits##_store(volatile T *p, T v, int order)                            \
	{                                                                                          \
		marked(p, bits / 8, OP_WRITE, order, PC);                                          \
		order_store((u64)p, bits / 8, order != __ATOMIC_RELAXED, PC);                      \
		note_write((u64)p, bits / 8);                                                      \
		*p = v;                                                                            \
		order_stored((u64)p);                                                              \
	}                                                                                          \
	RMW(bits, T, exchange, v)                                                                  \
	RMW(bits, T, fetch_add, old + v)                                                           \
	RMW(bits, T, fetch_sub, old - v)                                                           \
	RMW(bits, T, fetch_and, old &v)                                                            \
	RMW(bits, T, fetch_or, old | v)                                                            \
	RMW(bits, T, fetch_xor, old ^ v)                                                           \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile T *p, T *want, T v, int order,  \
							  int failed);                             \
	int __tsan_atomic##bits##_compare_exchange_strong(volatile T *p, T *want, T v, int order,  \
							  int failed)                              \
	{                                                                                          \
		marked(p, bits / 8, OP_RMW, order, PC);                                            \
		while (order_rmw((u64)p, *p == *want ? order : __ATOMIC_RELAXED))                  \
			;                                                                          \
		if (*p != *want) {                                                                 \
			before_failure(p, bits / 8, PC);                                           \
			*want = *p;                                                                \
			return 0;                                                                  \
		}                                                                                  \
		if (races_on)                                                                      \
			race_rmw((u64)p, bits / 8, order, PC);                                     \
		order_rmw_stores((u64)p);                                                          \
		note_write((u64)p, bits / 8);                                                      \
		*p = v;                                                                            \
		order_stored((u64)p);                                                              \
		return 1;                                                                          \
	}
ATOMIC(8, u8)
ATOMIC(16, u16)
ATOMIC(32, u32)
ATOMIC(64, u64)
