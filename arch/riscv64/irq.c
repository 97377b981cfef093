// SPDX-License-Identifier: MIT
/*
 * What brings interrupts here: those of devices, and those of other CPUs.
 *
 * Devices' come through a PLIC, or an APLIC, which interrupts a CPU itself or by a store into its
 * interrupt file (IMSIC). Other CPUs' come by such a store too, by a store to the ACLINT's SSWI
 * device, or, on machines that have neither, by a call of the firmware.
 * Why it matters: an IPI that S-mode sends itself costs a fraction of a call, so the transport of
 * flushes is then IPIs (include/tlb.h), which a CPU with interrupts off holds up.
 *
 * Locks and contexts: irq_init() on the boot CPU; see <asm/port.h> for the others.
 * See also: drivers/plic.c, aplic.c, imsic.c, aclint.c; smp.c, trap.c.
 */
#include <aclint.h>
#include <aia.h>
#include <asm/port.h>
#include <asm/sbi.h>
#include <atomic.h>
#include <boot.h>
#include <console.h>
#include <errno.h>
#include <plic.h>
#include <printk.h>
#include <trap.h>

/* Written by irq_init(). */
static void (*ipi_send)(cpumask_t mask) = sbi_send_ipi;
static void (*external)(void) = plic_interrupt;
static int (*enable_line)(unsigned int line); /* NULL: no controller for devices */
static bool have_imsic;

static const char *init_ipi(const struct fdt *f, const u32 *intc)
{
	/* Files that the CPUs cannot read are of no use: Ssaia has the CSRs. */
	have_imsic = cpu_isa_has("ssaia") && imsic_init(f, intc, boot.nr_cpus) == 0;
	if (have_imsic) {
		ipi_send = imsic_send_ipi;
		external = imsic_interrupt;
		return "IMSIC";
	}
	if (sswi_init(f, intc, boot.nr_cpus) == 0) {
		ipi_send = sswi_send_ipi;
		return "ACLINT SSWI";
	}
	return "SBI";
}

static int plic_enable_here(unsigned int line)
{
	return plic_enable(line, 0);
}

/* NULL if the console's line leads nowhere. */
static const char *init_devices(const struct fdt *f, const u32 *intc)
{
	if (plic_init(f, intc, boot.nr_cpus) == 0) {
		enable_line = plic_enable_here;
		return plic_enable(boot.console.irq, 0) == 0 ? "PLIC" : NULL;
	}
	if (aplic_init(f, intc, have_imsic) != 0 || aplic_enable(boot.console.irq) != 0)
		return NULL;
	enable_line = aplic_enable;
	if (!aplic_sends_messages())
		external = aplic_interrupt;
	return aplic_sends_messages() ? "APLIC by messages" : "APLIC";
}

bool irq_init(const struct fdt *f, const u32 *intc)
{
	const char *ipi = init_ipi(f, intc), *devices = init_devices(f, intc);

	arch.default_unmaskable = ipi_send == sbi_send_ipi;
	printk("irq: %s for CPUs; %s for devices%s", ipi, devices ? devices : "none",
	       devices ? "" : ": the console is polled");
	return devices != NULL;
}

int irq_unmask(unsigned int line)
{
	int err = enable_line ? enable_line(line) : -ENODEV;

	if (!err && have_imsic)
		imsic_init_cpu(0); /* its file takes what is enabled now */
	return err;
}

void irq_init_cpu(unsigned int cpu)
{
	plic_init_cpu(cpu);
	if (have_imsic)
		imsic_init_cpu(cpu);
}

void irq_send_ipi(cpumask_t mask)
{
	ipi_send(mask);
}

void irq_software(void)
{
	csr_clear(sip, SIE_SSIE);
	/*
	 * Orders the clearing, a CSR write, before the look at the reasons: a reason set after the
	 * look raises the interrupt again. Pairs with arch_send_ipi() in smp.c.
	 */
	arch_io_mb();
	handle_ipi();
}

void irq_external(void)
{
	external();
}

void irq_poll(void)
{
	if (have_imsic)
		imsic_interrupt();
}
