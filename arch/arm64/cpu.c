// SPDX-License-Identifier: MIT
/*
 * This CPU's own set-up, its contexts, and idling.
 *
 * Contexts: arch_cpu_init() with everything masked, once on each CPU; the rest as <arch.h> says.
 * See also: switch.S, mmu.c.
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <bug.h>
#include <gic.h>
#include <smp.h>
#include <thread.h>

_Static_assert(offsetof(struct arch_context, x19_x28) == CTX_X19, "switch.S");
_Static_assert(offsetof(struct arch_context, fp) == CTX_FP, "switch.S");
_Static_assert(offsetof(struct arch_context, sp) == CTX_SP, "switch.S");
_Static_assert(offsetof(struct thread, ctx) == 0, "switch.S");

DEFINE_PER_CPU(struct thread *, kernel_current);
DEFINE_PER_CPU_INIT(vaddr_t, emergency_sp) = (vaddr_t)emergency_stack_top;

static bool has_pan;
bool has_cycle_counter;

/* The boot CPU decides what is used; a CPU that has less cannot run beside it. */
static void check_features(void)
{
	bool pan = id_field(id_aa64mmfr1_el1, 20) != 0;
	unsigned int tag_bits = id_field(id_aa64mmfr0_el1, 4) == 2 ? 16 : 8;

	if (smp_processor_id() == 0) {
		has_pan = pan;
		if (pan)
			features_add("pan");
		if (id_field(id_aa64isar0_el1, 20) != 0)
			features_add("lse");
		return;
	}
	if (tag_bits < arch.tag_bits)
		boot_fail("CPU %u has fewer ASID bits than CPU 0", smp_processor_id());
	if (has_pan && !pan)
		boot_fail("CPU %u lacks PAN, which CPU 0 has", smp_processor_id());
}

/*
 * From now on the kernel's own loads and stores cannot reach user pages. SPAN counts from the ISB
 * on (DDI 0487 D19, on synchronization of registers).
 */
static void enable_pan(void)
{
	write_sysreg(sctlr_el1, read_sysreg(sctlr_el1) & ~(u64)SCTLR_SPAN);
	__asm__ __volatile__(".arch_extension pan\n\tmsr pan, #1" ::: "memory");
	isb();
}

/* PMUVer 15 is a PMU of another kind. It counts in EL0 and EL1, and interrupts nobody. */
static void start_cycle_counter(void)
{
	u64 version = id_field(id_aa64dfr0_el1, 8);

	if (version == 0 || version == 15) {
		has_cycle_counter = false;
		return;
	}
	write_sysreg(pmuserenr_el0, 0);
	write_sysreg(pmintenclr_el1, ~0u);
	write_sysreg(pmccfiltr_el0, 0);
	write_sysreg(pmcntenset_el0, BIT(31));
	write_sysreg(pmcr_el0, PMCR_LC | PMCR_E);
	isb();
	if (smp_processor_id() == 0)
		has_cycle_counter = true;
}

void arch_cpu_init(void)
{
	this_cpu(kernel_current) = current;
	write_sysreg(cpacr_el1, 0); /* floating point traps */
	write_sysreg(mdscr_el1, 0); /* no debug exceptions */
	write_sysreg(tpidr_el0, 0);
	write_sysreg(tpidrro_el0, 0);
	check_features();
	mmu_init_cpu();
	if (has_pan)
		enable_pan();
	start_cycle_counter();
	timer_init_cpu(); /* quiet before its interrupt is enabled */
	gic_init_cpu();
	/* SError and FIQ: reported from here on. */
	__asm__ __volatile__("msr daifclr, #5" ::: "memory");
}

/*
 * A pending masked interrupt ends WFI: there is no window between the caller's test and it
 * (DDI 0487 D1, on Wait For Interrupt).
 */
void arch_cpu_idle(void)
{
	/* Stores are complete before the CPU sleeps: asleep, some stop draining them. */
	dsb(sy);
	__asm__ __volatile__("wfi" ::: "memory");
	arch_irq_enable();
	/* The interrupt is taken before the next instruction. */
	isb();
}

void arch_context_init(struct thread *t, void *stack_top)
{
	t->ctx = (struct arch_context){
		.sp = (u64)stack_top,
		.pc = (u64)thread_entry,
	};
}

vaddr_t arch_thread_fp(const struct thread *t)
{
	return t->ctx.fp;
}
