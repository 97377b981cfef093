/* SPDX-License-Identifier: MIT */
/*
 * The line editor of the console: keys in, an edited line out, with a history.
 */
#ifndef GRACE_LINE_EDIT_H
#define GRACE_LINE_EDIT_H

#include <types.h>

#define LINE_MAX 256 /* bytes of a line, its 0 included */
#define LINE_HISTORY 16

struct line_edit {
	const char *prompt;
	char line[LINE_MAX]; /* always ended with 0 */
	unsigned int len, pos; /* pos: the cursor's */

	char history[LINE_HISTORY][LINE_MAX];
	unsigned int nr_history; /* lines ever kept; line n is at n % LINE_HISTORY */
	unsigned int browsing;	 /* the one shown; nr_history: the new line itself */
	char kept[LINE_MAX];	 /* the new line, while an old one is shown */

	enum { KEY_PLAIN, KEY_ESC, KEY_CSI, KEY_SS3 } state;
	unsigned int param; /* of an escape sequence */
	bool too_long;	    /* characters were refused since the last change */
	bool last_was_cr;
};

/* Starts a new line and prints the prompt. e is zeroed before its first use. */
void line_edit_begin(struct line_edit *e, const char *prompt);
/*
 * Takes one byte of input. True: e->line is complete, and kept in the history. Bytes that mean
 * nothing here (other control characters, UTF-8) are ignored. A line that is full answers with a
 * bell, and is dropped at its end unless something was taken out of it afterwards.
 */
bool line_edit_feed(struct line_edit *e, u8 c);
/* Prints prompt and line again, after something else was printed over them. */
void line_edit_redraw(const struct line_edit *e);

#endif
