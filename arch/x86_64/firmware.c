// SPDX-License-Identifier: MIT
/*
 * What the loader hands over: memory, command line and ACPI root.
 *
 * PVH gives all of it in struct hvm_start_info (xen/include/public/arch-x86/hvm/start_info.h). A
 * boot loader that just jumps to the kernel gives nothing: then the size of memory comes from the
 * CMOS, where PC firmware notes it, and the ACPI root from a search in the BIOS area.
 * What lies in the first MiB is left alone: firmware data, and the page that other CPUs begin in.
 * All of it is input that is not to be trusted. Contexts: boot CPU, boot page tables.
 */
#include <acpi.h>
#include <asm/cpu.h>
#include <boot.h>
#include <bug.h>
#include <page.h>
#include <printk.h>

#define START_MAGIC 0x336ec578
#define MEMMAP_RAM 1
#define MEMMAP_MAX 1024 /* entries; more is nonsense */

struct hvm_start_info {
	u32 magic, version, flags, nr_modules;
	u64 modules, cmdline, rsdp;
	u64 memmap; /* from version 1 on */
	u32 memmap_entries, reserved;
};

struct hvm_memmap_entry {
	u64 addr, size;
	u32 type, reserved;
};

/* True if the boot-time direct map has it. */
static bool reachable(phys_t pa, u64 size)
{
	return pa != 0 && pa < boot.mapped_end && size <= boot.mapped_end - pa;
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
		if (e->type == MEMMAP_RAM && e->addr + e->size > e->addr)
			boot_add_mem(e->addr, e->addr + e->size);
}

static void read_start_info(const struct hvm_start_info *info)
{
	boot.firmware = "PVH";
	read_memmap(info);
	if (info->cmdline && !reachable(info->cmdline, 1))
		boot_fail("PVH command line is out of reach, at %#llx",
			  (unsigned long long)info->cmdline);
	if (info->cmdline)
		boot_set_cmdline(phys_to_virt(info->cmdline), boot.mapped_end - info->cmdline);
	boot.rsdp = info->rsdp;
}

/* ---- Without start info ------------------------------------------------------------------- */

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

	boot.firmware = "unknown";
	boot_add_mem(0, KiB(640));
	if (above_16m != 0 && above_16m != 0xffff)
		boot_add_mem(MiB(1), MiB(16) + (above_16m << 16));
	else if (above_1m_kib != 0xffff)
		boot_add_mem(MiB(1), MiB(1) + KiB(above_1m_kib));
	if (above_4g != 0xffffff)
		boot_add_mem(GiB(4), GiB(4) + (above_4g << 16));
	printk("boot: no PVH start info: memory as the CMOS tells, no command line");
}

void firmware_read(phys_t start_info)
{
	const struct hvm_start_info *info = phys_to_virt(start_info);

	if (IS_ALIGNED(start_info, sizeof(u32)) && reachable(start_info, sizeof(*info)) &&
	    info->magic == START_MAGIC)
		read_start_info(info);
	else
		read_cmos_memory();
	if (!boot.rsdp)
		boot.rsdp = acpi_find_rsdp();
	boot_reserve(0, MiB(1));
}
