/* SPDX-License-Identifier: MIT */
/*
 * System registers: access, and the values that both assembly and C need. DDI 0487, chapter D19.
 */
#ifndef ASM_SYSREG_H
#define ASM_SYSREG_H

#include <asm/page.h>

/*
 * MAIR_EL1: index 0 normal write-back, index 1 device nGnRE: no gathering, no reordering, and never
 * read in advance (DDI 0487 B2, on device memory).
 */
#define MAIR_VALUE 0x04ff

/*
 * What differs by granule. TG1 and TG0 of TCR_EL1; what the header of the image says (bits 2:1);
 * the field of ID_AA64MMFR0_EL1 that tells whether the CPU has it, and the least values that mean
 * yes, and with 52 bits (FEAT_LPA2); and the blocks of the boot direct map: the largest of at most
 * 1 GiB.
 */
#if PAGE_SHIFT == 16
#define TCR_GRANULE 0xc0004000
#define IMAGE_FLAGS 0xe
#define TGRAN_SHIFT 24 /* signed */
#define TGRAN_LEAST 0
#define TGRAN_LPA2 8 /* never: 52 bits are another feature's, LVA */
#define BOOT_DIRECT_SHIFT 29
#define NO_GRANULE "this CPU has no 64 KiB pages: build with another PAGE_SIZE"
#elif PAGE_SHIFT == 14
#define TCR_GRANULE 0x40008000
#define IMAGE_FLAGS 0xc
#define TGRAN_SHIFT 20 /* 0: none */
#define TGRAN_LEAST 1
#define TGRAN_LPA2 2
#define BOOT_DIRECT_SHIFT 25
#define NO_GRANULE "this CPU has no 16 KiB pages: build with another PAGE_SIZE"
#else
#define TCR_GRANULE 0x80000000
#define IMAGE_FLAGS 0xa
#define TGRAN_SHIFT 28 /* signed */
#define TGRAN_LEAST 0
#define TGRAN_LPA2 1
#define BOOT_DIRECT_SHIFT 30
#define NO_GRANULE "this CPU has no 4 KiB pages: build with another PAGE_SIZE"
#endif

/*
 * TCR_EL1 without IPS, AS and T0SZ: table walks write-back and inner shareable, the ASID in TTBR0;
 * T1SZ for whole tables of KERNEL_LEVELS. T0SZ is the same at boot, 64 - va_bits later.
 */
#define TCR_T0SZ_BOOT (64 - PAGE_SHIFT - PT_INDEX_BITS * KERNEL_LEVELS)
#define TCR_BASE (0x35003500 | TCR_GRANULE | TCR_T0SZ_BOOT << 16)
#define TCR_T0SZ_MASK 0x3f
#define TCR_IPS_SHIFT 32
#define TCR_IPS_MASK (7ULL << TCR_IPS_SHIFT)
#define TCR_IPS_48_BITS 5
#define TCR_IPS_52_BITS 6
#define TCR_AS_SHIFT 36 /* 16-bit ASIDs */
#define TCR_HA BIT(39) /* the CPU sets accessed, */
#define TCR_HD BIT(40) /* and dirty in entries with DBM */
#define TCR_DS_SHIFT 59 /* entries hold 52 bits with pages of 4 and 16 KiB too */

/*
 * SCTLR_EL1. Base: LSMAOE, nTLSMD, UCI, SPAN, EIS, TSCXT, nTWE, nTWI, UCT, DZE, EOS, SED, ITD. On:
 * SA0, SA, and M, C, I. SPAN is cleared later where the CPU has PAN.
 */
#define SCTLR_BASE 0x34d5c980
#define SCTLR_ON 0x101d
#define SCTLR_SPAN 0x800000

/* PMCR_EL0: counters enabled; the cycle counter overflows at 64 bits. */
#define PMCR_E 0x1
#define PMCR_LC 0x40

#define PSTATE_BOOT 0x3c5 /* EL1 on SP_EL1; D, A, I, F masked */

/*
 * Entry bits that boot.S needs; the codec in <asm/arch.h> has the others. The identity map is
 * walked with TCR_EL1.DS and without, so its bits 9:8, shareability or address, are zero. As
 * shareability that differs from what the image's own mapping has, and does no harm: nothing that
 * is reached through the identity map is ever written.
 */
#define BOOT_TABLE 0x3
#define BOOT_ID_PAGE 0x0040000000000c83     /* identity: read-only, executable, not global */
#define BOOT_IMAGE_PAGE 0x0448000000000703  /* the image: all permissions until kmap_init() */
#define BOOT_DIRECT_BLOCK 0x0468000000000701 /* memory: read-write */
#define BOOT_DEVICE_PAGE 0x0468000000000407 /* read-write, device */

/*
 * The guess of the last resort: where QEMU's virt machine and its kin have a PL011, mapped at a
 * place of its own until kmap_init().
 */
#define EARLY_UART_PA 0x09000000
#define EARLY_UART_VA 0xfffffff080000000

#ifndef __ASSEMBLY__
#include <types.h>

#define read_sysreg(name)                                                                          \
	({                                                                                         \
		u64 sysreg_value;                                                                  \
		__asm__ __volatile__("mrs %0, " #name : "=r"(sysreg_value));                       \
		sysreg_value;                                                                      \
	})
#define write_sysreg(name, value)                                                                  \
	do {                                                                                       \
		u64 sysreg_value = (value);                                                        \
		__asm__ __volatile__("msr " #name ", %x0" : : "rZ"(sysreg_value) : "memory");      \
	} while (0)

#define isb() __asm__ __volatile__("isb" ::: "memory")
#define dsb(scope) __asm__ __volatile__("dsb " #scope ::: "memory")

/* A field of an identification register: 4 bits at shift. */
#define id_field(name, shift) ((unsigned int)(read_sysreg(name) >> (shift)) & 0xf)
#endif

#endif
