/* SPDX-License-Identifier: MIT */
/*
 * What the files of the whole kernel in a host process say to each other.
 *
 * Terms. A virtual CPU is a coroutine on the stack of the kernel thread that is current there. A
 * look is where it may take an interrupt or give way to another CPU: each basic block of the
 * kernel ends in one when its time is up (cpu.c).
 */
#ifndef HOST_H
#define HOST_H

#include <arch.h>
#include <types.h>

struct thread;

/* ---- cpu.c ------------------------------------------------------------------------------- */

#define HOST_CPUS 4

/* Begins with the kernel's boot on CPU 0, which calls fn on its stack. seed: of all chances. */
__noreturn void host_cpus_start(void (*fn)(void), u64 seed);
unsigned int host_cpu(void);
/* A look, from host code that stands for instructions of the kernel. */
void host_step(void);
/* A trap that the kernel made at pc: interrupts are off, as at a trap's entry. */
__noreturn void host_fault(vaddr_t addr, u64 flags, vaddr_t pc, vaddr_t fp);
bool host_stack_overflow(vaddr_t sp);

/* ---- memory.c ---------------------------------------------------------------------------- */

#define HOST_MEMORY DIRECT_MAP_SIZE
#define HOST_IMAGE MiB(2)   /* where the image counts as loaded */
#define HOST_BOOT_ROOT 0x1000 /* the table before kmap_init() */

void host_memory_init(void);

/* ---- asan.c: in builds with SANITIZE=address ------------------------------------------------- */

#ifdef HOST_ASAN
/* Around each switch between stacks, and at the beginning of a new one. */
void host_switch_to(vaddr_t sp);
void host_switched(void);
/* A stack is used anew: nothing of its earlier life is forbidden. */
void host_stack_new(vaddr_t top);
/* True if nobody may touch the byte. */
bool host_forbidden(vaddr_t addr);
#else
static inline void host_switch_to(vaddr_t sp)
{
}
static inline void host_switched(void)
{
}
static inline void host_stack_new(vaddr_t top)
{
}
static inline bool host_forbidden(vaddr_t addr)
{
	return false;
}
#endif

#endif
