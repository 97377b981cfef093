// SPDX-License-Identifier: MIT
/*
 * Traps, once trap.S has saved everything: which is whose.
 *
 * Interrupts go to their handlers between irq_enter() and irq_exit(). Page faults are mm/fault.c's.
 * An NMI has two users, and since NMIs that come close together become one, each looks whether it
 * is meant. A push onto the unmapped guard under a stack faults, and so does the push of that
 * fault's own frame: the CPU makes a double fault of it, which has a stack of its own.
 * Contexts: irqs off. See also: cpu.c for the stacks, include/trap.h.
 */
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <boot.h>
#include <layout.h>
#include <printk.h>
#include <string.h>
#include <thread.h>
#include <trap.h>

_Static_assert(offsetof(struct trap_frame, rbp) == TF_RBP, "trap.S");
_Static_assert(offsetof(struct trap_frame, rip) == TF_RIP, "trap.S");
_Static_assert(offsetof(struct trap_frame, cs) == TF_CS, "trap.S");
_Static_assert(sizeof(struct trap_frame) == TF_SIZE, "trap.S");

void trap_dispatch(struct trap_frame *tf);
void trap_on_ist(struct trap_frame *tf);

enum vector {
	VECTOR_NMI = 2,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_MACHINE_CHECK = 18,
};

/* The page fault's error code (SDM vol. 3, 4.7). */
#define PF_PRESENT BIT(0)
#define PF_WRITE BIT(1)
#define PF_USER BIT(2)
#define PF_RESERVED BIT(3)
#define PF_FETCH BIT(4)
#define PF_KNOWN (PF_PRESENT | PF_WRITE | PF_USER | PF_FETCH)

static const char *const exception_names[VECTOR_FIRST_IRQ] = {
	[0] = "divide error",
	[1] = "debug exception",
	[2] = "NMI",
	[3] = "breakpoint",
	[4] = "overflow",
	[5] = "bound range exceeded",
	[6] = "invalid opcode",
	[7] = "FPU or vector instruction in the kernel",
	[8] = "double fault",
	[10] = "invalid TSS",
	[11] = "segment not present",
	[12] = "stack segment fault",
	[13] = "general protection fault",
	[14] = "page fault",
	[16] = "FPU error",
	[17] = "alignment check",
	[19] = "SIMD exception",
	[21] = "control protection exception",
};

/* ---- The exception table ------------------------------------------------------------------ */

struct fixup {
	u64 insn, to;
};
extern const struct fixup ex_table_start[], ex_table_end[];

bool arch_fixup(struct trap_frame *tf)
{
	for (const struct fixup *f = ex_table_start; f < ex_table_end; f++) {
		if (f->insn == tf->rip) {
			tf->rip = f->to;
			return true;
		}
	}
	return false;
}

/* ---- Registers, for a report -------------------------------------------------------------- */

#define REGISTER(field) { #field, offsetof(struct trap_frame, field) }
static const struct {
	char name[TRAP_REGISTER_NAME];
	u8 offset;
} registers[] = {
	REGISTER(rax), REGISTER(rbx), REGISTER(rcx), REGISTER(rdx), REGISTER(rsi), REGISTER(rdi),
	REGISTER(rbp), REGISTER(rsp), REGISTER(r8), REGISTER(r9), REGISTER(r10), REGISTER(r11),
	REGISTER(r12), REGISTER(r13), REGISTER(r14), REGISTER(r15), REGISTER(rip), REGISTER(rflags),
	REGISTER(cs), REGISTER(ss),
};

bool trap_register(const struct trap_frame *tf, unsigned int n, char *name, u64 *value)
{
	const u64 control[] = { read_cr2(), read_cr3() };

	if (n >= ARRAY_SIZE(registers) + ARRAY_SIZE(control))
		return tf->vector == VECTOR_MACHINE_CHECK &&
		       mce_register(n - ARRAY_SIZE(registers) - ARRAY_SIZE(control), name, value);
	if (n < ARRAY_SIZE(registers)) {
		strlcpy(name, registers[n].name, TRAP_REGISTER_NAME);
		*value = *(const u64 *)((const char *)tf + registers[n].offset);
		return true;
	}
	n -= ARRAY_SIZE(registers);
	snprintf(name, TRAP_REGISTER_NAME, "cr%u", n + 2);
	*value = control[n];
	return true;
}

/* ---- Exceptions --------------------------------------------------------------------------- */

/* True if addr lies in the guard under the stack that rsp is, or was, on (layout.h). */
static bool in_guard(vaddr_t addr, u64 rsp)
{
	bool stack = (rsp >= VMALLOC_START && rsp < VMALLOC_END) ||
		     ALIGN_DOWN(rsp, 2 * STACK_SIZE) == (vaddr_t)init_stack;

	return stack && !(addr & STACK_SIZE) &&
	       ALIGN_DOWN(addr, 2 * STACK_SIZE) == ALIGN_DOWN(rsp, 2 * STACK_SIZE);
}

/* The kernel touches user memory while SMAP forbids it: no mapping would help. */
static bool smap_fault(const struct trap_frame *tf, vaddr_t addr)
{
	return smap_on && !trap_from_user(tf) && !(tf->rflags & RFLAGS_AC) &&
	       addr < BIT(arch.va_bits);
}

static void page_fault(struct trap_frame *tf)
{
	vaddr_t addr = read_cr2();
	u64 flags = 0;

	if (tf->error & PF_RESERVED)
		bad_trap(tf, "reserved bit set in a page table", tf->error, addr);
	if (tf->error & ~PF_KNOWN)
		bad_trap(tf, "page fault of an unknown kind", tf->error, addr);
	if (!trap_from_user(tf) && in_guard(addr, tf->rsp))
		bad_trap(tf, "kernel stack overflow", tf->error, addr);
	if (smap_fault(tf, addr) && current->user_access)
		bad_trap(tf, "user access was closed behind its thread's back", tf->error, addr);
	flags |= tf->error & PF_PRESENT ? FAULT_PRESENT : 0;
	flags |= tf->error & PF_WRITE ? FAULT_WRITE : 0;
	flags |= tf->error & PF_FETCH ? FAULT_EXEC : 0;
	do_page_fault(tf, addr, flags);
}

static __noreturn void bad_exception(struct trap_frame *tf)
{
	const char *name = exception_names[tf->vector];

	if (!name)
		bad_trap(tf, "exception of a reserved vector", tf->error, tf->vector);
	bad_trap(tf, name, tf->error, 0);
}

/* ---- Interrupts --------------------------------------------------------------------------- */

/*
 * The end of interrupt comes last: until then the APIC holds back what has the same priority, and a
 * level-triggered line is not looked at again. Before irq_exit(), which may switch to another
 * thread.
 */
static void interrupt(struct trap_frame *tf)
{
	irq_enter(tf);
	switch (tf->vector) {
	case VECTOR_IPI:
		handle_ipi();
		break;
	case VECTOR_TIMER:
		time_handle_interrupt(tf);
		break;
	case VECTOR_CONSOLE:
		console_interrupt();
		break;
	default:
		spurious_interrupt((unsigned int)tf->vector, apic_mask);
		break;
	}
	if (tf->vector != VECTOR_SPURIOUS) /* the APIC does not count that one (SDM vol. 3, 11.9) */
		apic_eoi();
	irq_exit(tf);
}

void trap_dispatch(struct trap_frame *tf)
{
	if (tf->vector >= VECTOR_FIRST_IRQ)
		interrupt(tf);
	else if (tf->vector == VECTOR_PAGE_FAULT)
		page_fault(tf);
	else
		bad_exception(tf);
}

/* ---- Traps on stacks of their own --------------------------------------------------------- */

extern char idle_hlt[], idle_hlt_end[];

/*
 * Port B says of two sources whether it was them, on a PC (ICH9 data sheet, 13.7.1, "NMI_SC"); all
 * ones: there is no such port.
 */
#define NMI_SC 0x61
#define NMI_SC_SERR BIT(7)
#define NMI_SC_IOCHK BIT(6)

static __noreturn void foreign_nmi(struct trap_frame *tf)
{
	u8 port = inb(NMI_SC);

	if (port != 0xff && port & NMI_SC_SERR)
		bad_trap(tf, "NMI: system error on a bus", port, 0);
	if (port != 0xff && port & NMI_SC_IOCHK)
		bad_trap(tf, "NMI: an I/O device's check", port, 0);
	bad_trap(tf, "NMI that no CPU sent, of unknown source", port, 0);
}

static void nmi(struct trap_frame *tf)
{
	if (tf->rip == (u64)idle_hlt) /* see arch_cpu_idle() in trap.S */
		tf->rip = (u64)idle_hlt_end;

	bool ours = smp_nmi_flush();

	if (!handle_nmi(tf) && !ours && smp_nmi_foreign())
		foreign_nmi(tf);
}

static __noreturn void machine_check(struct trap_frame *tf)
{
	u64 status, addr;

	if (!mce_first(&status, &addr))
		mce_let_others_speak();
	bad_trap(tf, "machine check", status, addr);
}

void trap_on_ist(struct trap_frame *tf)
{
	if (tf->vector == VECTOR_NMI)
		nmi(tf);
	else if (tf->vector == VECTOR_MACHINE_CHECK)
		machine_check(tf);
	else if (tf->vector == VECTOR_DOUBLE_FAULT && in_guard(read_cr2(), tf->rsp))
		bad_trap(tf, "kernel stack overflow", tf->error, read_cr2());
	else
		bad_exception(tf);
}
