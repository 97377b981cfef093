/* SPDX-License-Identifier: MIT */
/*
 * Every ordering rule, as one table.
 *
 * In the one function that enforces a rule stands `rule(NAME)`. In the default build that is one
 * predictable load, so that one image serves every experiment: `knockout=NAME` on the command line,
 * or `rules off NAME` at the console, removes exactly that rule. With RULES=fixed it is constant
 * true and costs nothing. docs/rules.md is made from this table and from the drawings that stand
 * beside the code as "RACE id".
 *
 * X(name, id, sentence, where, run, by, needs, known)
 *   where  the function that enforces it
 *   run    what the matrix (`make rules`) does with the rule off to see it break: commands of the
 *          console; what stands before a | goes to the kernel's command line
 *   by     who must report then: an oracle (<oracle.h>), or a selftest
 *   needs  what a machine must have for the rule to matter there: see RULE_NEEDS
 *   known  where the field met it
 */
#ifndef GRACE_RULES_H
#define GRACE_RULES_H

#include <types.h>

/*
 * X(name, verdict where the machine has it not, why)
 * "n.a.": there is nothing to break. "redundant": other means make it unnecessary there, which is
 * for an exhausted exploration to show.
 */
#define RULE_NEEDS(X)                                                                              \
	X(ALWAYS, "", "")                                                                          \
	X(TAGS, "n.a.", "no tags in this TLB")                                                     \
	X(LAZY, "n.a.", "this transport skips no lazy CPU")                                        \
	X(LAZY_OR_NO_TAGS, "n.a.", "the mask keeps the CPU, and this transport skips nobody")      \
	X(LEAF_ONLY_OR_LAZY, "n.a.", "every invalidation drops walk caches here")                  \
	X(RANGE_LEAVES, "n.a.", "an invalidation by address drops walk caches here")               \
	X(ABSENCE, "n.a.", "this TLB never holds absence")                                         \
	X(UNMASKABLE, "n.a.", "the rule speaks of the other transport")                            \
	X(UNMASKABLE_REDUNDANT, "redundant", "this flush waits for walkers with interrupts off")

#define RULE_TABLE(X)                                                                              \
	X(FLUSH_BEFORE_FREE, "G1",                                                                 \
	  "an entry is cleared, then invalidated everywhere, then its page is freed",              \
	  "pages_wait() in mm/mmu_gather.c", "stress=5",                                           \
	  "ledger", ALWAYS,                                                                        \
	  "CVE-2018-18281 (Linux eb66ae030829)")                                                   \
	X(TABLE_FLUSH_FIRST, "G2",                                                                 \
	  "a table is invalidated everywhere before it is handed to RCU or to the allocator",      \
	  "tlb_flush_mmu() in mm/mmu_gather.c", "stress=5",                                        \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 706a1ea65e")                                                                      \
	X(TABLE_WALK_CACHES, "G3",                                                                 \
	  "a gather that removed a table also invalidates walk caches, not leaves only",           \
	  "tlb_remove_table() in mm/mmu_gather.c", "fault=batch:2|stress=10",                      \
	  "ledger", LEAF_ONLY_OR_LAZY,                                                             \
	  "Linux 285994a62c80 (arm64)")                                                            \
	X(GATHER_RECORD, "G4",                                                                     \
	  "what was cleared is recorded, with its level, or it will not be flushed",               \
	  "tlb_record() in mm/mmu_gather.c", "stress=5",                                           \
	  "ledger", ALWAYS,                                                                        \
	  "CVE-2021-4002 (Linux a4a118f2eead)")                                                    \
	X(GATHER_NESTED, "G5",                                                                     \
	  "a gather that finishes beside another of the same mm flushes for both",                 \
	  "tlb_finish_mmu() in mm/mmu_gather.c", "test rule.G5*;stress=10",                        \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 99baac21e458, 56236a59556c")                                                      \
	X(GATHER_BOUNDED, "G6",                                                                    \
	  "a gather holds a bounded number of pages and gives the CPU up between chunks",          \
	  "holds_enough() in mm/mmu_gather.c", "test rule.G6_*",                                   \
	  "rule.G6_gather_is_bounded", ALWAYS,                                                     \
	  "Linux: MAX_GATHER_BATCH_COUNT")                                                         \
	X(TEARDOWN_PROGRESS, "G7",                                                                 \
	  "teardown makes progress with no free memory at all",                                    \
	  "tlb_remove_table() in mm/mmu_gather.c", "test gather.exit_without*",                    \
	  "gather.exit_without_memory", ALWAYS,                                                    \
	  "the on-stack batch of Linux's mmu_gather")                                              \
	X(NESTED_WHOLE_MM, "G8",                                                                   \
	  "the flush for two gathers covers the whole mm and walk caches, not its own range",      \
	  "flush_for_both() in mm/mmu_gather.c", "stress=10",                                      \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 7a30df49f63a, 02390f66bd23")                                                      \
	X(EXIT_UNHOOK_FIRST, "G9",                                                                 \
	  "at exit too, tables are unhooked before the flush: a loaded root is walked by "         \
	  "speculation",                                                                           \
	  "tlb_flush_tlbonly() in mm/mmu_gather.c", "test tlb.switching*;stress=5",                \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 02a8f3abb708 (s390)")                                                             \
	X(TABLE_FENCE_SCOPE, "G10",                                                                \
	  "a fence by address orders leaves only: after freeing a table the whole tag is "         \
	  "fenced",                                                                                \
	  "tlb_flush_range_on() in mm/tlb.c", "fault=batch:2|stress=10",                           \
	  "ledger", RANGE_LEAVES,                                                                  \
	  "Linux 97cf301fa42e (riscv)")                                                            \
	X(SINGLE_USER, "G11",                                                                      \
	  "an mm with one user is gathered like any other: lazy CPUs and speculation use "         \
	  "its tables",                                                                            \
	  "pages_wait() in mm/mmu_gather.c", "stress=5",                                           \
	  "ledger", ALWAYS,                                                                        \
	  "the shortcut that Linux 706a1ea65e removed")                                            \
	X(PROTECT_FLUSHED, "G12",                                                                  \
	  "a permission is taken away in the entry, then everywhere, then the caller is "          \
	  "told",                                                                                  \
	  "mm_mprotect() in mm/mmap.c", "stress=5",                                                \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 3ea277194daa, 20841405940e")                                                      \
	X(MASK_BEFORE_LOAD, "T1",                                                                  \
	  "a CPU joins the mm's mask before it loads the root; the unmapper clears before "        \
	  "it reads the mask",                                                                     \
	  "load() in mm/context.c",                                                                \
	  "fault=switch:1:500|test tlb.switching*;test tlb.switching*;stress=5",                   \
	  "ledger", ALWAYS,                                                                        \
	  "CVE-2016-2069 (Linux 71b3c126e611)")                                                    \
	X(LAZY_TABLES, "T2",                                                                       \
	  "a lazy CPU is interrupted when tables were freed",                                      \
	  "tell_by_ipi() in mm/tlb.c", "stress=10",                                                \
	  "ledger", LAZY,                                                                          \
	  "the lazy mode that Linux 706a1ea65e took back")                                         \
	X(MASK_MAY_HOLD, "T3",                                                                     \
	  "with tagged TLBs the mask means \"may hold entries\", not \"is running\"",              \
	  "leave_mask() in mm/context.c", "test rule.T3*;stress=10",                               \
	  "ledger", TAGS,                                                                          \
	  "Linux 65d4b9c53017 and its fixes (riscv)")                                              \
	X(NO_WAIT_LOCKED, "T4",                                                                    \
	  "nobody waits for an acknowledgement with interrupts off or holding a lock that a "      \
	  "walker spins on",                                                                       \
	  "zap_entries() in mm/unmap.c", "fault=tiny:2|stress=5",                                  \
	  "assertion", ALWAYS,                                                                     \
	  "Linux: smp_call_function_many_cond() warns of it")                                      \
	X(TAG_REUSE, "T5",                                                                         \
	  "a tag is not used again before every CPU has flushed it",                               \
	  "tag_get_slow() in mm/context.c", "fault=rollover:2|test tlb.switching*;stress=10",      \
	  "ledger", TAGS,                                                                          \
	  "Linux 8678c1f04277 (ARM)")                                                              \
	X(SWITCH_IN_BOTH, "T6",                                                                    \
	  "a CPU between two address spaces counts as being in both",                              \
	  "load() in mm/context.c",                                                                \
	  "fault=switch:1:500|test tlb.switching*;test tlb.switching*;stress=5",                   \
	  "ledger", LAZY_OR_NO_TAGS,                                                               \
	  "Linux fea4e317f9e7 (x86)")                                                              \
	X(TAG_AFTER_CLEAR, "T7",                                                                   \
	  "the tag to flush is read after the clearing: it may have changed",                      \
	  "flush() in mm/tlb.c", "fault=rollover:10|stress=10",                                    \
	  "ledger", TAGS,                                                                          \
	  "Linux 5e10f9887ed8 (arm64)")                                                            \
	X(LAZY_CATCHES_UP, "T8",                                                                   \
	  "a CPU that leaves lazy mode first drops what it was not told of",                       \
	  "mm_leave_lazy() in mm/context.c", "stress=10",                                          \
	  "ledger", LAZY,                                                                          \
	  "the lazy mode that Linux 706a1ea65e took back")                                         \
	X(FLUSH_PINNED, "T9",                                                                      \
	  "who flushes stays on its CPU between deciding whom to tell and doing its own "          \
	  "part",                                                                                  \
	  "flush() in mm/tlb.c", "test rule.T9_*;stress=10",                                       \
	  "ledger", ALWAYS,                                                                        \
	  "Linux dd5712f3379c (alpha)")                                                            \
	X(ADOPT_ATOMIC, "T10",                                                                     \
	  "a thread's mm and the loaded root change as one for interrupts and the scheduler",      \
	  "kthread_use_mm() in mm/mm.c",                                                           \
	  "fault=switch:1:500|test tlb.switching*;test tlb.switching*;stress=5",                   \
	  "assertion", ALWAYS,                                                                     \
	  "Linux 38cf307c1f20")                                                                    \
	X(ACCESSED_FLUSHED, "T11",                                                                 \
	  "an entry is left out of the flush only if the value exchanged shows that it was "       \
	  "never accessed",                                                                        \
	  "may_be_held() in mm/unmap.c", "stress=5",                                               \
	  "ledger", ALWAYS,                                                                        \
	  "Intel SDM vol. 3, 4.10.2.3, and the like of it in the other manuals")                   \
	X(TABLE_MASK_FIRST, "P1",                                                                  \
	  "with trees by CPU, a CPU is in a table's mask before the table hangs in its tree",      \
	  "hang() in mm/cpu_tree.c",                                                               \
	  "trees=cpu fault=switch:1:4000|test rule.P1_*;test rule.P1_*",                           \
	  "ledger", ALWAYS,                                                                        \
	  "the per-core page tables of RadixVM (EuroSys 2013)")                                    \
	X(TABLE_CUT_EVERYWHERE, "P2",                                                              \
	  "with trees by CPU, a table is cut out of every CPU's tree before it is invalidated",    \
	  "cpu_tree_cut_slow() in mm/cpu_tree.c", "trees=cpu|stress=5",                            \
	  "ledger", ALWAYS,                                                                        \
	  "the per-core page tables of RadixVM (EuroSys 2013)")                                    \
	X(SHARED_ROOT_TOLD, "P3",                                                                  \
	  "a CPU that loads the shared root, though the mm has trees by CPU, is told of "          \
	  "everything",                                                                            \
	  "cpu_tree_told_slow() in mm/cpu_tree.c", "trees=cpu fault=table:8|stress=5",             \
	  "ledger", ALWAYS,                                                                        \
	  "none: Grace falls back where RadixVM would fail")                                       \
	X(TABLE_GRACE_PERIOD, "F1",                                                                \
	  "a table is freed only after a grace period that began after it was unhooked",           \
	  "hand_over_tables() in mm/mmu_gather.c", "stress=5",                                     \
	  "states", ALWAYS,                                                                        \
	  "Linux 2ba99c5e0881")                                                                    \
	X(FALLBACK_ALL_WALKERS, "F2",                                                              \
	  "the fallback without memory waits for every kind of walker, not for irq-off ones "      \
	  "alone",                                                                                 \
	  "remove_table_slowly() in mm/mmu_gather.c", "fault=batch:4|stress=10",                   \
	  "states", ALWAYS,                                                                        \
	  "Linux 1fb3d8c20bfa")                                                                    \
	X(DESCRIPTOR_LIFETIME, "F3",                                                               \
	  "whatever a walker may touch (lock, descriptor) lives as long as the table",             \
	  "ptdesc_dtor_at() in mm/ptdesc.c", "fault=walk:1:500|test mm.slow_walk*;stress=10",      \
	  "locks", ALWAYS,                                                                         \
	  "Linux 2f3443770437")                                                                    \
	X(GATHER_FREE_MASKABLE, "F4",                                                              \
	  "tables may be freed with the gather only where the flush itself is an IPI that "        \
	  "irq-off walkers hold up",                                                               \
	  "tlb_init() in mm/tlb.c",                                                                \
	  "table_free=gather|test rule.F4_table*;stress=10",                                       \
	  "census", UNMASKABLE,                                                                    \
	  "Linux a37259732a7d (x86), 69be3fb111e7 (riscv)")                                        \
	X(FALLBACK_FLUSHES, "F5",                                                                  \
	  "the fallback too invalidates before it waits and frees",                                \
	  "remove_table_slowly() in mm/mmu_gather.c", "fault=batch:4|stress=10",                   \
	  "ledger", ALWAYS,                                                                        \
	  "Linux 0ed1325967ab")                                                                    \
	X(WALK_IRQS_OFF, "U1",                                                                     \
	  "interrupts stay off from the root's load to the last reference",                        \
	  "gup_chunk() in mm/gup.c", "test rule.U1_*",                                             \
	  "rule.U1_interrupts_wait_for_the_walk", ALWAYS,                                          \
	  "the contract of Linux's gup_fast()")                                                    \
	X(WALK_LOAD_ONCE, "U2",                                                                    \
	  "each level is loaded once, and the walk goes on from that value",                       \
	  "descend() in mm/gup.c", "test rule.U2_*",                                               \
	  "rule.U2_entry_is_loaded_once", ALWAYS,                                                  \
	  "CVE-2026-31456")                                                                        \
	X(REF_NOT_ZERO, "U3",                                                                      \
	  "a page reference is taken only if the count is not zero",                               \
	  "ref_get() in mm/gup.c", "test rule.U3_count*;stress=10",                                \
	  "counts", ALWAYS,                                                                        \
	  "Linux: try_grab_folio_fast()")                                                          \
	X(RECHECK_LEAF, "U4",                                                                      \
	  "after the reference, the leaf entry is read again",                                     \
	  "gup_one() in mm/gup.c", "test rule.U4_changed_leaf*",                                   \
	  "rule.U4_changed_leaf_is_refused", ALWAYS,                                               \
	  "Linux: the second look of gup_fast_pte_range()")                                        \
	X(RECHECK_TABLE, "U5",                                                                     \
	  "after the reference, the entry above it is read again",                                 \
	  "table_changed() in mm/gup.c", "test rule.U5_*",                                         \
	  "rule.U5_changed_table_is_refused", UNMASKABLE_REDUNDANT,                                \
	  "Linux 70cbc3cc78a9")                                                                    \
	X(WALK_PERMISSION, "U6",                                                                   \
	  "an entry without the asked permission is refused",                                      \
	  "allowed() in mm/gup.c", "test rule.U6_*",                                               \
	  "rule.U6_write_refused_on_readonly", ALWAYS,                                             \
	  "CVE-2016-5195")                                                                         \
	X(RCU_ALL_CPUS, "R1",                                                                      \
	  "a callback runs only after every CPU passed a quiescent state begun after it was "      \
	  "queued",                                                                                \
	  "gp_begin() in kernel/rcu.c", "test rule.R1_*",                                          \
	  "rule.R1_callback_waits_for_every_cpu", ALWAYS,                                          \
	  "rcutorture's BUSTED flavours")                                                          \
	X(RCU_OFF_IS_READER, "R2",                                                                 \
	  "a section with interrupts or preemption off is never a quiescent state",                \
	  "interrupted_quiescent() in kernel/rcu.c", "test rule.R2_*",                             \
	  "rule.R2_preempt_off_is_not_quiescent", ALWAYS,                                          \
	  "the one flavour of Linux's RCU since 4.20")                                             \
	X(RCU_NEXT_PERIOD, "R3",                                                                   \
	  "what is queued during a grace period waits for the next",                               \
	  "seq_snap() in kernel/rcu.c", "test rule.R3_*",                                          \
	  "rule.R3_queued_during_a_period_waits_for_the_next", ALWAYS,                             \
	  "Linux: rcu_seq_snap()")                                                                 \
	X(RCU_IRQ_FROM_IDLE, "R4",                                                                 \
	  "an interrupt handler that came from idle is a reader",                                  \
	  "rcu_irq_enter() in kernel/rcu.c", "test rule.R4_*",                                     \
	  "rule.R4_interrupt_from_idle_is_a_reader", ALWAYS,                                       \
	  "Linux: the extended quiescent state of idle")                                           \
	X(TABLE_ZEROED, "A1",                                                                      \
	  "a new table is zeroed before it is published",                                          \
	  "ptdesc_alloc() in mm/ptdesc.c", "test rule.A1_*",                                       \
	  "rule.A1_new_table_is_zeroed", ALWAYS,                                                   \
	  "Linux: pagetable allocation with __GFP_ZERO")                                           \
	X(ROOT_UNLOADED, "A2",                                                                     \
	  "a root is freed only when no CPU has it loaded",                                        \
	  "mmput() in mm/mm.c", "stress=5",                                                        \
	  "ledger", ALWAYS,                                                                        \
	  "Linux: mm_count against mm_users")                                                      \
	X(INSTALL_ONCE, "A3",                                                                      \
	  "a fault installs a page only where, under the table's lock, there is none",             \
	  "install() in mm/fault.c", "test mm.faults_race*;test mm.faults_race*;stress=5",         \
	  "counts", ALWAYS,                                                                        \
	  "Linux: the recheck of do_anonymous_page()")                                             \
	X(HOOK_ONCE, "A4",                                                                         \
	  "a table is hooked only where, under the lock above it, there is none",                  \
	  "hook_table() in mm/pgtable.c", "test mm.faults_race*;test mm.faults_race*;stress=5",    \
	  "states", ALWAYS,                                                                        \
	  "Linux: the recheck of __pte_alloc()")                                                   \
	X(ABSENCE_DROPPED, "A5",                                                                   \
	  "a CPU that may have cached an entry's absence drops that before it goes on",            \
	  "drop_absence() in mm/fault.c", "stress=5",                                              \
	  "ledger", ABSENCE,                                                                       \
	  "Linux: the spurious fault of riscv without Svvptc")                                     \
	X(VMA_KEEPS_TABLE, "L1",                                                                   \
	  "under mmap_lock, a table is looked into only where a VMA keeps it",                     \
	  "get_one_slow() in mm/gup.c",                                                            \
	  "fault=walk:1:1000,clear:1:500|test mm.slow_walk*;test mm.slow_walk*;stress=5",          \
	  "states", ALWAYS,                                                                        \
	  "Linux: the detached half of munmap")                                                    \
	X(ENTRY_LOCKED, "L2",                                                                      \
	  "the entries of a table change only under the table's lock",                             \
	  "zap_entries() in mm/unmap.c", "stress=5",                                               \
	  "locks", ALWAYS,                                                                         \
	  "Linux: the split page table lock")                                                      \
	X(VMA_CLOSED, "L3",                                                                        \
	  "a VMA is closed to faults, and those inside are waited for, before it changes or goes", \
	  "vma_start_write() in include/vma_lock.h",                                               \
	  "test rule.L3_*",                                                                        \
	  "assertion", ALWAYS,                                                                     \
	  "Linux: vma_start_write() and the detached mark")                                        \
	X(RECHECK_VMA, "L4",                                                                       \
	  "a VMA found without mmap_lock is used only if, once it is locked, the set of VMAs is "  \
	  "the same",                                                                              \
	  "vma_start_read() in include/vma_lock.h",                                                \
	  "test rule.L4_*;test rule.L4_*",                                                         \
	  "rule.L4_vma_is_looked_at_again", ALWAYS,                                                \
	  "Linux: the second look of lock_vma_under_rcu()")                                        \
	X(STABLE_MEMORY, "L5",                                                                     \
	  "memory of objects that readers under RCU may lock is given back a grace period after "  \
	  "the last of them was freed",                                                            \
	  "free_slabs() in mm/slab.c", "test rule.L5_*",                                           \
	  "rule.L5_stable_memory_waits_for_readers", ALWAYS,                                       \
	  "Linux: SLAB_TYPESAFE_BY_RCU")                                                           \
	X(OFFLINE_LEAVES_MASKS, "H1",                                                              \
	  "a CPU that goes down drops its translations and leaves every mask before it stops "     \
	  "answering",                                                                             \
	  "context_leave_all() in mm/context.c", "test rule.H1_*",                                 \
	  "rule.H1_offline_cpu_is_in_no_mask", ALWAYS,                                             \
	  "Linux ae9e9f3d67dc (riscv)")                                                            \
	X(OFFLINE_HANDS_OVER, "H2",                                                                \
	  "what a CPU that goes down has queued for RCU is handed over, with the grace period it " \
	  "still has to wait for",                                                                 \
	  "rcu_callback_take_over() in kernel/rcu_callback.c", "test rule.H2_*",                   \
	  "rule.H2_callbacks_of_an_offline_cpu_run", ALWAYS,                                       \
	  "Linux: rcutree_migrate_callbacks()")

enum rule {
#define RULE_ENUM(name, ...) RULE_##name,
	RULE_TABLE(RULE_ENUM)
#undef RULE_ENUM
	NR_RULES
};
_Static_assert(NR_RULES <= 64, "rules_off has a bit for each");

enum rule_need {
#define NEED_ENUM(name, verdict, why) NEED_##name,
	RULE_NEEDS(NEED_ENUM)
#undef NEED_ENUM
	NR_NEEDS
};

struct rule_info {
	const char *name, *id, *sentence;
	enum rule_need needs;
	const char *where, *run, *by, *known; /* NULL where rules cannot be switched */
};
extern const struct rule_info rule_table[NR_RULES];

/* Bit n set: rule n is knocked out. Written by the command line and the console only. */
#ifdef GRACE_RULES_FIXED
#define rules_off 0ULL
#define rule(name) true
#else
extern u64 rules_off;
#define rule(name) likely(!(*(volatile u64 *)&rules_off & BIT(RULE_##name)))
#endif

/* Looks a rule up by name or id ("RECHECK_LEAF" or "U4", any case). Returns -ENOENT if unknown. */
int rule_find(const char *name_or_id);

/* Switches a rule on or off. Returns 0, or -EPERM where the build has its rules fixed. */
int rule_switch(enum rule r, bool on);

#endif
