// SPDX-License-Identifier: MIT
/*
 * Calls into the firmware: console, interprocessor interrupts, remote fences, harts, timer,
 * power-off.
 *
 * The firmware names harts by a 64-bit mask and the hart id that its bit 0 stands for; ids may be
 * far apart, so a set of CPUs can take several calls.
 *
 * Locks and contexts: none, any context. A remote fence is done by M-mode on the targets, which a
 * target with interrupts off in S-mode does not delay.
 * See also: include/asm/sbi.h, RISC-V SBI specification 1.0.
 */
#include <asm/sbi.h>
#include <atomic.h>
#include <boot.h>
#include <bug.h>
#include <console.h>
#include <errno.h>
#include <printk.h>

#define SBI_ERR_INVALID_PARAM (-3)
#define SBI_ERR_ALREADY_AVAILABLE (-6)
#define HART_STOPPED 1

static bool have_dbcn;

bool sbi_has(u64 ext)
{
	struct sbi_ret r = sbi_call(SBI_BASE, SBI_BASE_PROBE, ext, 0, 0, 0, 0);

	return r.error == 0 && r.value != 0;
}

const char *sbi_init(void)
{
	have_dbcn = sbi_has(SBI_DBCN);
	return !sbi_has(SBI_IPI) ? "IPI" : !sbi_has(SBI_RFENCE) ? "RFENCE" : NULL;
}

static u64 base_value(u64 fid)
{
	struct sbi_ret r = sbi_call(SBI_BASE, fid, 0, 0, 0, 0, 0);

	return r.error == 0 ? (u64)r.value : 0;
}

/* Implementations have numbers (SBI specification, chapter 4); 1 is OpenSBI's. */
void sbi_report(void)
{
	u64 spec = base_value(SBI_BASE_SPEC), impl = base_value(SBI_BASE_IMPL);
	u64 version = base_value(SBI_BASE_IMPL_VERSION);
	char by[48];

	if (impl == 1)
		snprintf(by, sizeof(by), "OpenSBI %llu.%llu", (unsigned long long)version >> 16,
			 (unsigned long long)version & 0xffff);
	else
		snprintf(by, sizeof(by), "implementation %llu, version %#llx",
			 (unsigned long long)impl, (unsigned long long)version);
	printk("firmware: %s, SBI %llu.%llu of %s%s", boot.firmware,
	       (unsigned long long)spec >> 24 & 0x7f, (unsigned long long)spec & 0xffffff, by,
	       sbi_has(SBI_HSM) ? "" : "; it cannot start CPUs (no HSM)");
}

/* ---- Console ----------------------------------------------------------------------------- */

static void sbi_putc(char c)
{
	if (have_dbcn)
		sbi_call(SBI_DBCN, SBI_DBCN_WRITE_BYTE, (u8)c, 0, 0, 0, 0);
	else
		sbi_call(SBI_LEGACY_PUTCHAR, 0, (u8)c, 0, 0, 0, 0);
}

static int sbi_getc(void)
{
	return -1;
}

const struct uart_ops *sbi_console(void)
{
	static const struct uart_ops ops = { .name = "SBI", .putc = sbi_putc, .getc = sbi_getc };

	return &ops;
}

void arch_early_print(const char *s)
{
	for (; *s; s++)
		sbi_putc(*s);
}

/* ---- Sets of CPUs ------------------------------------------------------------------------ */

/*
 * Takes the CPUs out of *mask whose hart ids lie in one aligned window of 64, that of the first,
 * and returns them as the firmware wants them.
 */
static u64 next_window(cpumask_t *mask, u64 *base)
{
	u64 harts = 0;
	unsigned int cpu;

	*base = ALIGN_DOWN(boot.hwid[__builtin_ctzll(*mask)], 64ULL);
	for_each_cpu (cpu, *mask) {
		if (ALIGN_DOWN(boot.hwid[cpu], 64ULL) != *base)
			continue;
		harts |= BIT(boot.hwid[cpu] - *base);
		*mask &= ~cpumask_of(cpu);
	}
	return harts;
}

void sbi_send_ipi(cpumask_t mask)
{
	u64 base;

	while (mask) {
		u64 harts = next_window(&mask, &base);
		struct sbi_ret r = sbi_call(SBI_IPI, SBI_IPI_SEND, harts, base, 0, 0, 0);

		if (r.error)
			panic("sbi: send_ipi(%#llx, %llu) failed: %lld", (unsigned long long)harts,
			      (unsigned long long)base, (long long)r.error);
	}
}

void sbi_remote_sfence(cpumask_t mask, vaddr_t start, u64 size, unsigned int tag)
{
	u64 base;

	while (mask) {
		u64 harts = next_window(&mask, &base);
		struct sbi_ret r =
		    sbi_call(SBI_RFENCE, SBI_RFENCE_SFENCE_VMA_ASID, harts, base, start, size, tag);

		if (r.error)
			panic("sbi: remote_sfence_vma_asid(%#llx, %llu, %#llx, %#llx) failed: %lld",
			      (unsigned long long)harts, (unsigned long long)base,
			      (unsigned long long)start, (unsigned long long)size,
			      (long long)r.error);
	}
}

/* ---- Harts, timer, power ----------------------------------------------------------------- */

int sbi_hart_start(u64 hart, phys_t entry, u64 arg)
{
	switch (sbi_call(SBI_HSM, SBI_HSM_START, hart, entry, arg, 0, 0).error) {
	case 0:
		return 0;
	case SBI_ERR_INVALID_PARAM:
		return -ENODEV;
	case SBI_ERR_ALREADY_AVAILABLE:
		return -EBUSY;
	}
	return -EIO;
}

void sbi_hart_stop(void)
{
	sbi_call(SBI_HSM, SBI_HSM_STOP, 0, 0, 0, 0, 0);
}

bool sbi_hart_stopped(u64 hart)
{
	struct sbi_ret r = sbi_call(SBI_HSM, SBI_HSM_STATUS, hart, 0, 0, 0, 0);

	return r.error == 0 && r.value == HART_STOPPED;
}

void sbi_set_timer(u64 when)
{
	struct sbi_ret r = sbi_call(SBI_TIME, SBI_TIME_SET, when, 0, 0, 0, 0);

	if (r.error)
		panic("sbi: set_timer(%llu) failed: %lld", (unsigned long long)when,
		      (long long)r.error);
}

void sbi_shutdown(bool failure)
{
	sbi_call(SBI_SRST, SBI_SRST_RESET, SBI_SRST_SHUTDOWN, failure ? SBI_SRST_SYSTEM_FAILURE : 0,
		 0, 0, 0);
	sbi_call(SBI_LEGACY_SHUTDOWN, 0, 0, 0, 0, 0, 0);
}
