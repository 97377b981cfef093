// SPDX-License-Identifier: MIT
/*
 * What the loader hands over: memory, command line and ACPI root.
 *
 * Three loaders are known, by what the registers held at the entry:
 *   PVH           ebx = struct hvm_start_info with its magic (Xen, arch-x86/hvm/start_info.h)
 *   Multiboot 2   eax = a magic, ebx = a list of tags (Multiboot2 Specification 3.3 and 3.6)
 *   U-Boot        its bootelf calls the entry as a function of (argc, argv): in eax and edx, or in
 *                 edi and esi. Believed if the first argument is "grace"; the others are the
 *                 command line.
 * PVH and Multiboot have the memory map. Without them the size of memory comes from the CMOS, where
 * PC firmware notes it. An ACPI root that nobody handed over is searched for in the BIOS area.
 * What lies in the first MiB is left alone: firmware data, and the page that other CPUs begin in.
 * All of it is input that is not to be trusted. Contexts: boot CPU, boot page tables.
 */
#include <acpi.h>
#include <asm/cpu.h>
#include <boot.h>
#include <bug.h>
#include <page.h>
#include <printk.h>
#include <string.h>

#define MEMORY_RAM 1 /* in PVH's and in Multiboot's map */

/* True if the boot-time direct map has it. */
static bool reachable(phys_t pa, u64 size)
{
	return pa != 0 && pa < boot.mapped_end && size <= boot.mapped_end - pa;
}

/* What one entry calls memory and another takes is taken: firmware's entries do overlap. */
static void add_memory(u64 addr, u64 size, u32 type)
{
	if (addr + size <= addr)
		return;
	if (type == MEMORY_RAM)
		boot_add_mem(addr, addr + size);
	else
		boot_reserve(addr, addr + size);
}

/* ---- PVH ---------------------------------------------------------------------------------- */

#define START_MAGIC 0x336ec578
#define MEMMAP_MAX 1024 /* entries; more is nonsense */

/* Packed: where a loader puts them is its own choice. */
struct hvm_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modules, cmdline, rsdp;
	u64 memmap; /* from version 1 on */
	u32 memmap_entries, reserved;
} __packed;

struct hvm_memmap_entry {
	u64 addr, size;
	u32 type, reserved;
} __packed;

static bool is_start_info(phys_t pa)
{
	const struct hvm_start_info *info = phys_to_virt(pa);

	return IS_ALIGNED(pa, sizeof(u32)) && reachable(pa, sizeof(*info)) &&
	       info->magic == START_MAGIC;
}

static void read_memmap(const struct hvm_start_info *info)
{
	u64 size = (u64)info->memmap_entries * sizeof(struct hvm_memmap_entry);
	const struct hvm_memmap_entry *e = phys_to_virt(info->memmap);

	if (info->version < 1 || info->memmap_entries == 0)
		boot_fail("PVH start info has no memory map (version %u)", info->version);
	if (info->memmap_entries > MEMMAP_MAX || !reachable(info->memmap, size))
		boot_fail("PVH memory map is bad: %u entries at %#llx", info->memmap_entries,
			  (unsigned long long)info->memmap);
	for (u32 i = 0; i < info->memmap_entries; i++, e++)
		add_memory(e->addr, e->size, e->type);
}

static void read_start_info(const struct hvm_start_info *info)
{
	boot_begin("PVH");
	read_memmap(info);
	if (info->cmdline && !reachable(info->cmdline, 1))
		boot_fail("PVH command line is out of reach, at %#llx",
			  (unsigned long long)info->cmdline);
	if (info->cmdline)
		boot_set_cmdline(phys_to_virt(info->cmdline), boot.mapped_end - info->cmdline);
	boot.rsdp = info->rsdp;
}

/* ---- Multiboot 2 -------------------------------------------------------------------------- */

#define MB2_MAGIC 0x36d76289
#define MB2_MAX MiB(1)	/* bytes of all tags; more is nonsense */

enum mb2_type { MB2_END = 0, MB2_CMDLINE = 1, MB2_MEMMAP = 6, MB2_RSDP_1 = 14, MB2_RSDP_2 = 15 };

struct mb2_tag {
	u32 type, size; /* size without what pads the tag to 8 bytes */
};

struct mb2_memmap {
	struct mb2_tag tag;
	u32 entry_size, entry_version;
};

struct mb2_memmap_entry {
	u64 addr, size;
	u32 type, reserved;
};

static void read_mb2_memmap(const struct mb2_memmap *map)
{
	const char *e = (const char *)(map + 1), *end = (const char *)map + map->tag.size;

	if (map->tag.size < sizeof(*map) || map->entry_size < sizeof(struct mb2_memmap_entry) ||
	    !IS_ALIGNED(map->entry_size, 8))
		boot_fail("Multiboot memory map is bad: %u bytes, entries of %u", map->tag.size,
			  map->entry_size);
	for (; (u64)(end - e) >= map->entry_size; e += map->entry_size) {
		const struct mb2_memmap_entry *entry = (const void *)e;

		add_memory(entry->addr, entry->size, entry->type);
	}
}

static void read_mb2_tag(const struct mb2_tag *tag)
{
	const char *content = (const char *)(tag + 1);

	if (tag->type == MB2_CMDLINE)
		boot_set_cmdline(content, tag->size - sizeof(*tag));
	else if (tag->type == MB2_MEMMAP)
		read_mb2_memmap((const struct mb2_memmap *)tag);
	else if (tag->type == MB2_RSDP_2 || (tag->type == MB2_RSDP_1 && !boot.rsdp))
		boot.rsdp = virt_to_phys(content); /* a copy of the root pointer */
}

static void read_multiboot(phys_t pa)
{
	const u32 *total = phys_to_virt(pa);
	u64 at = 2 * sizeof(u32);

	boot_begin("Multiboot 2");
	if (!IS_ALIGNED(pa, 8) || !reachable(pa, at) || *total > MB2_MAX || !reachable(pa, *total))
		boot_fail("Multiboot information is out of reach, at %#llx",
			  (unsigned long long)pa);
	for (;;) {
		const struct mb2_tag *tag = phys_to_virt(pa + at);

		if (at + sizeof(*tag) > *total || tag->size < sizeof(*tag) ||
		    tag->size > *total - at)
			boot_fail("Multiboot information is broken at byte %llu of %u",
				  (unsigned long long)at, *total);
		if (tag->type == MB2_END)
			break;
		read_mb2_tag(tag);
		at = ALIGN_UP(at + tag->size, 8);
	}
	if (boot.nr_mem == 0)
		boot_fail("Multiboot information has no memory map");
}

/* ---- U-Boot ------------------------------------------------------------------------------- */

#define ARGS_MAX 16 /* U-Boot's own limit is no higher */

/* The n-th argument if it is a string that can be read, NULL if not. */
static const char *bootelf_arg(const struct boot_registers *regs, u32 n)
{
	u64 at = 0, pointer = (u64)regs->d + (u64)n * regs->word;

	if (n >= regs->a || regs->a > ARGS_MAX || !IS_ALIGNED(regs->d, regs->word) ||
	    regs->d == 0 || !reachable(pointer, regs->word))
		return NULL;
	memcpy(&at, phys_to_virt(pointer), regs->word);
	if (!reachable(at, 1))
		return NULL;
	u64 most = min(boot.mapped_end - at, (u64)BOOT_CMDLINE_MAX);

	return strnlen(phys_to_virt(at), most) < most ? phys_to_virt(at) : NULL;
}

static bool is_bootelf(const struct boot_registers *regs)
{
	const char *name = bootelf_arg(regs, 0);

	return name && strcmp(name, "grace") == 0;
}

static void read_bootelf(const struct boot_registers *regs)
{
	for (u32 n = 1; n < regs->a; n++) {
		const char *arg = bootelf_arg(regs, n);

		if (!arg)
			boot_fail("bootelf's argument %u is out of reach or too long", n);
		boot_set_cmdline(arg, BOOT_CMDLINE_MAX);
	}
}

static u8 cmos(u8 reg)
{
	outb(0x70, reg);
	return inb(0x71);
}

/* 64 KiB units: from 16 MiB up at 0x34, from 4 GiB up at 0x5b; as SeaBIOS and QEMU keep them. */
static void read_cmos_memory(void)
{
	u64 above_16m = cmos(0x34) | (u64)cmos(0x35) << 8;
	u64 above_4g = cmos(0x5b) | (u64)cmos(0x5c) << 8 | (u64)cmos(0x5d) << 16;
	u64 above_1m_kib = cmos(0x30) | (u64)cmos(0x31) << 8;

	boot_add_mem(0, KiB(640));
	if (above_16m != 0 && above_16m != 0xffff)
		boot_add_mem(MiB(1), MiB(16) + (above_16m << 16));
	else if (above_1m_kib != 0xffff)
		boot_add_mem(MiB(1), MiB(1) + KiB(above_1m_kib));
	if (above_4g != 0xffffff)
		boot_add_mem(GiB(4), GiB(4) + (above_4g << 16));
	printk("boot: no memory map was handed over: memory as the CMOS tells");
}

void firmware_read(const struct boot_registers *regs)
{
	if (is_start_info(regs->b)) {
		read_start_info(phys_to_virt(regs->b));
	} else if (regs->a == MB2_MAGIC) {
		read_multiboot(regs->b);
	} else {
		boot_begin(is_bootelf(regs) ? "bootelf" : "unknown");
		read_cmos_memory();
		if (is_bootelf(regs))
			read_bootelf(regs);
	}
	if (!boot.rsdp)
		boot.rsdp = acpi_find_rsdp();
	boot_reserve(0, MiB(1));
}
