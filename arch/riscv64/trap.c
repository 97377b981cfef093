// SPDX-License-Identifier: MIT
/*
 * What a trap is, and who handles it.
 *
 * Contexts: called by trap.S with interrupts off, user access closed, on the interrupted stack.
 * See also: trap.S, include/trap.h, mm/fault.c.
 */
#include <asm/port.h>
#include <boot.h>
#include <percpu.h>
#include <printk.h>
#include <string.h>
#include <symbols.h>
#include <thread.h>
#include <trap.h>

_Static_assert(offsetof(struct trap_frame, status) == TF_STATUS, "trap.S");
_Static_assert(offsetof(struct trap_frame, epc) == TF_EPC, "trap.S");
_Static_assert(offsetof(struct trap_frame, cause) == TF_CAUSE, "trap.S");
_Static_assert(offsetof(struct trap_frame, tval) == TF_TVAL, "trap.S");
_Static_assert(offsetof(struct trap_frame, record.fp) == TF_RECORD_FP, "trap.S");
_Static_assert(offsetof(struct trap_frame, record.ra) == TF_RECORD_RA, "trap.S");
_Static_assert(sizeof(struct trap_frame) == TF_SIZE, "trap.S");

#define CAUSE_INTERRUPT BIT(63)
enum { IRQ_SOFT = 1, IRQ_TIMER = 5, IRQ_EXTERNAL = 9 };
enum {
	EXC_FETCH_ACCESS = 1,
	EXC_ILLEGAL = 2,
	EXC_LOAD_MISALIGNED = 4,
	EXC_LOAD_ACCESS = 5,
	EXC_STORE_MISALIGNED = 6,
	EXC_STORE_ACCESS = 7,
	EXC_FETCH_PAGE = 12,
	EXC_LOAD_PAGE = 13,
	EXC_STORE_PAGE = 15,
};

/* Called by trap.S. */
void trap_handler(struct trap_frame *tf);
__noreturn void trap_stack_overflow(struct trap_frame *tf);

/* ---- Exception table --------------------------------------------------------------------- */

struct ex_entry {
	u64 from, to;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

bool arch_fixup(struct trap_frame *tf)
{
	for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++) {
		if (e->from == tf->epc) {
			tf->epc = e->to;
			return true;
		}
	}
	return false;
}

/* ---- Registers, for a report ------------------------------------------------------------- */

bool trap_register(const struct trap_frame *tf, unsigned int n, char *name, u64 *value)
{
	static const char names[][TRAP_REGISTER_NAME] = {
		"ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0",
		"a1", "a2", "a3", "a4", "a5", "a6", "a7", "s2", "s3", "s4",
		"s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5",
		"t6", "pc", "status", "cause", "tval", "satp",
	};
	const u64 values[] = { tf->epc, tf->status, tf->cause, tf->tval, csr_read(satp) };
	unsigned int x = n + 1; /* x0 is no news */

	if (n >= ARRAY_SIZE(names))
		return false;
	strlcpy(name, names[n], TRAP_REGISTER_NAME);
	*value = x < ARRAY_SIZE(tf->x) ? tf->x[x] : values[x - ARRAY_SIZE(tf->x)];
	return true;
}

/* ---- Interrupts -------------------------------------------------------------------------- */

/* One of this hart's own: sie has a bit for each. */
static bool mask_cause(unsigned int number)
{
	csr_clear(sie, BIT(number % 64));
	return number < 64;
}

static void trap_interrupt(struct trap_frame *tf, u64 number)
{
	irq_enter(tf);
	switch (number) {
	case IRQ_SOFT:
		irq_software();
		break;
	case IRQ_TIMER:
		timer_mask();
		timer_interrupt(tf);
		irq_poll();
		break;
	case IRQ_EXTERNAL:
		irq_external();
		break;
	default:
		spurious_interrupt((unsigned int)number, mask_cause);
	}
	irq_exit(tf);
}

/* ---- Exceptions -------------------------------------------------------------------------- */

static const char *exception_name(u64 cause)
{
	static const char *const names[] = {
		"misaligned jump",	"access fault on a fetch", "illegal instruction",
		"breakpoint",		"misaligned load",	   "access fault on a load",
		"misaligned store",	"access fault on a store", "call from user mode",
		"call from the kernel",
	};

	return cause < ARRAY_SIZE(names) ? names[cause] : "unknown exception";
}

static void trap_exception(struct trap_frame *tf)
{
	switch (tf->cause) {
	case EXC_FETCH_PAGE:
		do_page_fault(tf, tf->tval, FAULT_EXEC);
		return;
	case EXC_LOAD_PAGE:
		do_page_fault(tf, tf->tval, 0);
		return;
	case EXC_STORE_PAGE:
		do_page_fault(tf, tf->tval, FAULT_WRITE);
		return;
	case EXC_ILLEGAL:
	case EXC_LOAD_MISALIGNED:
	case EXC_LOAD_ACCESS:
	case EXC_STORE_MISALIGNED:
	case EXC_STORE_ACCESS:
		if (!trap_from_user(tf) && arch_fixup(tf))
			return;
	}
	bad_trap(tf, exception_name(tf->cause), tf->cause, tf->tval);
}

/* ---- Entry ------------------------------------------------------------------------------- */

static bool is_text(u64 addr)
{
	return addr >= (u64)text_start && addr < (u64)text_end;
}

/*
 * Makes the chain of frame records whole. A function that calls nothing has saved no return
 * address: the older frame pointer stands where it would be, and the address is still in its
 * register.
 */
static void complete_record(struct trap_frame *tf)
{
	const struct frame_record *r = (const struct frame_record *)tf->record.fp - 1;

	if (trap_from_user(tf)) {
		tf->record.fp = 0;
		return;
	}
	/* WHY SAFE: read only if it lies between the frame and the end of the frame's stack. */
	if ((u64)r < tf->x[2] || (u64)(r + 1) > ALIGN_UP(tf->x[2], (u64)STACK_SIZE) ||
	    !IS_ALIGNED((u64)r, 8) || is_text(r->ra))
		return;
	tf->leaf = (struct frame_record){ r->ra, tf->x[1] };
	tf->record.fp = (u64)(&tf->leaf + 1);
}

void trap_handler(struct trap_frame *tf)
{
	complete_record(tf);
	if (tf->cause & CAUSE_INTERRUPT)
		trap_interrupt(tf, tf->cause & ~CAUSE_INTERRUPT);
	else
		trap_exception(tf);
}

void trap_stack_overflow(struct trap_frame *tf)
{
	bad_trap(tf, "kernel stack overflow", tf->cause, tf->tval);
}
