// SPDX-License-Identifier: MIT
/*
 * The trace: what is written is found again, in order and in its CPU's column; what is overwritten,
 * forgotten, being written or of no concern is not.
 *
 * The events are of frames that no machine here has, so no other event is about them.
 */
#include "testlib.h"

#include <irqflags.h>
#include <trace.h>

#ifdef GRACE_DEBUG

#define FRAME_A 0xa0000000000000ULL
#define FRAME_B 0xb0000000000000ULL
#define TEXT_A "a0000000000000"
#define TEXT_B "b0000000000000"
#define MM 900000 /* beyond those of any run */

/* Begins with empty rings; false, with the test skipped, if there are none. */
static bool rings_start(void)
{
	trace_clear();
	if (!trace_ring_size())
		test_skip("no memory for the rings");
	return trace_ring_size() != 0;
}

/* What is printed about a frame or an mm; capture_free() it. NULL with the test failed. */
static const char *said_about(phys_t frame, u32 mm, unsigned int lines)
{
	const struct trace_subject about = { .frame = frame, .mm = mm };

	if (!EXPECT(capture_start()))
		return NULL;
	trace_print(&about, lines);
	return capture_stop();
}

static bool says(phys_t frame, u32 mm, unsigned int lines, const char *what)
{
	const char *said = said_about(frame, mm, lines);
	bool found = said && test_strstr(said, what);

	if (said)
		capture_free();
	return found;
}

static void write_frames(enum trace_event event, u64 frame, u64 nr)
{
	while (nr--)
		trace_write(event, 0, frame, 0);
}

TEST(trace, shows_events_in_order)
{
	if (!rings_start())
		return;
	trace_write(TRACE_ALLOC, 0, FRAME_A, 5);
	trace_write(TRACE_HOOK, MM, FRAME_A, 1);
	trace_write(TRACE_UNHOOK, MM, FRAME_A, 0x40000000);
	trace_write(TRACE_FREE, 0, FRAME_A, 5);

	const char *said = said_about(FRAME_A, 0, 4);
	const char *const order[] = { "alloc " TEXT_A " 5", "hook " TEXT_A " 1 mm 900000",
				      "unhook " TEXT_A " 40000000", "free " TEXT_A };

	ASSERT(said != NULL);
	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		const char *at = test_strstr(said, order[i]);

		if (!EXPECT(at != NULL))
			test_note("no \"%s\" behind the event before it", order[i]);
		said = at ? at : said;
	}
	capture_free();
}

TEST(trace, shows_the_last_lines)
{
	if (!rings_start())
		return;
	trace_write(TRACE_ALLOC, 0, FRAME_A, 1);
	trace_write(TRACE_HOOK, 0, FRAME_A, 2);
	trace_write(TRACE_FREE, 0, FRAME_A, 3);
	EXPECT(!says(FRAME_A, 0, 2, "alloc"));
	EXPECT(says(FRAME_A, 0, 2, "hook"));
	EXPECT(says(FRAME_A, 0, 2, "free"));
}

static void print_about(phys_t frame)
{
	const struct trace_subject about = { .frame = frame };

	trace_print(&about, 10);
}

/* The place in what was said of the mark between two prints, or of the end. */
static const char *mark_in(const char *said)
{
	const char *mark = test_strstr(said, "MARK");

	return mark ? mark : said + strlen(said);
}

/* With interrupts off, so that no other event of this CPU counts. */
TEST(trace, ring_overwrites_the_oldest)
{
	u64 size = trace_ring_size();

	if (!rings_start())
		return;
	ASSERT(capture_start());
	bool on = local_irq_save();

	trace_write(TRACE_WAIT_TABLE, 0, FRAME_A, 0);
	write_frames(TRACE_HOOK, FRAME_B, size - 1);
	print_about(FRAME_A);
	print_line("MARK");
	write_frames(TRACE_HOOK, FRAME_B, 1);
	print_about(FRAME_A);
	local_irq_restore(on);

	const char *said = capture_stop(), *mark = mark_in(said), *at = test_strstr(said, TEXT_A);

	EXPECT(at && at < mark);
	EXPECT(!test_strstr(mark, TEXT_A));
	capture_free();
}

/* An interrupt comes between the reserving and the filling, and writes too. */
TEST(trace, keeps_an_interrupted_write)
{
	struct trace_record *r;
	u64 n;

	if (!rings_start())
		return;
	ASSERT(capture_start());
	preempt_disable();
	r = trace_reserve(&n);
	write_frames(TRACE_HOOK, FRAME_B, 1);
	print_about(FRAME_A);
	print_about(FRAME_B);
	print_line("MARK");
	if (r)
		trace_fill(r, n, TRACE_UNHOOK, MM, FRAME_A, 0);
	preempt_enable();
	print_about(FRAME_A);
	print_about(FRAME_B);

	const char *said = capture_stop(), *mark = mark_in(said);
	const char *whole = test_strstr(said, TEXT_A), *between = test_strstr(said, TEXT_B);

	EXPECT(r != NULL);
	EXPECT(whole && whole > mark);
	EXPECT(between && between < mark);
	EXPECT(test_strstr(mark, "hook " TEXT_B) != NULL);
	capture_free();
}

/* What came between went once round the ring: the slot is another event's by then. */
TEST(trace, drops_a_write_that_was_overtaken)
{
	struct trace_record *r;
	u64 n;

	if (!rings_start())
		return;
	ASSERT(capture_start());
	bool on = local_irq_save();

	r = trace_reserve(&n);
	write_frames(TRACE_HOOK, FRAME_B, trace_ring_size());
	if (r)
		trace_fill(r, n, TRACE_UNHOOK, MM, FRAME_A, 0);
	print_about(FRAME_A);
	print_about(FRAME_B);
	local_irq_restore(on);

	const char *said = capture_stop();

	EXPECT(r != NULL);
	EXPECT(!test_strstr(said, TEXT_A));
	EXPECT(test_strstr(said, TEXT_B) != NULL);
	capture_free();
}

TEST(trace, writes_nothing_while_held)
{
	if (!rings_start())
		return;
	trace_hold();
	write_frames(TRACE_HOOK, FRAME_A, 1);
	trace_go_on();
	write_frames(TRACE_HOOK, FRAME_B, 1);
	EXPECT(!says(FRAME_A, 0, 10, TEXT_A));
	EXPECT(says(FRAME_B, 0, 10, TEXT_B));
}

TEST(trace, clear_forgets)
{
	if (!rings_start())
		return;
	write_frames(TRACE_HOOK, FRAME_A, 1);
	EXPECT(says(FRAME_A, 0, 10, TEXT_A));
	trace_clear();
	EXPECT(!says(FRAME_A, 0, 10, TEXT_A));
	write_frames(TRACE_FREE, FRAME_A, 1);
	EXPECT(says(FRAME_A, 0, 10, "free " TEXT_A));
}

/* An event of the frame, and before it one each of several sorts. */
static void write_scene(void)
{
	trace_clear();
	preempt_disable();
	trace_write(TRACE_FLUSH_BEGIN, MM, 1, 0x1000);
	trace_write(TRACE_FLUSH_BEGIN, MM + 1, 2, 0x1000);
	trace_write(TRACE_UNHOOK, MM, FRAME_B, 0);
	trace_write(TRACE_CALLBACK, 0, 0xc0ffee, 0);
	trace_write(TRACE_UNHOOK, MM, FRAME_A, 0);
	preempt_enable();
}

/*
 * Of other frames and mms nothing; of no mm in particular, and of the own mm, what is near: a host
 * that takes the CPU away in between makes it far.
 */
TEST(trace, shows_what_concerns_the_subject)
{
	unsigned int tries = 20;

	if (!rings_start())
		return;
	do
		write_scene();
	while (!says(FRAME_A, MM, 100, "flush 1 ") && --tries);
	EXPECT(tries > 0);
	EXPECT(says(FRAME_A, MM, 100, "unhook " TEXT_A));
	EXPECT(!says(FRAME_A, MM, 100, TEXT_B));
	EXPECT(!says(FRAME_A, MM, 100, "flush 2 "));
	EXPECT(says(FRAME_A, MM, 100, "callback c0ffee"));
	EXPECT(!says(FRAME_A, MM, 1, "callback c0ffee")); /* the frame's own goes first */
	EXPECT(says(0, MM, 2, "unhook " TEXT_B));
	EXPECT(!says(0, MM, 1, "unhook " TEXT_B));
	EXPECT(!says(0, MM, 100, "flush 2 "));
}

/* ---- Columns --------------------------------------------------------------------------------- */

static void write_unhook(void *unused)
{
	write_frames(TRACE_UNHOOK, FRAME_A, 1);
}

static void write_free(void *unused)
{
	write_frames(TRACE_FREE, FRAME_A, 1);
}

/* Where in its line the first occurrence stands; -1 if there is none. */
static s64 column_of(const char *said, const char *what)
{
	const char *at = test_strstr(said, what), *line = at;

	while (line && line > said && line[-1] != '\n')
		line--;
	return at ? at - line : -1;
}

TEST(trace, merges_cpus_in_columns)
{
	char first[16], second[16];

	if (!rings_start() || !test_needs_cpus(2))
		return;
	snprintf(first, sizeof(first), "CPU %u", test_cpu(0));
	snprintf(second, sizeof(second), "CPU %u", test_cpu(1));
	trace_clear();
	write_frames(TRACE_ALLOC, FRAME_A, 1);
	test_run_on(test_cpu(1), write_unhook, NULL);
	test_run_on(test_cpu(0), write_free, NULL);

	const char *said = said_about(FRAME_A, 0, 3);

	ASSERT(said != NULL);
	const char *alloc = test_strstr(said, "alloc "), *unhook = test_strstr(said, "unhook ");
	const char *last = test_strstr(said, "free ");

	if (EXPECT(alloc && unhook && last)) {
		EXPECT(alloc < unhook && unhook < last);
		EXPECT_EQ(column_of(said, first), column_of(said, "alloc "));
		EXPECT_EQ(column_of(said, second), column_of(said, "unhook "));
		EXPECT_EQ(column_of(said, first), column_of(said, "free "));
		EXPECT(column_of(said, first) < column_of(said, second));
	}
	capture_free();
}

/* More CPUs than there are columns: their number stands in front. */
TEST(trace, lists_many_cpus)
{
	char numbered[32];

	if (!rings_start() || !test_needs_cpus(5))
		return;
	test_run_on_few(5, write_unhook, NULL);
	snprintf(numbered, sizeof(numbered), "CPU %-4uunhook " TEXT_A, test_cpu(4));
	EXPECT(says(FRAME_A, 0, 5, numbered));
}

#endif
