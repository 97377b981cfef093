/* SPDX-License-Identifier: MIT */
/*
 * A leaf table and the entry above it: cut out on CPU 0, walked on CPU 1 by software and hardware.
 *
 *   cpu0        unhook() in mm/unmap.c; tlb_remove_table(), tlb_flush_mmu(), free_contents(),
 *               hand_over_tables() in mm/mmu_gather.c
 *   callback    table_batch_rcu() there, behind a grace period as CPU 1 ends it (tick); rcu.pml has
 *               the period itself
 *   cpu1        gup_chunk(), descend(), gup_one() in mm/gup.c; with RCU_READER also
 *               count_span(), count_table() in mm/scan.c; a user thread's accesses
 *   mmu1        fills walk cache and TLB at any time
 *   next owners of the page and of the table
 *
 * COLLAPSE: the leaf stays in the table that was unhooked, and the page is given away, as whoever
 * builds a huge page would. TABLE_FREE_GATHER: tables go with the gather where that is legal.
 *
 * Rules: G2, G3, G10, F1, F3, F4, U1, U2, U4, U5; beside them U3, R2.
 */
#define HOLDER
#include "machine.pml"

#define WALKS 3

bool dead_lock;		/* a lock is taken that was destroyed; never true */

bool upper = 1;		/* the entry above: leads to the table */
byte table = MINE;	/* who owns the table's frame */
bool leaf = 1;		/* the entry in it: leads to the page */
bool lock_alive = 1;	/* the lock in its descriptor */
bool queued;		/* handed to RCU */
bool owed;		/* CPU 1 has not yet passed a quiescent state since */
bool preempt_off;	/* CPU 1's */

#if defined(TABLE_FREE_GATHER) && (defined(MASKABLE) || defined(KO_GATHER_FREE_MASKABLE))
#define BY_RCU 0
#elif defined(KO_TABLE_GRACE_PERIOD)
#define BY_RCU 0
#else
#define BY_RCU 1
#endif

/* Without G3 the flush is of leaves only; without G10 it is by address, which spares the way. */
#if defined(KO_TABLE_WALK_CACHES) || defined(KO_TABLE_FENCE_SCOPE)
#define REACHES_TABLES 0
#else
#define REACHES_TABLES 1
#endif

inline hand_over()
{
	if
	:: BY_RCU ->
		d_step { queued = 1; owed = 1; printf("CPU 0: call_rcu\n") }
	:: else ->
		d_step { table = FREED; printf("CPU 0: frees the table\n") }
	fi
}

/* What was left in the table: the entry goes before the page's reference. */
inline take_out()
{
#ifndef COLLAPSE
	d_step { leaf = 0; printf("CPU 0: clears the leaf\n") }
#endif
	put_page(0)
}

active proctype cpu0()
{
	bool last;

	d_step { upper = 0; printf("CPU 0: unhooks the table\n") }
#ifdef KO_DESCRIPTOR_LIFETIME
	d_step { lock_alive = 0; printf("CPU 0: destroys the table's lock\n") }
#endif
#ifdef KO_TABLE_FLUSH_FIRST
	take_out();
	hand_over();
#endif
	ask_for(REACHES_TABLES);
	flush_cpu1(REACHES_TABLES)
#ifndef KO_TABLE_FLUSH_FIRST
	take_out();
	hand_over()
#endif
}

active proctype callback()
{
end:
	queued;
	atomic { !owed -> printf("RCU: the grace period is over\n") }
	d_step { lock_alive = 0; printf("RCU: destroys the table's lock\n") }
	d_step { table = FREED; printf("RCU: frees the table\n") }
}

/* rcu_tick() in kernel/rcu.c: an interrupt that finds nobody in a section. */
active proctype tick()
{
end:
	atomic {
		owed && !irqs_off && !preempt_off && !in_irq -> owed = 0;
		printf("CPU 1: tick, no reader: a quiescent state\n")
	}
}

active proctype next_owner()
{
end:
	next_owner_page()
}

active proctype next_table_owner()
{
end:
	d_step { table == FREED -> table = OTHER; printf("next owner: writes to the table\n") }
}

inline load_leaf()
{
	d_step {
		printf("CPU 1: loads the leaf from the table\n");
		assert(table == MINE || walker_in_freed_table);
		seen = leaf
	}
}

/* Only its first load of the upper entry decides; without U2 it is loaded again to be followed. */
inline load_upper()
{
	d_step { inside = upper; printf("CPU 1: loads the upper entry: %d\n", inside) }
#ifdef KO_WALK_LOAD_ONCE
	if
	:: inside ->
		d_step {
			printf("CPU 1: loads the upper entry again, follows it\n");
			assert(upper || no_such_table)
		}
	:: else
	fi
#endif
}

/* Both entries again, unless knocked out: one load each. */
inline recheck()
{
#ifndef KO_RECHECK_LEAF
	d_step {
		printf("CPU 1: the leaf again\n");
		assert(table == MINE || walker_in_freed_table);
		same = leaf
	}
#endif
#ifndef KO_RECHECK_TABLE
	if
	:: same -> d_step { same = upper; printf("CPU 1: the upper entry again: same %d\n", same) }
	:: else
	fi
#endif
}

inline gup()
{
#ifndef KO_WALK_IRQS_OFF
	interrupts_off();
#endif
	same = 0;
	load_upper();
	if
	:: inside ->
		load_leaf();
		if
		:: seen ->
			ref_get();
			if
			:: got ->
				same = 1;
				recheck();
				if
				:: !same -> put_page(1)
				:: else
				fi
			:: else
			fi
		:: else
		fi
	:: else
	fi;
	interrupts_on();
	if
	:: same -> use_page()
	:: else
	fi
}

/* Under rcu_read_lock(), which leaves interrupts on. */
inline scan()
{
	d_step { preempt_off = 1; printf("CPU 1: rcu_read_lock\n") }
	load_upper();
	if
	:: inside ->
		d_step {
			printf("CPU 1: takes the table's lock\n");
			assert(table == MINE || walker_in_freed_table);
			assert(lock_alive || dead_lock)
		}
		load_leaf()
	:: else
	fi;
	d_step { preempt_off = 0; printf("CPU 1: rcu_read_unlock\n") }
}

active proctype cpu1() provided (!in_irq)
{
	bool inside, seen, got, same, last;
	byte round;

	do
	:: round < WALKS ->
		round++;
		if
		:: gup()
		:: access(1)
#ifdef RCU_READER
		:: scan()
#endif
		fi
	:: else -> break
	od
}

active proctype mmu1()
{
end:
	do
	:: atomic { upper && !walk_cache[1] -> walk_cache[1] = 1;
		    printf("CPU 1: its walk cache is filled\n") }
	:: atomic { walk_cache[1] && !tlb[1] && (leaf || table != MINE) ->
		    printf("CPU 1: its MMU walks from the cached way\n");
		    assert(table == MINE || hardware_in_freed_table);
		    tlb[1] = 1 }
	od
}
