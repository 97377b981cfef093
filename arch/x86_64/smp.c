// SPDX-License-Identifier: MIT
/*
 * Other CPUs: starting and stopping them, interrupting them, invalidating on them by NMI; and
 * threads' first steps.
 *
 * The unmaskable transport: the CPU that asks writes what to drop into its own struct
 * flush_request, puts its bit into flush_from of each target, and sends it an NMI. The handler
 * looks at the bits, not at how often it was called: NMIs that come while one is handled become
 * one.
 *
 *   asking CPU                              target, in its NMI
 *   flush = what, waiting = targets
 *   flush_from |= me (full barrier)
 *   NMI
 *                                           from = flush_from, flush_from = 0 (full barrier)
 *                                           flush of each CPU in from: drop it
 *                                           waiting &= ~me (full barrier)
 *   sees waiting == 0 (acquire)
 *
 * Several CPUs may ask each other at once, each with irqs off: nobody waits for a lock, and a CPU
 * that waits takes its NMI like any other.
 * Contexts: as include/arch.h says. See also: drivers/apic.c, mmu.c, boot.S.
 */
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <atomic.h>
#include <boot.h>
#include <errno.h>
#include <ledger.h>
#include <page.h>
#include <percpu.h>
#include <smp.h>
#include <string.h>
#include <thread.h>
#include <time.h>

static DEFINE_PER_CPU(bool, parked);
DEFINE_PER_CPU(unsigned long, percpu_self);
DEFINE_PER_CPU_INIT(struct thread *, current_thread) = &init_thread;

/* ---- Starting ----------------------------------------------------------------------------- */

/* boot.S: what the CPU that is being started finds. It writes its claim, the boot CPU all else. */
extern u64 secondary_apic_id, secondary_stack, secondary_percpu;
extern char trampoline_begin[], trampoline_end[];
#define NOBODY (~0ULL)

#define FIRST_NS (20 * NSEC_PER_MSEC)

/* Boot page tables: low memory can be written still. */
void smp_prepare(void)
{
	boot_reserve(TRAMPOLINE, TRAMPOLINE + PAGE_SIZE);
	memcpy(phys_to_virt(TRAMPOLINE), trampoline_begin, trampoline_end - trampoline_begin);
}

/* Acquire: its loads of the variables are over. Pairs with secondary_high() in boot.S. */
static bool claimed(unsigned int cpu)
{
	return smp_load_acquire(&secondary_apic_id) == NOBODY;
}

static bool claimed_at_once(unsigned int cpu)
{
	u64 end = time_ns() + FIRST_NS;

	while (!claimed(cpu)) {
		if (time_ns() >= end)
			return false;
		cpu_relax();
	}
	return true;
}

/*
 * The manual's 10 ms behind INIT (SDM vol. 3, 9.4.4.1) are those of the MP specification (1.4,
 * B.4), written for an APIC beside the CPU. CPUs with an APIC of their own hold a start-up IPI back
 * until they are ready. Known of Intel's since family 6 and AMD's since 15; not of Intel's family
 * 15, which gets the 10 ms.
 */
static u64 init_pause_us(void)
{
	u32 version = cpuid(1, 0).a;
	bool family_15 = (version >> 8 & 0xf) == 15 && (version >> 20 & 0xff) == 0;
	bool intel = cpuid(0, 0).b == 0x756e6547; /* "Genu" */

	return intel && family_15 ? 10000 : 200;
}

/* INIT, then the start-up IPI, and a second one if the first was lost (SDM vol. 3, 9.4.4.1). */
static bool start(unsigned int cpu)
{
	u32 id = (u32)boot.hwid[cpu];

	apic_send_init(id);
	udelay(init_pause_us());
	apic_send_startup(id, TRAMPOLINE >> 12);
	if (claimed_at_once(cpu))
		return true;
	apic_send_startup(id, TRAMPOLINE >> 12);
	return smp_wait_for(cpu, claimed);
}

static bool get_ist_block(unsigned int cpu)
{
	struct page *p;

	if (cpu_has_ist_block(cpu))
		return true;
	p = alloc_pages(IST_BLOCK_ORDER, GFP_KERNEL | GFP_TYPE(PAGE_STACK));
	if (p)
		cpu_set_ist_block(cpu, page_to_virt(p));
	return p != NULL;
}

int arch_cpu_start(unsigned int cpu, struct thread *idle)
{
	if (!get_ist_block(cpu))
		return -ENOMEM;
	WRITE_ONCE(per_cpu(parked, cpu), false);
	per_cpu(percpu_self, cpu) = percpu_offset[cpu];
	per_cpu(current_thread, cpu) = idle;
	secondary_stack = idle->stack + STACK_SIZE;
	secondary_percpu = percpu_offset[cpu];
	/* Orders all this before the claim. Pairs with secondary_high() in boot.S. */
	smp_store_release(&secondary_apic_id, boot.hwid[cpu]);
	if (start(cpu))
		return 0;
	/*
	 * Full barrier. It may come in this moment: then it has claimed the start, and lives. Pairs
	 * with secondary_high() in boot.S.
	 */
	if (cmpxchg(&secondary_apic_id, boot.hwid[cpu], NOBODY) == NOBODY)
		return 0;
	return -ETIMEDOUT;
}

/* ---- Stopping ----------------------------------------------------------------------------- */

/*
 * There is no way to switch a CPU off: it waits, interrupts off, until INIT takes it out. An NMI
 * may find it there, and returns to it; it uses the stack of NMIs and no other.
 */
__noreturn void arch_cpu_stop(void)
{
	apic_quiet_cpu();
	/*
	 * The mark is the last access to memory. It comes after all earlier stores, as every store
	 * does on x86. Pairs with arch_cpu_stopped().
	 */
	__asm__ __volatile__("movb $1, %0\n"
			     "1:	cli\n"
			     "	hlt\n"
			     "	jmp 1b"
			     : "=m"(this_cpu(parked))
			     :
			     : "memory");
	__builtin_unreachable();
}

bool arch_cpu_stopped(unsigned int cpu)
{
	return smp_load_acquire(per_cpu_ptr(&parked, cpu)); /* Pairs with arch_cpu_stop(). */
}

/* ---- Interrupting ------------------------------------------------------------------------- */

void arch_send_ipi(cpumask_t mask)
{
	unsigned int cpu;

	for_each_cpu(cpu, mask)
		apic_send_fixed((u32)boot.hwid[cpu], VECTOR_IPI);
}

/*
 * Two NMIs that this kernel sends may become one, and one may arrive when what it was sent for has
 * been seen to. So one that finds nothing to do is foreign for sure only if more came than were
 * sent, and very likely if none was sent lately.
 */
#define NMI_LATE_SEC 1
struct nmi_counts {
	u64 sent;  /* any CPU */
	u64 last;  /* any CPU: arch_cycles() of the last one sent */
	u64 taken; /* this CPU */
};
static DEFINE_PER_CPU(struct nmi_counts, nmi_counts);

void arch_send_nmi(unsigned int cpu)
{
	struct nmi_counts *c = per_cpu_ptr(&nmi_counts, cpu);

	fetch_add_relaxed(&c->sent, 1);
	WRITE_ONCE(c->last, arch_cycles());
	apic_send_nmi((u32)boot.hwid[cpu]);
}

bool smp_nmi_foreign(void)
{
	struct nmi_counts *c = this_cpu_ptr(&nmi_counts);

	return c->taken > READ_ONCE(c->sent) ||
	       arch_cycles() - READ_ONCE(c->last) > NMI_LATE_SEC * arch.timer_hz;
}

/* ---- Invalidating by NMI ------------------------------------------------------------------ */

struct flush_request {
	struct arch_flush flush;
	cpumask_t waiting; /* targets that have not answered */
};
static DEFINE_PER_CPU(struct flush_request, flush_request); /* this CPU's, as the one that asks */
static DEFINE_PER_CPU(cpumask_t, flush_from);		    /* CPUs that ask this one */

void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f)
{
	/* irqs off: there is one request a CPU, which no handler of this CPU may use meanwhile. */
	bool on = arch_irq_save();
	unsigned int me = smp_processor_id(), cpu;
	cpumask_t others = mask & ~cpumask_of(me);
	struct flush_request *r = this_cpu_ptr(&flush_request);
	u64 since = ledger_now();

	r->flush = *f;
	WRITE_ONCE(r->waiting, others);
	for_each_cpu(cpu, others) {
		/* Orders the request before its mark. Pairs with smp_nmi_flush() in smp.c. */
		fetch_or(per_cpu_ptr(&flush_from, cpu), cpumask_of(me));
		arch_send_nmi(cpu);
	}
	if (cpumask_has(mask, me))
		mmu_flush(f);
	/* Orders the answers before the return. Pairs with smp_nmi_flush() in smp.c. */
	while (smp_load_acquire(&r->waiting))
		cpu_relax();
	mmu_tell_ledger(since, mask, f); /* for the targets: NMIs keep no books */
	if (on)
		arch_irq_enable();
}

bool smp_nmi_flush(void)
{
	unsigned int me = smp_processor_id(), cpu;
	/* Orders the marks before the requests. Pairs with arch_tlb_flush_remote() in smp.c. */
	cpumask_t from = xchg(this_cpu_ptr(&flush_from), 0ULL);

	for_each_cpu(cpu, from) {
		struct flush_request *r = per_cpu_ptr(&flush_request, cpu);

		mmu_flush(&r->flush);
		/* Drop before answer. Pairs with arch_tlb_flush_remote() in smp.c. */
		fetch_and(&r->waiting, ~cpumask_of(me));
	}
	this_cpu(nmi_counts).taken++;
	return from != 0;
}

/* ---- Threads ------------------------------------------------------------------------------ */

/* What switch.S keeps on the stack. */
struct switch_frame {
	u64 r15, r14, r13, r12, rbx, rbp, ret;
};
void thread_first(void);

void arch_context_init(struct thread *t, void *stack_top)
{
	/* 16 bytes stay free, and the stack is aligned to 16 in thread_first, behind its return. */
	struct switch_frame *f = (struct switch_frame *)((char *)stack_top - 16) - 1;

	*f = (struct switch_frame){ .ret = (u64)thread_first };
	t->ctx.sp = (u64)f;
}

vaddr_t arch_thread_fp(const struct thread *t)
{
	return (vaddr_t)&((const struct switch_frame *)t->ctx.sp)->rbp;
}
