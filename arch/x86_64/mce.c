// SPDX-License-Identifier: MIT
/*
 * Machine checks: what the hardware found broken in itself.
 *
 * Terms. A bank is a group of registers of one unit (a cache, the memory controller): a status,
 * and where the status says so an address and more ("misc"). They keep what they have over a reset.
 * Why: a machine check that says nothing but its name sends its reader after the software.
 * Contexts: any CPU with its own registers; mce_register() in a report, on the CPU that was hit.
 * See also: trap.c, SDM vol. 3, chapter 15.
 */
#include <arch.h>
#include <asm/cpu.h>
#include <printk.h>
#include <smp.h>
#include <time.h>

#define MSR_MCG_CAP 0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL 0x17b
#define MSR_MC_CTL(bank) (0x400 + 4 * (bank))
#define MSR_MC_STATUS(bank) (0x401 + 4 * (bank))
#define MSR_MC_ADDR(bank) (0x402 + 4 * (bank))
#define MSR_MC_MISC(bank) (0x403 + 4 * (bank))

#define MCG_CAP_BANKS 0xff
#define MCG_CAP_CTL BIT(8) /* there is an MCG_CTL */

#define MC_VAL BIT(63)
#define MC_MISCV BIT(59)
#define MC_ADDRV BIT(58)

#define OTHERS_FIRST_NS (10 * NSEC_PER_MSEC)

static unsigned int nr_banks(void)
{
	return features.mca ? rdmsr(MSR_MCG_CAP) & MCG_CAP_BANKS : 0;
}

/* The P6 family's first bank is not software's to switch (SDM vol. 3, 15.8). */
static bool firmware_has_bank_0(void)
{
	u32 version = cpuid_leaf(1).a;
	u32 family = version >> 8 & 0xf, model = (version >> 4 & 0xf) | (version >> 12 & 0xf0);

	return family == 6 && model < 0x1a;
}

/* Says and forgets what a bank has kept from before the boot. */
static void empty_bank(unsigned int bank)
{
	u64 status = rdmsr(MSR_MC_STATUS(bank));

	if (status & MC_VAL)
		printk("mce: CPU %u, bank %u has an error from before: status %#llx, address "
		       "%#llx", smp_processor_id(), bank, (unsigned long long)status,
		       status & MC_ADDRV ? (unsigned long long)rdmsr(MSR_MC_ADDR(bank)) : 0);
	wrmsr(MSR_MC_STATUS(bank), 0);
}

/* In the order that the manual gives (SDM vol. 3, 15.8): the last step is CR4.MCE, in cpu.c. */
void mce_init_cpu(void)
{
	unsigned int banks = nr_banks();

	if (banks && rdmsr(MSR_MCG_CAP) & MCG_CAP_CTL)
		wrmsr(MSR_MCG_CTL, ~0ULL);
	for (unsigned int bank = 0; bank < banks; bank++) {
		empty_bank(bank);
		if (bank > 0 || !firmware_has_bank_0())
			wrmsr(MSR_MC_CTL(bank), ~0ULL);
	}
}

bool mce_first(u64 *status, u64 *addr)
{
	for (unsigned int bank = 0; bank < nr_banks(); bank++) {
		*status = rdmsr(MSR_MC_STATUS(bank));
		*addr = *status & MC_ADDRV ? rdmsr(MSR_MC_ADDR(bank)) : 0;
		if (*status & MC_VAL)
			return true;
	}
	*status = features.mca ? rdmsr(MSR_MCG_STATUS) : 0;
	*addr = 0;
	return false;
}

void mce_let_others_speak(void)
{
	u64 end = time_ns() + OTHERS_FIRST_NS;

	while (time_ns() < end)
		cpu_relax();
}

bool mce_register(unsigned int n, char *name, u64 *value)
{
	static const struct {
		u64 valid;
		const char *name;
		u32 msr;
	} parts[] = {
		{ MC_VAL, "st", MSR_MC_STATUS(0) },
		{ MC_VAL | MC_ADDRV, "ad", MSR_MC_ADDR(0) },
		{ MC_VAL | MC_MISCV, "mi", MSR_MC_MISC(0) },
	};

	if (features.mca && n-- == 0) {
		snprintf(name, TRAP_REGISTER_NAME, "mcgst");
		*value = rdmsr(MSR_MCG_STATUS);
		return true;
	}
	for (unsigned int i = 0; i < nr_banks() * ARRAY_SIZE(parts); i++) {
		unsigned int bank = i / ARRAY_SIZE(parts), part = i % ARRAY_SIZE(parts);
		u64 valid = parts[part].valid;

		if ((rdmsr(MSR_MC_STATUS(bank)) & valid) != valid || n-- != 0)
			continue;
		snprintf(name, TRAP_REGISTER_NAME, "mc%u%s", bank, parts[part].name);
		*value = rdmsr(parts[part].msr + 4 * bank);
		return true;
	}
	return false;
}
