// SPDX-License-Identifier: MIT
/*
 * What a trap was, and who handles it.
 *
 * ESR_EL1.EC says the class. Aborts that a mapping can cure go to do_page_fault(); whatever is in
 * the exception table goes to its fixup; the rest is a report. DDI 0487, ESR_EL1.
 * Contexts: called from trap.S with interrupts masked.
 */
#include <asm/port.h>
#include <asm/sysreg.h>
#include <bug.h>
#include <gic.h>
#include <printk.h>
#include <string.h>
#include <symbols.h>
#include <trap.h>

_Static_assert(offsetof(struct trap_frame, x) == TF_X0, "trap.S");
_Static_assert(offsetof(struct trap_frame, x[30]) == TF_X30, "trap.S");
_Static_assert(offsetof(struct trap_frame, pc) == TF_PC, "trap.S");
_Static_assert(offsetof(struct trap_frame, record) == TF_RECORD, "trap.S");
_Static_assert(offsetof(struct trap_frame, esr) == TF_ESR, "trap.S");
_Static_assert(sizeof(struct trap_frame) == TF_SIZE, "trap.S");

#define ESR_EC(esr) ((esr) >> 26 & 0x3f)
#define EC_UNKNOWN 0x00
#define EC_IABT_LOWER 0x20
#define EC_IABT 0x21
#define EC_DABT_LOWER 0x24
#define EC_DABT 0x25

#define ISS_WNR BIT(6)	    /* a write, or cache maintenance: then CM is set too */
#define ISS_CM BIT(8)
#define FSC(esr) ((esr) & 0x3f)
#define FSC_TYPE(esr) ((esr) >> 2 & 0xf) /* the two bits below are the level */
#define FSC_TRANSLATION 1
#define FSC_ACCESS_FLAG 2
#define FSC_PERMISSION 3
#define FSC_SIZE_FIFTH 0x29 /* at the root of five levels, which has codes of its own */
#define FSC_TRANSLATION_FIFTH 0x2b

struct ex_entry {
	vaddr_t insn, fixup;
};
extern const struct ex_entry ex_table_start[], ex_table_end[];

static const struct ex_entry *ex_find(vaddr_t pc)
{
	for (const struct ex_entry *e = ex_table_start; e < ex_table_end; e++)
		if (e->insn == pc)
			return e;
	return NULL;
}

bool arch_fixup(struct trap_frame *tf)
{
	const struct ex_entry *e = ex_find(tf->pc);

	if (!e)
		return false;
	tf->pc = e->fixup;
	return true;
}

bool trap_register(const struct trap_frame *tf, unsigned int n, char *name, u64 *value)
{
	static const char names[][TRAP_REGISTER_NAME] = { "sp",	 "pc",	"pstate",
							  "esr", "far", "ttbr0" };
	const u64 values[] = { tf->sp,	tf->pc,	 tf->pstate,
			       tf->esr, tf->far, read_sysreg(ttbr0_el1) };
	unsigned int i = n - ARRAY_SIZE(tf->x);

	if (n < ARRAY_SIZE(tf->x)) {
		snprintf(name, TRAP_REGISTER_NAME, "x%u", n);
		*value = tf->x[n];
		return true;
	}
	if (i >= ARRAY_SIZE(names))
		return false;
	strlcpy(name, names[i], TRAP_REGISTER_NAME);
	*value = values[i];
	return true;
}

static const char *exception_name(u64 esr)
{
	switch (ESR_EC(esr)) {
	case EC_UNKNOWN:
		return "undefined instruction";
	case 0x07:
		return "floating-point instruction";
	case 0x0d:
		return "branch target exception";
	case 0x0e:
		return "illegal execution state";
	case 0x15:
		return "supervisor call";
	case 0x18:
		return "trapped system register";
	case 0x22:
		return "misaligned pc";
	case 0x26:
		return "misaligned stack pointer";
	case 0x30:
	case 0x31:
		return "breakpoint";
	case 0x32:
	case 0x33:
		return "single step";
	case 0x34:
	case 0x35:
		return "watchpoint";
	case 0x3c:
		return "BRK instruction";
	default:
		return "unexpected exception";
	}
}

static const char *abort_name(u64 esr)
{
	switch (FSC(esr)) {
	case 0x00 ... 0x03:
	case FSC_SIZE_FIFTH:
		return "address size fault";
	case 0x10:
		return "external abort";
	case 0x13 ... 0x17:
		return "external abort on a table walk";
	case 0x18 ... 0x1f:
		return "memory error";
	case 0x21:
		return "misaligned access";
	case 0x30:
		return "TLB conflict";
	default:
		return "unexpected abort";
	}
}

static u64 fault_flags(u64 esr, bool exec)
{
	u64 flags = exec ? FAULT_EXEC : 0;

	if (!exec && (esr & (ISS_WNR | ISS_CM)) == ISS_WNR)
		flags |= FAULT_WRITE;
	if (FSC_TYPE(esr) == FSC_PERMISSION)
		flags |= FAULT_PRESENT;
	return flags;
}

static void trap_abort(struct trap_frame *tf, bool exec)
{
	bool kernel_half = tf->far >> 63;
	unsigned int type = FSC_TYPE(tf->esr);

	/* A probe of the kernel half: nothing to resolve, perhaps before there is a scheduler. */
	if (!trap_from_user(tf) && kernel_half && arch_fixup(tf))
		return;
	if ((type < FSC_TRANSLATION || type > FSC_PERMISSION) &&
	    FSC(tf->esr) != FSC_TRANSLATION_FIFTH)
		bad_trap(tf, abort_name(tf->esr), tf->esr, tf->far);
	/* No mapping cures a plain access that PAN refused: it is the kernel's mistake. */
	if (!trap_from_user(tf) && !kernel_half && type == FSC_PERMISSION && !ex_find(tf->pc))
		bad_trap(tf, "plain kernel access to user memory", tf->esr, tf->far);
	do_page_fault(tf, tf->far, fault_flags(tf->esr, exec));
}

void trap_sync(struct trap_frame *tf)
{
	switch (ESR_EC(tf->esr)) {
	case EC_IABT:
	case EC_IABT_LOWER:
		trap_abort(tf, true);
		break;
	case EC_DABT:
	case EC_DABT_LOWER:
		trap_abort(tf, false);
		break;
	case EC_UNKNOWN: /* a semihosting call that nobody took */
		if (!trap_from_user(tf) && arch_fixup(tf))
			break;
		/* fall through */
	default:
		bad_trap(tf, exception_name(tf->esr), tf->esr, tf->far);
	}
}

void trap_irq(struct trap_frame *tf)
{
	irq_enter(tf);
	gic_handle(tf);
	irq_exit(tf);
}

void trap_bad(struct trap_frame *tf, u64 kind)
{
	static const char *const names[] = {
		[TRAP_FIQ] = "unexpected FIQ",
		[TRAP_SERROR] = "SError: asynchronous external abort",
		[TRAP_OVERFLOW] = "kernel stack overflow",
		[TRAP_WRONG_STACK] = "exception while on the wrong stack",
		[TRAP_AARCH32] = "exception from AArch32",
	};

	bad_trap(tf, names[kind], tf->esr, tf->far);
}
