// SPDX-License-Identifier: MIT
/*
 * Memory for the console: frames by type, free blocks by order, what failed.
 *
 * Contexts: thread. See also: mm/page_alloc.c, mm/slab.c (slab_print()).
 */
#include <page.h>
#include <printk.h>

static unsigned long long kib(u64 frames)
{
	return (unsigned long long)(frames * (PAGE_SIZE / 1024));
}

static void print_blocks(void)
{
	u64 nr[MAX_ORDER + 1];

	page_free_blocks(nr);
	print_line("free blocks  each KiB     number");
	for (unsigned int o = 0; o <= MAX_ORDER; o++)
		print_line("  order %2u   %8llu %10llu", o, kib(1UL << o),
			   (unsigned long long)nr[o]);
}

const char *page_type_name(unsigned int type)
{
	static const char *const names[NR_PAGE_TYPES] = {
		[PAGE_RESERVED] = "reserved", [PAGE_FREE] = "free",   [PAGE_KERNEL] = "kernel",
		[PAGE_SLAB] = "slab",	      [PAGE_TABLE] = "table", [PAGE_ANON] = "anon",
		[PAGE_GATHER] = "gather",     [PAGE_STACK] = "stack",
	};

	return type < NR_PAGE_TYPES ? names[type] : "?";
}

void mem_print(void)
{
	struct mem_stats s;

	mem_get_stats(&s);
	print_line("type             frames          KiB");
	for (unsigned int t = 0; t < NR_PAGE_TYPES; t++)
		print_line("  %-10s %10llu %12llu", page_type_name(t),
			   (unsigned long long)s.by_type[t], kib(s.by_type[t]));
	print_line("  %-10s %10llu %12llu", "total", (unsigned long long)s.total, kib(s.total));
	print_blocks();
	print_line("reserve %llu frames; failed: %llu that may not wait, %llu that may",
		   (unsigned long long)page_reserve, (unsigned long long)s.nowait_failures,
		   (unsigned long long)s.kernel_failures);
}
