/* SPDX-License-Identifier: MIT */
/*
 * The supervisor binary interface: calls into the M-mode firmware (RISC-V SBI specification 1.0).
 */
#ifndef GRACE_ASM_SBI_H
#define GRACE_ASM_SBI_H

#define SBI_LEGACY_PUTCHAR 0x01
#define SBI_LEGACY_SHUTDOWN 0x08
#define SBI_BASE 0x10
#define SBI_BASE_SPEC 0
#define SBI_BASE_IMPL 1
#define SBI_BASE_IMPL_VERSION 2
#define SBI_BASE_PROBE 3
#define SBI_BASE_MVENDORID 4
#define SBI_TIME 0x54494d45
#define SBI_TIME_SET 0
#define SBI_IPI 0x735049
#define SBI_IPI_SEND 0
#define SBI_RFENCE 0x52464e43
#define SBI_RFENCE_SFENCE_VMA_ASID 2
#define SBI_HSM 0x48534d
#define SBI_HSM_START 0
#define SBI_HSM_STOP 1
#define SBI_HSM_STATUS 2
#define SBI_SRST 0x53525354
#define SBI_SRST_RESET 0
#define SBI_SRST_SHUTDOWN 0
#define SBI_SRST_SYSTEM_FAILURE 1
#define SBI_DBCN 0x4442434e
#define SBI_DBCN_WRITE_BYTE 2

#ifndef __ASSEMBLY__
#include <cpumask.h>
#include <types.h>

struct sbi_ret {
	s64 error, value;
};

/* Any context. The firmware changes a0 and a1 only; memory it may read. */
struct sbi_ret sbi_call(u64 ext, u64 fid, u64 a0, u64 a1, u64 a2, u64 a3, u64 a4);
bool sbi_has(u64 ext);
/* Finds the console, and sees that what Grace cannot do without is there: NULL, or what is not. */
const char *sbi_init(void);
void sbi_report(void); /* says who the firmware is */
/* A console through the firmware, for the time before the UART is known. */
const struct uart_ops *sbi_console(void);

/* Interrupts the CPUs of mask. */
void sbi_send_ipi(cpumask_t mask);
/* SFENCE.VMA for the tag on the CPUs of mask; all addresses if size is ~0. Returns when done. */
void sbi_remote_sfence(cpumask_t mask, vaddr_t start, u64 size, unsigned int tag);
/* Starts a stopped hart at a physical address with a1 = arg. 0 or -errno. */
int sbi_hart_start(u64 hart, phys_t entry, u64 arg);
/* Stops this hart; comes back if the firmware refuses. */
void sbi_hart_stop(void);
bool sbi_hart_stopped(u64 hart);
void sbi_set_timer(u64 when);
/* Ends the machine; comes back where the firmware cannot. */
void sbi_shutdown(bool failure);
#endif

#endif
