// SPDX-License-Identifier: MIT
/*
 * Boot as a table of contents: what comes up, in which order.
 *
 * The port's arch_start() has run: `boot` and `arch` are filled, a console may exist, addresses are
 * high, the page table is the boot-time one. CPU 0 goes through kernel_main(), every other through
 * secondary_main(). What runs in threads begins in main_thread().
 */
#include <boot.h>
#include <cmdline.h>
#include <console.h>
#include <errno.h>
#include <kmap.h>
#include <mm.h>
#include <printk.h>
#include <rcu.h>
#include <slab.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>
#include <tlb.h>
#include <trace.h>
#include <watchdog.h>

struct boot_info boot;
u64 boot_entry_cycles __section(".data"); /* written before bss is cleared */
struct arch_info arch;
cpumask_t cpu_possible_mask, cpu_online_mask, cpu_active_mask;
unsigned int nr_cpus;

#define RUN_MAX 256
static char run_line[RUN_MAX] = "test;stress=5";
static bool run_given;

static int parse_run(const char *value)
{
	run_given = true;
	return strlcpy(run_line, value, sizeof(run_line)) < sizeof(run_line) ? 0 : -E2BIG;
}
CMDLINE_OPTION(run, "run", "run=\"COMMAND;...\"  what to do after boot; poweroff to end",
	       parse_run);

static void main_thread(void *unused)
{
	rcu_init_threads();
	smp_init();
	watchdog_init();
	console_init_irq();
	printk("boot: %u of %u CPUs running, %llu ms", cpumask_weight(cpu_online_mask), nr_cpus,
	       (unsigned long long)(time_ns() / NSEC_PER_MSEC));
	if (console_run(run_line) != 0 && run_given) {
		printk("run: \"%s\" failed", run_line);
		power_off(EXIT_TESTS_FAILED);
	}
	print_line("Type help for the commands.");
	console_loop();
}

void kernel_main(void)
{
	cpu_possible_mask = boot.nr_cpus == MAX_CPUS ? ~0ULL : BIT(boot.nr_cpus) - 1;
	nr_cpus = boot.nr_cpus;
	cpu_online_mask = cpumask_of(0);
	cpu_active_mask = cpumask_of(0);

	cmdline_parse();
	kmap_init();
	percpu_init();
	sched_init();
	arch_cpu_init();
	page_alloc_init();
	trace_init();
	slab_init();
	rcu_init();
	mm_init();
	tlb_init();
	context_init_cpu();
	time_init_cpu();
	boot_report();

	if (thread_spawn(main_thread, NULL, ~0ULL, "main") != 0)
		boot_fail("too little memory: no room for the first thread");
	sched_idle_loop();
}

/* A CPU that is started, or started again: nothing of what it was before is left. */
void secondary_main(void)
{
	arch_cpu_init();
	context_init_cpu();
	rcu_cpu_online(smp_processor_id());
	time_init_cpu();
	/* From here on others tell this CPU what they unmap; what they did before goes now. */
	smp_open();
	arch_tlb_flush_local_all();
	fetch_or(&cpu_active_mask, cpumask_of(smp_processor_id()));
	sched_idle_loop();
}
