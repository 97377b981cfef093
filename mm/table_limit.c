// SPDX-License-Identifier: MIT
/*
 * A limit on the memory that waits for a grace period.
 *
 * Terms. Tables are charged to the CPU on which they were handed to RCU, until they are free.
 * Why. A grace period takes a tick or more, however fast tables are set free meanwhile: without a
 * limit the memory that nobody can use is the rate times the period, which is not a number. So who
 * unmaps faster than a tick frees has the grace period driven by IPIs, and waits for it: the price
 * is one such wait for the whole of a limit, not one a table.
 * Rules: G7 (it needs no memory), T4 (it waits with no lock that a walker spins on). Locks: none;
 * callers hold mmap_lock, which no callback and no reader under RCU takes.
 * See also: mm/mmu_gather.c (who charges), kernel/rcu.c (rcu_expedite()), tests/test_table_limit.c.
 */
#include <atomic.h>
#include <percpu.h>
#include <rcu.h>
#include <table_limit.h>
#include <wait.h>

struct waiting {
	atomic64_t bytes; /* charged now */
	u64 charged, peak, waits;
};
static DEFINE_PER_CPU(struct waiting, waiting);

static WAIT_QUEUE(room);
static atomic_t waiters;

/* Half of the limit, so that not every later caller waits again; or what this one needs. */
static bool room_for(struct waiting *w, u64 bytes)
{
	return atomic64_read(&w->bytes) <= (s64)min(TABLE_LIMIT / 2, TABLE_LIMIT - bytes);
}

static void wait_for_room(struct waiting *w, unsigned int cpu, u64 bytes)
{
	WRITE_ONCE(w->waits, w->waits + 1);
	/* Full barrier: "I wait", then the look at bytes. Pairs with table_limit_uncharge(). */
	atomic_inc_return(&waiters);
	while (!room_for(w, bytes)) {
		rcu_expedite(cpu);
		wait_event(room, room_for(w, bytes));
	}
	atomic_dec(&waiters);
}

unsigned int table_limit_charge(u64 bytes)
{
	for (;;) {
		unsigned int cpu = smp_processor_id(); /* it may change: then two share one limit */
		struct waiting *w = per_cpu_ptr(&waiting, cpu);
		s64 now = atomic64_add_return(&w->bytes, (s64)bytes);

		if (now <= TABLE_LIMIT) {
			WRITE_ONCE(w->charged, w->charged + bytes);
			WRITE_ONCE(w->peak, max(w->peak, (u64)now));
			return cpu;
		}
		atomic64_add(&w->bytes, -(s64)bytes);
		wait_for_room(w, cpu, bytes);
	}
}

void table_limit_uncharge(unsigned int cpu, u64 bytes)
{
	/* Full barrier: bytes, then the look at waiters. Pairs with wait_for_room(). */
	s64 now = atomic64_add_return(&per_cpu(waiting, cpu).bytes, -(s64)bytes);

	if (now <= TABLE_LIMIT / 2 && atomic_read(&waiters) != 0)
		wake_up_all(&room);
}

void table_limit_get_stats(struct table_limit_stats *s)
{
	unsigned int cpu;

	*s = (struct table_limit_stats){ 0 };
	for_each_possible_cpu(cpu) {
		const struct waiting *w = per_cpu_ptr(&waiting, cpu);

		s->bytes += READ_ONCE(w->charged);
		s->peak += READ_ONCE(w->peak);
		s->waits += READ_ONCE(w->waits);
	}
}

void table_limit_reset_peaks(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu)
		WRITE_ONCE(per_cpu(waiting, cpu).peak, 0);
}
