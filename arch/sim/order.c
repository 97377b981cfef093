// SPDX-License-Identifier: MIT
/*
 * Memory order: stores that their own CPU sees and others do not, yet.
 *
 * Terms. A delayed store is one of those in a CPU's buffer. Stores of one epoch leave in any order,
 * those of a later epoch after them: a barrier or a release begins an epoch; on x86 every store
 * does. How. Kernel code stores to memory by instructions of its own, so a buffer cannot be in the
 * way. Instead memory is each CPU's own view while it runs: what it has buffered is exchanged into
 * memory when it is resumed, and out again when it stops. `other` is what is not in memory at the
 * moment: the value that all others see while it runs, its own while it does not.
 * The explorer decides, within its bound on delays, which store waits; the oldest go when they
 * must. Loads are not reordered.
 */
#include "sim.h"

static u64 load(u64 addr, unsigned int size)
{
	switch (size) {
	case 1:
		return *(u8 *)addr;
	case 2:
		return *(u16 *)addr;
	case 4:
		return *(u32 *)addr;
	default:
		return *(u64 *)addr;
	}
}

static void store(u64 addr, unsigned int size, u64 value)
{
	note_write(addr, size);
	switch (size) {
	case 1:
		*(u8 *)addr = (u8)value;
		break;
	case 2:
		*(u16 *)addr = (u16)value;
		break;
	case 4:
		*(u32 *)addr = (u32)value;
		break;
	default:
		*(u64 *)addr = value;
	}
}

static void exchange(struct buffered *b)
{
	u64 now = load(b->addr, b->size);

	store(b->addr, b->size, b->other);
	b->other = now;
}

void order_in(struct vcpu *v)
{
	for (unsigned int i = 0; i < v->nr_buffer; i++)
		exchange(&v->buffer[i]);
}

void order_out(struct vcpu *v)
{
	for (unsigned int i = v->nr_buffer; i-- > 0;)
		exchange(&v->buffer[i]);
}

static void forget(struct vcpu *v, unsigned int i)
{
	u64 addr = v->buffer[i].addr;

	v->nr_buffer--;
	for (; i < v->nr_buffer; i++)
		v->buffer[i] = v->buffer[i + 1];
	if (!v->nr_buffer)
		v->epoch = 0;
	mmu_tables_changed(addr);
}

/* Makes everything that the running CPU stored visible: it is in memory, from its view. */
static void drain_all(struct vcpu *v)
{
	while (v->nr_buffer)
		forget(v, 0);
}

void order_fence(int order)
{
	struct vcpu *v = &M.cpu[sim_cpu()];

	if (quiet || order == __ATOMIC_ACQUIRE || order == __ATOMIC_CONSUME || !v->nr_buffer)
		return;
	if (order == __ATOMIC_RELEASE)
		v->epoch++;
	else if (order != __ATOMIC_RELAXED)
		drain_all(v);
}

static int find(const struct vcpu *v, u64 addr)
{
	for (unsigned int i = 0; i < v->nr_buffer; i++)
		if (v->buffer[i].addr >> 3 == addr >> 3)
			return (int)i;
	return -1;
}

void order_rmw(u64 addr, unsigned int size, int order)
{
	struct vcpu *v = &M.cpu[sim_cpu()];

	if (quiet || !v->nr_buffer)
		return;
	/*
	 * An exchange happens in memory, for all: what was stored to the word before is
	 * there too.
	 */
	if (model->in_order || (order != __ATOMIC_RELAXED && order != __ATOMIC_ACQUIRE) ||
	    find(v, addr) >= 0)
		drain_all(v);
}

void sim_mb_after_rmw(void)
{
	if (!model->in_order)
		order_fence(__ATOMIC_SEQ_CST);
}

/* Whether a store must wait because an earlier one does. */
static bool must_wait(const struct vcpu *v)
{
	return v->nr_buffer && v->buffer[0].epoch != v->epoch;
}

void order_store(u64 addr, unsigned int size, bool release, void *pc)
{
	struct vcpu *v = &M.cpu[sim_cpu()];

	if (quiet || (!M.delays && !v->nr_buffer) || size > 8 ||
	    addr - SIM_ARENA >= SIM_ARENA_SIZE ||
	    addr - SIM_STACKS < SIM_NR_STACKS * (u64)STACK_SIZE)
		return;
	if (v->nr_buffer && (release || model->in_order))
		v->epoch++;
	int same = find(v, addr);

	if (same >= 0) {
		const struct buffered *b = &v->buffer[same];

		if (b->addr == addr && b->size == size && !must_wait(v))
			return; /* joins the one that waits */
		drain_all(v);
	}
	if (!must_wait(v)) {
		if (!M.delays || !conflicting(addr, size, true) || !choose(2, pc))
			return;
		v = &M.cpu[sim_cpu()];
		M.delays--;
	}
	if (v->nr_buffer == MAX_BUFFER)
		drain_all(v);
	v->buffer[v->nr_buffer++] = (struct buffered){ addr, load(addr, size), (u8)size, v->epoch };
}

bool order_can_drain(const struct vcpu *v, unsigned int i)
{
	return v->buffer[i].epoch == v->buffer[0].epoch;
}

void order_drain(struct vcpu *v, unsigned int i)
{
	store(v->buffer[i].addr, v->buffer[i].size, v->buffer[i].other);
	forget(v, i);
}
