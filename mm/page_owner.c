// SPDX-License-Identifier: MIT
/*
 * Who has each frame: the backtrace of its allocation and of its freeing. Debug builds.
 *
 * Terms. A stack is the return addresses of the STACK_DEPTH innermost calls; a place, a stack that
 * frames were allocated from. Each stack is kept once, and frames hold its number.
 * Why. A frame that nobody gives back, or that is given back too early, was got somewhere: that
 * name is the first thing to know.
 * Why it unwinds by itself: this runs at every allocation and freeing, and the careful way of
 * kernel/symbols.c looks through the page tables for each frame. Here the frame pointer is this
 * function's own, so everything between it and the end of its stack can be read.
 * Contexts: noting any; printing thread. Locks: print_mutex for the counts while frames are sorted.
 * See also: <page_debug.h>, kernel/ktest.c and tests/stress.c, which ask after leaks.
 */
#ifdef GRACE_DEBUG
#include <boot.h>
#include <console.h>
#include <errno.h>
#include <mutex.h>
#include <page.h>
#include <printk.h>
#include <string.h>
#include <symbols.h>

#define STACKS 8192
#define PROBES 32
#define LINE_COLUMNS 96

static struct stack_table table = { .size = STACKS };
static bool table_asked; /* whether there was an attempt to allocate it */

/* ---- The set of stacks ------------------------------------------------------------------- */

static u64 stack_hash(const u32 *pcs)
{
	u64 h = 0;

	for (unsigned int i = 0; i < STACK_DEPTH; i++) {
		h = (h ^ pcs[i]) * 0x9e3779b97f4a7c15ULL;
		h ^= h >> 29;
	}
	return h ? h : 1;
}

/*
 * Two stacks are one if their hashes are: 64 bits are enough for thousands. Who takes a record
 * writes the addresses behind that; nobody but printing reads them, which may find some missing.
 */
stack_nr_t stack_table_add(struct stack_table *t, const u32 pcs[STACK_DEPTH])
{
	u64 hash = stack_hash(pcs);

	for (unsigned int i = 0; i < PROBES; i++) {
		unsigned int nr = (hash + i) & (t->size - 1);
		struct stack_record *r = &t->records[nr];
		u64 old = nr ? READ_ONCE(r->hash) : ~0ULL;

		if (!old) {
			old = cmpxchg(&r->hash, 0ULL, hash);
			if (!old) {
				memcpy(r->pcs, pcs, sizeof(r->pcs));
				fetch_add_relaxed(&t->used, 1);
				return (stack_nr_t)nr;
			}
		}
		if (old == hash)
			return (stack_nr_t)nr;
	}
	fetch_add_relaxed(&t->refused, 1);
	return 0;
}

/*
 * At the first allocation, on the boot CPU: the nested one finds table_asked set. Without memory
 * all stacks stay unknown.
 */
static __noinline void table_alloc(void)
{
	size_t size = STACKS * sizeof(struct stack_record);
	unsigned int order = 0;

	table_asked = true;
	while ((PAGE_SIZE << order) < size)
		order++;
	struct page *p = alloc_pages(order, GFP_NOWAIT | GFP_ZERO);

	/* Orders the zeroes before the pointer. Pairs with capture_here(). */
	if (p)
		smp_store_release(&table.records, (struct stack_record *)page_to_virt(p));
}

/* ---- Noting ------------------------------------------------------------------------------ */

/* The stack above the caller of the function whose frame pointer is fp: its number. */
static stack_nr_t capture_here(vaddr_t fp)
{
	vaddr_t end = ALIGN_DOWN(fp, 2 * STACK_SIZE) + 2 * STACK_SIZE, ret, next;
	u32 pcs[STACK_DEPTH] = { 0 };

	/* Orders nothing: the table is reached through this pointer. Pairs with table_alloc(). */
	if (unlikely(!READ_ONCE(table.records)))
		return 0;
	arch_unwind(fp, &next, &ret); /* in the allocator itself: the same each time */
	for (unsigned int n = 0; n < STACK_DEPTH; n++) {
		/*
		 * WHY SAFE to read: up the same stack, all of which is mapped; a frame's record is
		 * within 16 bytes of its pointer on any port.
		 */
		if (next <= fp || next > end - 16 || !IS_ALIGNED(next, sizeof(u64)))
			break;
		fp = next;
		arch_unwind(fp, &next, &ret);
		if (ret < (vaddr_t)text_start || ret >= (vaddr_t)text_end)
			break;
		pcs[n] = (u32)(ret - (vaddr_t)image_start);
	}
	return stack_table_add(&table, pcs);
}

void page_owner_set(struct page *p, unsigned int order, bool alloc)
{
	if (unlikely(!table_asked))
		table_alloc();
	if (!oracles())
		return;
	stack_nr_t nr = capture_here(arch_frame_pointer());

	if (alloc)
		p->debug.alloc_stack = nr;
	else
		p->debug.free_stack = nr;
	/* The frames behind the head share its life. */
	for (struct page *q = p + 1; q < p + (1UL << order); q++)
		q->debug = p->debug;
}

/* ---- Printing ---------------------------------------------------------------------------- */

void stack_print(const char *indent, stack_nr_t nr)
{
	const u32 *pcs = table.records && nr < table.size ? table.records[nr].pcs : NULL;
	char line[LINE_COLUMNS + 1], word[64];
	size_t len = strlcpy(line, indent, sizeof(line));

	if (!nr || !pcs) {
		print_line("%s(not known)", indent);
		return;
	}
	for (unsigned int i = 0; i < STACK_DEPTH && pcs[i]; i++) {
		size_t offset = 0;
		/* A return address may be that behind the caller's last byte. */
		const char *name = symbol_name((vaddr_t)image_start + pcs[i] - 1, &offset);
		int n = snprintf(word, sizeof(word), "%s%.40s+%#zx", i ? " <- " : "",
				 name ? name : "?", offset + 1);

		if (len + (size_t)n > LINE_COLUMNS) {
			print_line("%s", line);
			len = strlcpy(line, indent, sizeof(line));
		}
		len += strlcpy(line + len, word, sizeof(line) - len);
	}
	print_line("%s", line);
}

static MUTEX(print_mutex); /* records' frames and type */

struct selection {
	int type;   /* -1: all */
	bool recent;
	u32 since;
};

static bool selected(const struct page *p, const struct selection *s)
{
	unsigned int type = READ_ONCE(p->type);

	if (type <= PAGE_FREE || type >= NR_PAGE_TYPES || p->flags & (PG_TAIL | PG_INNER))
		return false;
	if (s->type >= 0 && type != (unsigned int)s->type)
		return false;
	return !s->recent || (p->debug.step_us[STEP_ALLOC] &&
			      (s32)(p->debug.step_us[STEP_ALLOC] - s->since) >= 0);
}

/*
 * Counts the frames by place. They come and go meanwhile: the sums are of no one moment, and an
 * order that is read half way is bounded.
 */
static void count_places(const struct selection *s)
{
	for (unsigned int i = 0; i < STACKS; i++)
		table.records[i].frames = 0;
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		struct page *p = phys_to_page(boot.mem[i].start);
		struct page *end = phys_to_page(boot.mem[i].end);

		for (; p < end; p++) {
			if (!selected(p, s))
				continue;
			struct stack_record *r = &table.records[p->debug.alloc_stack % STACKS];

			r->frames += 1u << min(p->order, (u8)MAX_ORDER);
			r->type = p->type;
		}
	}
}

/* Takes the place with the most frames out of the counts; false if there is none left. */
static bool next_place(const char *prefix)
{
	struct stack_record *best = table.records;
	char indent[32];

	for (struct stack_record *r = best + 1; r < table.records + STACKS; r++)
		if (r->frames > best->frames)
			best = r;
	if (!best->frames)
		return false;
	print_line("%s%6u frames, type %s, given out by", prefix, best->frames,
		   page_type_name(best->type));
	snprintf(indent, sizeof(indent), "%.16s         ", prefix);
	stack_print(indent, (stack_nr_t)(best - table.records));
	best->frames = 0;
	return true;
}

static void print_places(const char *prefix, const struct selection *s, unsigned int max)
{
	if (!READ_ONCE(table.records))
		return;
	mutex_lock(&print_mutex);
	count_places(s);
	while (max-- > 0 && next_place(prefix))
		;
	mutex_unlock(&print_mutex);
}

void page_owner_print_since(const char *prefix, u32 since, unsigned int max)
{
	const struct selection s = { .type = -1, .recent = true, .since = since };

	print_places(prefix, &s, max);
}

static int cmd_owner(int argc, char **argv)
{
	struct selection s = { .type = -1 };

	for (int t = PAGE_KERNEL; argc == 2 && t < NR_PAGE_TYPES; t++)
		if (strcmp(argv[1], page_type_name((unsigned int)t)) == 0)
			s.type = t;
	if (argc > 2 || (argc == 2 && s.type < 0))
		return -EINVAL;
	print_places("", &s, 12);
	print_line("%u stacks known, of %u; %u times there was no room for another", table.used,
		   STACKS - 1, table.refused);
	return 0;
}
COMMAND(owner, "owner", "owner [TYPE]  where most frames in use were given out (types: see mem)",
	cmd_owner);
#endif
