/* SPDX-License-Identifier: MIT */
/*
 * Every ordering rule, as one table.
 *
 * At the one place that enforces a rule stands `if (rule(NAME))`. In the default build that is one
 * predictable load, so that one image serves every experiment: `knockout=NAME` on the command line,
 * or `rules off NAME` at the console, removes exactly that rule. With RULES=fixed it is constant
 * true and costs nothing.
 *
 * X(name, id, sentence)
 */
#ifndef GRACE_RULES_H
#define GRACE_RULES_H

#include <types.h>

#define RULE_TABLE(X)                                                                              \
	X(FLUSH_BEFORE_FREE, "G1",                                                                 \
	  "an entry is cleared, then invalidated everywhere, then its page is freed")              \
	X(TABLE_FLUSH_FIRST, "G2",                                                                 \
	  "a table is invalidated everywhere before it is handed to RCU or to the allocator")      \
	X(TABLE_WALK_CACHES, "G3",                                                                 \
	  "a gather that removed a table also invalidates walk caches, not leaves only")           \
	X(GATHER_RECORD, "G4",                                                                     \
	  "what was cleared is recorded, with its level, or it will not be flushed")               \
	X(GATHER_NESTED, "G5",                                                                     \
	  "a gather that finishes beside another of the same mm flushes for both")                 \
	X(GATHER_BOUNDED, "G6",                                                                    \
	  "a gather holds a bounded number of pages and gives the CPU up between chunks")          \
	X(TEARDOWN_PROGRESS, "G7", "teardown makes progress with no free memory at all")           \
	X(MASK_BEFORE_LOAD, "T1",                                                                  \
	  "a CPU joins the mm's mask before it loads the root; the unmapper clears before it "     \
	  "reads the mask")                                                                        \
	X(LAZY_TABLES, "T2", "a lazy CPU is interrupted when tables were freed")                   \
	X(MASK_MAY_HOLD, "T3",                                                                     \
	  "with tagged TLBs the mask means \"may hold entries\", not \"is running\"")              \
	X(NO_WAIT_LOCKED, "T4",                                                                    \
	  "nobody waits for an acknowledgement with interrupts off or holding a lock that a "      \
	  "walker spins on")                                                                       \
	X(TAG_REUSE, "T5", "a tag is not used again before every CPU has flushed it")              \
	X(SWITCH_IN_BOTH, "T6", "a CPU between two address spaces counts as being in both")        \
	X(TABLE_GRACE_PERIOD, "F1",                                                                \
	  "a table is freed only after a grace period that began after it was unhooked")           \
	X(FALLBACK_ALL_WALKERS, "F2",                                                              \
	  "the fallback without memory waits for every kind of walker, not for irq-off ones "      \
	  "alone")                                                                                 \
	X(DESCRIPTOR_LIFETIME, "F3",                                                               \
	  "whatever a walker may touch (lock, descriptor) lives as long as the table")             \
	X(GATHER_FREE_MASKABLE, "F4",                                                              \
	  "tables may be freed with the gather only where the flush itself is an IPI that "        \
	  "irq-off walkers hold up")                                                               \
	X(WALK_IRQS_OFF, "U1",                                                                     \
	  "interrupts stay off from the root's load to the last reference")                        \
	X(WALK_LOAD_ONCE, "U2", "each level is loaded once, and the walk goes on from that value") \
	X(REF_NOT_ZERO, "U3", "a page reference is taken only if the count is not zero")           \
	X(RECHECK_LEAF, "U4", "after the reference, the leaf entry is read again")                 \
	X(RECHECK_TABLE, "U5", "after the reference, the entry above it is read again")            \
	X(WALK_PERMISSION, "U6", "an entry without the asked permission is refused")               \
	X(RCU_ALL_CPUS, "R1",                                                                      \
	  "a callback runs only after every CPU passed a quiescent state begun after it was "      \
	  "queued")                                                                                \
	X(RCU_OFF_IS_READER, "R2",                                                                 \
	  "a section with interrupts or preemption off is never a quiescent state")                \
	X(RCU_NEXT_PERIOD, "R3", "what is queued during a grace period waits for the next")        \
	X(TABLE_ZEROED, "A1", "a new table is zeroed before it is published")                      \
	X(ROOT_UNLOADED, "A2", "a root is freed only when no CPU has it loaded")

enum rule {
#define RULE_ENUM(name, id, sentence) RULE_##name,
	RULE_TABLE(RULE_ENUM)
#undef RULE_ENUM
	NR_RULES
};

struct rule_info {
	const char *name, *id, *sentence;
};
extern const struct rule_info rule_table[NR_RULES];

/* Bit n set: rule n is knocked out. Written by the command line and the console only. */
extern u64 rules_off;

#ifdef GRACE_RULES_FIXED
#define rule(name) true
#else
#define rule(name) likely(!(*(volatile u64 *)&rules_off & BIT(RULE_##name)))
#endif

/* Looks a rule up by name or id ("RECHECK_LEAF" or "U4", any case). Returns -ENOENT if unknown. */
int rule_find(const char *name_or_id);

/* Switches a rule on or off. Returns 0, or -EPERM where the build has its rules fixed. */
int rule_switch(enum rule r, bool on);

#endif
