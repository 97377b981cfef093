// SPDX-License-Identifier: MIT
/*
 * The kernel that stands around the code under test: it prints to nowhere, ends an input where the
 * real one ends the boot, and takes a panic for a finding.
 *
 * What firmware or a user says must never bring the kernel to a panic, a warning or a BUG_ON();
 * boot_fail() and power_off() are the proper ends.
 * See also: host.h.
 */
#include "shim.h"

#include <boot.h>
#include <bug.h>
#include <kmap.h>
#include <page.h>
#include <printk.h>
#include <rules.h>
#include <string.h>
#include <thread.h>
#include <tlb.h>

struct boot_info boot;
struct arch_info arch;
cpumask_t cpu_possible_mask = 1, cpu_online_mask = 1, cpu_active_mask = 1;
unsigned int nr_cpus = 1, warn_count;
unsigned long percpu_offset[MAX_CPUS];
DEFINE_PER_CPU(unsigned int, cpu_number);
DEFINE_PER_CPU(struct irqoff_site, irqoff_site);
phys_t kernel_root, image_phys_base;
enum table_free_mode table_free_mode;
char image_start[1], bss_start[1], bss_end[1], image_end[1];

static struct thread the_thread;

struct thread *shim_current(void)
{
	return &the_thread;
}

/* ---- What it prints, and how it ends ------------------------------------------------------ */

static void say(const char *kind, const char *fmt, va_list ap)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "%s", kind);

	vsnprintf(text + n, sizeof(text) - (size_t)n, fmt, ap);
	fuzz_say(text);
}

#define SAY(kind)                                                                                  \
	do {                                                                                       \
		va_list say_ap;                                                                    \
		va_start(say_ap, fmt);                                                             \
		say(kind, fmt, say_ap);                                                            \
		va_end(say_ap);                                                                    \
	} while (0)

void printk(const char *fmt, ...)
{
	SAY("");
}

void print_line(const char *fmt, ...)
{
	SAY("");
}

/* Looks at each byte, as a UART would. */
void print_raw(const char *s, size_t n)
{
	while (n--)
		(void)READ_ONCE(s[n]);
}

void warn(const char *fmt, ...)
{
	SAY("WARNING: ");
	fuzz_finding("a warning");
}

__noreturn void panic(const char *fmt, ...)
{
	SAY("PANIC: ");
	/* Without invalidation on request nothing goes on: the firmware's fault. */
	if (strncmp(fmt, "sbi: ", 5) == 0)
		fuzz_done();
	fuzz_finding("a panic");
}

__noreturn void boot_fail(const char *fmt, ...)
{
	SAY("boot_fail: ");
	fuzz_done();
}

__noreturn void power_off(int status)
{
	fuzz_done();
}

/* ---- Devices ------------------------------------------------------------------------------ */

#define DEVICES_PA GiB(64)
#define DEVICES_SIZE GiB(1)

static u64 devices_used;

static bool overlaps_memory(phys_t start, phys_t end)
{
	for (unsigned int i = 0; i < boot.nr_mem; i++)
		if (boot.mem[i].start < end && start < boot.mem[i].end)
			return true;
	return false;
}

/* Refuses what the kernel's own refuses; the rest is memory, and one byte behind it a finding. */
void *ioremap(phys_t pa, size_t size)
{
	phys_t start = ALIGN_DOWN(pa, PAGE_SIZE), end = ALIGN_UP(pa + size, PAGE_SIZE);
	u8 *p;

	if (size == 0 || pa + size < pa || overlaps_memory(start, end) ||
	    end - start >= DEVICES_SIZE - devices_used - PAGE_SIZE)
		return NULL;
	p = fuzz_memory(DEVICES_PA + devices_used, end - start + PAGE_SIZE);
	fuzz_allow(p, end - start, end - start + PAGE_SIZE);
	devices_used += end - start + PAGE_SIZE;
	return p + (pa - start);
}

/* ---- What boot.c reports of the rest of the kernel ---------------------------------------- */

void mem_get_stats(struct mem_stats *s)
{
	memset(s, 0, sizeof(*s));
}

const char *tlb_transport_name(void)
{
	return "none";
}

bool tlb_transport_maskable(void)
{
	return false;
}

/* ---- Memory that a parser finds ----------------------------------------------------------- */

static u64 memory_size(void)
{
	u64 sum = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		sum += boot.mem[i].end - boot.mem[i].start;
	return sum;
}

void __real_boot_add_mem(phys_t start, phys_t end);
void __wrap_boot_add_mem(phys_t start, phys_t end);

/* The linker sends the parsers' calls here: no more may come of a range than is in it. */
void __wrap_boot_add_mem(phys_t start, phys_t end)
{
	u64 before = memory_size();

	__real_boot_add_mem(start, end);
	FUZZ_CHECK(memory_size() - before <= (start < end ? end - start : 0));
}

/* ---- Checks that targets share ------------------------------------------------------------ */

static void check_ranges(const struct mem_range *r, unsigned int nr)
{
	FUZZ_CHECK(nr <= BOOT_MAX_RANGES);
	for (unsigned int i = 0; i < nr; i++) {
		FUZZ_CHECK(r[i].start < r[i].end);
		FUZZ_CHECK(i == 0 || r[i - 1].end < r[i].start);
	}
}

static void check_free(phys_t start, phys_t end)
{
	FUZZ_CHECK(start < end && IS_ALIGNED(start | end, PAGE_SIZE) && start != 0);
	for (unsigned int i = 0; i < boot.nr_reserved; i++)
		FUZZ_CHECK(boot.reserved[i].end <= start || boot.reserved[i].start >= end);
}

void shim_check_boot(void)
{
	phys_t start, end;

	check_ranges(boot.mem, boot.nr_mem);
	check_ranges(boot.reserved, boot.nr_reserved);
	FUZZ_CHECK(strnlen(boot.cmdline, sizeof(boot.cmdline)) < sizeof(boot.cmdline));
	FUZZ_CHECK(boot.nr_cpus <= MAX_CPUS);
	for (unsigned int i = 0; i < boot.nr_mem; i++) {
		const struct mem_range *m = &boot.mem[i];
		unsigned int pieces = 0;

		FUZZ_CHECK(IS_ALIGNED(m->start | m->end, PAGE_SIZE) && m->end <= DIRECT_MAP_SIZE);
		for (phys_t at = m->start; boot_next_free(at, m->end, &start, &end); at = end) {
			FUZZ_CHECK(start >= at && end <= m->end);
			FUZZ_CHECK(++pieces <= BOOT_MAX_RANGES + 3);
			check_free(start, end);
		}
	}
	for (unsigned int i = 0; i < 4; i++) {
		start = boot_alloc_phys(PAGE_SIZE << i, PAGE_SIZE << i);
		if (start)
			check_free(start, start + (PAGE_SIZE << i));
	}
	boot_report();
}
