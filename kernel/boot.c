// SPDX-License-Identifier: MIT
/*
 * What the ports put into `boot`, and the lines that say what was found and chosen.
 *
 * Why it exists: firmware describes memory in any order, with overlaps, holes and empty entries;
 * the allocator wants sorted ranges that it may believe. And a log that does not say which machine
 * and which policy it came from is no evidence.
 * Contexts: boot CPU, before other threads and CPUs.
 */
#include <boot.h>
#include <cmdline.h>
#include <errno.h>
#include <kmap.h>
#include <layout.h>
#include <page.h>
#include <pgtable.h>
#include <printk.h>
#include <rules.h>
#include <string.h>
#include <tlb.h>

static int parse_mem(const char *value)
{
	u64 size;

	return parse_u64(value, &size); /* boot_limit_memory() has used it by then */
}
CMDLINE_OPTION(mem, "mem", "mem=SIZE  use no more memory than that (K, M or G may follow)",
	       parse_mem);

void boot_begin(const char *firmware)
{
	boot.firmware = firmware;
	printk("Grace on %s, %s boot", arch.name, firmware);
}

static void remove_range(struct mem_range *r, unsigned int *nr, unsigned int i)
{
	memmove(&r[i], &r[i + 1], (*nr - i - 1) * sizeof(*r));
	(*nr)--;
}

/* Joins the range at i with those behind it that it touches or overlaps. */
static void merge_behind(struct mem_range *r, unsigned int *nr, unsigned int i)
{
	while (i + 1 < *nr && r[i + 1].start <= r[i].end) {
		r[i].end = max(r[i].end, r[i + 1].end);
		remove_range(r, nr, i + 1);
	}
}

/* Inserts into a sorted table of ranges that do not touch; false if it is full. */
static bool insert_range(struct mem_range *r, unsigned int *nr, phys_t start, phys_t end)
{
	unsigned int i = 0;

	while (i < *nr && r[i].end < start)
		i++;
	if (i < *nr && r[i].start <= end) {
		r[i].start = min(r[i].start, start);
		r[i].end = max(r[i].end, end);
	} else {
		if (*nr == BOOT_MAX_RANGES)
			return false;
		memmove(&r[i + 1], &r[i], (*nr - i) * sizeof(*r));
		r[i] = (struct mem_range){ start, end };
		(*nr)++;
	}
	merge_behind(r, nr, i);
	return true;
}

void boot_add_mem(phys_t start, phys_t end)
{
	if (start >= end)
		return;
	/* Cut before it is rounded up: a start near the end of all addresses would become 0. */
	if (end > DIRECT_MAP_SIZE) {
		printk("memory: %#llx-%#llx is beyond what Grace maps and stays unused",
		       (unsigned long long)max(start, (phys_t)DIRECT_MAP_SIZE),
		       (unsigned long long)end);
		end = DIRECT_MAP_SIZE;
		start = min(start, end);
	}
	start = ALIGN_UP(start, PAGE_SIZE);
	end = ALIGN_DOWN(end, PAGE_SIZE);
	if (start < end && !insert_range(boot.mem, &boot.nr_mem, start, end))
		printk("memory: more than %u ranges: %#llx-%#llx stays unused", BOOT_MAX_RANGES,
		       (unsigned long long)start, (unsigned long long)end);
}

/* Without room for another range, a neighbour grows over it: too much reserved is safe. */
static void reserve_by_growing(phys_t start, phys_t end)
{
	struct mem_range *r = boot.reserved;
	unsigned int i = 0;

	while (i + 1 < boot.nr_reserved && r[i].end < start)
		i++;
	r[i].start = min(r[i].start, start);
	r[i].end = max(r[i].end, end);
	merge_behind(r, &boot.nr_reserved, i);
	printk("memory: more than %u reserved ranges: %#llx-%#llx reserved as one", BOOT_MAX_RANGES,
	       (unsigned long long)r[i].start, (unsigned long long)r[i].end);
}

void boot_limit_memory(void)
{
	char value[24];
	u64 left;

	if (!cmdline_peek("mem", value, sizeof(value)) || parse_u64(value, &left) != 0)
		return;
	for (unsigned int i = 0; i < boot.nr_mem;) {
		struct mem_range *r = &boot.mem[i];
		u64 size = min(r->end - r->start, ALIGN_DOWN(left, PAGE_SIZE));

		left -= size;
		r->end = r->start + size;
		if (size == 0)
			remove_range(boot.mem, &boot.nr_mem, i);
		else
			i++;
	}
}

/* Beyond what Grace maps there is nothing to keep out of. */
void boot_reserve(phys_t start, phys_t end)
{
	end = min(end, (phys_t)DIRECT_MAP_SIZE);
	if (start < end && !insert_range(boot.reserved, &boot.nr_reserved, start, end))
		reserve_by_growing(start, end);
}

void boot_set_cmdline(const char *s, size_t max)
{
	size_t len = strlen(boot.cmdline), room, n;

	/* A line without an end is not looked at further than it could be used. */
	n = strnlen(s, min(max, (size_t)BOOT_CMDLINE_MAX));
	if (len && n && len + 1 < BOOT_CMDLINE_MAX)
		boot.cmdline[len++] = ' ';
	room = BOOT_CMDLINE_MAX - 1 - len;
	if (n > room)
		boot.cmdline_truncated = true;
	n = min(n, room);
	memcpy(boot.cmdline + len, s, n);
	boot.cmdline[len + n] = 0;
}

/* ---- The report ---------------------------------------------------------------------------- */

/* "4K", "2M", "1G", from log2. */
static void size_text(char *buf, size_t size, unsigned int shift)
{
	snprintf(buf, size, "%u%c", 1u << (shift % 10), " KMGTP"[shift / 10]);
}

/* The ports peek at it, long before cmdline_parse(). */
static int parse_accessed(const char *value)
{
	return strcmp(value, "hardware") == 0 || strcmp(value, "software") == 0 ? 0 : -EINVAL;
}
CMDLINE_OPTION(accessed, "accessed",
	       "accessed=hardware|software  who sets accessed and dirty in entries (software: the "
	       "fault handler, on a CPU that can be told to leave it; default hardware)",
	       parse_accessed);

bool boot_wants_soft_marks(void)
{
	char value[16];

	return cmdline_peek("accessed", value, sizeof(value)) && strcmp(value, "software") == 0;
}

static void report_marks(void)
{
	const char *who = "by the fault handler";

	if (arch.cpu_marks)
		who = arch.cpu_marks & PA_DIRTY ? "by the CPU"
						: "by the CPU, dirty ones by the fault handler";
	printk("mmu: accessed and dirty bits are set %s", who);
	if (arch.cpu_marks && boot_wants_soft_marks())
		printk("mmu: accessed=software cannot be had: this CPU sets them by itself");
}

static void report_mmu(void)
{
	char leaves[48], one[8];
	int n = 0;

	leaves[0] = 0;
	for (unsigned int level = 0; level < arch.pt_levels; level++) {
		if (!(arch.leaf_levels & BIT(level)) || n >= (int)sizeof(leaves))
			continue;
		size_text(one, sizeof(one), pt_shift(level));
		n += snprintf(leaves + n, sizeof(leaves) - (size_t)n, " %s", one);
	}
	printk("mmu: %u levels, user addresses of %u bits, leaves of%s, %u tag bits",
	       arch.pt_levels, arch.va_bits, leaves, arch.tag_bits);
	report_marks();
}

static void report_tlb(void)
{
	printk("tlb: transport %s, %s by a CPU with interrupts off; tables freed %s",
	       tlb_transport_name(), tlb_transport_maskable() ? "held up" : "not held up",
	       table_free_mode == TABLE_FREE_RCU ? "by RCU" : "with the gather");
}

static void report_memory(void)
{
	struct mem_stats s;
	phys_t sum = 0;

	for (unsigned int i = 0; i < boot.nr_mem; i++)
		sum += boot.mem[i].end - boot.mem[i].start;
	mem_get_stats(&s);
	printk("memory: %llu KiB (ranges: %u), %llu KiB free; image %llu KiB and %llu KiB zeroed "
	       "at %#llx",
	       (unsigned long long)(sum >> 10), boot.nr_mem,
	       (unsigned long long)((s.free << PAGE_SHIFT) >> 10),
	       (unsigned long long)(bss_start - image_start) >> 10,
	       (unsigned long long)(bss_end - bss_start) >> 10,
	       (unsigned long long)boot.image_start);
}

static void report_rules(void)
{
	if (debug_build)
		printk("build: debug, oracles on");
	for (unsigned int r = 0; r < NR_RULES; r++) {
		if (rules_off & BIT(r))
			printk("rules: %s %s is knocked out", rule_table[r].id, rule_table[r].name);
	}
}

void boot_report(void)
{
	printk("command line: \"%s\"", boot.cmdline);
	if (boot.nr_cpus_seen > boot.nr_cpus)
		printk("cpu: %u described, %u used: no more are supported", boot.nr_cpus_seen,
		       boot.nr_cpus);
	printk("cpu: %u found, features: %s", boot.nr_cpus, arch.features);
	report_mmu();
	report_tlb();
	report_memory();
	report_rules();
}
