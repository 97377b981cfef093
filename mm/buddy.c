// SPDX-License-Identifier: MIT
/*
 * The buddy system: free memory in blocks that split and merge.
 *
 * Terms. A block is 1 << order frames, aligned to its size; its buddy is the block that together
 * with it makes one of the next order. The depot keeps full magazines of single frames, as CPUs
 * gave them: what is in it merges with its buddies when a block is wanted and there is none.
 * Why a depot. Most frames come and go alone. To merge each with its buddies and to split blocks
 * for the next one costs more than all else of an allocation; a magazine moves as a whole.
 * Rules: none. Locks: zone.lock, irqs off. Contexts: any, irqs in any state.
 * See also: mm/page_alloc.c (who gives and takes), tests/test_page.c.
 */
#include <buddy.h>
#include <spinlock.h>

struct free_list {
	struct list_head blocks;
	u64 nr;
};

static struct {
	unsigned int magazine; /* frames of a full one; constant after buddy_start() */

	spinlock_t lock;
	struct free_list free[MAX_ORDER + 1];
	struct list_head depot; /* full magazines, by the node of the topmost frame */
	u64 nr_free;		/* frames, of both; read without the lock as a hint */
} zone = { .lock = SPINLOCK_INIT };

/* ---- Blocks; zone.lock --------------------------------------------------------------------- */

static void insert(struct page *p, unsigned int order)
{
	WRITE_ONCE(p->order, order);
	WRITE_ONCE(p->flags, p->flags | PG_BUDDY);
	list_add(&p->node, &zone.free[order].blocks);
	zone.free[order].nr++;
}

static void remove(struct page *p)
{
	list_del(&p->node);
	WRITE_ONCE(p->flags, p->flags & ~PG_BUDDY);
	zone.free[p->order].nr--;
}

/* The buddy always has a struct page: map_vmemmap() makes them for whole MAX_ORDER blocks. */
static void merge(struct page *p, unsigned int order)
{
	pfn_t pfn = page_to_pfn(p);

	zone.nr_free += 1UL << order;
	while (order < MAX_ORDER) {
		struct page *buddy = pfn_to_page(pfn ^ (1UL << order));

		if (!(buddy->flags & PG_BUDDY) || buddy->order != order)
			break;
		remove(buddy);
		pfn &= ~(1UL << order);
		order++;
	}
	insert(pfn_to_page(pfn), order);
}

/* Takes a block; the halves that are left over from a larger one go back. */
static struct page *take(unsigned int order)
{
	unsigned int o = order;

	while (o <= MAX_ORDER && list_empty(&zone.free[o].blocks))
		o++;
	if (o > MAX_ORDER)
		return NULL;
	struct page *p = list_first_entry(&zone.free[o].blocks, struct page, node);

	remove(p);
	while (o > order) {
		o--;
		insert(p + (1UL << o), o);
	}
	zone.nr_free -= 1UL << order;
	return p;
}

/* ---- The depot; zone.lock ------------------------------------------------------------------ */

static struct page *depot_take(void)
{
	if (list_empty(&zone.depot))
		return NULL;
	struct page *top = list_first_entry(&zone.depot, struct page, node);

	list_del(&top->node);
	zone.nr_free -= zone.magazine;
	return top;
}

static void merge_all(struct page *top)
{
	while (top) {
		struct page *below = top->below;

		merge(top, 0);
		top = below;
	}
}

/* ---- For mm/page_alloc.c ------------------------------------------------------------------- */

void buddy_start(unsigned int magazine)
{
	zone.magazine = magazine;
	list_init(&zone.depot);
	for (unsigned int i = 0; i <= MAX_ORDER; i++)
		list_init(&zone.free[i].blocks);
}

void buddy_add(struct page *p, unsigned int order)
{
	insert(p, order);
	zone.nr_free += 1UL << order;
}

bool buddy_merge_depot(void)
{
	bool on = spin_lock_irqsave(&zone.lock);
	struct page *top = depot_take();

	merge_all(top);
	spin_unlock_irqrestore(&zone.lock, on);
	return top != NULL;
}

struct page *buddy_alloc(unsigned int order)
{
	struct page *p;

	do { /* interrupts come in between */
		bool on = spin_lock_irqsave(&zone.lock);

		p = take(order);
		spin_unlock_irqrestore(&zone.lock, on);
	} while (unlikely(!p) && buddy_merge_depot());
	return p;
}

void buddy_free(struct page *p, unsigned int order)
{
	bool on = spin_lock_irqsave(&zone.lock);

	merge(p, order);
	spin_unlock_irqrestore(&zone.lock, on);
}

unsigned int magazine_get(struct page **top)
{
	unsigned int n = zone.magazine;
	struct page *p;

	raw_spin_lock(&zone.lock);
	*top = depot_take();
	if (!*top) {
		for (n = 0; n < zone.magazine && (p = take(0)); n++) {
			p->below = *top;
			*top = p;
		}
	}
	raw_spin_unlock(&zone.lock);
	return n;
}

void magazine_put(struct page *top)
{
	raw_spin_lock(&zone.lock);
	list_add(&top->node, &zone.depot);
	zone.nr_free += zone.magazine;
	raw_spin_unlock(&zone.lock);
}

void magazine_merge(struct page *top)
{
	bool on = spin_lock_irqsave(&zone.lock);

	merge_all(top);
	spin_unlock_irqrestore(&zone.lock, on);
}

/* ---- Numbers ------------------------------------------------------------------------------- */

u64 buddy_nr_free(void)
{
	return READ_ONCE(zone.nr_free);
}

void page_free_blocks(u64 nr[MAX_ORDER + 1])
{
	bool on = spin_lock_irqsave(&zone.lock);

	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		nr[o] = zone.free[o].nr;
	spin_unlock_irqrestore(&zone.lock, on);
}
