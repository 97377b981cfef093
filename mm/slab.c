// SPDX-License-Identifier: MIT
/*
 * Small objects: caches of one size each, slabs of one page, and a stack of free objects on each
 * CPU.
 *
 * Terms. A slab is a page cut into objects; its free ones are chained through their first word. A
 * CPU's stack holds free objects of any slab, so that most calls take no lock. An object counts as
 * out of its slab while it is in use or in such a stack.
 * Why not pages for everything. A VMA is two cache lines.
 * Stable caches. Their objects are looked at by readers under rcu_read_lock() that may come late:
 * the object may be free by then, or another's, but it is an object of the cache [L5].
 * Debug. A free object is poisoned behind its first word: object_poison(). What is not so when the
 * object is given out was written after it was freed; what is so when it is freed was freed twice.
 * Not in stable caches, where late readers would meet the poison.
 * Locks: a cache's lock (irqs off) for its slabs, outside zone.lock; interrupts off for this CPU's
 * stack; list_lock (irqs off) for the list of caches, outside the caches' locks.
 * Rules: L5. See also: <slab.h>, mm/page_alloc.c, tests/test_slab.c.
 *
 * RACE L5. A reader meets what is no object any more:
 *   CPU 0                                  fault, without mmap_lock
 *   .                                      rcu_read_lock(), finds a VMA
 *   removes it, frees it                   .
 *   its slab is empty: the page is freed   .
 *   and given out as user memory           .
 *   .                                      takes its lock: writes to that memory
 */
#include <inject.h>
#include <page.h>
#include <percpu.h>
#include <printk.h>
#include <slab.h>
#include <smp.h>
#include <string.h>

#define STACK_MAX 24
#define STACK_BATCH 12
/* Empty slabs kept by a cache. */
#define EMPTY_MAX 1

#define KMALLOC_MIN_SHIFT 4
#define KMALLOC_CLASSES 8 /* 16 .. 2048 */
#define KMALLOC_MAX ((size_t)1 << (KMALLOC_MIN_SHIFT + KMALLOC_CLASSES - 1))

/* One CPU's stack. Only that CPU, irqs off. */
struct slab_cpu {
	unsigned int nr;
	s64 inuse; /* allocated here less freed here */
	void *objects[STACK_MAX];
} __aligned(64);

struct kmem_cache {
	/* Immutable. */
	const char *name;
	size_t size;
	unsigned int per_slab;
	bool stable;
	struct list_head node; /* list_lock */

	spinlock_t lock;
	struct list_head partial; /* slabs with a free object; empty ones last */
	unsigned int nr_slabs, nr_empty;

	struct slab_cpu cpu[]; /* nr_cpus */
};

static LIST_HEAD(caches);
static spinlock_t list_lock = SPINLOCK_INIT;
static struct kmem_cache *kmalloc_caches[KMALLOC_CLASSES];
static atomic_t slabs_waiting; /* of stable caches, for a grace period */

/* ---- Debug: what free objects look like ---------------------------------------------------- */

static bool poisons(const struct kmem_cache *c)
{
	return debug_build && !c->stable;
}

static void check_alloc(const struct kmem_cache *c, void *obj)
{
	const u64 *word = object_poison_broken(obj, c->size);

	if (word)
		panic("%s object %p was written after it was freed: %#llx at offset %zu", c->name,
		      obj, (unsigned long long)*word,
		      (size_t)((const char *)word - (const char *)obj));
	if (c->size > sizeof(u64))
		((u64 *)obj)[1] = 0; /* now it is not free: see check_free() */
}

static void check_free(const struct kmem_cache *c, const void *obj)
{
	const struct page *p = virt_to_page(obj);

	if (p->type != PAGE_SLAB || p->cache != c || ((vaddr_t)obj & ~PAGE_MASK) % c->size)
		panic("%p freed to cache %s, which it is not from", obj, c->name);
	if (poisons(c) && c->size > sizeof(u64) && !object_poison_broken(obj, c->size))
		panic("%s object %p freed twice", c->name, obj);
}

/* ---- Slabs; the cache's lock --------------------------------------------------------------- */

static void *slab_pop(struct kmem_cache *c, struct page *p)
{
	void *obj = p->freelist;

	p->freelist = *(void **)obj;
	if (p->inuse++ == 0)
		c->nr_empty--;
	if (p->inuse == p->objects)
		list_del(&p->slab_node);
	return obj;
}

/* Puts an object back. A slab that this makes superfluous goes to the list `dead`. */
static void slab_push(struct kmem_cache *c, void *obj, struct list_head *dead)
{
	struct page *p = virt_to_page(obj);

	*(void **)obj = p->freelist;
	p->freelist = obj;
	if (p->inuse-- == p->objects)
		list_add(&p->slab_node, &c->partial);
	if (p->inuse > 0)
		return;
	list_del(&p->slab_node);
	if (c->nr_empty < EMPTY_MAX) {
		c->nr_empty++;
		list_add_tail(&p->slab_node, &c->partial);
		return;
	}
	c->nr_slabs--;
	list_add(&p->slab_node, dead);
}

static void free_slab_rcu(struct rcu_head *head)
{
	free_pages(container_of(head, struct page, slab_rcu), 0);
	atomic_dec(&slabs_waiting);
}

static void free_slabs(const struct kmem_cache *c, struct list_head *dead)
{
	while (!list_empty(dead)) {
		struct page *p = list_first_entry(dead, struct page, slab_node);

		list_del(&p->slab_node);
		if (c->stable && rule(STABLE_MEMORY)) {
			atomic_inc(&slabs_waiting);
			call_rcu(&p->slab_rcu, free_slab_rcu);
		} else {
			free_pages(p, 0);
		}
	}
}

/* Makes a slab. Nobody else knows it yet; no lock. */
static struct page *slab_make(struct kmem_cache *c, u32 flags)
{
	struct page *p = alloc_page((flags & GFP_NOWAIT) | GFP_TYPE(PAGE_SLAB));

	if (!p)
		return NULL;
	p->cache = c;
	p->freelist = NULL;
	p->inuse = 0;
	p->objects = c->per_slab;
	for (unsigned int i = c->per_slab; i-- > 0;) {
		void *obj = (char *)page_to_virt(p) + i * c->size;

		if (poisons(c))
			object_poison(obj, c->size);
		*(void **)obj = p->freelist;
		p->freelist = obj;
	}
	return p;
}

static void slab_add(struct kmem_cache *c, struct page *p)
{
	bool on = spin_lock_irqsave(&c->lock);

	list_add(&p->slab_node, &c->partial);
	c->nr_slabs++;
	c->nr_empty++;
	spin_unlock_irqrestore(&c->lock, on);
}

/* ---- This CPU's stack; irqs off ------------------------------------------------------------- */

static struct slab_cpu *this_stack(struct kmem_cache *c)
{
	return &c->cpu[smp_processor_id()];
}

static __noinline bool stack_refill(struct kmem_cache *c, struct slab_cpu *s)
{
	raw_spin_lock(&c->lock);
	while (s->nr < STACK_BATCH && !list_empty(&c->partial)) {
		struct page *p = list_first_entry(&c->partial, struct page, slab_node);

		s->objects[s->nr++] = slab_pop(c, p);
	}
	raw_spin_unlock(&c->lock);
	return s->nr > 0;
}

/* Gives back the nr objects that were freed first. */
static __noinline void stack_spill(struct kmem_cache *c, struct slab_cpu *s, unsigned int nr)
{
	LIST_HEAD(dead);

	raw_spin_lock(&c->lock);
	for (unsigned int i = 0; i < nr; i++)
		slab_push(c, s->objects[i], &dead);
	raw_spin_unlock(&c->lock);
	s->nr -= nr;
	memmove(s->objects, s->objects + nr, s->nr * sizeof(s->objects[0]));
	free_slabs(c, &dead);
}

static void *stack_pop(struct kmem_cache *c)
{
	void *obj = NULL;
	/* irqs off: the stack stays this CPU's, and no interrupt finds it half changed. */
	bool on = local_irq_save();
	struct slab_cpu *s = this_stack(c);

	if (likely(s->nr > 0) || stack_refill(c, s)) {
		obj = s->objects[--s->nr];
		s->inuse++;
	}
	local_irq_restore(on);
	return obj;
}

/* ---- Objects --------------------------------------------------------------------------------- */

void *kmem_cache_alloc(struct kmem_cache *c, u32 flags)
{
	void *obj;

	if (inject(SLAB))
		return NULL;
	while (unlikely(!(obj = stack_pop(c)))) {
		struct page *p = slab_make(c, flags);

		if (!p)
			return NULL;
		slab_add(c, p); /* another CPU may empty it before we come back: then another one */
	}
	if (poisons(c))
		check_alloc(c, obj);
	if (flags & GFP_ZERO)
		memset(obj, 0, c->size);
	return obj;
}

void kmem_cache_free(struct kmem_cache *c, void *obj)
{
	if (debug_build)
		check_free(c, obj);
	if (poisons(c))
		object_poison(obj, c->size);
	bool on = local_irq_save(); /* as in stack_pop() */
	struct slab_cpu *s = this_stack(c);

	if (unlikely(s->nr == STACK_MAX))
		stack_spill(c, s, STACK_BATCH);
	s->objects[s->nr++] = obj;
	s->inuse--;
	local_irq_restore(on);
}

u64 kmem_cache_inuse(const struct kmem_cache *c)
{
	s64 n = 0;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++)
		n += READ_ONCE(c->cpu[cpu].inuse);
	return (u64)n;
}

/*
 * ---- Caches -----------------------------------------------------------------------------------
 */

static size_t cache_bytes(void)
{
	return sizeof(struct kmem_cache) + nr_cpus * sizeof(struct slab_cpu);
}

/* c is zeroed memory of cache_bytes(). */
static void cache_setup(struct kmem_cache *c, const char *name, size_t size, size_t align)
{
	BUG_ON(align < sizeof(u64) || (align & (align - 1)));
	c->name = name;
	c->size = ALIGN_UP(size, align);
	BUG_ON(c->size < sizeof(u64) || c->size > PAGE_SIZE / 2);
	c->per_slab = (unsigned int)(PAGE_SIZE / c->size);
	spin_lock_init(&c->lock);
	list_init(&c->partial);
	bool on = spin_lock_irqsave(&list_lock);

	list_add_tail(&c->node, &caches);
	spin_unlock_irqrestore(&list_lock, on);
}

struct kmem_cache *kmem_cache_create(const char *name, size_t size, size_t align)
{
	struct kmem_cache *c = kmalloc(cache_bytes(), GFP_KERNEL | GFP_ZERO);

	if (c)
		cache_setup(c, name, size, align);
	return c;
}

struct kmem_cache *kmem_cache_create_stable(const char *name, size_t size, size_t align)
{
	struct kmem_cache *c = kmem_cache_create(name, size, align);

	if (c)
		c->stable = true; /* before it has a slab */
	return c;
}

static void drain_local(struct kmem_cache *c)
{
	bool on = local_irq_save();
	struct slab_cpu *s = this_stack(c);

	stack_spill(c, s, s->nr);
	local_irq_restore(on);
}

static void drain_one(void *cache)
{
	drain_local(cache);
}

/* Frees the empty slabs that the cache keeps. */
static void cache_trim(struct kmem_cache *c)
{
	LIST_HEAD(dead);
	struct page *p, *next;
	bool on = spin_lock_irqsave(&c->lock);

	list_for_each_entry_safe(p, next, &c->partial, slab_node) {
		if (p->inuse > 0)
			continue;
		list_del(&p->slab_node);
		list_add(&p->slab_node, &dead);
		c->nr_slabs--;
		c->nr_empty--;
	}
	spin_unlock_irqrestore(&c->lock, on);
	free_slabs(c, &dead);
}

void kmem_cache_destroy(struct kmem_cache *c)
{
	if (kmem_cache_inuse(c) != 0)
		panic("cache %s destroyed with %llu objects in use", c->name,
		      (unsigned long long)kmem_cache_inuse(c));
	bool on = spin_lock_irqsave(&list_lock);

	list_del(&c->node);
	spin_unlock_irqrestore(&list_lock, on);
	smp_call_all(drain_one, c, true);
	cache_trim(c);
	BUG_ON(c->nr_slabs != 0);
	kfree(c);
}

static void for_each_cache(void (*fn)(struct kmem_cache *c))
{
	struct kmem_cache *c;
	bool on = spin_lock_irqsave(&list_lock);

	list_for_each_entry(c, &caches, node)
		fn(c);
	spin_unlock_irqrestore(&list_lock, on);
}

static void drain_all_local(void *unused)
{
	for_each_cache(drain_local);
}

void slab_drain_cpu(void)
{
	drain_all_local(NULL);
}

void slab_drain(void)
{
	smp_call_all(drain_all_local, NULL, true);
	for_each_cache(cache_trim);
	if (atomic_read(&slabs_waiting))
		rcu_barrier();
}

u64 slab_inuse(void)
{
	struct kmem_cache *c;
	u64 n = 0;
	bool on = spin_lock_irqsave(&list_lock);

	list_for_each_entry(c, &caches, node)
		n += kmem_cache_inuse(c);
	spin_unlock_irqrestore(&list_lock, on);
	return n;
}

/*
 * ---- Any size ----------------------------------------------------------------------------------
 */

static unsigned int order_of(size_t size)
{
	unsigned int order = 0;

	while (order <= MAX_ORDER && PAGE_SIZE << order < size)
		order++;
	return order;
}

static struct kmem_cache *kmalloc_cache(size_t size)
{
	unsigned int class = 0;

	while ((size_t)1 << (class + KMALLOC_MIN_SHIFT) < size)
		class++;
	return kmalloc_caches[class];
}

void *kmalloc(size_t size, u32 flags)
{
	flags &= GFP_NOWAIT | GFP_ZERO;
	if (size <= KMALLOC_MAX)
		return kmem_cache_alloc(kmalloc_cache(size), flags);
	struct page *p = alloc_pages(order_of(size), flags);

	return p ? page_to_virt(p) : NULL;
}

void kfree(void *obj)
{
	if (!obj)
		return;
	struct page *p = virt_to_page(obj);

	if (p->type == PAGE_SLAB)
		kmem_cache_free(p->cache, obj);
	else
		free_pages(p, p->order);
}

void slab_init(void)
{
	static const char *const names[KMALLOC_CLASSES] = {
		"kmalloc-16",  "kmalloc-32",  "kmalloc-64",   "kmalloc-128",
		"kmalloc-256", "kmalloc-512", "kmalloc-1024", "kmalloc-2048",
	};
	size_t each = ALIGN_UP(cache_bytes(), 64);
	struct page *p = alloc_pages(order_of(each * KMALLOC_CLASSES), GFP_KERNEL | GFP_ZERO);

	if (!p)
		boot_fail("too little memory: no room for the first slabs");
	for (unsigned int i = 0; i < KMALLOC_CLASSES; i++) {
		size_t size = (size_t)1 << (i + KMALLOC_MIN_SHIFT);

		kmalloc_caches[i] = (void *)((char *)page_to_virt(p) + i * each);
		cache_setup(kmalloc_caches[i], names[i], size, size);
	}
}

static void print_cache(struct kmem_cache *c)
{
	print_line("%-14s %6zu %6u %8u %10llu", c->name, c->size, c->per_slab,
		   READ_ONCE(c->nr_slabs), (unsigned long long)kmem_cache_inuse(c));
}

void slab_print(void)
{
	print_line("cache           bytes   each    slabs     in use");
	for_each_cache(print_cache);
}
