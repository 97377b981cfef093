// SPDX-License-Identifier: MIT
/*
 * Classes of locks, and the orders seen between them.
 *
 * Terms. Locks that are initialised at one place of the source are one class, and each lock of the
 * image that the compiler initialised is one of its own. An edge A -> B says: somebody waited for a
 * lock of class B with one of class A held. A path from B to A is the reverse order, perhaps over
 * others; an edge that closes such a cycle is the mistake, and is not kept.
 * Interrupts are a class too. A lock that an interrupt takes is behind it; and "an interrupt" is
 * behind every spinlock that is held with interrupts on. So the lock that an interrupt takes and a
 * thread holds with interrupts on makes a cycle, and so does any longer way to the same deadlock.
 * Readers of an rwsem count as writers: one that queued behind a waiting writer is as stuck.
 * Why classes. Two locks of two objects are taken in an order that was seen with other objects; and
 * the table stays small.
 * Locks: graph.lock, raw, irqs off, for changes. Edges are looked up without it: a bit that is set
 * stays so, and one that is missed is looked up again with the lock held.
 * See also: lockdep.c.
 */
#include "lockdep_private.h"

#include <atomic.h>
#include <irqflags.h>
#include <printk.h>
#include <spinlock.h>
#include <string.h>
#include <symbols.h>

#ifdef GRACE_DEBUG
#define NR_BUCKETS 512
#define NR_EDGES 640

/* All zero at first, so that it is no part of the image. */
static struct {
	spinlock_t lock; /* raw */
	u16 nr;		 /* classes, without the first CLASS_FIRST */
	u16 nr_edges;
	bool full_said;
	u8 buckets[NR_BUCKETS]; /* class by place; 0: none; written with release */
	struct lock_class classes[NR_CLASSES];
	u64 known[NR_CLASSES][NR_CLASSES / 64];
	struct lock_edge edges[NR_EDGES]; /* for reports; those that found no room are not told */

	/* The search's: lock. */
	u64 seen[NR_CLASSES / 64];
	u8 parent[NR_CLASSES], queue[NR_CLASSES];
} graph;

/* ---- Classes ------------------------------------------------------------------------------ */

/* The bucket of place's class, or the empty one that it goes to. There are enough of them. */
static unsigned int bucket_of(vaddr_t place)
{
	unsigned int i = (unsigned int)((place * 0x9e3779b97f4a7c15ULL) >> 55);

	for (;; i = (i + 1) % NR_BUCKETS) {
		/* Acquire: orders the bucket before its class's place. Pairs with class_new(). */
		u8 class = smp_load_acquire(&graph.buckets[i]);

		if (!class || graph.classes[class].place == place)
			return i;
	}
}

/* Who took a lock of the image first, since it has no name, and that one's caller. */
static void set_first(struct lock_class *c, vaddr_t ip)
{
	vaddr_t pcs[BACKTRACE_MAX];
	unsigned int n = backtrace_capture(0, arch_frame_pointer(), pcs, BACKTRACE_MAX);

	c->first[0] = ip;
	for (unsigned int i = 0; i + 1 < n; i++)
		if (pcs[i] == ip)
			c->first[1] = pcs[i + 1];
}

/* graph.lock held. */
static u8 class_new(unsigned int bucket, vaddr_t place, vaddr_t ip)
{
	unsigned int class = CLASS_FIRST + graph.nr;
	struct lock_class *c = &graph.classes[class];

	if (class == NR_CLASSES) {
		if (!graph.full_said)
			printk("locks: more than %u classes; the others' order is not checked",
			       NR_CLASSES);
		graph.full_said = true;
		return CLASS_STATIC;
	}
	c->place = place;
	if (ip)
		set_first(c, ip);
	/* Release: orders the class's place before it is found. Pairs with bucket_of(). */
	smp_store_release(&graph.buckets[bucket], (u8)class);
	graph.nr++;
	return (u8)class;
}

u8 lock_class_of(vaddr_t place, vaddr_t ip)
{
	u8 class = READ_ONCE(graph.buckets[bucket_of(place)]);

	if (likely(class))
		return class;
	bool on = local_irq_save();

	raw_spin_lock(&graph.lock);
	unsigned int bucket = bucket_of(place);

	class = graph.buckets[bucket];
	if (!class)
		class = class_new(bucket, place, ip);
	raw_spin_unlock(&graph.lock);
	local_irq_restore(on);
	return class;
}

const struct lock_class *lock_class_get(u8 class)
{
	return &graph.classes[class];
}

unsigned int lock_classes(unsigned int *max)
{
	*max = NR_CLASSES;
	return CLASS_FIRST + READ_ONCE(graph.nr);
}

/* ---- Orders ------------------------------------------------------------------------------- */

bool lock_edge_known(u8 from, u8 to)
{
	return READ_ONCE(graph.known[from][to / 64]) & BIT(to % 64);
}

/* Adds the classes behind `at` that were not seen before to the queue; returns its new length. */
static unsigned int enqueue_next(u8 at, unsigned int nr)
{
	for (unsigned int word = 0; word < NR_CLASSES / 64; word++) {
		u64 new = graph.known[at][word] & ~graph.seen[word];

		graph.seen[word] |= new;
		for (; new; new &= new - 1) {
			u8 class = (u8)(word * 64 + (unsigned int)__builtin_ctzll(new));

			graph.parent[class] = at;
			graph.queue[nr++] = class;
		}
	}
	return nr;
}

/* Breadth first, so that the path that parent[] leads back is a shortest one. graph.lock held. */
static bool reaches(u8 from, u8 to)
{
	unsigned int nr = 1;

	memset(graph.seen, 0, sizeof(graph.seen));
	graph.seen[from / 64] |= BIT(from % 64);
	graph.queue[0] = from;
	for (unsigned int i = 0; i < nr; i++) {
		if (graph.queue[i] == to)
			return true;
		nr = enqueue_next(graph.queue[i], nr);
	}
	return false;
}

static struct lock_edge edge_info(u8 from, u8 to)
{
	for (unsigned int i = 0; i < graph.nr_edges; i++)
		if (graph.edges[i].from == from && graph.edges[i].to == to)
			return graph.edges[i];
	return (struct lock_edge){ .from = from, .to = to };
}

/* The way back that reaches() has found, last edge first; what is too long is cut. */
static void path_take(struct lock_path *path, u8 from, u8 to)
{
	for (path->nr = 0; to != from && path->nr < PATH_MAX; to = graph.parent[to])
		path->edges[path->nr++] = edge_info(graph.parent[to], to);
}

static void edge_keep(const struct lock_edge *e)
{
	WRITE_ONCE(graph.known[e->from][e->to / 64],
		   graph.known[e->from][e->to / 64] | BIT(e->to % 64));
	if (graph.nr_edges < NR_EDGES)
		graph.edges[graph.nr_edges++] = *e;
}

bool lock_edge_add(const struct lock_edge *e, struct lock_path *path)
{
	bool on = local_irq_save();

	raw_spin_lock(&graph.lock);
	bool cycle = reaches(e->to, e->from);

	if (cycle)
		path_take(path, e->to, e->from);
	else if (!lock_edge_known(e->from, e->to))
		edge_keep(e);
	raw_spin_unlock(&graph.lock);
	local_irq_restore(on);
	return !cycle;
}
#endif
