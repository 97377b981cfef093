// SPDX-License-Identifier: MIT
/*
 * A CPU's own tables and modes: GDT, TSS, IDT, control registers.
 *
 * The IDT is one for all; the TSS names the stacks for traps that may come on any stack: NMI, and
 * those that end the machine (double fault, machine check). Above each such stack lies the CPU's
 * per-CPU distance, because GS base may be the user's when such a trap comes: trap.S, entry_on_ist.
 *
 *   IST block:   fatal stack | distance |    NMI stack | distance
 *                            ^ ist[0]                  ^ ist[1]
 *
 * Contexts: each CPU for itself, irqs off. See also: trap.S, smp.c.
 */
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <bug.h>
#include <kmap.h>
#include <percpu.h>

#define IST_BLOCK_SIZE (PAGE_SIZE << IST_BLOCK_ORDER)
#define IST_SIZE (IST_BLOCK_SIZE / 2)
#define IST_FATAL 1
#define IST_NMI 2
/* Entries 0, 1, 4, 5 write-back, write-through, and 2 uncached, 3 uncacheable: as after reset. */
#define PAT_VALUE 0x0007040600070406ULL

struct tss {
	u32 reserved0;
	u64 rsp[3];
	u64 reserved1;
	u64 ist[7];
	u64 reserved2;
	u16 reserved3, iomap;
} __packed;

struct idt_entry {
	u16 offset_low, selector;
	u8 ist, type;
	u16 offset_mid;
	u32 offset_high, reserved;
};

struct table_register {
	u16 limit;
	u64 base;
} __packed;

static struct idt_entry idt[256];
static char boot_ist_block[IST_BLOCK_SIZE] __aligned(16);

struct cpu_tables {
	u64 gdt[GDT_ENTRIES];
	struct tss tss;
	char *ist_block;
};
static DEFINE_PER_CPU_INIT(struct cpu_tables, cpu_tables) = { .ist_block = boot_ist_block };

extern char trap_stubs[256][16];

bool cpu_has_ist_block(unsigned int cpu)
{
	return per_cpu(cpu_tables, cpu).ist_block != boot_ist_block;
}

void cpu_set_ist_block(unsigned int cpu, char *block)
{
	per_cpu(cpu_tables, cpu).ist_block = block;
}

static void idt_set(unsigned int vector, unsigned int ist)
{
	u64 at = (u64)trap_stubs[vector];

	idt[vector] = (struct idt_entry){
		.offset_low = (u16)at,
		.offset_mid = (u16)(at >> 16),
		.offset_high = (u32)(at >> 32),
		.selector = KERNEL_CS,
		.ist = (u8)ist,
		.type = vector == 3 ? 0xee : 0x8e, /* interrupt gate; user mode: INT3 alone */
	};
}

static void idt_fill(void)
{
	for (unsigned int v = 0; v < ARRAY_SIZE(idt); v++)
		idt_set(v, 0);
	idt_set(2, IST_NMI);
	idt_set(8, IST_FATAL);
	idt_set(18, IST_FATAL);
}

/* The n-th stack of the block, with this CPU's distance above it; returns what the TSS is told. */
static u64 ist_top(char *block, unsigned int n)
{
	u64 *distance = (u64 *)(block + n * IST_SIZE) - 2; /* keeps the stack aligned to 16 */

	*distance = arch_percpu_offset();
	return (u64)distance;
}

static void fill_gdt(u64 *gdt, const struct tss *tss)
{
	u64 base = (u64)tss;

	gdt[0] = 0;
	gdt[KERNEL_CS / 8] = 0x00af9b000000ffff;
	gdt[KERNEL_DS / 8] = 0x00cf93000000ffff;
	gdt[BOOT_CS32 / 8] = 0;
	gdt[USER_DS / 8] = 0x00cff3000000ffff;
	gdt[USER_CS / 8] = 0x00affb000000ffff;
	/* An available 64-bit TSS, 16 bytes (SDM vol. 3, 7.2.3). */
	gdt[TSS_SELECTOR / 8] = (sizeof(*tss) - 1) | (base & 0xffffff) << 16 | 0x89ULL << 40 |
				((base >> 24) & 0xff) << 56;
	gdt[TSS_SELECTOR / 8 + 1] = base >> 32;
}

/*
 * CS, DS and SS stay as they were loaded from boot.S's table, whose first entries are the same.
 */
void cpu_tables_load(void)
{
	struct cpu_tables *t = this_cpu_ptr(&cpu_tables);
	struct table_register gdtr = { sizeof(t->gdt) - 1, (u64)t->gdt };
	struct table_register idtr = { sizeof(idt) - 1, (u64)idt };

	if (smp_processor_id() == 0)
		idt_fill();
	t->tss = (struct tss){ .iomap = sizeof(struct tss) };
	t->tss.ist[IST_FATAL - 1] = ist_top(t->ist_block, 1);
	t->tss.ist[IST_NMI - 1] = ist_top(t->ist_block, 2);
	fill_gdt(t->gdt, &t->tss);
	__asm__ __volatile__("lgdt %0; lidt %1; ltr %w2" ::"m"(gdtr), "m"(idtr), "r"(TSS_SELECTOR)
			     : "memory");
}

/* Control registers, and the kernel's own tables: what boot.S mapped for the jump is gone. */
static void set_modes(void)
{
	u64 cr4 = CR4_PAE | CR4_PGE;

	cr4 |= features.la57 ? CR4_LA57 : 0;
	cr4 |= features.mce ? CR4_MCE : 0;
	cr4 |= features.smep ? CR4_SMEP : 0;
	cr4 |= features.smap ? CR4_SMAP : 0;
	cr4 |= features.umip ? CR4_UMIP : 0;
	write_cr3(kernel_root);
	wrmsr(MSR_PAT, PAT_VALUE);
	write_cr4(cr4);
	if (features.pcid) /* allowed while CR3 names tag 0 */
		write_cr4(cr4 | CR4_PCIDE);
	smap_on = features.smap;
	/* A change of PAT counts once no entry made before it is left (SDM vol. 3, 12.12.4). */
	arch_tlb_flush_local_all();
}

void arch_cpu_init(void)
{
	unsigned int cpu = smp_processor_id();

	if (cpu != 0) {
		cpu_tables_load();
		if (!features_match())
			panic("CPU %u lacks features of the boot CPU", cpu);
	}
	mce_init_cpu();
	set_modes();
	if (cpu == 0) {
		power_prepare();
		apic_init();
	}
	apic_init_cpu();
	if (cpu == 0)
		time_calibrate_apic();
	time_setup_cpu();
}
