// SPDX-License-Identifier: MIT
/*
 * The prompt: characters in, lines to commands, and the lines given at boot by run=.
 *
 * Why it exists: the same commands serve a person at the prompt and a runner that nobody watches,
 * so a command that fails has to leave a trace in the exit status, and poweroff is reached all the
 * same. Characters come from the UART's interrupt, or are polled for where it has none; input_lock
 * keeps the two apart. Commands register themselves: see COMMAND in console.h.
 * Contexts: thread, except console_interrupt().
 * See also: line_edit.c, commands.c, printk.c for the output.
 */
#include <bug.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <line_edit.h>
#include <printk.h>
#include <spinlock.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <trap.h>
#include <wait.h>

extern const struct command commands_start[], commands_end[];

#define INPUT_MAX 1024
#define ARGS_MAX 16
#define RUN_MAX 512
/* How long to sleep before looking at the UART, or at what was printed over the prompt. */
#define POLL_NS (10 * NSEC_PER_MSEC)
#define LOOK_NS (250 * NSEC_PER_MSEC)

static spinlock_t input_lock = SPINLOCK_INIT;
static char input[INPUT_MAX]; /* input_lock; bytes [input_out, input_in), modulo INPUT_MAX */
static unsigned int input_in, input_out;
static WAIT_QUEUE(input_wait);
static bool have_irq;

static bool run_failed;
/* Lines being run: more than one when a command, waiting for it meanwhile, has another run. */
static unsigned int nesting;

/* ---- Input -------------------------------------------------------------------------------- */

/* Moves what the UART has into input[]; when that is full, the newest is lost. Any context. */
static void drain_uart(void)
{
	const struct uart_ops *uart = console_uart();
	bool on = spin_lock_irqsave(&input_lock);
	int c;

	while (uart && (c = uart->getc()) >= 0) {
		if (input_in - input_out < INPUT_MAX)
			input[input_in++ % INPUT_MAX] = (char)c;
	}
	spin_unlock_irqrestore(&input_lock, on);
}

void console_interrupt(void)
{
	drain_uart();
	wake_up_all(&input_wait);
}

void console_init_irq(void)
{
	const struct uart_ops *uart = console_uart();

	if (!uart || !uart->enable_rx_irq)
		return;
	uart->enable_rx_irq();
	have_irq = true;
}

static bool input_waiting(void)
{
	return READ_ONCE(input_in) != READ_ONCE(input_out);
}

/* The next byte; -1 after a while without one. */
static int read_byte(void)
{
	int c = -1;

	drain_uart();
	(void)wait_event_timeout(input_wait, input_waiting(), have_irq ? LOOK_NS : POLL_NS);

	bool on = spin_lock_irqsave(&input_lock);

	if (input_in != input_out)
		c = (u8)input[input_out++ % INPUT_MAX];
	spin_unlock_irqrestore(&input_lock, on);
	return c;
}

/* Reads a line; whenever a message was printed over it, it is drawn again below. */
static void read_line(struct line_edit *e)
{
	unsigned int lines;

	line_edit_begin(e, "grace> ");
	lines = printk_lines();
	for (;;) {
		int c = read_byte();

		if (lines != printk_lines()) {
			lines = printk_lines();
			line_edit_redraw(e);
		}
		if (c >= 0 && line_edit_feed(e, (u8)c))
			return;
	}
}

/* ---- Commands ----------------------------------------------------------------------------- */

const char *errno_name(int err)
{
	static const struct {
		int err;
		const char *name;
	} names[] = {
		{ EPERM, "EPERM" },	{ ENOENT, "ENOENT" },	  { EINTR, "EINTR" },
		{ EIO, "EIO" },		{ ENXIO, "ENXIO" },	  { E2BIG, "E2BIG" },
		{ EAGAIN, "EAGAIN" },	{ ENOMEM, "ENOMEM" },	  { EACCES, "EACCES" },
		{ EFAULT, "EFAULT" },	{ EBUSY, "EBUSY" },	  { EEXIST, "EEXIST" },
		{ ENODEV, "ENODEV" },	{ EINVAL, "EINVAL" },	  { ENOSPC, "ENOSPC" },
		{ ERANGE, "ERANGE" },	{ ENOSYS, "ENOSYS" },	  { EOVERFLOW, "EOVERFLOW" },
		{ EOPNOTSUPP, "EOPNOTSUPP" }, { ETIMEDOUT, "ETIMEDOUT" }, { EALREADY, "EALREADY" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (names[i].err == -err)
			return names[i].name;
	}
	return "?";
}

#define NAME_MAX 16 /* longer names are not near to any command's */

/*
 * How many letters have to be added, dropped or changed to make a out of b. One row of the usual
 * table at a time: row[j] is the distance of the first i letters of a from the first j of b.
 */
static unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int row[NAME_MAX + 1], len = (unsigned int)strlen(b);

	if (strlen(a) > NAME_MAX || len > NAME_MAX)
		return ~0u;
	for (unsigned int j = 0; j <= len; j++)
		row[j] = j;
	for (unsigned int i = 1; *a; i++, a++) {
		unsigned int diagonal = row[0];

		row[0] = i;
		for (unsigned int j = 1; j <= len; j++) {
			unsigned int change = diagonal + (*a != b[j - 1]);

			diagonal = row[j];
			row[j] = min(change, min(row[j], row[j - 1]) + 1);
		}
	}
	return row[len];
}

static void say_unknown(const char *name)
{
	const char *nearest = NULL;
	unsigned int best = 3;

	for (const struct command *c = commands_start; c < commands_end; c++) {
		unsigned int d = edit_distance(name, c->name);

		if (d < best && d < strlen(c->name)) {
			best = d;
			nearest = c->name;
		}
	}
	if (nearest)
		print_line("%s: unknown command; did you mean %s? (help lists all)", name, nearest);
	else
		print_line("%s: unknown command; try help", name);
}

const struct command *command_find(const char *name)
{
	for (const struct command *c = commands_start; c < commands_end; c++) {
		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

/* Splits text in place into argv; a first word NAME=VALUE becomes two. Returns argc or -errno. */
static int split_words(char *text, char **argv)
{
	bool open = false;
	char *word, *equals;
	int argc = 0;

	while ((word = word_next(&text, &open)) != NULL) {
		if (argc >= ARGS_MAX - 1)
			return -E2BIG;
		argv[argc++] = word;
		equals = argc == 1 ? strchr(word, '=') : NULL;
		if (equals) {
			*equals = 0;
			argv[argc++] = equals + 1;
		}
	}
	return open ? -EINVAL : argc;
}

static int run_words(int argc, char **argv)
{
	const struct command *c = command_find(argv[0]);
	int err;

	if (!c) {
		say_unknown(argv[0]);
		return -ENOENT;
	}
	err = c->run(argc, argv);
	if (err)
		print_line("%s: failed: %d (%s)", argv[0], err, errno_name(err));
	if (err == -EINVAL)
		print_line("usage: %s", c->help);
	return err;
}

static int run_command(char *text, bool only_poweroff)
{
	char *argv[ARGS_MAX];
	int argc = split_words(text, argv);

	if (argc < 0)
		print_line("%s: %s", text,
			   argc == -E2BIG ? "too many words" : "a quote is not closed");
	if (argc <= 0)
		return argc;
	if (!only_poweroff)
		return run_words(argc, argv);
	if (strcmp(argv[0], "poweroff") == 0)
		power_off(EXIT_TESTS_FAILED);
	print_line("%s: skipped, because a command before it failed", argv[0]);
	return 0;
}

/* Ends the command at s with 0, at the next ; that is not quoted; returns what follows. */
static char *next_command(char *s)
{
	char quote = 0;

	for (; *s; s++) {
		if (*s == quote)
			quote = 0;
		else if (!quote && (*s == '"' || *s == '\''))
			quote = *s;
		else if (!quote && *s == ';')
			break;
	}
	if (*s)
		*s++ = 0;
	return s;
}

static int run_line(const char *line)
{
	char text[RUN_MAX];
	char *s = text;
	int failed = 0;

	if (strlcpy(text, line, sizeof(text)) >= sizeof(text)) {
		print_line("the line is longer than %u bytes", RUN_MAX - 1);
		return -E2BIG;
	}
	nesting++;
	while (*s) {
		char *command = s;
		int err;

		s = next_command(s);
		err = run_command(command, failed != 0);
		if (err && !failed)
			failed = err;
	}
	nesting--;
	return failed;
}

int console_run(const char *line)
{
	int err = run_line(line);

	if (err && nesting == 0)
		run_failed = true;
	return err;
}

int console_exit_status(void)
{
	return run_failed ? EXIT_TESTS_FAILED : EXIT_SUCCESS;
}

/* A mistyped line says nothing about the kernel; any other failure is remembered. */
static void run_typed(const char *line)
{
	int err = run_line(line);

	if (err && err != -EINVAL && err != -ENOENT && err != -E2BIG)
		run_failed = true;
}

__noreturn void console_loop(void)
{
	static struct line_edit edit;

	for (;;) {
		read_line(&edit);
		run_typed(edit.line);
	}
}
