// SPDX-License-Identifier: MIT
/*
 * The advanced platform-level interrupt controller (RISC-V AIA 1.0, chapter 4).
 *
 * It takes wires, and delivers in one of two ways. Directly: each hart has a structure (IDC) with a
 * threshold and a register that claims its first pending interrupt. By message: a pending interrupt
 * becomes a store into the target hart's interrupt file (imsic.c), and is no longer pending.
 * Why a line is looked at again after a message: the lines are level-sensitive, and one that is
 * still raised when its message has been handled makes no new edge, so no new message (4.9.2).
 * Locks and contexts: set-up on the boot CPU, which takes all interrupts.
 * See also: imsic.c, arch/riscv64/irq.c, include/aia.h.
 */
#include <aia.h>
#include <atomic.h>
#include <boot.h>
#include <console.h>
#include <errno.h>
#include <kmap.h>
#include <trap.h>

#define MAX_LINES 1023u
#define S_EXTERNAL 9u /* the number of the interrupt in a hart's own controller */

#define DOMAINCFG 0x0000
#define DOMAINCFG_IE BIT(8) /* it delivers */
#define DOMAINCFG_DM BIT(2) /* by message */
#define SOURCECFG(line) (4ULL * (line))
#define SOURCECFG_LEVEL_HIGH 6
#define SETIPNUM 0x1cdc
#define IN_CLRIP(line) (0x1d00 + 4ULL * ((line) / 32)) /* when read: which lines are raised */
#define SETIENUM 0x1edc
#define CLRIE(word) (0x1f00 + 4ULL * (word))
#define CLRIENUM 0x1fdc
#define TARGET(line) (0x3000 + 4ULL * (line))
#define TARGET_HART_SHIFT 18
#define TARGET_PRIORITY 1
#define IDC(hart) (0x4000 + 32ULL * (hart))
#define IDC_IDELIVERY 0x00
#define IDC_ITHRESHOLD 0x08
#define IDC_CLAIMI 0x1c

/* Written before other CPUs run. */
static u8 *regs;
static u32 nr_lines, msi_parent;
static int boot_idc; /* negative: it sends messages */

static volatile u32 *reg(u64 offset)
{
	return (volatile u32 *)(regs + offset);
}

bool aplic_sends_messages(void)
{
	return boot_idc < 0;
}

/* Nothing is enabled, and what is delivered is delivered in the way found. */
static void reset_domain(void)
{
	*reg(DOMAINCFG) = 0;
	for (u32 word = 0; word <= nr_lines / 32; word++)
		*reg(CLRIE(word)) = ~0u;
	/* The way first: the targets' registers mean what it says. */
	*reg(DOMAINCFG) = aplic_sends_messages() ? DOMAINCFG_DM : 0;
	if (!aplic_sends_messages()) {
		*reg(IDC(boot_idc) + IDC_ITHRESHOLD) = 0; /* all priorities */
		*reg(IDC(boot_idc) + IDC_IDELIVERY) = 1;
	}
	*reg(DOMAINCFG) |= DOMAINCFG_IE;
}

int aplic_init(const struct fdt *f, const u32 *intc, bool msi)
{
	int node = fdt_by_phandle(f, boot.console.irq_parent);
	u64 addr, size, used;

	if (!fdt_compatible(f, node, "riscv,aplic") || !fdt_enabled(f, node) ||
	    fdt_reg(f, node, 0, &addr, &size) != 0 || addr % sizeof(u32) != 0)
		return -ENODEV;
	msi_parent = msi ? fdt_u32(f, node, "msi-parent", 0) : 0;
	boot_idc = msi_parent ? -1 : fdt_interrupt_index(f, node, intc[0], S_EXTERNAL);
	used = msi_parent ? IDC(0) : IDC((u64)boot_idc + 1);
	if ((!msi_parent && boot_idc < 0) || used > size)
		return -ENODEV;
	nr_lines = min(fdt_u32(f, node, "riscv,num-sources", 0), MAX_LINES);
	regs = ioremap(addr, used);
	if (!regs)
		return -ENOMEM;
	reset_domain();
	return 0;
}

int aplic_enable(unsigned int line)
{
	struct imsic_target t = { (u32)boot_idc, TARGET_PRIORITY };

	if (!regs || line == 0 || line > nr_lines ||
	    (aplic_sends_messages() && imsic_enable(msi_parent, line, &t) != 0))
		return -EINVAL;
	*reg(SOURCECFG(line)) = SOURCECFG_LEVEL_HIGH;
	*reg(TARGET(line)) = t.hart << TARGET_HART_SHIFT | t.identity;
	*reg(SETIENUM) = line;
	return 0;
}

/* A message may have come from elsewhere than from a line of this domain. */
static bool mask_line(unsigned int line)
{
	if (!regs || line > nr_lines)
		return false;
	*reg(CLRIENUM) = line;
	return true;
}

static void handle(unsigned int line)
{
	if (line == boot.console.irq)
		console_interrupt();
	else
		spurious_interrupt(line, mask_line);
	/*
	 * Orders what the handler did to its device before the next look at the line. Pairs with
	 * the device.
	 */
	arch_io_mb();
}

/* A level-sensitive interrupt is pending as long as its line is raised: the claim ends nothing. */
void aplic_interrupt(void)
{
	u32 line;

	while ((line = *reg(IDC(boot_idc) + IDC_CLAIMI) >> 16 & MAX_LINES) != 0)
		handle(line);
}

void aplic_message(unsigned int line)
{
	handle(line);
	/* Read, and not left to the register that is written: some set the bit either way. */
	if (regs && line <= nr_lines && (*reg(IN_CLRIP(line)) >> line % 32 & 1))
		*reg(SETIPNUM) = line;
}
