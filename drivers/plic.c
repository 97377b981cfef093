// SPDX-License-Identifier: MIT
/*
 * The platform-level interrupt controller (RISC-V PLIC specification 1.0).
 *
 * A context is a place that interrupts go to: one mode of one hart. Contexts are numbered by their
 * place in the node's interrupts-extended. Each has a set of enabled lines, a threshold, and a
 * register that claims a line when read and completes it when written.
 *
 * Locks and contexts: set-up on the boot CPU; each CPU claims from its own context with irqs off.
 * See also: include/plic.h.
 */
#include <arch.h>
#include <atomic.h>
#include <boot.h>
#include <errno.h>
#include <kmap.h>
#include <percpu.h>
#include <plic.h>
#include <trap.h>

#define MAX_LINES 1024u
#define PRIORITY(line) (4ULL * (line))
#define ENABLE(context, line) (0x2000 + 0x80ULL * (context) + 4 * ((line) / 32))
#define THRESHOLD(context) (0x200000 + 0x1000ULL * (context))
#define CLAIM(context) (THRESHOLD(context) + 4)

#define S_EXTERNAL 9u /* the number of S-mode's external interrupt in a hart's own controller */
#define NO_CONTEXT (-ENOENT)

/* Written before other CPUs run. */
static u8 *regs;
static u32 nr_lines;
static int contexts[MAX_CPUS];

static volatile u32 *reg(u64 offset)
{
	return (volatile u32 *)(regs + offset);
}

/* Fills contexts[] and returns the largest, or NO_CONTEXT. */
static int find_contexts(const struct fdt *f, int node, const u32 *intc, unsigned int nr_cpus)
{
	int largest = NO_CONTEXT;

	for (unsigned int cpu = 0; cpu < nr_cpus; cpu++) {
		contexts[cpu] = fdt_interrupt_index(f, node, intc[cpu], S_EXTERNAL);
		largest = max(largest, contexts[cpu]);
	}
	return largest;
}

static int find_plic(const struct fdt *f)
{
	int node = fdt_next_compatible(f, -1, "sifive,plic-1.0.0");

	if (node < 0)
		node = fdt_next_compatible(f, -1, "riscv,plic0");
	return fdt_enabled(f, node) ? node : -ENODEV;
}

int plic_init(const struct fdt *f, const u32 *intc, unsigned int nr_cpus)
{
	int node = find_plic(f), largest;
	u64 addr, size, used;

	if (node < 0 || fdt_reg(f, node, 0, &addr, &size) != 0 || addr % sizeof(u32) != 0)
		return -ENODEV;
	largest = find_contexts(f, node, intc, nr_cpus);
	used = THRESHOLD((u64)(largest + 1));
	if (largest == NO_CONTEXT || used > size)
		return -ENODEV;
	nr_lines = min(fdt_u32(f, node, "riscv,ndev", 0) + 1, MAX_LINES);
	regs = ioremap(addr, used);
	return regs ? 0 : -ENODEV;
}

void plic_init_cpu(unsigned int cpu)
{
	if (regs && contexts[cpu] != NO_CONTEXT)
		*reg(THRESHOLD(contexts[cpu])) = 0;
}

int plic_enable(unsigned int line, unsigned int cpu)
{
	if (!regs || line == 0 || line >= nr_lines || contexts[cpu] == NO_CONTEXT)
		return -EINVAL;
	*reg(ENABLE(contexts[cpu], line)) |= 1u << line % 32;
	*reg(PRIORITY(line)) = 1; /* last: QEMU 7.2 looks at what is pending when this changes */
	return 0;
}

/*
 * By priority 0, "never interrupt": a line that is not enabled for a context cannot be completed
 * there, and what claimed it has yet to do so (PLIC 1.0, "Interrupt Priorities", "Interrupt
 * Completion").
 */
static bool mask_line(unsigned int line)
{
	*reg(PRIORITY(line)) = 0;
	return true;
}

void plic_interrupt(void)
{
	int context = contexts[smp_processor_id()];
	u32 line;

	while (regs && context != NO_CONTEXT && (line = *reg(CLAIM(context))) != 0) {
		if (line == boot.console.irq)
			console_interrupt();
		else
			spurious_interrupt(line, mask_line);
		/*
		 * Orders what the handler did to its device before the completion: else the line,
		 * still raised, would be taken again for nothing. Pairs with the device.
		 */
		arch_io_mb();
		*reg(CLAIM(context)) = line;
	}
}
