// SPDX-License-Identifier: MIT
/*
 * Which address space a CPU has loaded: switching, lazy adoption, and the tags of the TLB.
 *
 * Terms. A CPU is lazy on an mm when the mm's root is loaded though the running thread does not use
 * it. A tag (PCID, ASID) marks the TLB entries of one address space; tags are few, so they are
 * given out in generations, and a roll-over begins a new one.
 * Why. What may a CPU's TLB hold? The answer is the mm's mask, and it has to be right at every
 * moment, in the middle of a switch too.
 * Rules: T1, T3, T5, T6, T8. Locks: everything with irqs off; tags.lock inside.
 * See also: mm/tlb.c (the flusher's half), kernel/sched.c (the caller), tests/test_context.c.
 *
 * The race of lazy skipping. The flusher need not interrupt a CPU that is lazy; either it sees the
 * mark, or the CPU that takes the mark off sees the new tlb_gen and flushes by itself:
 *
 *   flusher                                CPU that leaves lazy mode
 *   tlb_gen++ (full barrier)               lazy = false
 *   reads lazy                             smp_mb()
 *                                          reads tlb_gen: changed since it went lazy?
 *
 * And of going lazy. The CPU notes a tlb_gen for which its interrupt has not come, and never will
 * if the flusher trusts the mark: so the flusher skips only who noted an older one.
 *
 *   flusher                                CPU that goes lazy
 *   tlb_gen++: 8                           .
 *   .                                      lazy_gen = 8
 *   .                                      lazy = true
 *   reads lazy, then lazy_gen: not < 8     .
 *   interrupts it all the same             .
 *
 * Both must be of one lazy time. Else the mark may be of this mm, which the CPU leaves with nothing
 * to catch up on (it noted 8 there), and the generation of the next one, on which it is lazy by
 * then: so marks are numbered, and the number is read before and behind.
 *
 * Tag roll-over [T5]. Generation g + 1 gives numbers out again, while TLBs still hold entries of g:
 *
 *   CPU 0, no tag left (tags.lock)         CPU 1, runs mm A with tag 5 of g
 *   generation = g + 1, all numbers free   keeps running
 *   reserves 5 for A                       .
 *   marks every CPU "flush pending"        switches: sees the mark, drops its whole TLB,
 *                                          then loads a root with a tag of g + 1
 */
#include <atomic.h>
#include <cpu_tree.h>
#include <inject.h>
#include <irqflags.h>
#include <ledger.h>
#include <mm.h>
#include <percpu.h>
#include <rules.h>
#include <smp.h>
#include <spinlock.h>
#include <thread.h>
#include <trace.h>

#define TAG_SHIFT 16
#define TAG_MASK (BIT(TAG_SHIFT) - 1)
#define GENERATION_ONE BIT(TAG_SHIFT)

struct context {
	/* This CPU writes with irqs off; flushers read. */
	struct mm *loaded; /* whose root is in the register, or NULL */
	u64 lazy_seq;	   /* odd: lazy; one more when that begins and when it ends */
	u64 lazy_gen;	   /* loaded->tlb_gen when it became lazy */

	atomic64_t active_tag; /* generation and tag in use; 0: a roll-over came since */
	u64 reserved_tag;      /* tags.lock: what it ran with when the last roll-over came */
};
static DEFINE_PER_CPU(struct context, context);

static struct {
	spinlock_t lock;
	u64 generation; /* read by anybody */
	unsigned int hint;
	cpumask_t flush_pending;
	u64 rollovers;
} tags = { .lock = SPINLOCK_INIT, .generation = GENERATION_ONE };
static u64 tags_used[BIT(TAG_SHIFT) / 64]; /* tags.lock; apart, so that the image holds no zeroes */

/* ---- Tags -------------------------------------------------------------------------------- */

static bool tag_test_and_set(unsigned int tag)
{
	bool was = tags_used[tag / 64] & BIT(tag % 64);

	tags_used[tag / 64] |= BIT(tag % 64);
	return was;
}

/* Begins a new generation. What runs anywhere keeps its number. tags.lock held. */
static void rollover(void)
{
	unsigned int cpu;

	for (size_t i = 0; i < ARRAY_SIZE(tags_used); i++)
		tags_used[i] = 0;
	tag_test_and_set(0); /* no address space */
	for_each_possible_cpu(cpu) {
		struct context *c = per_cpu_ptr(&context, cpu);
		/*
		 * Full barrier. Pairs with the swap in tag_get(): a CPU that took its tag
		 * without the lock is seen here and its number kept; one that did not sees 0 and
		 * comes to the lock.
		 */
		u64 tag = atomic64_xchg(&c->active_tag, 0);

		/* 0: it has not switched since the roll-over before; its reservation stands. */
		if (tag)
			c->reserved_tag = tag;
		tag_test_and_set(c->reserved_tag & TAG_MASK);
	}
	WRITE_ONCE(tags.generation, tags.generation + GENERATION_ONE);
	tags.flush_pending = cpu_possible_mask;
	tags.hint = 1;
	tags.rollovers++;
	trace(ROLLOVER, 0, tags.generation >> TAG_SHIFT, 0);
}

/*
 * If old was running anywhere when the generation changed, those CPUs keep the number: move them
 * on.
 */
static bool reserved_update(u64 old, u64 new)
{
	bool found = false;
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct context *c = per_cpu_ptr(&context, cpu);

		if (c->reserved_tag == old) {
			c->reserved_tag = new;
			found = true;
		}
	}
	return found;
}

static unsigned int tag_find_free(void)
{
	unsigned int n = 1u << min(arch.tag_bits, (unsigned int)TAG_SHIFT);

	for (unsigned int tag = tags.hint; tag < n; tag++) {
		if (!tag_test_and_set(tag)) {
			tags.hint = tag + 1;
			return tag;
		}
	}
	return 0;
}

/* A tag of this generation for mm, whose own is of an older one. tags.lock held. */
static u64 tag_new(struct mm *mm)
{
	u64 old = (u64)atomic64_read(&mm->tag);

	if (old) {
		u64 same = tags.generation | (old & TAG_MASK);

		if (reserved_update(old, same) || !tag_test_and_set(old & TAG_MASK))
			return same;
	}
	unsigned int tag = tag_find_free();

	if (!tag) {
		rollover();
		tag = tag_find_free();
		BUG_ON(!tag); /* there are more tags than CPUs: <arch.h> */
	}
	return tags.generation | tag;
}

/*
 * RACE T5. A number comes back before its entries are gone:
 *   CPU 0                                  CPU 1
 *   .                                      runs mm A: entries under tag 5
 *   roll-over: 5 is free again             switches away, drops nothing
 *   gives 5 to mm B                        runs B with tag 5: meets A's entries
 */
static u64 tag_get_slow(struct mm *mm)
{
	struct context *c = this_cpu_ptr(&context);
	cpumask_t me = cpumask_of(smp_processor_id());

	spin_lock(&tags.lock);
	u64 tag = (u64)atomic64_read(&mm->tag);

	if ((tag ^ tags.generation) >> TAG_SHIFT) {
		tag = tag_new(mm);
		atomic64_set(&mm->tag, (s64)tag);
	}
	if (tags.flush_pending & me) {
		tags.flush_pending &= ~me;
		if (rule(TAG_REUSE))
			arch_tlb_flush_local_all();
	}
	atomic64_set(&c->active_tag, (s64)tag);
	spin_unlock(&tags.lock);
	return tag;
}

/* The generation and tag under which this CPU may load mm now. irqs off. */
static u64 tag_get(struct mm *mm)
{
	struct context *c = this_cpu_ptr(&context);

	if (!arch.tag_bits)
		return 0;
	if (inject(ROLLOVER))
		context_force_rollover();
	u64 tag = (u64)atomic64_read(&mm->tag);
	s64 active = atomic64_read(&c->active_tag);
	/*
	 * Without the lock if no roll-over has come: then the swap finds what was read. Full
	 * barrier; pairs with the atomic64_xchg() in rollover().
	 */
	bool same = !((tag ^ READ_ONCE(tags.generation)) >> TAG_SHIFT);

	if (!same || !active || atomic64_cmpxchg(&c->active_tag, active, (s64)tag) != active)
		tag = tag_get_slow(mm);
	return tag;
}

unsigned int mm_tag(const struct mm *mm)
{
	return (u64)atomic64_read(&mm->tag) & TAG_MASK;
}

u64 context_rollovers(void)
{
	return READ_ONCE(tags.rollovers);
}

void context_force_rollover(void)
{
	bool on = spin_lock_irqsave(&tags.lock);

	rollover();
	spin_unlock_irqrestore(&tags.lock, on);
}

/* ---- Switching --------------------------------------------------------------------------- */

/*
 * Full barrier: in the mask before the root is loaded. Pairs with flush() in mm/tlb.c. [T1] And no
 * longer lazy before the next lazy time's generation. Pairs with lazy_since().
 */
static void join_mask(struct mm *mm, cpumask_t me)
{
	if (!(READ_ONCE(mm->cpu_mask) & me))
		fetch_or(&mm->cpu_mask, me);
	else
		smp_mb(); /* kept in it by tags: others cover it, see tests/sim/mutants.txt */
}

/*
 * RACE T3. With tags, entries outlive the switch:
 *   unmapper                               CPU 1
 *   .                                      runs the mm: va -> page under tag 5
 *   .                                      switches away and leaves the mask
 *   clears, flushes: CPU 1 is not in it    .
 *   frees the page                         switches back to tag 5: va -> page
 */
static void leave_mask(struct mm *mm, cpumask_t me)
{
	/* With tags the TLB keeps entries of prev, so the CPU stays in the mask [T3]. */
	if (mm && (!arch.tag_bits || !rule(MASK_MAY_HOLD)))
		fetch_and(&mm->cpu_mask, ~me);
}

static bool is_lazy(const struct context *c)
{
	return c->lazy_seq & 1;
}

static void go_lazy(struct context *c)
{
	if (!c->loaded || is_lazy(c))
		return;
	trace(LAZY, c->loaded->id, 0, 0);
	WRITE_ONCE(c->lazy_gen, (u64)atomic64_read(&c->loaded->tlb_gen));
	/*
	 * Release: the generation is noted before flushers may skip us. Pairs with lazy_since().
	 */
	smp_store_release(&c->lazy_seq, c->lazy_seq + 1);
}

/*
 * The end of a lazy time, if it is one. Release: whoever does not find the mark any more finds what
 * was dropped before it went. Pairs with lazy_since().
 */
static void set_not_lazy(struct context *c)
{
	if (is_lazy(c))
		smp_store_release(&c->lazy_seq, c->lazy_seq + 1);
}

/*
 * RACE T8. A lazy CPU was skipped and does not know:
 *   flusher                                CPU 1
 *   .                                      lazy; TLB: va -> page
 *   clears the entry, skips lazy CPU 1     .
 *   frees the page                         a thread of the mm runs here again
 *   .                                      reads va: the next owner's page
 */
void mm_leave_lazy(struct mm *mm)
{
	struct context *c = this_cpu_ptr(&context);

	ledger_leaving_lazy(mm);
	set_not_lazy(c);
	inject_delay(LAZY_WINDOW);
	/*
	 * Orders "not lazy" before the load of tlb_gen, and before what belongs to the next mark.
	 * Pairs with the full barrier in flush(), mm/tlb.c. Pairs with lazy_since().
	 */
	smp_mb();
	if (rule(LAZY_CATCHES_UP) && c->lazy_gen != (u64)atomic64_read(&mm->tlb_gen)) {
		struct arch_flush all = { .tag = mm_tag(mm), .end = ~0ULL, .tables = true };

		all.stride_shift = PAGE_SHIFT;
		arch_tlb_flush_local(&all);
	}
	ledger_active(mm);
}

/* True if cpu is lazy on mm, and has been since *gen. One lazy time, or it does not count. */
static bool lazy_since(const struct mm *mm, unsigned int cpu, u64 *gen)
{
	const struct context *c = per_cpu_ptr(&context, cpu);
	/*
	 * Acquire: the mark is looked at before what belongs to it. Pairs with go_lazy(). Who does
	 * not find the mark finds what was dropped before it went. Pairs with set_not_lazy().
	 */
	u64 seq = smp_load_acquire(&c->lazy_seq);
	bool here = (seq & 1) && READ_ONCE(c->loaded) == mm;

	*gen = READ_ONCE(c->lazy_gen);
	/*
	 * What belongs to the mark, then the mark again: the same. Pairs with mm_leave_lazy(), and
	 * without tags with join_mask().
	 */
	smp_rmb();
	return here && READ_ONCE(c->lazy_seq) == seq;
}

bool mm_cpu_lazy(const struct mm *mm, unsigned int cpu)
{
	u64 gen;

	return lazy_since(mm, cpu, &gen);
}

bool mm_cpu_lazy_before(const struct mm *mm, unsigned int cpu, u64 gen)
{
	u64 since;

	return lazy_since(mm, cpu, &since) && since < gen;
}

/*
 * The root of next, or of this CPU's own tree of it: none as long as it has touched nothing there.
 */
static void load_root(struct mm *next, u64 tag)
{
	phys_t root = cpu_tree_root(next);

	if (root)
		arch_root_load(root, tag & TAG_MASK, !arch.tag_bits);
	else
		arch_root_load_none();
}

void mm_reload(struct mm *mm)
{
	bool on = local_irq_save();
	u64 tag = tag_get(mm);

	ledger_load(mm, tag);
	load_root(mm, tag);
	trace(ROOT_LOAD, mm->id, arch_root_current(), tag);
	local_irq_restore(on);
}

/*
 * RACE T1. The mask is read just before the CPU joins it:
 *   unmapper                               CPU 1, switches to the mm
 *   .                                      loads the root
 *   .                                      TLB: va -> page
 *   clears the entry                       .
 *   reads the mask: CPU 1 is not in it     .
 *   frees the page                         joins the mask: too late
 *
 * RACE T6. In the middle of a switch a CPU counts nowhere:
 *   unmapper in prev                       CPU 1, switches from prev to next
 *   .                                      leaves prev's mask, or is marked lazy
 *   clears the entry                       prev's root is loaded: speculation
 *   reads the mask: nobody to tell         TLB: va -> page
 *   frees the page                         loads next's root
 */
static void load(struct context *c, struct mm *prev, struct mm *next)
{
	cpumask_t me = cpumask_of(smp_processor_id());
	bool both = rule(SWITCH_IN_BOTH), was_lazy = is_lazy(c);

	/*
	 * What prev's flushers did not tell this CPU would stay under prev's tag for its next turn
	 * [T8].
	 */
	if (was_lazy && arch.tag_bits)
		mm_leave_lazy(prev);
	else if (was_lazy)
		ledger_leaving_lazy(prev);
	set_not_lazy(c);
	u64 tag = tag_get(next);

	if (rule(MASK_BEFORE_LOAD))
		join_mask(next, me);
	if (!both) { /* knocked out: out of prev already, and as lazy in next as it was in prev */
		leave_mask(prev, me);
		WRITE_ONCE(c->loaded, next);
		if (was_lazy)
			WRITE_ONCE(c->lazy_seq, c->lazy_seq + 1);
	}
	ledger_load(next, tag);
	inject_delay(SWITCH_WINDOW);
	load_root(next, tag);
	inject_delay(SWITCH_WINDOW);
	ledger_left(prev);
	trace(ROOT_LOAD, next->id, next->root_pa, tag);
	if (!rule(MASK_BEFORE_LOAD))
		join_mask(next, me);
	set_not_lazy(c);
	WRITE_ONCE(c->loaded, next);
	/* Until here this CPU is in both masks: it may use translations of either [T6]. */
	if (both)
		leave_mask(prev, me);
}

void switch_mm(struct mm *prev, struct mm *next)
{
	struct context *c = this_cpu_ptr(&context);

	BUG_ON_RULE(ADOPT_ATOMIC, prev != c->loaded);
	if (!next)
		go_lazy(c);
	else if (next != prev)
		load(c, prev, next);
	else if (is_lazy(c))
		mm_leave_lazy(next);
}

/*
 * On each CPU that may be lazily on the mm: loads the empty root, then gives the reference back
 * [A2].
 */
static void shoot_lazy_ipi(void *arg)
{
	struct mm *mm = arg;
	struct context *c = this_cpu_ptr(&context);
	struct thread *t = current;

	if (c->loaded != mm || t->mm)
		return;
	arch_root_load_none();
	ledger_left(mm);
	set_not_lazy(c);
	WRITE_ONCE(c->loaded, NULL);
	leave_mask(mm, cpumask_of(smp_processor_id()));
	t->active_mm = NULL;
	mmdrop(mm);
}

void mm_shoot_lazy(struct mm *mm)
{
	smp_call_mask(READ_ONCE(mm->cpu_mask), shoot_lazy_ipi, mm, true);
}

static void leave_for_good(struct mm *mm, void *me)
{
	/* Full barrier: the dropping, then out of the mask. Pairs with flush() in mm/tlb.c. */
	fetch_and(&mm->cpu_mask, ~*(cpumask_t *)me);
}

/* Nothing of any tag is left here, and whatever comes is dropped before this CPU's next use. */
static void tags_leave(struct context *c, cpumask_t me)
{
	spin_lock(&tags.lock);
	atomic64_set(&c->active_tag, 0);
	c->reserved_tag = 0;
	tags.flush_pending |= me;
	spin_unlock(&tags.lock);
}

/*
 * RACE H1. Whoever stays in a mask is waited for, or is passed over with what it holds:
 *   unmapper                               CPU 1
 *   .                                      TLB: va -> page
 *   .                                      goes down, stays in the mask
 *   clears, tells CPU 1: no answer         .
 *   waits for ever, or gives it up         .
 *   frees the page                         comes up again: va -> page
 */
void context_leave_all(void)
{
	struct context *c = this_cpu_ptr(&context);
	cpumask_t me = cpumask_of(smp_processor_id());
	struct mm *lazy = c->loaded;

	BUG_ON(current->mm || current->active_mm != lazy);
	arch_root_load_none();
	ledger_left(lazy);
	inject_delay(LAZY_WINDOW);
	if (rule(OFFLINE_LEAVES_MASKS)) {
		arch_tlb_flush_local_all();
		tags_leave(c, me);
		mm_for_each(leave_for_good, &me);
	}
	set_not_lazy(c); /* behind the dropping: flushers left it to a lazy CPU */
	WRITE_ONCE(c->loaded, NULL);
	current->active_mm = NULL;
	if (lazy)
		mmdrop(lazy);
}

void context_init_cpu(void)
{
	struct context *c = this_cpu_ptr(&context);

	if (smp_processor_id() == 0)
		tag_test_and_set(0);
	arch_root_load_none();
	c->loaded = NULL;
}
