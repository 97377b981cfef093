// SPDX-License-Identifier: MIT
/*
 * Memory of the whole kernel in a host process, and its kernel half.
 *
 * The frames are one file in memory, mapped whole at DIRECT_MAP. Every other address of the kernel
 * half is mapped by the kernel's own page tables: an access where the process has nothing yet is
 * looked up there, and if they map it, the process does too. So the process's mappings are a TLB of
 * the kernel half, one for all CPUs; arch_tlb_flush_local_kernel() drops from it. Where the tables
 * map nothing, the access is the kernel's page fault.
 */
#define _GNU_SOURCE
#include "host.h"

#include <kmap.h>
#include <page.h>
#include <pgtable.h>
#include <trap.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static int frames;

static void map(vaddr_t va, size_t size, int prot, phys_t pa)
{
	if (mmap((void *)va, size, prot, MAP_SHARED | MAP_FIXED, frames, (off_t)pa) == MAP_FAILED) {
		perror("host: mmap of frames");
		exit(2);
	}
}

/* Addresses that nothing else may get, and that fault. */
static void unmap(vaddr_t va, size_t size)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;

	if (mmap((void *)va, size, PROT_NONE, flags, -1, 0) == MAP_FAILED) {
		perror("host: mmap of the kernel half");
		exit(2);
	}
}

void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end)
{
	unmap(start, end - start);
}

/* True if the kernel's tables map va, and then the process does. */
static bool fill(vaddr_t va, bool write)
{
	unsigned int level = pt_top_level();
	phys_t table = kernel_root;
	pte_t pte;

	for (;; level--) {
		pte = ((const pte_t *)(DIRECT_MAP + table))[pt_index(va, level)];
		if (!(pte.val & PTE_VALID))
			return false;
		if (pte_leaf(pte, level))
			break;
		table = pte_pa(pte);
	}
	if (write && !pte_write(pte))
		return false;
	map(ALIGN_DOWN(va, pt_span(level)), pt_span(level),
	    pte_write(pte) ? PROT_READ | PROT_WRITE : PROT_READ, pte_pa(pte));
	return true;
}

#define ERROR_WRITE 2 /* of the page fault's error code */
#define EMERGENCY_STACK 65536
#define ROOM 1024 /* for what the interrupted function may still have below its stack pointer */

/* Not of the kernel half: the process's own mistake, or an address that is none. */
static bool in_kernel_half(vaddr_t va)
{
	return va >= VMEMMAP && va < VMALLOC_END;
}

static void on_fault(int sig, siginfo_t *info, void *context)
{
	static char emergency[EMERGENCY_STACK] __aligned(16);
	greg_t *regs = ((ucontext_t *)context)->uc_mcontext.gregs;
	vaddr_t addr = (vaddr_t)info->si_addr, sp = (vaddr_t)regs[REG_RSP];
	bool write = regs[REG_ERR] & ERROR_WRITE;

	if (in_kernel_half(addr) && fill(addr, write))
		return;
	sp = host_stack_overflow(sp - ROOM) ? (vaddr_t)emergency + sizeof(emergency) : sp - ROOM;
	regs[REG_RDI] = (greg_t)addr;
	regs[REG_RSI] = write ? FAULT_WRITE : 0;
	regs[REG_RDX] = regs[REG_RIP];
	regs[REG_RCX] = regs[REG_RBP];
	regs[REG_RSP] = (greg_t)(ALIGN_DOWN(sp, 16) - 8);
	regs[REG_RIP] = (greg_t)(vaddr_t)host_fault;
}

static void catch_faults(void)
{
	static char stack[EMERGENCY_STACK];
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	struct sigaction a = { .sa_sigaction = on_fault,
			       .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaltstack(&alt, NULL);
	sigaction(SIGSEGV, &a, NULL);
	sigaction(SIGBUS, &a, NULL);
}

void host_memory_init(void)
{
	frames = memfd_create("grace-frames", 0);
	if (frames < 0 || ftruncate(frames, HOST_MEMORY) != 0) {
		perror("host: memory for the frames");
		exit(2);
	}
	unmap(DIRECT_MAP, VMALLOC_END - DIRECT_MAP);
	map(DIRECT_MAP, HOST_MEMORY, PROT_READ | PROT_WRITE, 0);
	kernel_root = HOST_BOOT_ROOT;
	catch_faults();
}
