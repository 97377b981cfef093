// SPDX-License-Identifier: MIT
/*
 * The line editor: a state machine over bytes from a terminal.
 *
 * Why it exists: whoever explores a kernel types the same line ten times with one word changed. And
 * whatever a terminal, a script or line noise sends must leave the editor sane.
 * Keys: arrows, Home, End, Delete, Backspace; Ctrl-A E B F (move), D (delete), K U W (kill), P N
 * (history), C (drop the line), L (clear the screen).
 * Contexts: thread, one user at a time; prints by print_raw() and nothing else.
 * See also: console.c.
 */
#include <line_edit.h>
#include <printk.h>
#include <string.h>

#define CTRL(c) ((c) & 0x1f)
#define ESC 0x1b
#define DEL 0x7f
#define VIEW 70 /* characters of a long line that are shown, around the cursor */

static void bell(void)
{
	print_raw("\a", 1);
}

/* The first character shown: a long line scrolls by half a view, not at each key. */
static unsigned int view_start(unsigned int pos)
{
	return pos < VIEW ? 0 : ((pos - VIEW) / (VIEW / 2) + 1) * (VIEW / 2);
}

/* Redraws in place: carriage return, prompt, the part in view, clear to the end, cursor back. */
void line_edit_redraw(const struct line_edit *e)
{
	unsigned int from = view_start(e->pos);
	unsigned int shown = min(e->len - from, (unsigned int)VIEW);
	unsigned int back = from + shown - e->pos;
	char end[16];
	int n;

	print_raw("\r", 1);
	print_raw(e->prompt, strlen(e->prompt));
	print_raw(e->line + from, shown);
	n = snprintf(end, sizeof(end), back ? "\x1b[K\x1b[%uD" : "\x1b[K", back);
	print_raw(end, (size_t)n);
}

static void set_line(struct line_edit *e, const char *text)
{
	strlcpy(e->line, text, LINE_MAX);
	e->len = e->pos = (unsigned int)strlen(e->line);
	e->too_long = false;
}

void line_edit_begin(struct line_edit *e, const char *prompt)
{
	e->prompt = prompt;
	e->browsing = e->nr_history;
	e->state = KEY_PLAIN;
	set_line(e, "");
	print_raw(prompt, strlen(prompt));
}

static void insert(struct line_edit *e, char c)
{
	if (e->len == LINE_MAX - 1) {
		e->too_long = true;
		bell();
		return;
	}
	memmove(e->line + e->pos + 1, e->line + e->pos, e->len - e->pos + 1);
	e->line[e->pos++] = c;
	e->len++;
	if (e->pos == e->len && view_start(e->pos) == view_start(e->pos - 1))
		print_raw(&c, 1);
	else
		line_edit_redraw(e);
}

/* Removes [from, to) and leaves the cursor there. */
static void cut(struct line_edit *e, unsigned int from, unsigned int to)
{
	memmove(e->line + from, e->line + to, e->len - to + 1);
	e->len -= to - from;
	e->pos = from;
	e->too_long = false;
	line_edit_redraw(e);
}

static void cut_word(struct line_edit *e)
{
	unsigned int from = e->pos;

	while (from > 0 && e->line[from - 1] == ' ')
		from--;
	while (from > 0 && e->line[from - 1] != ' ')
		from--;
	cut(e, from, e->pos);
}

static void move_to(struct line_edit *e, unsigned int pos)
{
	e->pos = pos;
	line_edit_redraw(e);
}

static void move_left(struct line_edit *e)
{
	if (e->pos > 0)
		move_to(e, e->pos - 1);
}

static void move_right(struct line_edit *e)
{
	if (e->pos < e->len)
		move_to(e, e->pos + 1);
}

static void delete_here(struct line_edit *e)
{
	if (e->pos < e->len)
		cut(e, e->pos, e->pos + 1);
}

static void browse(struct line_edit *e, unsigned int to)
{
	if (e->browsing == e->nr_history)
		strlcpy(e->kept, e->line, LINE_MAX);
	e->browsing = to;
	set_line(e, to == e->nr_history ? e->kept : e->history[to % LINE_HISTORY]);
	line_edit_redraw(e);
}

static void browse_up(struct line_edit *e)
{
	unsigned int oldest = e->nr_history > LINE_HISTORY ? e->nr_history - LINE_HISTORY : 0;

	if (e->browsing > oldest)
		browse(e, e->browsing - 1);
}

static void browse_down(struct line_edit *e)
{
	if (e->browsing < e->nr_history)
		browse(e, e->browsing + 1);
}

static void keep_in_history(struct line_edit *e)
{
	const char *last = e->history[(e->nr_history - 1) % LINE_HISTORY];

	if (!e->len || (e->nr_history && strcmp(last, e->line) == 0))
		return;
	strlcpy(e->history[e->nr_history % LINE_HISTORY], e->line, LINE_MAX);
	e->nr_history++;
}

/* A line that lost characters at its end is not run: it may mean something else without them. */
static bool finish(struct line_edit *e)
{
	if (e->pos != e->len)
		move_to(e, e->len);
	print_raw("\r\n", 2);
	if (e->too_long) {
		print_line("The line is longer than %u characters and was dropped.", LINE_MAX - 1);
		line_edit_begin(e, e->prompt);
		return false;
	}
	keep_in_history(e);
	return true;
}

static void drop_line(struct line_edit *e)
{
	print_raw("^C\r\n", 4);
	line_edit_begin(e, e->prompt);
}

/* The last byte of ESC [ ... or ESC O. */
static void sequence_end(struct line_edit *e, u8 c)
{
	unsigned int key = c == '~' ? e->param : c;

	switch (key) {
	case 'A':
		browse_up(e);
		break;
	case 'B':
		browse_down(e);
		break;
	case 'C':
		move_right(e);
		break;
	case 'D':
		move_left(e);
		break;
	case 'H':
	case 1:
	case 7:
		move_to(e, 0);
		break;
	case 'F':
	case 4:
	case 8:
		move_to(e, e->len);
		break;
	case 3:
		delete_here(e);
		break;
	}
}

/* Inside an escape sequence; an unknown one is read to its end and forgotten. */
static void feed_sequence(struct line_edit *e, u8 c)
{
	if (c == ESC) {
		e->state = KEY_ESC;
	} else if (e->state == KEY_ESC) {
		e->state = c == '[' ? KEY_CSI : c == 'O' ? KEY_SS3 : KEY_PLAIN;
		e->param = 0;
	} else if (c >= '0' && c <= '9') {
		e->param = min(e->param * 10 + (c - '0'), 99u);
	} else if (c < 0x20 || c >= 0x40) { /* else a separator: its numbers count as one */
		e->state = KEY_PLAIN;
		if (c >= 0x40 && c < DEL)
			sequence_end(e, c);
	}
}

/* A control character other than those that end a line. */
static void feed_control(struct line_edit *e, u8 c)
{
	switch (c) {
	case ESC:
		e->state = KEY_ESC;
		break;
	case CTRL('A'):
		move_to(e, 0);
		break;
	case CTRL('E'):
		move_to(e, e->len);
		break;
	case CTRL('B'):
		move_left(e);
		break;
	case CTRL('F'):
		move_right(e);
		break;
	case CTRL('H'):
	case DEL:
		if (e->pos > 0)
			cut(e, e->pos - 1, e->pos);
		break;
	case CTRL('D'):
		delete_here(e);
		break;
	case CTRL('K'):
		cut(e, e->pos, e->len);
		break;
	case CTRL('U'):
		cut(e, 0, e->pos);
		break;
	case CTRL('W'):
		cut_word(e);
		break;
	case CTRL('P'):
		browse_up(e);
		break;
	case CTRL('N'):
		browse_down(e);
		break;
	case CTRL('C'):
		drop_line(e);
		break;
	case CTRL('L'):
		print_raw("\x1b[2J\x1b[H", 7);
		line_edit_redraw(e);
		break;
	}
}

bool line_edit_feed(struct line_edit *e, u8 c)
{
	bool after_cr = e->last_was_cr;

	e->last_was_cr = c == '\r';
	if (c == '\r' || (c == '\n' && !after_cr)) {
		e->state = KEY_PLAIN;
		return finish(e);
	}
	if (e->state != KEY_PLAIN)
		feed_sequence(e, c);
	else if (c < ' ' || c == DEL)
		feed_control(e, c);
	else if (c < DEL)
		insert(e, (char)c);
	return false;
}
