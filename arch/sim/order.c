// SPDX-License-Identifier: MIT
/*
 * Memory order: stores that their own CPU sees and others do not, yet; and loads that come late.
 *
 * Terms. A delayed store is one of those in a CPU's buffer. Stores of one epoch leave in any order,
 * those of a later epoch after them: a barrier or a release begins an epoch; on x86 every store
 * does. A late load is one that returns what its word held before another CPU's store to it, though
 * that store is visible: as if the load had been done earlier. What a CPU may still return so is
 * in its queue, in the order in which the stores became visible.
 * How. Kernel code loads and stores by instructions of its own, so nothing can be in the way.
 * Instead memory is each CPU's own view while it runs: what it has buffered is exchanged into
 * memory when it is resumed, and out again when it stops; and the old value of a late load is
 * exchanged in for that one instruction.
 * What ends lateness (not on x86, whose loads are in order): an acquire or a full barrier empties
 * the queue, a read barrier as far as a newer value was loaded before it; a load of the new value,
 * or a store of the CPU's own to the word, takes the word out of it (coherence); and a load whose
 * address came from a value just loaded is no older than that value (address dependency): reading
 * a pointer or an entry takes the page that it leads to, and that frame's descriptor, out of the
 * queue. An interrupt ends nothing.
 * The bound: each store that waits, and each late load, costs one of the scenario's `delays`; with
 * none left the queues are forgotten. What is not modelled: a load done before an earlier store
 * of the same CPU (a store that waits shows the same) or after a later one (load buffering); a late
 * load returns the oldest value there is, not one between; a plain load is never late, since
 * race.c wants it ordered; a queue that has no room is forgotten.
 * See also: tsan.c (the caller), tests/sim/mutants.txt (barriers taken out, and who finds it).
 */
#include "sim.h"

#include <page.h>

#define MAX_LATE 24
#define WORDS (SIM_ARENA_SIZE / 8)

struct late {
	u64 addr, value;
};

/* In the arena, so that it is undone and hashed as all memory is. */
static struct {
	u64 nr;
	u64 passed; /* so many, the first, are older than a value that the CPU has loaded */
	struct late word[MAX_LATE];
} queues[MAX_CPUS] __attribute__((section(".kdata")));

/* Whose marked loads were seen at a word: a bit each. Learned, as conflicts are: state.c. */
static u8 loads_of[WORDS];

/* The word that holds an old value for one instruction, and what belongs there. */
static struct late lent;
static u64 stored_to; /* by the instruction that goes on: the MMUs have not looked there yet */

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

/* Whether it may depends on what others have spent. */
static void may_delay(void)
{
	if (M.delays)
		touch_thing(THING_LEFT, 0, false);
}

static void spend_delay(void)
{
	touch_thing(THING_LEFT, 0, true);
	M.delays--;
}

static struct vcpu *me(void)
{
	return &M.cpu[sim_cpu()];
}

/* other: what is not in memory now: what others see while v runs, what v sees while it does not. */
static void exchange(struct buffered *b)
{
	u64 now = load(b->addr, b->size);

	store(b->addr, b->size, b->other);
	b->other = now;
}

/* ---- Late loads -------------------------------------------------------------------------- */

/* With no delay left it is empty, and stays so. */
static void look_at_queue(unsigned int cpu)
{
	if (M.delays)
		note_read((u64)&queues[cpu], sizeof(queues[cpu]));
}

static int late_find(unsigned int cpu, u64 addr)
{
	look_at_queue(cpu);
	for (unsigned int i = 0; i < queues[cpu].nr; i++)
		if (queues[cpu].word[i].addr == (addr & ~7UL))
			return (int)i;
	return -1;
}

static void late_set(struct late *l, u64 addr, u64 value)
{
	sim_store((u64)&l->addr, addr);
	sim_store((u64)&l->value, value);
}

static void late_forget(unsigned int cpu, unsigned int i)
{
	u64 nr = queues[cpu].nr - 1;
	bool passed = i < queues[cpu].passed;

	for (; i < nr; i++)
		late_set(&queues[cpu].word[i], queues[cpu].word[i + 1].addr,
			 queues[cpu].word[i + 1].value);
	late_set(&queues[cpu].word[nr], 0, 0);
	sim_store((u64)&queues[cpu].nr, nr);
	if (passed)
		sim_store((u64)&queues[cpu].passed, queues[cpu].passed - 1);
}

/* The newest value of a word was loaded. */
static void late_pass(unsigned int cpu)
{
	sim_store((u64)&queues[cpu].passed, queues[cpu].nr);
}

static void late_forget_word(unsigned int cpu, u64 addr)
{
	int i = late_find(cpu, addr);

	if (i < 0)
		return;
	late_forget(cpu, (unsigned int)i);
	late_pass(cpu);
}

static void late_forget_all(unsigned int cpu)
{
	look_at_queue(cpu);
	while (queues[cpu].nr)
		late_forget(cpu, (unsigned int)queues[cpu].nr - 1);
}

/* The word at addr, which held `old`, changes for all: others may still load the old value. */
static void visible(u64 addr, u64 old, unsigned int by)
{
	u64 w = (addr - SIM_ARENA) >> 3;

	may_delay();
	if (!M.delays || model->in_order || w >= WORDS)
		return;
	for (unsigned int cpu = 0; cpu < scenario->cpus; cpu++) {
		if (cpu == by || !(loads_of[w] & 1u << cpu) || late_find(cpu, addr) >= 0)
			continue;
		if (queues[cpu].nr == MAX_LATE)
			late_forget_all(cpu);
		late_set(&queues[cpu].word[queues[cpu].nr], addr & ~7UL, old);
		sim_store((u64)&queues[cpu].nr, queues[cpu].nr + 1);
	}
}

static bool same_page(u64 addr, u64 page)
{
	return (addr ^ page) >> PAGE_SHIFT == 0;
}

/* Whether an address that was computed from value may be addr: a pointer's, an entry's. */
bool order_leads_to(u64 value, u64 addr)
{
	u64 pfn = (value & 0x0000fffffffff000ULL) >> PAGE_SHIFT;

	return same_page(addr, value) || (pfn && pfn < DIRECT_MAP_SIZE >> PAGE_SHIFT &&
					  (same_page(addr, DIRECT_MAP + (pfn << PAGE_SHIFT)) ||
					   addr - (u64)pfn_to_page(pfn) < sizeof(struct page)));
}

/* What was loaded is newer than the first n words of the queue: so is what it leads to. */
static void depend(unsigned int cpu, u64 value, u64 n)
{
	for (u64 i = n; i-- > 0;)
		if (order_leads_to(value, queues[cpu].word[i].addr))
			late_forget(cpu, (unsigned int)i);
}

static void acquire(unsigned int cpu, u64 n)
{
	look_at_queue(cpu);
	while (n--)
		late_forget(cpu, 0);
}

static void lend(unsigned int cpu, unsigned int i)
{
	const struct late *l = &queues[cpu].word[i];

	sim_event("LATE", l->addr, l->value);
	lent = (struct late){ l->addr, *(u64 *)l->addr };
	sim_store(l->addr, l->value);
}

/* In the view of all. */
static void look_at_tables(u64 addr)
{
	struct vcpu *v = me();

	for (unsigned int i = v->nr_buffer; i-- > 0;)
		exchange(&v->buffer[i]);
	mmu_tables_changed(addr);
	order_in(v);
}

void order_stored(u64 addr)
{
	if (!quiet)
		look_at_tables(addr);
}

void order_stores_next(u64 addr)
{
	stored_to = addr;
}

void order_instruction_over(void)
{
	u64 addr = stored_to;

	if (lent.addr) {
		sim_store(lent.addr, lent.value);
		lent.addr = 0;
	}
	if (addr) {
		stored_to = 0;
		order_stored(addr);
	}
}

void order_load(u64 addr, unsigned int size, bool acquires, void *pc)
{
	unsigned int cpu = sim_cpu();
	u64 w = (addr - SIM_ARENA) >> 3, n;

	may_delay();
	if (!M.delays || model->in_order || w >= WORDS)
		return;
	if (!(loads_of[w] & 1u << cpu) && !frozen) {
		loads_of[w] |= (u8)(1u << cpu);
		learned = true;
	}
	n = queues[cpu].nr;
	if (!n)
		return;
	int i = late_find(cpu, addr);

	if (i >= 0 && choose(2, pc)) {
		spend_delay();
		lend(cpu, (unsigned int)i);
		n = (u64)i; /* what follows may be as old */
	} else if (i >= 0) {
		late_forget_word(cpu, addr);
		n--;
	}
	if (acquires)
		acquire(cpu, n);
	else if (size == 8)
		depend(cpu, *(u64 *)addr, n);
	for (unsigned int c = 0; c < scenario->cpus && !M.delays; c++)
		late_forget_all(c);
}

unsigned int order_loads_of(u64 addr)
{
	return loads_of[(addr - SIM_ARENA) >> 3];
}

void order_set_loads_of(u64 addr, unsigned int cpus)
{
	loads_of[(addr - SIM_ARENA) >> 3] = (u8)cpus;
}

/* ---- Delayed stores ---------------------------------------------------------------------- */

void order_in(struct vcpu *v)
{
	for (unsigned int i = 0; i < v->nr_buffer; i++)
		exchange(&v->buffer[i]);
}

void order_out(struct vcpu *v)
{
	order_instruction_over();
	for (unsigned int i = v->nr_buffer; i-- > 0;)
		exchange(&v->buffer[i]);
}

static void forget(struct vcpu *v, unsigned int i)
{
	v->nr_buffer--;
	for (; i < v->nr_buffer; i++)
		v->buffer[i] = v->buffer[i + 1];
	if (!v->nr_buffer)
		v->epoch = 0;
}

void order_drain(struct vcpu *v, unsigned int i)
{
	struct buffered b = v->buffer[i];

	visible(b.addr, *(u64 *)(b.addr & ~7UL), (unsigned int)(v - M.cpu));
	store(b.addr, b.size, b.other);
	forget(v, i);
	mmu_tables_changed(b.addr);
}

/* Makes everything that the running CPU stored visible, the oldest first. */
static void drain_all(struct vcpu *v)
{
	if (!v->nr_buffer)
		return;
	order_out(v);
	while (v->nr_buffer)
		order_drain(v, 0);
}

/* An interrupt is serialising, where stores are in order; others may come before it anyway. */
void order_drain_all(void)
{
	order_instruction_over();
	drain_all(me());
}

/* The same where others may come just before it. */
static void drain_at(void *addr)
{
	point(OP_FENCE, addr, __builtin_return_address(0));
	drain_all(me());
}

void order_fence(int order)
{
	struct vcpu *v = me();

	order_instruction_over();
	if (quiet || asking)
		return;
	if (races_on)
		race_fence(order);
	if (order == __ATOMIC_ACQUIRE)
		acquire(sim_cpu(), queues[sim_cpu()].passed);
	else if (order != __ATOMIC_RELAXED && order != __ATOMIC_RELEASE)
		late_forget_all(sim_cpu());
	if (!v->nr_buffer)
		return;
	if (order == __ATOMIC_RELEASE)
		v->epoch++;
	else if (order == __ATOMIC_SEQ_CST || order == __ATOMIC_ACQ_REL)
		drain_at(NULL);
}

/* The newest of a word. */
static int find(const struct vcpu *v, u64 addr)
{
	for (unsigned int i = v->nr_buffer; i-- > 0;)
		if (v->buffer[i].addr >> 3 == addr >> 3)
			return (int)i;
	return -1;
}

/*
 * An exchange happens in memory, for all, and with the newest value: what was stored to the word
 * before is there too. One that does not ask to acquire lets later loads come early, that of
 * __ATOMIC_SEQ_CST too: see sim_mb_after_rmw().
 * True if others may have run: then ask again, with what stands there now.
 */
bool order_rmw(u64 addr, int order)
{
	struct vcpu *v = me();
	bool releases = order != __ATOMIC_RELAXED && order != __ATOMIC_ACQUIRE;

	if (quiet)
		return false;
	if (v->nr_buffer && (model->in_order || releases || find(v, addr) >= 0)) {
		drain_at((void *)addr);
		return true;
	}
	late_forget_word(sim_cpu(), addr);
	if (order == __ATOMIC_ACQUIRE || order == __ATOMIC_ACQ_REL)
		late_forget_all(sim_cpu());
	return false;
}

void order_rmw_stores(u64 addr)
{
	if (!quiet)
		visible(addr, *(u64 *)(addr & ~7UL), sim_cpu());
}

void sim_mb_after_rmw(void)
{
	if (!model->in_order)
		order_fence(__ATOMIC_SEQ_CST);
	else if (races_on && !quiet) /* the exchange was the barrier */
		race_fence(__ATOMIC_SEQ_CST);
}

/* Whether a store must wait because an earlier one does. */
static bool must_wait(const struct vcpu *v)
{
	return v->nr_buffer && v->buffer[0].epoch != v->epoch;
}

/* True if the store goes into the buffer, or joins one that is there. */
static bool buffer(u64 addr, unsigned int size, bool release, void *pc)
{
	struct vcpu *v = me();

	if (v->nr_buffer && (release || model->in_order))
		v->epoch++;
	int same = find(v, addr);

	if (same >= 0 && v->buffer[same].epoch == v->epoch) {
		if (v->buffer[same].addr == addr && v->buffer[same].size == size)
			return true;
		drain_all(v);
	}
	if (!must_wait(v)) {
		if (!M.delays || !choose(2, pc))
			return false;
		v = me();
		spend_delay();
	}
	if (v->nr_buffer == MAX_BUFFER)
		drain_all(v);
	sim_event("WAITS", addr, size);
	v->buffer[v->nr_buffer++] = (struct buffered){ addr, load(addr, size), (u8)size, v->epoch };
	return true;
}

void order_store(u64 addr, unsigned int size, bool release, void *pc)
{
	may_delay();
	if (quiet || (!M.delays && !me()->nr_buffer) || size > 8 ||
	    addr - SIM_ARENA >= SIM_ARENA_SIZE ||
	    addr - SIM_STACKS < SIM_NR_STACKS * (u64)STACK_SIZE)
		return;
	late_forget_word(sim_cpu(), addr);
	/* What nobody else looks at need not wait: nobody can tell. */
	if (conflicting(addr, size, true) && !buffer(addr, size, release, pc))
		visible(addr, *(u64 *)(addr & ~7UL), sim_cpu());
}

bool order_can_drain(const struct vcpu *v, unsigned int i)
{
	return v->buffer[i].epoch == v->buffer[0].epoch;
}
