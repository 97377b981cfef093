/* SPDX-License-Identifier: MIT */
/*
 * The CPU's own registers and instructions, I/O ports, and what the port's files share. Nothing
 * here is known outside arch/x86_64 and its drivers.
 */
#ifndef ASM_CPU_H
#define ASM_CPU_H

/* Selectors, in the order that SYSCALL and SYSRET want. The boot GDT begins with the first two. */
#define KERNEL_CS 0x08
#define KERNEL_DS 0x10
#define BOOT_CS32 0x18
#define USER_DS 0x20
#define USER_CS 0x28
#define TSS_SELECTOR 0x30
#define GDT_ENTRIES 8

#define CR0_PG (1 << 31)
/*
 * Paging, alignment checks for user mode, write protection, FPU errors as traps, protected mode;
 * and "task switched", so that an FPU or vector instruction, which the kernel must not have, traps.
 */
#define CR0_KERNEL 0x8005003b
#define CR4_PAE (1 << 5)
#define CR4_MCE (1 << 6)
#define CR4_PGE (1 << 7)
#define CR4_UMIP (1 << 11)
#define CR4_LA57 (1 << 12)
#define CR4_PCIDE (1 << 17)
#define CR4_SMEP (1 << 20)
#define CR4_SMAP (1 << 21)

#define MSR_APIC_BASE 0x1b
#define MSR_PAT 0x277
#define MSR_TSC_DEADLINE 0x6e0
#define MSR_X2APIC 0x800
#define MSR_EFER 0xc0000080
#define MSR_GS_BASE 0xc0000101
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_LME (1 << 8)
#define EFER_NXE (1 << 11)

/* Where other CPUs begin: the start-up IPI carries this address / 4 KiB. */
#define TRAMPOLINE 0x8000

#ifndef __ASSEMBLY__
#include <types.h>

struct trap_frame;

static inline u8 inb(u16 port)
{
	u8 v;

	__asm__ __volatile__("inb %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline u32 inl(u16 port)
{
	u32 v;

	__asm__ __volatile__("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline void outb(u16 port, u8 v)
{
	__asm__ __volatile__("outb %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outw(u16 port, u16 v)
{
	__asm__ __volatile__("outw %0, %1" ::"a"(v), "Nd"(port) : "memory");
}
static inline void outl(u16 port, u32 v)
{
	__asm__ __volatile__("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
}

static inline u64 rdmsr(u32 msr)
{
	u32 low, high;

	__asm__ __volatile__("rdmsr" : "=a"(low), "=d"(high) : "c"(msr) : "memory");
	return (u64)high << 32 | low;
}
static inline void wrmsr(u32 msr, u64 v)
{
	__asm__ __volatile__("wrmsr" ::"c"(msr), "a"((u32)v), "d"((u32)(v >> 32)) : "memory");
}

struct cpuid {
	u32 a, b, c, d;
};
static inline struct cpuid cpuid(u32 leaf, u32 subleaf)
{
	struct cpuid r;

	__asm__ __volatile__("cpuid"
			     : "=a"(r.a), "=b"(r.b), "=c"(r.c), "=d"(r.d)
			     : "a"(leaf), "c"(subleaf));
	return r;
}
/* The same, all zero where the CPU has no such leaf. */
struct cpuid cpuid_leaf(u32 leaf);

#define DEFINE_CR(n)                                                                               \
	static inline u64 read_cr##n(void)                                                         \
	{                                                                                          \
		u64 v;                                                                             \
		__asm__ __volatile__("movq %%cr" #n ", %0" : "=r"(v)::"memory");                   \
		return v;                                                                          \
	}                                                                                          \
	static inline void write_cr##n(u64 v)                                                      \
	{                                                                                          \
		__asm__ __volatile__("movq %0, %%cr" #n ::"r"(v) : "memory");                      \
	}
DEFINE_CR(2)
DEFINE_CR(3)
DEFINE_CR(4)

/* What the CPU has, of what not every CPU has. features.c; constant after arch_start(). */
struct cpu_features {
	bool smep, smap, umip, la57, pcid, pages_1g, mce, mca, x2apic, tsc_deadline;
};
extern struct cpu_features features;

/* features.c: finds them, fills `arch`. Boot CPU, once. */
void features_detect(void);
/* True if the calling CPU has all that the boot CPU uses. */
bool features_match(void);
/* This CPU's APIC id, from CPUID: right before the APIC itself is reached. */
u32 cpu_apic_id(void);

/* What boot.S was entered with. */
struct boot_registers {
	u32 a, d; /* eax and edx, or in 64-bit mode edi and esi */
	u32 b;	  /* ebx, or 0 */
	u32 word; /* bytes of the loader's pointers: 4 or 8 */
};
extern const struct boot_registers boot_registers;

/* firmware.c: memory, command line and ACPI root, by whichever loader it was. */
void firmware_read(const struct boot_registers *regs);

/* cpu.c */
#define IST_BLOCK_ORDER 2 /* pages of a CPU's stacks for NMIs and fatal traps, log2 */
void cpu_tables_load(void); /* GDT, TSS, IDT of this CPU */
bool cpu_has_ist_block(unsigned int cpu); /* of its own: for good, once it was to be started */
void cpu_set_ist_block(unsigned int cpu, char *block);

/* mmu.c: arch_tlb_flush_local() in two steps, for the NMI, whose sender tells the ledger. */
struct arch_flush;
void mmu_flush(const struct arch_flush *f);
void mmu_tell_ledger(u64 since, cpumask_t cpus, const struct arch_flush *f);

/* mce.c: this CPU's machine-check registers. */
void mce_init_cpu(void); /* before CR4.MCE */
/* The first bank that has something: its status and address. False: none; status is MCG_STATUS. */
bool mce_first(u64 *status, u64 *addr);
/* As trap_register(): MCG_STATUS, then of each bank that has something what is valid of it. */
bool mce_register(unsigned int n, char *name, u64 *value);
/*
 * A machine check may reach all CPUs at once, and one of them makes the report: who knows nothing
 * waits here a little, so that one that knows something is the first.
 */
void mce_let_others_speak(void);

/* smp.c */
void smp_prepare(void); /* puts the trampoline in place; boot page tables */
bool smp_nmi_flush(void); /* does what others ask of this CPU; whether they did */
/* An NMI that was for nothing: true if it cannot be a late one of this kernel's. */
bool smp_nmi_foreign(void);

/* time.c */
void time_calibrate(void);     /* boot CPU: sets arch.timer_hz. Needs the ACPI facts */
void time_calibrate_apic(void); /* boot CPU: the APIC's timer against arch_cycles() */
void time_setup_cpu(void);
void time_handle_interrupt(struct trap_frame *tf);

/* power.c: maps what arch_power_off() needs. Boot CPU, once. */
void power_prepare(void);
#endif

#endif
