/* SPDX-License-Identifier: MIT */
/*
 * No traps; but the port's own names, which its files expect to have from <arch.h>.
 */
#ifndef FUZZ_ASM_TRAP_H
#define FUZZ_ASM_TRAP_H

#include_next <asm/trap.h>
#include <asm/csr.h>

#define SSTATUS_SIE 0x2
#define SSTATUS_VS 0x600
#define SSTATUS_FS 0x6000
#define SSTATUS_SUM 0x40000
#define SSTATUS_MXR 0x80000
#define SIE_SSIE 0x2
#define SIE_STIE 0x20
#define SIE_SEIE 0x200

#endif
