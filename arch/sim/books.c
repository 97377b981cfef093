// SPDX-License-Identifier: MIT
/*
 * What the kernel's oracles know, as part of a state: their books in a form that depends on what
 * they may still say, not on how it came to be.
 *
 * Why. A state that was met before is cut. If the books of the two differ, the one that is cut may
 * be the one that would be reported. But clocks, logs and stamps differ by path even where nothing
 * that is still to be judged does; hashed as they are, no two paths would meet.
 * The ledger compares moments of its clock, and nothing else: a debt is paid by what began after
 * it. What will be taken from the clock later is later than all there is, so only moments that are
 * under way count: those that a CPU took and has not used yet, on its stack. Of each debt stands
 * here: the CPUs that the log does not show to have paid (that never grows), and which of the
 * moments under way are later. A debt that is paid is nothing. The same of a CPU that left a root,
 * and of a tag that was left. A moment on a stack is marked (MOMENT), so that the stack's hash can
 * go without it.
 * The census: which of the walkers that are inside went in before a table was unhooked.
 * The lock checker: what each thread, and each interrupt, holds. The orders of locks are no part of
 * it: they are kept for the whole search, as a kernel keeps them while it runs (their memory lies
 * outside of the arena). Each step of each state is taken once, so each order is seen.
 * The reduction (reduce.c) has to know what an oracle reads and writes: books_use(). What only adds
 * to a set (an order of locks, a payment) does not conflict with the like.
 * Left out, since only the wording of a report hangs on it: when a root was loaded, a CPU's tag
 * before the last. See also: oracle.c, state.c, include/explore/ledger.h.
 */
#define SIM_ORACLE /* the functions themselves, not what calls them */
#include "sim.h"

#include "../../kernel/lockdep_private.h"
#include "../../mm/ledger_books.h"

#include <arch.h>
#include <census.h>
#include <page.h>
#include <ptdesc.h>
#include <sim_books.h>
#include <thread.h>

#define MM_MAX 8
#define MOMENTS_MAX 16

/* The address spaces with books: a place each. In the arena, so that it is undone. */
static struct mm *mms[MM_MAX] __attribute__((section(".kdata")));
/* Frames that an oracle has ever written of: those that may have debts. */
static u64 frames[(DIRECT_MAP_SIZE >> PAGE_SHIFT) / 64];

static u64 moments[MOMENTS_MAX];
static unsigned int nr_moments;

/* ---- What there is ----------------------------------------------------------------------- */

bool __real_ledger_mm_init(struct mm *mm);
bool __wrap_ledger_mm_init(struct mm *mm);
bool __wrap_ledger_mm_init(struct mm *mm)
{
	unsigned int i = 0;

	if (!__real_ledger_mm_init(mm))
		return false;
	while (i < MM_MAX && mms[i])
		i++;
	if (i == MM_MAX)
		finding("model", "there are too many address spaces");
	sim_store((u64)&mms[i], (u64)mm);
	return true;
}

void __real_ledger_mm_end(struct mm *mm);
void __wrap_ledger_mm_end(struct mm *mm);
void __wrap_ledger_mm_end(struct mm *mm)
{
	for (unsigned int i = 0; i < MM_MAX; i++)
		if (mms[i] == mm)
			sim_store((u64)&mms[i], 0);
	__real_ledger_mm_end(mm);
}

void books_note_frame(u64 addr)
{
	u64 pfn = (addr - VMEMMAP) / sizeof(struct page);

	if (addr >= VMEMMAP && pfn < DIRECT_MAP_SIZE >> PAGE_SHIFT)
		frames[pfn / 64] |= BIT(pfn % 64);
}

u64 books_moment(void)
{
	books_use(USE_CLOCK, 0);
	return MOMENT | ledger_now();
}

u64 books_moment_over(u64 moment)
{
	return moment & ~MOMENT_MASK;
}

/* ---- What a step uses of them ------------------------------------------------------------ */

void books_use(unsigned int reads, unsigned int writes)
{
	if (reads & USE_CLOCK)
		touch_thing(THING_CLOCK, 0, false);
	if (reads & USE_LOG)
		touch_all(THING_LOG, false);
	if (reads & USE_HELD)
		touch_all(THING_HELD, false);
	if (reads & USE_INSIDE)
		touch_all(THING_INSIDE, false);
	if (writes & USE_CLOCK)
		touch_thing(THING_CLOCK, 0, true);
	if (writes & USE_LOG)
		touch_thing(THING_LOG, sim_cpu(), true);
	if (writes & USE_HELD)
		touch_thing(THING_HELD, sim_cpu(), true);
	if (writes & USE_INSIDE)
		touch_thing(THING_INSIDE, sim_cpu(), true);
}

void books_use_of(const struct page *page)
{
	if (page->debug.debt_owed)
		books_use(USE_LOG | USE_HELD, 0);
}

/* ---- The ledger -------------------------------------------------------------------------- */

/* Which of the moments under way are later. */
static u64 hash_at(u64 h, u64 at)
{
	u64 later = 1;

	for (unsigned int i = 0; i < nr_moments; i++)
		later = later << 1 | (moments[i] > at);
	return mix(h, later);
}

/* Whether cpu cannot hold what was cleared at `at`, whatever it does from now on. */
static bool settled(const struct ledger_holder *h, u64 at)
{
	return (arch.tag_bits ? h->tag_at : h->left_at) > at;
}

/* 0: it is paid, whoever asks. */
static u64 hash_debt(const struct ledger_debt *d, const struct ledger_holder *holders)
{
	struct ledger_debt any = *d;
	cpumask_t unpaid = ledger_log_unpaid(&any), unpaid_any = unpaid;

	if (holders) {
		any.holders = holders;
		unpaid = ledger_log_unpaid(&any);
		for (unsigned int i = 0; i < scenario->cpus; i++)
			if (settled(&holders[i], d->at))
				unpaid &= ~BIT(i);
	}
	if (!(unpaid | unpaid_any))
		return 0;
	u64 h = mix(unpaid << 8 | unpaid_any, d->start | d->level | (u64)d->table << 4 |
						      (u64)d->protect << 5);

	return hash_at(mix(h, d->end << 1 | ledger_log_lost(d->at)), d->at);
}

static u64 hash_recent_one(const struct mm_ledger *books, const struct ledger_recent *r)
{
	struct ledger_debt d = { .owed = r->owed, .at = r->at, .end = r->end };

	d.start = r->start & PAGE_MASK;
	d.level = r->start & LEDGER_LEVEL;
	d.table = r->start & LEDGER_TABLE;
	d.protect = r->start & LEDGER_PROTECT;
	return hash_debt(&d, books->holders);
}

/* As a set; and the last, if what is cleared next may be one debt with it. */
static u64 hash_recent(u64 h, const struct mm_ledger *books)
{
	u64 sum = 0;
	unsigned int last = (books->next + books->nr_recent - 1) % books->nr_recent;

	for (unsigned int i = 0; i < books->nr_recent; i++)
		if (books->recent[i].owed)
			sum += hash_recent_one(books, &books->recent[i]);
	h = mix(h, sum);
	if (books->last_flushes != (u64)atomic64_read(&books->mm->tlb_gen))
		return h;
	h = mix(h, (u64)books->last_by);
	h = mix(h, books->recent[last].owed << 32 ^ books->recent[last].end);
	return mix(h, books->recent[last].start);
}

static u64 hash_holder(u64 h, const struct mm_ledger *books, unsigned int cpu)
{
	const struct ledger_holder *holder = &books->holders[cpu];
	struct ledger_debt left = { .owed = BIT(cpu), .at = holder->deferred, .end = ~0ULL };
	bool loaded = books->loaded >> cpu & 1, ever = books->ever >> cpu & 1;
	bool gone = ledger_dropped_all(cpu) >= holder->left_at;

	h = mix(h, holder->tag << 4 | loaded | ever << 1 | (books->leaving >> cpu & 1) << 2 |
			   (arch.tag_bits && !loaded && ever && gone) << 3);
	h = mix(h, books->shared >> cpu & 1);
	if (arch.tag_bits && !loaded && ever && !gone)
		h = hash_at(h, holder->left_at - 1);
	return left.at ? mix(h, hash_debt(&left, books->holders)) : h;
}

static u64 hash_mm(u64 h, const struct mm_ledger *books)
{
	for (unsigned int i = 0; i < scenario->cpus; i++)
		h = hash_holder(h, books, i);
	return hash_recent(h, books);
}

static u64 hash_tags(u64 h, unsigned int cpu)
{
	for (unsigned int tag = 0; tag < 1u << arch.tag_bits; tag++) {
		u64 left;
		u32 books = ledger_tag_owner(cpu, tag, &left);

		if (books)
			h = hash_at(mix(h, (u64)books << 8 | tag), left - 1);
	}
	return h;
}

/* ---- Frames ------------------------------------------------------------------------------ */

static const struct ledger_holder *holders_of(const struct page *page)
{
	const struct mm_ledger *books = page_to_virt(pfn_to_page(page->debug.debt_mm));

	for (unsigned int i = 0; i < MM_MAX; i++)
		if (mms[i] && mms[i]->ledger == books)
			return books->holders;
	return NULL;
}

static u64 hash_page_debt(const struct page *page)
{
	struct ledger_debt d = ledger_debt_of_page(page);

	return hash_debt(&d, holders_of(page));
}

static u64 hash_frame(u64 h, u64 pfn)
{
	const struct page *page = pfn_to_page(pfn);
	u64 debt = page->debug.debt_owed ? hash_page_debt(page) : 0, inside = 0;

	if (page->type == PAGE_TABLE && page->pt_state != PT_LIVE && page->pt_walkers)
		inside = census_before(container_of(page, struct ptdesc, page));
	/* Where it hung, until it is flushed: the trees by CPU are looked at there. */
	if (page->type == PAGE_TABLE && page->pt_state == PT_UNHOOKED && page->pt_mm->trees)
		h = mix(h, page->debug.debt_va);
	return debt | inside ? mix(mix(h, pfn << 32 | inside), debt) : h;
}

static u64 hash_frames(u64 h)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(frames); i++)
		for (u64 left = frames[i]; left; left &= left - 1)
			h = hash_frame(h, i * 64 + (u64)__builtin_ctzll(left));
	return h;
}

/* ---- Locks ------------------------------------------------------------------------------- */

static u64 hash_locks(u64 h, const struct lock_stack *s)
{
	for (unsigned int i = 0; i < s->depth; i++)
		h = mix(mix(h, (u64)s->held[i].lock), (u64)s->held[i].ip << 16 |
							      (u64)s->held[i].class << 8 |
							      s->held[i].how);
	return h;
}

/* A class that stands for no lock has no place, but a number. */
static u64 place_of(unsigned int class)
{
	return class < CLASS_FIRST ? class : lock_class_get((u8)class)->place;
}

static u8 class_at(u64 place)
{
	return place < CLASS_FIRST ? (u8)place : lock_class_of(place, 0);
}

void locks_each_order(void (*visit)(u64 from, u64 to, void *arg), void *arg)
{
	unsigned int max, nr = lock_classes(&max);

	for (unsigned int from = 0; from < nr; from++)
		for (unsigned int to = 0; to < nr; to++)
			if (lock_edge_known((u8)from, (u8)to))
				visit(place_of(from), place_of(to), arg);
}

void locks_order(u64 from, u64 to)
{
	struct lock_path unused;
	struct lock_edge e = { .from = class_at(from), .to = class_at(to) };

	(void)lock_edge_add(&e, &unused);
}

u64 books_hash(void)
{
	u64 h = 0;
	bool was = quiet;

	quiet = true;
	nr_moments = 0;
	for (unsigned int i = 0; i < SIM_NR_STACKS; i++) {
		const struct thread *t = thread_of_stack(i);

		nr_moments += stack_moments(i, moments + nr_moments, MOMENTS_MAX - nr_moments);
		if (t && t->locks.depth)
			h = hash_locks(mix(h, i), &t->locks);
	}
	for (unsigned int i = 0; i < nr_moments; i++)
		moments[i] = books_moment_over(moments[i]);
	for (unsigned int i = 0; i < scenario->cpus; i++) {
		if (per_cpu(irq_locks, i).depth)
			h = hash_locks(mix(h, SIM_NR_STACKS + i), per_cpu_ptr(&irq_locks, i));
		if (arch.tag_bits)
			h = hash_tags(mix(h, i), i);
	}
	for (unsigned int i = 0; i < MM_MAX; i++)
		if (mms[i])
			h = hash_mm(mix(h, i), mms[i]->ledger);
	h = hash_frames(mix(h, census_before(NULL)));
	quiet = was;
	return h;
}
