/* SPDX-License-Identifier: MIT */
/*
 * The kernel half: its page tables, device mappings, guarded stacks.
 */
#ifndef GRACE_KMAP_H
#define GRACE_KMAP_H

#include <arch.h>
#include <page.h>

/* The kernel's root table. Ports load it in arch_cpu_init(). */
extern phys_t kernel_root;

/*
 * Builds the kernel's own tables from boot memory: direct map (never executable, image's text and
 * rodata read-only there too), vmemmap, vmalloc area, image with W^X. Large leaves where they fit.
 * Boot CPU, once, before page_alloc_init(); the port loads the result in arch_cpu_init().
 */
void kmap_init(void);

/*
 * Maps size bytes of device registers (PA_DEVICE). NULL without space, for memory, and for
 * addresses that the machine's entries cannot hold. Thread context or boot; before kmap_init() it
 * works through the port's early map: see arch_start(). Never unmapped.
 */
void *ioremap(phys_t pa, size_t size);

/*
 * A stack of STACK_SIZE with an unmapped guard under it, or 0 without memory. Thread context,
 * preemptible, or boot.
 */
vaddr_t stack_alloc(void);
/*
 * Unmaps, invalidates on every CPU, then frees [G1]; keeps a few for later. Thread context,
 * preemptible.
 */
void stack_free(vaddr_t stack);
/* Frees those few too. page_alloc_drain() calls it. Thread context, preemptible. */
void stack_drain(void);

/*
 * The entry that maps va, or the empty one where there is no mapping; *level tells which. The
 * kernel's tables are never freed, so no lock is needed.
 */
pte_t kmap_lookup(vaddr_t va, unsigned int *level);

/*
 * Pages in the VMALLOC area, whose tables exist. For mm/stack.c. kmap_clear() returns what was
 * mapped; it may be used again, and the addresses too, only after kmap_flush(): that is every CPU,
 * so thread context and preemptible once there are others. kmap_set() flushes where TLBs remember
 * "not mapped".
 */
void kmap_set(vaddr_t va, const phys_t *pa, unsigned int nr, u64 attr);
phys_t kmap_clear(vaddr_t va);
void kmap_flush(vaddr_t start, vaddr_t end);

/* The end of the VMALLOC area belongs to stacks; its leaf tables are made by kmap_init(). */
#define STACK_AREA_SLOTS 2048
#define STACK_AREA_START (VMALLOC_END - STACK_AREA_SLOTS * 2ULL * STACK_SIZE)

/* Calls fn for each mapping of the kernel half, neighbours with the same attributes merged. */
void kmap_for_each(void (*fn)(vaddr_t start, vaddr_t end, phys_t pa, u64 attr, unsigned int level,
			      void *arg),
		   void *arg);

#endif
