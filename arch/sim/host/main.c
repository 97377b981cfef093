// SPDX-License-Identifier: MIT
/*
 * The whole kernel as a host program: what a port's arch_start() does, and the host's side of it.
 *
 *   grace [--machine ARCH/TRANSPORT] [--seed N] WORD...
 *
 * The words are the kernel's command line, as on any port: run="test NAME;poweroff". Exit status:
 * that of the kernel, as QEMU's runs have it (include/bug.h); 64 for a wrong usage.
 */
#include "host.h"

#include "../sim.h"

#include <boot.h>
#include <console.h>
#include <page.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define USAGE 64

phys_t image_phys_base = HOST_IMAGE;

/* ---- The console ------------------------------------------------------------------------- */

static void put(char c)
{
	if (c != '\r')
		putchar(c);
}

static int get(void)
{
	return -1;
}

static void nothing(void)
{
}

static const struct uart_ops console = {
	.name = "host", .putc = put, .getc = get, .enable_rx_irq = nothing
};

void arch_early_print(const char *s)
{
	fputs(s, stdout);
}

__noreturn void arch_power_off(int status)
{
	fflush(stdout);
	exit(status);
}

/* ---- What firmware would say ------------------------------------------------------------- */

static char **words; /* of the command line */

static void fill_boot(void)
{
	for (; *words; words++)
		boot_set_cmdline(*words, strlen(*words));
	model_fill_arch(false);
	arch.cpu_stop = true;
	arch.nmi = model->nmi;
	arch.timer_hz = 250000000; /* a basic block takes 4 ns */
	boot.firmware = "host program";
	boot.image_start = HOST_IMAGE;
	boot.image_end = HOST_IMAGE + (u64)(image_end - image_start);
	boot.mapped_end = HOST_MEMORY;
	boot.nr_cpus = HOST_CPUS;
	boot.nr_cpus_seen = HOST_CPUS;
	for (unsigned int i = 0; i < HOST_CPUS; i++)
		boot.hwid[i] = i;
	boot_add_mem(0, HOST_MEMORY);
	boot_reserve(0, HOST_BOOT_ROOT + PAGE_SIZE);
	boot_limit_memory();
}

static void boot_cpu(void)
{
	console_register(&console);
	fill_boot();
	kernel_main();
}

static void usage(void)
{
	fprintf(stderr, "usage: grace [--machine ARCH/TRANSPORT] [--seed N] "
			"[WORD of the kernel's command line]...\n");
	for (const struct model *m = models; m->name; m++)
		fprintf(stderr, "  machine %s\n", m->name);
	exit(USAGE);
}

int main(int argc, char **argv)
{
	u64 seed = 1;
	int i = 1;

	for (; i + 1 < argc && strncmp(argv[i], "--", 2) == 0; i += 2) {
		if (strcmp(argv[i], "--machine") == 0)
			model = model_find(argv[i + 1]);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 0);
		else
			usage();
	}
	if (!model || (i < argc && strncmp(argv[i], "--", 2) == 0))
		usage();
	host_memory_init();
	words = argv + i;
	host_cpus_start(boot_cpu, seed);
}
