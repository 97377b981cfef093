// SPDX-License-Identifier: MIT
/*
 * The trace: per-CPU rings of events, and how they are shown.
 *
 * Terms. A record is one event; a ring's records are numbered from 0 for ever, and number n stands
 * in slot n % size, over number n - size. A record's lap says which number a slot holds. About a
 * subject, an anchor is an event that concerns it itself.
 * Why it exists: a report shows the moment in which a broken rule was found. What broke it happened
 * before, often on another CPU.
 * Rules: none. Locks: none. Writing from any context, NMI too. Reading from any context, panic too:
 * it takes records as they are, and leaves out those that are being written.
 * See also: <trace.h> for the events, scripts/trace.py, tests/test_trace.c.
 *
 * Reading beside a writer. A slot is marked before and after it is filled, and looked at before and
 * after it is copied, as with a sequence lock:
 *
 *   CPU 1 (trace_write)                 CPU 0 (record_read)
 *   n = next++
 *   lap = 0
 *   fence
 *   fills the slot
 *                                       lap is not that of n: leaves it out
 *   lap = that of n (release)
 *                                       lap is that of n (acquire): copies the slot
 *                                       fence; lap is still that of n: the copy is good
 *
 * Writing between. An interrupt or NMI that comes after next++ takes a number of its own and is
 * done before the writer goes on. Preemption is off, so nobody else writes to this ring; if those
 * in between went once round the ring, the slot's lap is an old one in the end, and it is left out.
 */
#include <arch.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <page.h>
#include <percpu.h>
#include <printk.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <trace.h>

#ifdef GRACE_DEBUG

struct trace_record {
	u64 time; /* arch_cycles() */
	u64 a, b;
	u32 mm;
	u16 thread; /* low bits of its id: whose begin an end belongs to */
	u8 event;
	u8 lap; /* 0 while the slot is written; lap_of() its number afterwards */
};
_Static_assert(sizeof(struct trace_record) == 32, "records are of a round size");
_Static_assert(NR_TRACE_EVENTS <= 256, "an event fits");

struct trace_ring {
	struct trace_record *records; /* NULL: no memory */
	u64 next;		      /* number of the next event; this CPU */
	u64 first;		      /* numbers before it are forgotten; the console */
};
static DEFINE_PER_CPU(struct trace_ring, trace_ring);

/* Of each ring, set once by trace_init(): a power of two, and its log2. */
static u64 ring_size;
static unsigned int ring_shift;
static unsigned int held;

static const struct {
	const char *name, *word, *a, *b;
} events[NR_TRACE_EVENTS] = {
#define TRACE_ENTRY(name, word, a, b) { #name, word, a, b },
	TRACE_TABLE(TRACE_ENTRY)
#undef TRACE_ENTRY
};

/* ---- Writing --------------------------------------------------------------------------------- */

/* Never 0. The same again after 255 times round the ring, which no copy of a record takes. */
static u8 lap_of(u64 n)
{
	return (n >> ring_shift) % 255 + 1;
}

struct trace_record *trace_reserve(u64 *n)
{
	struct trace_ring *ring = this_cpu_ptr(&trace_ring);

	if (unlikely(!ring->records) || unlikely(READ_ONCE(held)))
		return NULL;
	*n = fetch_add_relaxed(&ring->next, 1);
	return &ring->records[*n & (ring_size - 1)];
}

void trace_fill(struct trace_record *r, u64 n, enum trace_event event, u32 mm, u64 a, u64 b)
{
	WRITE_ONCE(r->lap, 0);
	/* Orders the mark before what is written. Pairs with record_read(). */
	smp_wmb();
	r->time = arch_cycles();
	r->a = a;
	r->b = b;
	r->mm = mm;
	r->thread = (u16)current->id;
	r->event = (u8)event;
	/* Release: orders what was written before the lap. Pairs with record_read(). */
	smp_store_release(&r->lap, lap_of(n));
}

void trace_write(enum trace_event event, u32 mm, u64 a, u64 b)
{
	u64 n;

	preempt_disable();
	struct trace_record *r = trace_reserve(&n);

	if (likely(r))
		trace_fill(r, n, event, mm, a, b);
	preempt_enable();
}

void trace_hold(void)
{
	fetch_add_relaxed(&held, 1);
}

void trace_go_on(void)
{
	fetch_add_relaxed(&held, -1);
}

/* ---- Reading --------------------------------------------------------------------------------- */

/* True, with a copy, if number n of the ring is there and whole. */
static bool record_read(const struct trace_ring *ring, u64 n, struct trace_record *copy)
{
	const struct trace_record *r = &ring->records[n & (ring_size - 1)];

	/* Acquire: orders the lap before what is read. Pairs with the release in trace_fill(). */
	if (smp_load_acquire(&r->lap) != lap_of(n))
		return false;
	*copy = *r;
	/* Orders what was read before the second look. Pairs with the fence in trace_fill(). */
	smp_rmb();
	return READ_ONCE(r->lap) == lap_of(n);
}

static u64 ring_first(const struct trace_ring *ring)
{
	u64 next = READ_ONCE(ring->next), first = READ_ONCE(ring->first);

	return max(first, next > ring_size ? next - ring_size : 0);
}

/* All rings as one: the next number of each. Records later than `until` are not there. */
struct merge {
	u64 until;
	u64 at[MAX_CPUS];
};

static void merge_start(struct merge *m, u64 until)
{
	m->until = until;
	memset(m->at, 0, sizeof(m->at));
}

/* The first record of cpu's that is still to come; false at the end. */
static bool merge_head(struct merge *m, unsigned int cpu, struct trace_record *r)
{
	const struct trace_ring *ring = per_cpu_ptr(&trace_ring, cpu);

	if (!ring->records)
		return false;
	m->at[cpu] = max(m->at[cpu], ring_first(ring));
	for (; m->at[cpu] < READ_ONCE(ring->next); m->at[cpu]++)
		if (record_read(ring, m->at[cpu], r))
			return r->time <= m->until;
	return false;
}

static bool merge_next(struct merge *m, struct trace_record *r, unsigned int *cpu)
{
	struct trace_record head;
	bool found = false;
	unsigned int c;

	for_each_possible_cpu(c) {
		if (!merge_head(m, c, &head) || (found && head.time >= r->time))
			continue;
		*r = head;
		*cpu = c;
		found = true;
	}
	if (found)
		m->at[*cpu]++;
	return found;
}

/* ---- What concerns a subject ----------------------------------------------------------------- */

enum concern { NO_CONCERN, IF_NEAR, ANCHOR };

static bool about_address(const struct trace_subject *about, const struct trace_record *r)
{
	return about->va && strcmp(events[r->event].b, "address") == 0 &&
	       (r->b & PAGE_MASK) == (about->va & PAGE_MASK);
}

static enum concern concern(const struct trace_subject *about, const struct trace_record *r)
{
	bool frame_event = strcmp(events[r->event].a, "frame") == 0;

	if (!about || (about->frame && frame_event && r->a == about->frame))
		return ANCHOR;
	if (r->mm && about->mm && r->mm != about->mm)
		return NO_CONCERN;
	if (r->mm && about->mm && (!about->frame || about_address(about, r)))
		return ANCHOR;
	/* Who runs next says little, and there is much of it. */
	if (frame_event || (r->event == TRACE_IPI && r->a == IPI_RESCHED))
		return NO_CONCERN;
	return IF_NEAR;
}

/* What is printed: events not farther than `distance` from an anchor, but for the first `skip`. */
struct view {
	const struct trace_subject *about;
	u64 until;
	unsigned int nr[65]; /* events whose distance has so many bits; 0: anchors too */
	u64 distance;	     /* cycles */
	unsigned int skip;
	cpumask_t cpus;	     /* that have an event in it */
	u64 start;	     /* time of the first */
};

typedef void view_fn(struct view *v, const struct trace_record *r, unsigned int cpu, u64 distance);

/* The time of the next anchor; behind the last, now is one. */
static u64 next_anchor(struct merge *m, const struct trace_subject *about)
{
	struct trace_record r;
	unsigned int cpu;

	while (merge_next(m, &r, &cpu))
		if (concern(about, &r) == ANCHOR)
			return r.time;
	return m->until;
}

/* From the nearer of two anchors. A ring's times are in order, but for what interrupts write. */
static u64 to_nearer(u64 time, u64 before, u64 after)
{
	return min(time - min(before, time), after - min(time, after));
}

/* Calls fn for each event that may concern the subject, in order of time. */
static void view_each(struct view *v, view_fn *fn)
{
	struct merge all, anchors; /* the second is ahead by one anchor */
	struct trace_record r;
	u64 before = 0, after;
	unsigned int cpu;

	merge_start(&all, v->until);
	merge_start(&anchors, v->until);
	after = next_anchor(&anchors, v->about);
	while (merge_next(&all, &r, &cpu)) {
		enum concern c = concern(v->about, &r);

		while (after <= r.time && after < v->until) {
			before = after;
			after = next_anchor(&anchors, v->about);
		}
		if (c == ANCHOR)
			fn(v, &r, cpu, 0);
		else if (c == IF_NEAR)
			fn(v, &r, cpu, to_nearer(r.time, before, after));
	}
}

static void view_count(struct view *v, const struct trace_record *r, unsigned int cpu, u64 distance)
{
	v->nr[distance ? 64 - __builtin_clzll(distance) : 0]++;
}

#define NEAR_NS (10 * NSEC_PER_MSEC) /* farther away it has nothing to do with an anchor */

/* Widens the distance for as long as all that is near still goes into so many lines. */
static void view_fit(struct view *v, unsigned int lines)
{
	unsigned int bits = 0, most = 64 - __builtin_clzll(ns_to_cycles(NEAR_NS)), total;

	view_each(v, view_count);
	total = v->nr[0];
	v->skip = total > lines ? total - lines : 0;
	while (bits < most && total + v->nr[bits + 1] <= lines)
		total += v->nr[++bits];
	v->distance = BIT(bits) - 1;
}

static bool view_has(struct view *v, u64 distance)
{
	if (distance > v->distance)
		return false;
	if (v->skip == 0)
		return true;
	v->skip--;
	return false;
}

static void view_columns(struct view *v, const struct trace_record *r, unsigned int cpu,
			 u64 distance)
{
	if (!view_has(v, distance))
		return;
	if (!v->cpus)
		v->start = r->time;
	v->cpus |= cpumask_of(cpu);
}

/* ---- Printing -------------------------------------------------------------------------------- */

#define MAX_COLUMNS 4
#define COLUMNS_WIDTH 112
#define LINE_SIZE 128

static unsigned int columns(const struct view *v)
{
	unsigned int nr = cpumask_weight(v->cpus);

	return nr <= MAX_COLUMNS ? nr : 1;
}

/* Appends what it is worth to say and there is room for. */
static void add_value(char *text, size_t size, const char *what, u64 value)
{
	char part[24];
	size_t len = strlen(text);

	if (!*what)
		return;
	if (*what == '#')
		snprintf(part, sizeof(part), " %lld", (long long)value);
	else
		snprintf(part, sizeof(part), " %llx", (unsigned long long)value);
	if (len + strlen(part) < size)
		strlcpy(text + len, part, size - len);
}

static void record_text(char *text, size_t size, const struct trace_record *r)
{
	char part[16];

	strlcpy(text, events[r->event].word, size);
	add_value(text, size, events[r->event].a, r->a);
	add_value(text, size, events[r->event].b, r->b);
	snprintf(part, sizeof(part), " mm %u", r->mm);
	if (r->mm && strlen(text) + strlen(part) < size)
		strlcpy(text + strlen(text), part, size - strlen(text));
}

static void view_print(struct view *v, const struct trace_record *r, unsigned int cpu, u64 distance)
{
	unsigned int width = COLUMNS_WIDTH / columns(v), indent = 0;
	u64 ns = cycles_to_ns(r->time - min(r->time, v->start));
	char text[COLUMNS_WIDTH], number[16] = "";

	if (!view_has(v, distance))
		return;
	record_text(text, width, r);
	if (cpumask_weight(v->cpus) <= MAX_COLUMNS)
		indent = width * cpumask_weight(v->cpus & (cpumask_of(cpu) - 1));
	else
		snprintf(number, sizeof(number), "CPU %-4u", cpu);
	print_line("%6llu.%03llu  %*s%s%s", (unsigned long long)(ns / NSEC_PER_USEC),
		   (unsigned long long)(ns % NSEC_PER_USEC), (int)indent, "", number, text);
}

static void print_heading(const struct view *v)
{
	char line[LINE_SIZE] = "";
	unsigned int cpu, n = 0;

	if (cpumask_weight(v->cpus) <= MAX_COLUMNS)
		for_each_cpu(cpu, v->cpus)
			n += snprintf(line + n, sizeof(line) - n, "CPU %-*u",
				      (int)(COLUMNS_WIDTH / columns(v) - 4), cpu);
	while (n && line[n - 1] == ' ')
		line[--n] = 0;
	print_line("%10s  %s", "us", line);
}

void trace_print(const struct trace_subject *about, unsigned int lines)
{
	struct view v = { .about = about };

	trace_hold();
	v.until = arch_cycles();
	view_fit(&v, lines);

	unsigned int skip = v.skip;

	view_each(&v, view_columns);
	if (v.cpus) {
		print_heading(&v);
		v.skip = skip;
		view_each(&v, view_print);
	} else {
		print_line("trace: %s", ring_size ? "no events" : "no rings");
	}
	trace_go_on();
}

static void dump_ring(unsigned int cpu)
{
	const struct trace_ring *ring = per_cpu_ptr(&trace_ring, cpu);
	u64 next = READ_ONCE(ring->next), first = ring_first(ring);
	struct trace_record r;

	print_line("trace-ring|%u|%llu|%llu", cpu, (unsigned long long)(next - first),
		   (unsigned long long)(first - READ_ONCE(ring->first)));
	for (u64 n = first; n < next; n++) {
		if (!record_read(ring, n, &r))
			continue;
		print_line("trace|%llu|%u|%s|%u|%llx|%llx|%u",
			   (unsigned long long)cycles_to_ns(r.time), cpu, events[r.event].name,
			   r.mm, (unsigned long long)r.a, (unsigned long long)r.b, r.thread);
	}
}

/* Every record for scripts/trace.py; first how many of each ring are left, and how many gone. */
static void trace_dump(void)
{
	unsigned int cpu;

	trace_hold();
	for_each_possible_cpu(cpu)
		if (per_cpu(trace_ring, cpu).records)
			dump_ring(cpu);
	print_line("trace-end");
	trace_go_on();
}

/* ---- Setting up, and the console ------------------------------------------------------------- */

#define DEFAULT_LINES 40
#define MAX_LINES 65536
#define DEFAULT_RECORDS 1024
#define MOST_RECORDS 16384 /* of all rings: more take a report too long to look through */
#define MEMORY_SHARE 128   /* one frame in so many, at most */

static u64 asked_records;

static int parse_records(const char *value)
{
	return parse_u64(value, &asked_records) || asked_records > MiB(1) ? -EINVAL : 0;
}
CMDLINE_OPTION(trace, "trace", "trace=N  so many events in each CPU's ring, if there is memory",
	       parse_records);

/* The order of a ring's block, or -1. */
static int ring_order(void)
{
	u64 records = asked_records;
	struct mem_stats s;
	int order = -1;

	if (!records)
		records = min(DEFAULT_RECORDS, MOST_RECORDS / nr_cpus);
	mem_get_stats(&s);
	/* A page at least, though that may be more than was asked for. */
	while (order < MAX_ORDER &&
	       PAGE_SIZE << (order + 1) <= max(records * sizeof(struct trace_record), PAGE_SIZE) &&
	       nr_cpus << (order + 1) <= s.total / MEMORY_SHARE)
		order++;
	return order;
}

void trace_init(void)
{
	int order = ring_order();
	unsigned int cpu;

	if (order < 0)
		return;
	ring_size = (PAGE_SIZE << order) / sizeof(struct trace_record);
	ring_shift = (unsigned int)__builtin_ctzll(ring_size);
	for_each_possible_cpu(cpu) {
		struct page *p = alloc_pages((unsigned int)order, GFP_NOWAIT | GFP_ZERO);

		if (p)
			per_cpu(trace_ring, cpu).records = page_to_virt(p);
	}
}

void trace_clear(void)
{
	unsigned int cpu;

	for_each_possible_cpu(cpu) {
		struct trace_ring *ring = per_cpu_ptr(&trace_ring, cpu);

		WRITE_ONCE(ring->first, READ_ONCE(ring->next));
	}
}

u64 trace_ring_size(void)
{
	return ring_size;
}

static int cmd_trace(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	u64 lines = DEFAULT_LINES;

	if (argc > 2)
		return -EINVAL;
	if (strcmp(what, "clear") == 0)
		trace_clear();
	else if (strcmp(what, "dump") == 0)
		trace_dump();
	else if (*what && (parse_u64(what, &lines) || lines > MAX_LINES))
		return -EINVAL;
	else
		trace_print(NULL, (unsigned int)lines);
	return 0;
}
COMMAND(trace, "trace", "trace [LINES|clear|dump]  the last events of all CPUs, time going down",
	cmd_trace);

#endif
