// SPDX-License-Identifier: MIT
/*
 * Local APICs and I/O APICs (SDM vol. 3, chapter 11; Intel 82093AA data sheet).
 *
 * A local APIC is reached through memory (xAPIC) or, where the CPU has that, through MSRs (x2APIC:
 * ids of 32 bits, and an interrupt is sent by one write). An I/O APIC input is a line from a
 * device; the table behind it says which vector it becomes on which CPU. ISA's 16 lines arrive at
 * inputs that ACPI names.
 * Contexts: a local APIC is its CPU's alone; sending takes two writes with xAPIC, so irqs are off
 * there, and NMI handlers do not send. I/O APICs: boot CPU, at boot; then with ioapic_lock.
 * See also: include/apic.h, drivers/acpi.c.
 */
#include <acpi.h>
#include <apic.h>
#include <arch.h>
#include <asm/cpu.h>
#include <atomic.h>
#include <boot.h>
#include <bug.h>
#include <errno.h>
#include <kmap.h>
#include <printk.h>
#include <spinlock.h>

/* Registers, by offset of the memory form; as an MSR: 0x800 + offset / 16. */
#define APIC_ID 0x20
#define APIC_TPR 0x80
#define APIC_EOI 0xb0
#define APIC_SVR 0xf0
#define APIC_ESR 0x280
#define APIC_ICR 0x300
#define APIC_ICR_HIGH 0x310
#define APIC_LVT_TIMER 0x320
#define APIC_LVT_LINT0 0x350
#define APIC_LVT_LINT1 0x360
#define APIC_LVT_ERROR 0x370
#define APIC_TIMER_INITIAL 0x380
#define APIC_TIMER_CURRENT 0x390
#define APIC_TIMER_DIVIDE 0x3e0

#define SVR_ENABLE BIT(8)
#define LVT_NMI 0x400
#define LVT_MASKED BIT(16)
#define LVT_DEADLINE BIT(18)
#define TIMER_DIVIDE_16 3
#define ICR_NMI 0x400
#define ICR_INIT 0x500
#define ICR_STARTUP 0x600
#define ICR_PENDING BIT(12)
#define ICR_ASSERT BIT(14)

#define BASE_X2APIC BIT(10)
#define BASE_ENABLE BIT(11)
#define BASE_DEFAULT 0xfee00000

static volatile u32 *lapic; /* NULL with x2APIC */

static u32 lapic_read(u32 reg)
{
	return lapic ? lapic[reg / 4] : (u32)rdmsr(MSR_X2APIC + reg / 16);
}

static void lapic_write(u32 reg, u32 value)
{
	if (lapic)
		lapic[reg / 4] = value;
	else
		wrmsr(MSR_X2APIC + reg / 16, value);
}

/* ---- This CPU's --------------------------------------------------------------------------- */

void apic_init_cpu(void)
{
	u64 base = rdmsr(MSR_APIC_BASE);

	wrmsr(MSR_APIC_BASE, base | BASE_ENABLE);
	if (!lapic) /* from off to x2APIC there is no direct way (SDM vol. 3, 11.12.5) */
		wrmsr(MSR_APIC_BASE, base | BASE_ENABLE | BASE_X2APIC);
	lapic_write(APIC_SVR, SVR_ENABLE | VECTOR_SPURIOUS);
	lapic_write(APIC_TPR, 0);
	lapic_write(APIC_LVT_LINT0, LVT_MASKED);
	lapic_write(APIC_LVT_LINT1, LVT_MASKED);
	if (smp_processor_id() == 0) /* one report is enough */
		lapic_write(acpi.nmi_lint ? APIC_LVT_LINT1 : APIC_LVT_LINT0, LVT_NMI);
	lapic_write(APIC_ESR, 0);
	lapic_write(APIC_LVT_ERROR, VECTOR_APIC_ERROR);
	lapic_write(APIC_TIMER_DIVIDE, TIMER_DIVIDE_16);
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
}

/* INIT resets all but the id, the mode and what is pending elsewhere. */
void apic_quiet_cpu(void)
{
	lapic_write(APIC_LVT_TIMER, LVT_MASKED);
	lapic_write(APIC_TIMER_INITIAL, 0);
}

void apic_eoi(void)
{
	lapic_write(APIC_EOI, 0);
}

void apic_timer_setup(bool deadline)
{
	lapic_write(APIC_LVT_TIMER, VECTOR_TIMER | (deadline ? LVT_DEADLINE : 0));
	/* MFENCE keeps the mode before the first deadline, an MSR (SDM vol. 3, 11.5.4.1). */
	__asm__ __volatile__("mfence" ::: "memory");
}

void apic_timer_count(u32 count)
{
	lapic_write(APIC_TIMER_INITIAL, count);
}

u32 apic_timer_left(void)
{
	return lapic_read(APIC_TIMER_CURRENT);
}

/* ---- Sending ------------------------------------------------------------------------------ */

static void send_x2apic(u32 id, u32 command)
{
	/*
	 * A write of this MSR is ordered after nothing by itself (SDM vol. 3, 11.12.3). The fences
	 * order earlier stores before the interrupt. Pairs with hardware: the handler begins after
	 * them.
	 */
	__asm__ __volatile__("mfence; lfence" ::: "memory");
	wrmsr(MSR_X2APIC + APIC_ICR / 16, (u64)id << 32 | command);
}

/* A store to uncached memory comes after every earlier store: no fence is needed here. */
static void send_xapic(u32 id, u32 command)
{
	/* irqs off: an interrupt handler that sends would come between the two writes. */
	bool on = arch_irq_save();

	while (lapic_read(APIC_ICR) & ICR_PENDING)
		cpu_relax();
	lapic_write(APIC_ICR_HIGH, id << 24);
	lapic_write(APIC_ICR, command);
	if (on)
		arch_irq_enable();
}

static void send(u32 id, u32 command)
{
	if (lapic)
		send_xapic(id, command | ICR_ASSERT);
	else
		send_x2apic(id, command | ICR_ASSERT);
}

void apic_send_fixed(u32 id, u8 vector)
{
	send(id, vector);
}

void apic_send_nmi(u32 id)
{
	send(id, ICR_NMI);
}

void apic_send_init(u32 id)
{
	send(id, ICR_INIT);
}

void apic_send_startup(u32 id, u8 page)
{
	send(id, ICR_STARTUP | page);
}

/* ---- I/O APICs ---------------------------------------------------------------------------- */

#define IOAPIC_SIZE 0x20
#define IOAPIC_VERSION 1
#define IOAPIC_ENTRY(n) (0x10 + 2 * (n))
#define ENTRY_ACTIVE_LOW BIT(13)
#define ENTRY_LEVEL BIT(15)
#define ENTRY_MASKED BIT(16)

static volatile u32 *ioapics[ACPI_MAX_IOAPICS]; /* set at boot */
static spinlock_t ioapic_lock = SPINLOCK_INIT;

/*
 * A register is chosen by one access and reached by another: ioapic_lock, once there is more than
 * one CPU.
 */
static u32 ioapic_read(unsigned int i, u32 reg)
{
	ioapics[i][0] = reg;
	return ioapics[i][4];
}

static void ioapic_write(unsigned int i, u32 reg, u32 value)
{
	ioapics[i][0] = reg;
	ioapics[i][4] = value;
}

static u32 ioapic_inputs(unsigned int i)
{
	return (ioapic_read(i, IOAPIC_VERSION) >> 16 & 0xff) + 1;
}

static void ioapic_init(unsigned int i)
{
	ioapics[i] = ioremap(acpi.ioapics[i].base, IOAPIC_SIZE);
	if (!ioapics[i])
		boot_fail("the I/O APIC at %#llx cannot be mapped",
			  (unsigned long long)acpi.ioapics[i].base);
	for (u32 n = 0; n < ioapic_inputs(i); n++)
		ioapic_write(i, IOAPIC_ENTRY(n), ENTRY_MASKED);
}

static struct acpi_override isa_line(u32 irq)
{
	for (unsigned int i = 0; i < acpi.nr_overrides; i++)
		if (acpi.overrides[i].irq == irq)
			return acpi.overrides[i];
	return (struct acpi_override){ .irq = irq, .gsi = irq };
}

/* Unmasked by the last write. */
int apic_route_isa(u32 irq, u8 vector)
{
	struct acpi_override line = isa_line(irq);
	u32 low = vector, id = (u32)boot.hwid[0];

	low |= line.active_low ? ENTRY_ACTIVE_LOW : 0;
	low |= line.level ? ENTRY_LEVEL : 0;
	for (unsigned int i = 0; i < acpi.nr_ioapics; i++) {
		u32 n = line.gsi - acpi.ioapics[i].gsi_base;

		if (line.gsi < acpi.ioapics[i].gsi_base || n >= ioapic_inputs(i))
			continue;
		bool on = spin_lock_irqsave(&ioapic_lock);

		ioapic_write(i, IOAPIC_ENTRY(n) + 1, id << 24);
		ioapic_write(i, IOAPIC_ENTRY(n), low);
		spin_unlock_irqrestore(&ioapic_lock, on);
		return 0;
	}
	return -ENODEV;
}

/* ioapic_lock held. */
static bool ioapic_mask(unsigned int i, u8 vector)
{
	bool found = false;

	for (u32 n = 0; n < ioapic_inputs(i); n++) {
		u32 low = ioapic_read(i, IOAPIC_ENTRY(n));

		if ((u8)low != vector || low & ENTRY_MASKED)
			continue;
		ioapic_write(i, IOAPIC_ENTRY(n), low | ENTRY_MASKED);
		found = true;
	}
	return found;
}

bool apic_mask(unsigned int vector)
{
	bool found = vector == VECTOR_APIC_ERROR, on;

	if (found)
		lapic_write(APIC_LVT_ERROR, LVT_MASKED);
	on = spin_lock_irqsave(&ioapic_lock);
	for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
		found |= ioapic_mask(i, (u8)vector);
	spin_unlock_irqrestore(&ioapic_lock, on);
	return found;
}

/* The two old PICs: their vectors out of the way of exceptions, every line masked. */
static void pic_mask(void)
{
	static const u8 commands[][2] = {
		{ 0x20, 0x11 }, { 0xa0, 0x11 }, /* start, four words */
		{ 0x21, 0x20 }, { 0xa1, 0x28 }, /* vectors */
		{ 0x21, 0x04 }, { 0xa1, 0x02 }, /* the second is at line 2 of the first */
		{ 0x21, 0x01 }, { 0xa1, 0x01 }, /* 8086 */
		{ 0x21, 0xff }, { 0xa1, 0xff }, /* all masked */
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(commands); i++)
		outb(commands[i][0], commands[i][1]);
}

void apic_init(void)
{
	phys_t base = acpi.lapic_base ? acpi.lapic_base : BASE_DEFAULT;

	pic_mask();
	if (!features.x2apic) {
		lapic = ioremap(base, PAGE_SIZE);
		if (!lapic)
			boot_fail("the local APIC at %#llx cannot be mapped",
				  (unsigned long long)base);
	}
	for (unsigned int i = 0; i < acpi.nr_ioapics; i++)
		ioapic_init(i);
	if (acpi.nr_ioapics && apic_route_isa(boot.console.irq, VECTOR_CONSOLE) != 0)
		printk("apic: no I/O APIC has an input for interrupt %u", boot.console.irq);
}
