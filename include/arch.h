/* SPDX-License-Identifier: MIT */
/*
 * The port contract: every constant, type and function that a port supplies, and nothing else
 * crosses between arch/ and the rest. tests/test_arch.c checks each sentence at boot, in this
 * order.
 *
 * Inline hooks are declared here and defined in the port's <asm/...> headers, so the compiler
 * refuses a port that lacks one. Each entry has a number; there are at most 45.
 *
 * Context words: "irqs off" means that the caller has interrupts off on this CPU; "any" means that
 * thread, interrupt and early boot are all fine. A function that does not say it can fail cannot.
 */
#ifndef GRACE_ARCH_H
#define GRACE_ARCH_H

#include <cpumask.h>
#include <types.h>

struct thread;
struct trap_frame;

/* ---- Constants and facts ---------------------------------------------------------------- */

/*
 * [1] <asm/page.h>: PAGE_SHIFT, PT_INDEX_BITS (entries of a table = 1 << PT_INDEX_BITS) and
 * PT_LEVELS_MAX. All table levels have the same size, one page.
 */
#include <asm/page.h>

/*
 * [2] What the port found at boot. Complete before kernel_main() is called, constant afterwards.
 */
struct tlb_transport {
	const char *name;  /* "ipi", "nmi", "broadcast", "sbi" */
	bool maskable;	   /* held up by a target with interrupts off */
};
struct arch_info {
	const char *name;	   /* "x86_64", "arm64", "riscv64" */
	unsigned int pt_levels;	   /* levels of a user table; the root is level pt_levels - 1 */
	unsigned int va_bits;	   /* user addresses are below 1 << va_bits */
	unsigned int tag_bits;	   /* width of the TLB tag (PCID, ASID); 0: no tags */
	u64 leaf_levels;	   /* bit n: a leaf may stand at level n; bit 0 always */
	struct tlb_transport unmaskable; /* the transport of arch_tlb_flush_remote() */
	bool default_unmaskable;   /* the default of tlb= */
	bool leaf_flush_spares_walk_caches; /* a leaf-only flush leaves walk caches alone */
	bool range_flush_spares_walk_caches; /* and so does any flush by address */
	bool caches_invalid;	   /* the TLB may hold "not present" (riscv64 without Svvptc) */
	bool nmi;		   /* arch_send_nmi() works */
	bool cpu_stop;		   /* arch_cpu_stop() works */
	u64 cpu_marks;		   /* which of PA_ACCESSED and PA_DIRTY the CPU sets by itself */
	u64 timer_hz;		   /* rate of arch_cycles() */
	char features[160]; /* CPU features found and used, space-separated, for the boot log */
};
extern struct arch_info arch;

/* ---- Entry codec ------------------------------------------------------------------------ */

/*
 * [3] An entry. 8 bytes on every port; all zero is "none". Made and taken apart by the codec only.
 * PTE_MARKS: the bits by which it says PA_ACCESSED and PA_DIRTY, which the CPU may change.
 */
typedef struct {
	u64 val;
} pte_t;

/*
 * [4] Attributes of a leaf, port-independent. PA_SPECIAL is a software bit: no struct page. Those
 * that hardware has in a row are in its order (x86_64, riscv64): a port moves them as one.
 */
#define PA_READ BIT(0)
#define PA_WRITE BIT(1)	  /* implies PA_READ */
#define PA_EXEC BIT(2)
#define PA_USER BIT(3)
#define PA_GLOBAL BIT(4)  /* the same in every address space: kernel half only */
/*
 * The marks: the entry was used for an access, for a store. The CPU sets those of arch.cpu_marks,
 * by an atomic change of the entry, before it uses the entry or keeps it in its TLB; of the others
 * their absence is a fault. So an entry without PA_ACCESSED is in no TLB that an access could use.
 * PA_ACCESSED may be set by speculation, PA_DIRTY by a store alone. A kernel leaf has both always.
 */
#define PA_ACCESSED BIT(5)
#define PA_DIRTY BIT(6)
#define PA_DEVICE BIT(7)  /* strongly ordered, uncached, never speculated */
#define PA_SPECIAL BIT(8) /* no struct page behind it: gup_fast() refuses it */

/*
 * [5] A leaf for level (0: one page). A leaf without PA_READ and PA_EXEC (PROT_NONE) is present to
 * software and invalid to the hardware. pa is aligned to the level's span.
 */
static inline pte_t arch_pte_leaf(phys_t pa, u64 attr, unsigned int level);
/*
 * [6] An entry that points to the table at pa. user: it stands in a user half. Hardware never
 * writes to it, so to no table that leads to another.
 */
static inline pte_t arch_pte_table(phys_t pa, bool user);
/*
 * [7] True for a table entry and for any leaf, PROT_NONE ones included; false for none and poison.
 */
static inline bool pte_present(pte_t pte);
/* [8] True if a present entry at this level maps memory rather than pointing to a table. */
static inline bool pte_leaf(pte_t pte, unsigned int level);
/* The same above level 0 in one test: true if it is present and points to a table. */
static inline bool pte_is_table(pte_t pte);
/* [9] Physical address of the table, or of the start of what the leaf maps. */
static inline phys_t pte_pa(pte_t pte);
/* The same of a table or a page of memory, all below DIRECT_MAP_SIZE: cheaper on some ports. */
static inline phys_t pte_memory_pa(pte_t pte);
/*
 * [10] The attributes the leaf was made with, and the marks that it got since. PA_ACCESSED is one
 * bit: of the bits of several leaves together, it says whether any of them has it. Only those of
 * want, which is a constant where it matters: the others are not decoded then.
 */
static inline u64 pte_attr_in(pte_t pte, u64 want);
/*
 * Of a leaf or of what is not present, in one test: true if it has PA_USER and PA_READ, and
 * PA_WRITE if write, and not PA_SPECIAL.
 */
static inline bool pte_user_allows(pte_t pte, bool write);

/* ---- Entry access ----------------------------------------------------------------------- */

/*
 * [11] Stores a present entry where there was none, so that a hardware walker that sees the entry
 * also sees what it points to, and so that this CPU's next access uses it. Orders every earlier
 * store before the entry's store, for walkers in software too (release). kernel: the entry is in
 * the kernel half, where a spurious fault cannot be borne.
 * Reading, exchanging and comparing entries need nothing of the port: <pgtable.h> has them.
 */
static inline void arch_pte_publish(pte_t *ptep, pte_t pte, bool kernel);

/* ---- Roots and tags --------------------------------------------------------------------- */

/*
 * [12] Fills the kernel half of a new, zeroed root, if user and kernel share one (x86_64, riscv64).
 */
void arch_root_init(pte_t *root);
/*
 * [13] Loads a user root with its tag (0 when arch.tag_bits is 0). irqs off. After it returns, no
 * access on this CPU uses the old root, and every store before it is visible to this CPU's walker.
 * flush: nothing that the TLB holds of this tag may be used again. Without tags it always flushes
 * the user half.
 */
void arch_root_load(phys_t root, unsigned int tag, bool flush);
/* [14] The user root loaded now, as given to arch_root_load(); 0 if the empty one. irqs off. */
phys_t arch_root_current(void);
/* [15] Loads a root with an empty user half (tag 0): no user address translates. irqs off. */
void arch_root_load_none(void);

/* ---- Invalidation ----------------------------------------------------------------------- */

/*
 * [16] What to invalidate. All of the tag when start == 0 and end == ~0. tables: walk caches too,
 * not leaves only. stride_shift: smallest leaf that was cleared in the range, log2 of bytes. Where
 * range_flush_spares_walk_caches, tables are asked for with all of the tag only.
 */
struct arch_flush {
	unsigned int tag;
	vaddr_t start, end; /* page-aligned, end exclusive */
	unsigned int stride_shift;
	bool tables;
};
/*
 * [17] Drops it from this CPU's TLB. irqs off or preemption off. This, and each of [18] to [20],
 * tells the ledger what it carried out: <ledger.h>, ledger_invalidated(). Orders earlier entry
 * stores before the invalidation, and the invalidation before later accesses of this CPU.
 */
void arch_tlb_flush_local(const struct arch_flush *f);
/*
 * [18] Drops it from the TLB of every CPU in mask (the caller's included if there), by the port's
 * unmaskable transport: a target with interrupts off does not delay it. Returns when all are done.
 * Preemption off. Orders as [17], for every target. It says nothing about walkers in software.
 */
void arch_tlb_flush_remote(cpumask_t mask, const struct arch_flush *f);
/*
 * [19] Drops everything from this CPU's TLB, global entries and all tags. irqs or preemption off.
 */
void arch_tlb_flush_local_all(void);
/* [20] Drops a kernel range from this CPU's TLB, walk caches included. irqs or preemption off. */
void arch_tlb_flush_local_kernel(vaddr_t start, vaddr_t end);

/* ---- CPUs and interprocessor interrupts ------------------------------------------------- */

/*
 * [21] Starts CPU cpu, which arrives in secondary_main() with interrupts off, on the stack of the
 * thread given, with its per-CPU area current. Returns 0 once the firmware has accepted, or -errno.
 * Thread context, one call at a time. A CPU that was stopped is started in the same way.
 */
int arch_cpu_start(unsigned int cpu, struct thread *idle);
/*
 * [22] Sets this CPU up: traps, features, kernel root, interrupt controller, timer. irqs off; boot
 * CPU from kernel_main(), each other CPU from secondary_main().
 */
void arch_cpu_init(void);
/*
 * [23] Makes each CPU of mask take handle_ipi() soon; stays pending while its interrupts are off.
 * Any context. Orders earlier stores before the interrupt is seen.
 */
void arch_send_ipi(cpumask_t mask);
/*
 * [24] Makes cpu run handle_nmi() even with interrupts off. Only where arch.nmi; else does nothing.
 */
void arch_send_nmi(unsigned int cpu);

/* ---- Interrupt state -------------------------------------------------------------------- */

/* [25..28] Compiler barriers all. irq_save returns whether interrupts were on. */
static inline bool arch_irq_save(void);
static inline void arch_irq_enable(void);
static inline void arch_irq_disable(void);
static inline bool arch_irqs_enabled(void);
/*
 * [29] Waits for an interrupt. Called with irqs off; an interrupt that was pending already ends the
 * wait; returns with irqs on and the interrupt taken.
 */
void arch_cpu_idle(void);

/* ---- Threads and user access ------------------------------------------------------------ */

/*
 * [30] <asm/thread.h>: struct arch_context, first member of struct thread. arch_context_init()
 * makes it start in thread_start() (kernel/sched.c) on the given stack top, irqs off.
 */
#include <asm/thread.h>
void arch_context_init(struct thread *t, void *stack_top);
/*
 * [31] Saves the caller in prev, resumes next. irqs off. Returns, on prev's next turn, the thread
 * that ran just before it. current and the stack are next's when it returns there.
 */
struct thread *arch_context_switch(struct thread *prev, struct thread *next);
/* [32, 33] The running thread; the distance of this CPU's per-CPU area. <asm/percpu.h>. */
static inline struct thread *arch_current(void);
/* unsigned long arch_percpu_offset(void): declared by <percpu.h>. */
/*
 * [34, 35] Open and close the kernel's access to user memory, where the CPU can forbid it (SMAP,
 * SUM; PAN needs neither, its copies use the unprivileged forms). Does not nest. The state is the
 * thread's: it survives interrupts and switches, and interrupt handlers run with it closed.
 */
static inline void arch_user_access_begin(void);
static inline void arch_user_access_end(void);
/*
 * [36] Copies n bytes, between kernel and user memory in the direction given by to_user, with
 * access open. Returns the number of bytes not copied: a fault that do_page_fault() cannot resolve
 * ends the copy. The addresses were range-checked. irqs on, unless the caller accepts that any
 * fault ends the copy.
 */
size_t arch_user_copy(void *dst, const void *src, size_t n, bool to_user);

/*
 * [41] Zeroes the page of memory at page and returns true, where an instruction zeroes more than a
 * store can; else does nothing and returns false. Any context.
 */
static inline bool arch_clear_page(void *page);

/* ---- Time ------------------------------------------------------------------------------- */

/* [37] A counter at arch.timer_hz, monotonic on each CPU and in step between CPUs. Any context. */
static inline u64 arch_cycles(void);
/*
 * [38] Makes this CPU take timer_interrupt() once arch_cycles() >= when; replaces the last. irqs
 * off.
 */
void arch_timer_set(u64 when);
/*
 * [45] For benchmarks: the instructions that this CPU executed, where the machine counts them one
 * by one (emulators can); elsewhere cycles, or 0 for good where there is no such counter. Never
 * goes back on one CPU. Any context.
 */
static inline u64 arch_instructions(void);

/* ---- Trap frames and backtraces --------------------------------------------------------- */

/*
 * [39] <asm/trap.h>: struct trap_frame, every register at the moment of the trap, and accessors.
 */
static inline vaddr_t trap_pc(const struct trap_frame *tf);
static inline vaddr_t trap_fp(const struct trap_frame *tf);
static inline bool trap_irqs_on(const struct trap_frame *tf); /* in the interrupted context */
static inline bool trap_from_user(const struct trap_frame *tf);
/*
 * The n-th register that a report of a trap shows, those included that say more of the trap: its
 * value, and its name in at most TRAP_REGISTER_NAME bytes. False beyond the last.
 */
#define TRAP_REGISTER_NAME 7
bool trap_register(const struct trap_frame *tf, unsigned int n, char *name, u64 *value);
/*
 * [40] This function's own frame pointer; and where the frame at fp keeps caller's fp and return.
 */
#define arch_frame_pointer() ((vaddr_t)__builtin_frame_address(0))
static inline void arch_unwind(vaddr_t fp, vaddr_t *caller_fp, vaddr_t *ret);
/* [42] The frame pointer with which a switched-out thread will resume. t is not running. */
vaddr_t arch_thread_fp(const struct thread *t);

/* ---- End -------------------------------------------------------------------------------- */

/* [43] Ends the machine so that QEMU's exit status tells status (0..63). Any context. */
__noreturn void arch_power_off(int status);
/*
 * [44] Stops this CPU until arch_cpu_start(). irqs off, where arch.cpu_stop. Its timer is quiet,
 * and nobody may wait for it in arch_tlb_flush_remote(). It stands on its stack until
 * arch_cpu_stopped() says that it is off: on any other CPU, any context.
 */
__noreturn void arch_cpu_stop(void);
bool arch_cpu_stopped(unsigned int cpu);

#include <asm/arch.h>
#include <asm/percpu.h>
#include <asm/trap.h>

#endif
