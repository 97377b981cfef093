// SPDX-License-Identifier: MIT
/*
 * x86_64's firmware: what the loader hands over, the CMOS, and ACPI's tables behind it.
 *
 * The input: the loader's registers b, a and d (4 bytes each), the size of its pointers (1: 8, else
 * 4), 16 bytes of CMOS, then memory in pieces of address (4), length (4) and contents. The rest of
 * the first 4 GiB, which the boot page tables map, reads as zeroes. Where a fuzzer changes such
 * memory, the checksums are put right afterwards, most times: else nothing behind them is reached.
 */
#include "shim.h"

#include <acpi.h>
#include <asm/cpu.h>
#include <boot.h>
#include <page.h>
#include <string.h>

#define MEMORY_SIZE GiB(4)
#define PIECES_MAX 64
#define CMOS_BYTES 16

size_t LLVMFuzzerMutate(u8 *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed);

/* ---- The input ---------------------------------------------------------------------------- */

struct piece {
	u32 pa, size;
	const u8 *data;
};

struct machine {
	struct boot_registers regs;
	const u8 *cmos;
	struct piece pieces[PIECES_MAX];
	unsigned int nr;
};

static void read_machine(struct machine *m, const u8 *data, size_t size)
{
	struct input in = { data, size };

	memset(m, 0, sizeof(*m));
	m->regs.b = (u32)input_number(&in, 4);
	m->regs.a = (u32)input_number(&in, 4);
	m->regs.d = (u32)input_number(&in, 4);
	m->regs.word = input_number(&in, 1) & 1 ? 8 : 4;
	if (in.left >= CMOS_BYTES) {
		m->cmos = in.p;
		in.p += CMOS_BYTES;
		in.left -= CMOS_BYTES;
	}
	while (in.left > 8 && m->nr < PIECES_MAX) {
		struct piece *p = &m->pieces[m->nr++];

		p->pa = (u32)input_number(&in, 4);
		p->size = (u32)min(input_number(&in, 4), (u64)in.left);
		p->size = (u32)min((u64)p->size, MEMORY_SIZE - p->pa);
		p->data = in.p;
		in.p += p->size;
		in.left -= p->size;
	}
}

/* ---- The machine -------------------------------------------------------------------------- */

static const u8 *cmos;
static u8 cmos_index;

u8 shim_inb(u16 port)
{
	return cmos && port == 0x71 ? cmos[cmos_index % CMOS_BYTES] : 0xff;
}

void shim_outb(u16 port, u8 value)
{
	if (port == 0x70)
		cmos_index = value;
}

static void check_acpi(void)
{
	FUZZ_CHECK(acpi.nr_cpus <= MAX_CPUS && acpi.nr_cpus <= acpi.nr_cpus_seen);
	FUZZ_CHECK(acpi.nr_ioapics <= ACPI_MAX_IOAPICS);
	FUZZ_CHECK(acpi.nr_overrides <= ACPI_MAX_OVERRIDES);
	for (unsigned int i = 0; i < acpi.nr_cpus; i++)
		for (unsigned int j = 0; j < i; j++)
			FUZZ_CHECK(acpi.cpus[i] != acpi.cpus[j]);
}

static void fill_memory(const struct machine *m)
{
	u8 *memory = fuzz_memory(0, MEMORY_SIZE);

	for (unsigned int i = 0; i < m->nr; i++)
		fuzz_copy(memory + m->pieces[i].pa, m->pieces[i].data, m->pieces[i].size);
}

void fuzz_one(const u8 *data, size_t size)
{
	struct machine m;

	read_machine(&m, data, size);
	fill_memory(&m);
	cmos = m.cmos;
	boot.mapped_end = MEMORY_SIZE;
	boot.image_start = MiB(2);
	boot.image_end = MiB(3);
	firmware_read(&m.regs);
	boot_limit_memory();
	shim_check_boot();
	acpi_read(boot.rsdp);
	check_acpi();
}

/* ---- The mutator -------------------------------------------------------------------------- */

/* Makes size bytes at p add up to 0 by the one at p[at]. */
static void fix_sum(u8 *p, u32 size, u32 at)
{
	u8 sum = 0;

	for (u32 i = 0; i < size; i++)
		sum += p[i];
	p[at] -= sum;
}

static u32 get32(const u8 *p)
{
	return p[0] | (u32)p[1] << 8 | (u32)p[2] << 16 | (u32)p[3] << 24;
}

/* Whatever looks like a root pointer or a table anywhere in the input. */
static void fix_sums(u8 *data, size_t size)
{
	static const char *const tables[] = { "RSDT", "XSDT", "APIC", "FACP" };

	for (size_t i = 0; i + 36 <= size; i++) {
		if (memcmp(data + i, "RSD PTR ", 8) == 0) {
			fix_sum(data + i, 20, 8);
			fix_sum(data + i, 36, 32);
		}
		for (unsigned int t = 0; t < ARRAY_SIZE(tables); t++) {
			u32 length = get32(data + i + 4);

			if (memcmp(data + i, tables[t], 4) == 0 && length >= 10 &&
			    length <= size - i)
				fix_sum(data + i, length, 9);
		}
	}
}

size_t LLVMFuzzerCustomMutator(u8 *data, size_t size, size_t max, unsigned int seed)
{
	size = LLVMFuzzerMutate(data, size, max);
	if (seed % 8 != 0)
		fix_sums(data, size);
	return size;
}
