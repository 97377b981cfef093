// SPDX-License-Identifier: MIT
/*
 * The end of the machine. SBI's system reset cannot tell an exit status, so QEMU's test device
 * comes first; it is the one that ends a run with success or failure.
 *
 * Contexts: any, with anything held.
 */
#include <asm/port.h>
#include <asm/sbi.h>
#include <atomic.h>
#include <bug.h>
#include <kmap.h>

#define TEST_PASS 0x5555u
#define TEST_FAIL 0x3333u /* and the status in the upper half */

_Static_assert(EARLY_EXIT_STATUS == EXIT_BAD_BOOT, "boot.S");

static volatile u32 *test_device;
static bool tree_read;

void power_init(const struct fdt *f)
{
	int node = fdt_next_compatible(f, -1, "sifive,test0");
	u64 addr, size;

	tree_read = true;
	if (node < 0)
		node = fdt_next_compatible(f, -1, "sifive,test1");
	if (node < 0 || fdt_reg(f, node, 0, &addr, &size) != 0 || addr >= DIRECT_MAP_SIZE ||
	    addr % sizeof(u32) != 0)
		return;
	/* The boot tables reach it too, should there be no memory to map it properly. */
	test_device = phys_to_virt(addr);
	test_device = ioremap(addr, sizeof(u32));
}

/* A store that may fault: the boot tables map everything, whether there is a device or not. */
static void store_guarded(volatile u32 *p, u32 value)
{
	__asm__ __volatile__("1:	sw	%1, (%0)\n"
			     "2:\n\t" EX_TABLE("1b", "2b")::"r"(p),
			     "r"(value)
			     : "memory");
}

/*
 * Without a device tree the test device is looked for where QEMU has it: a failure must be told.
 * Only where no vendor claims the CPU, as in an emulator, and before kmap_init(), which maps memory
 * alone.
 */
static volatile u32 *guess_test_device(void)
{
	struct sbi_ret vendor = sbi_call(SBI_BASE, SBI_BASE_MVENDORID, 0, 0, 0, 0, 0);

	if (tree_read || vendor.error || vendor.value)
		return NULL;
	return phys_to_virt(TEST_DEVICE_GUESS);
}

__noreturn void arch_power_off(int status)
{
	volatile u32 *device = test_device ? test_device : guess_test_device();

	(void)arch_irq_save();
	arch_io_mb(); /* the last characters have left for the UART */
	if (device)
		store_guarded(device, status ? (u32)status << 16 | TEST_FAIL : TEST_PASS);
	sbi_shutdown(status != 0);
	for (;;)
		__asm__ __volatile__("wfi");
}
