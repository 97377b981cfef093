// SPDX-License-Identifier: MIT
/*
 * PSCI calls, by HVC or SMC as the device tree says (SMC Calling Convention, DEN 0028).
 *
 * Locks and contexts: none; the conduit is set once at boot.
 * See also: include/psci.h, arch/arm64/smp.c.
 */
#include <asm/port.h>
#include <asm/smccc.h>
#include <errno.h>
#include <printk.h>
#include <psci.h>
#include <string.h>

#define PSCI_VERSION 0x84000000u
#define PSCI_SYSTEM_OFF 0x84000008u
#define PSCI_CPU_OFF 0x84000002u
#define PSCI_CPU_ON 0xc4000003u
#define PSCI_AFFINITY_INFO 0xc4000004u
#define AFFINITY_OFF 1

enum conduit { CONDUIT_NONE, CONDUIT_HVC, CONDUIT_SMC };
static enum conduit conduit;

static s64 psci_call(u64 function, u64 a, u64 b, u64 c)
{
	return smccc_call(conduit == CONDUIT_SMC, function, a, b, c);
}

static enum conduit find_conduit(const struct fdt *f)
{
	static const char *const versions[] = { "arm,psci-1.0", "arm,psci-0.2" };

	for (unsigned int i = 0; i < ARRAY_SIZE(versions); i++) {
		int node = fdt_next_compatible(f, -1, versions[i]);
		const char *method = node < 0 ? NULL : fdt_string(f, node, "method");

		if (method && strcmp(method, "smc") == 0)
			return CONDUIT_SMC;
		if (method && strcmp(method, "hvc") == 0 && !boot_entered_el2)
			return CONDUIT_HVC;
	}
	return CONDUIT_NONE;
}

void psci_init(const struct fdt *f)
{
	u32 version;

	conduit = find_conduit(f);
	if (!psci_present()) {
		printk("firmware: no PSCI that can be called: one CPU, and no power-off");
		return;
	}
	version = (u32)psci_call(PSCI_VERSION, 0, 0, 0);
	if (version >> 31) {
		printk("firmware: PSCI does not answer (%d): it is not used", (int)version);
		conduit = CONDUIT_NONE;
		return;
	}
	printk("firmware: PSCI %u.%u by %s", (unsigned int)(version >> 16),
	       (unsigned int)(version & 0xffff), conduit == CONDUIT_SMC ? "smc" : "hvc");
}

bool psci_present(void)
{
	return conduit != CONDUIT_NONE;
}

int psci_cpu_on(u64 mpidr, phys_t entry, u64 arg)
{
	if (!psci_present())
		return -ENODEV;
	switch ((s32)psci_call(PSCI_CPU_ON, mpidr, entry, arg)) {
	case 0:
		return 0;
	case -1: /* NOT_SUPPORTED */
		return -ENODEV;
	case -2: /* INVALID_PARAMETERS */
	case -9: /* INVALID_ADDRESS */
		return -EINVAL;
	case -3: /* DENIED */
		return -EPERM;
	case -4: /* ALREADY_ON */
	case -5: /* ON_PENDING */
		return -EEXIST;
	default:
		return -EIO;
	}
}

void psci_cpu_off(void)
{
	if (psci_present())
		psci_call(PSCI_CPU_OFF, 0, 0, 0);
}

bool psci_cpu_is_off(u64 mpidr)
{
	return psci_call(PSCI_AFFINITY_INFO, mpidr, 0, 0) == AFFINITY_OFF;
}

/*
 * A machine whose device tree cannot be read is ended too: by trial. HVC is not tried where the
 * kernel itself left the level above empty.
 */
void psci_system_off(void)
{
	if (psci_present()) {
		psci_call(PSCI_SYSTEM_OFF, 0, 0, 0);
		return;
	}
	if (!boot_entered_el2)
		probe_hvc(PSCI_SYSTEM_OFF);
	probe_smc(PSCI_SYSTEM_OFF);
}
