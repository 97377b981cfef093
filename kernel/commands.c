// SPDX-License-Identifier: MIT
/*
 * The commands of the prompt that belong to no other file: they print what the kernel knows.
 *
 * Why it exists: what a reader of the source wonders about (which tables does this address space
 * have, who holds up this grace period) is a question to the running kernel.
 * Contexts: thread; each may sleep and returns 0 or -errno.
 * See also: console.c, which finds and runs them; tests/stress.c for stress.
 */
#include <arch.h>
#include <boot.h>
#include <bug.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <kmap.h>
#include <mm.h>
#include <page.h>
#include <pgtable.h>
#include <printk.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <symbols.h>
#include <test.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>

extern const struct command commands_start[], commands_end[];

/* ---- help, options, echo, sleep, poweroff -------------------------------------------------- */

/* The command whose name comes next behind `after` in the alphabet, or NULL. */
static const struct command *next_by_name(const char *after)
{
	const struct command *best = NULL;

	for (const struct command *c = commands_start; c < commands_end; c++) {
		if (strcmp(c->name, after) > 0 && (!best || strcmp(c->name, best->name) < 0))
			best = c;
	}
	return best;
}

static int cmd_help(int argc, char **argv)
{
	if (argc > 1) {
		const struct command *c = command_find(argv[1]);

		if (!c)
			return -ENOENT;
		print_line("  %s", c->help);
		return 0;
	}
	for (const struct command *c = next_by_name(""); c; c = next_by_name(c->name))
		print_line("  %s", c->help);
	print_line("Several commands: a; b. The kernel's command line: options.");
	return 0;
}
COMMAND(help, "help", "help [NAME]  what there is", cmd_help);

static int cmd_options(int argc, char **argv)
{
	print_line("This boot: \"%s\". What it may have:", boot.cmdline);
	cmdline_print_help();
	return 0;
}
COMMAND(options, "options", "options  the words of the kernel's command line", cmd_options);

static int cmd_echo(int argc, char **argv)
{
	char text[256];
	int n = 0;

	text[0] = 0;
	for (int i = 1; i < argc && n < (int)sizeof(text); i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, i > 1 ? " %s" : "%s", argv[i]);
	print_line("%s", text);
	return 0;
}
COMMAND(echo, "echo", "echo WORD...  prints the words", cmd_echo);

static int cmd_sleep(int argc, char **argv)
{
	u64 ms;

	if (argc != 2 || parse_u64(argv[1], &ms) || ms > 3600 * 1000)
		return -EINVAL;
	thread_sleep(ms * NSEC_PER_MSEC);
	return 0;
}
COMMAND(sleep, "sleep", "sleep MS  waits so many milliseconds", cmd_sleep);

static int cmd_poweroff(int argc, char **argv)
{
	u64 status = (u64)console_exit_status();

	if (argc > 2 || (argc == 2 && (parse_u64(argv[1], &status) || status > 63)))
		return -EINVAL;
	power_off((int)status);
}
COMMAND(poweroff, "poweroff",
	"poweroff [STATUS]  ends the run; without STATUS, with 1 if something failed",
	cmd_poweroff);

/* ---- test ---------------------------------------------------------------------------------- */

/* A name without glob characters or a dot is that of a suite. */
static int cmd_test(int argc, char **argv)
{
	const char *arg = argc > 1 ? argv[1] : "*";
	char glob[64];

	if (argc > 2)
		return -EINVAL;
	if (strchr(arg, '*') || strchr(arg, '?') || strchr(arg, '.'))
		strlcpy(glob, arg, sizeof(glob));
	else
		snprintf(glob, sizeof(glob), "%s.*", arg);
	return tests_run(glob) ? -EIO : 0;
}
COMMAND(test, "test", "test [GLOB]  selftests: all, a suite, or those that suite.name matches",
	cmd_test);

/* ---- Address spaces ------------------------------------------------------------------------ */

static int parse_mm(const char *s, struct mm **mm)
{
	u64 id;

	if (parse_u64(s, &id) || id != (unsigned int)id)
		return -EINVAL;
	*mm = mm_find_get((unsigned int)id);
	return *mm ? 0 : -ENOENT;
}

static int cmd_mm(int argc, char **argv)
{
	struct mm *mm;
	int err;

	if (argc > 2)
		return -EINVAL;
	if (argc < 2) {
		mm_print_all();
		return 0;
	}
	err = parse_mm(argv[1], &mm);
	if (err)
		return err;
	mm_print(mm);
	mmput(mm);
	return 0;
}
COMMAND(mm, "mm", "mm [ID]  address spaces; or one, with its mappings", cmd_mm);

static void print_kernel_range(vaddr_t start, vaddr_t end, phys_t pa, u64 attr, unsigned int level,
			       void *arg)
{
	const vaddr_t *range = arg; /* what to show */

	if (end - 1 < range[0] || start > range[1])
		return;
	print_line("  %016llx-%016llx -> %010llx  %s  %c%c%c%s%s", (unsigned long long)start,
		   (unsigned long long)(end - 1), (unsigned long long)pa, pt_level_name(level),
		   attr & PA_READ ? 'r' : '-', attr & PA_WRITE ? 'w' : '-',
		   attr & PA_EXEC ? 'x' : '-', attr & PA_GLOBAL ? " global" : "",
		   attr & PA_DEVICE ? " device" : "");
}

static int cmd_pt(int argc, char **argv)
{
	vaddr_t range[2] = { 0, ~0ULL };
	struct mm *mm;
	int err;

	if (argc > 4)
		return -EINVAL;
	for (int i = 2; i < argc; i++) {
		if (parse_u64(argv[i], &range[i - 2]))
			return -EINVAL;
	}
	if (argc < 2) {
		mm_print_all();
		return 0;
	}
	if (strcmp(argv[1], "kernel") == 0) {
		kmap_for_each(print_kernel_range, range);
		return 0;
	}
	err = parse_mm(argv[1], &mm);
	if (err)
		return err;
	mm_print_tables(mm, range[0], min(range[1], user_end()));
	mmput(mm);
	return 0;
}
COMMAND(pt, "pt",
	"pt [MM|kernel [FROM [TO]]]  page tables of an address space, by its ID (see mm), or the "
	"kernel's",
	cmd_pt);

/* ---- Services ------------------------------------------------------------------------------ */

/*
 * WHY SAFE to read the name of a thread that runs elsewhere: 1. a struct thread that is freed stays
 * mapped, in the direct map; 2. at most the name's length is printed. The worst is a wrong name.
 */
static int cmd_cpus(int argc, char **argv)
{
	unsigned int cpu;

	print_line("  cpu  hardware id  ticks     switches  IPIs sent / again / taken     running");
	for_each_possible_cpu(cpu) {
		if (!cpumask_has(READ_ONCE(cpu_online_mask), cpu)) {
			print_line("  %3u  %#11llx  not running", cpu,
				   (unsigned long long)boot.hwid[cpu]);
			continue;
		}
		print_line("  %3u  %#11llx  %-8llu  %-8llu  %8llu / %5llu / %-8llu  %.20s", cpu,
			   (unsigned long long)boot.hwid[cpu], (unsigned long long)tick_count(cpu),
			   (unsigned long long)sched_switches(cpu),
			   (unsigned long long)smp_ipis_sent(cpu),
			   (unsigned long long)smp_ipis_resent(cpu),
			   (unsigned long long)smp_ipis_taken(cpu), sched_cpu_current(cpu)->name);
	}
	return 0;
}
COMMAND(cpus, "cpus", "cpus  each CPU, what it has done and what it runs", cmd_cpus);

static int cmd_threads(int argc, char **argv)
{
	threads_print();
	return 0;
}
COMMAND(threads, "threads", "threads  every thread, its state, CPU, time and switches",
	cmd_threads);

static int cmd_rcu(int argc, char **argv)
{
	rcu_print();
	return 0;
}
COMMAND(rcu, "rcu", "rcu  grace periods and callbacks", cmd_rcu);

static int cmd_tlb(int argc, char **argv)
{
	tlb_print();
	return 0;
}
COMMAND(tlb, "tlb", "tlb  transport, policy, and counts of invalidations", cmd_tlb);

static int cmd_mem(int argc, char **argv)
{
	mem_print();
	slab_print();
	return 0;
}
COMMAND(mem, "mem", "mem  page frames by type, and slab caches", cmd_mem);

/* ---- bt, sym ------------------------------------------------------------------------------- */

static int cmd_bt(int argc, char **argv)
{
	unsigned int cpu;
	u64 n;

	if (argc > 2)
		return -EINVAL;
	if (argc == 2 && strcmp(argv[1], "all") == 0) {
		for_each_online_cpu(cpu)
			backtrace_print_cpu(cpu);
		return 0;
	}
	if (argc < 2) {
		backtrace_print_current();
		return 0;
	}
	if (parse_u64(argv[1], &n))
		return -EINVAL;
	if (n >= nr_cpus)
		return -ENOENT;
	backtrace_print_cpu((unsigned int)n);
	return 0;
}
COMMAND(bt, "bt", "bt [CPU|all]  backtrace of the prompt's thread, or of what CPUs run", cmd_bt);

static int cmd_sym(int argc, char **argv)
{
	size_t offset = 0;
	const char *name;
	u64 addr;

	if (argc != 2)
		return -EINVAL;
	if (parse_u64(argv[1], &addr)) {
		addr = symbol_addr(argv[1]);
		if (!addr)
			return -ENOENT;
		print_line("%s is at %#llx", argv[1], (unsigned long long)addr);
		return 0;
	}
	name = symbol_name(addr, &offset);
	if (!name)
		return -ENOENT;
	print_line("%#llx is %s+%#zx", (unsigned long long)addr, name, offset);
	return 0;
}
COMMAND(sym, "sym", "sym ADDRESS|NAME  function at an address, address of a function", cmd_sym);
