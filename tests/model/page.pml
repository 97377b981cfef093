/* SPDX-License-Identifier: MIT */
/*
 * A page and its one leaf entry: zapped on CPU 0, used and walked on CPU 1, wanted by a next owner.
 *
 *   unmapper    zap_entries(), zap_leaf() in mm/unmap.c; tlb_remove_page(), tlb_flush_mmu(),
 *               free_pages_gathered() in mm/mmu_gather.c; flush() in mm/tlb.c
 *   cpu1        gup_chunk(), gup_one(), ref_get() in mm/gup.c; accesses of a user thread;
 *               somebody who takes the table's lock with interrupts off
 *   thread0     another thread of the mm, on CPU 0 whenever the unmapper can be preempted
 *   mmu0, mmu1  mark the leaf accessed, and fill their TLBs, at any time: accesses and speculation
 *   holder      put_page() by somebody who took a reference before
 *   next_owner  alloc_page() by somebody else
 *
 * UNUSED: nobody has used the page yet. ALONE: CPU 1 is not in the mm's mask, so nobody is told.
 * Rules: G1, G4, T4, T9, T11, U3, U4.
 */
#define HOLDER
#include "machine.pml"

#define WALKS 3

bool leaf = 1;		/* the entry: leads to the page */
#ifdef UNUSED
bool accessed;		/* its mark */
#else
bool accessed = 1;
#endif
bool ptl;		/* the table's lock */
bool busy0;		/* CPU 0 cannot be preempted */

inline flush()
{
	/* preempt_disable() */
	d_step { busy0 = 1; printf("CPU 0: tells whom: all but this CPU\n") }
#if defined(KO_FLUSH_PINNED) && (defined(MASKABLE) || defined(ALONE))
	/* It may be moved to CPU 1 here, if what runs there can be preempted. */
	busy0 = 0;
	if
	:: atomic { !irqs_off && !in_irq -> here = 1; printf("CPU 0: is moved to CPU 1\n") }
	:: busy0 = 1
	fi;
#endif
#ifndef ALONE
	ask_for(1);
#endif
	d_step { drop(here, 1); printf("CPU 0: drops this CPU's translations\n") }
#ifndef ALONE
	flush_cpu1(1)
#endif
	busy0 = 0
}

active proctype cpu0()
{
	bool recorded, last;
	byte here = 0;

	atomic { !ptl -> ptl = 1; busy0 = 1; printf("CPU 0: takes the table's lock\n") }
	d_step { recorded = accessed; leaf = 0; printf("CPU 0: clears the leaf\n") }
#if defined(KO_GATHER_RECORD) || defined(KO_ACCESSED_FLUSHED)
	recorded = 0;
#endif
#ifdef KO_FLUSH_BEFORE_FREE
	put_page(0);
#endif
#ifdef KO_NO_WAIT_LOCKED
	flush();
	recorded = 0;
#endif
	d_step { ptl = 0; busy0 = 0; printf("CPU 0: drops the table's lock\n") }
	if
	:: recorded -> flush()
	:: else
	fi
#ifndef KO_FLUSH_BEFORE_FREE
	put_page(0)
#endif
}

active proctype next_owner()
{
end:
	next_owner_page()
}

#ifndef ALONE
inline gup()
{
	interrupts_off();
	d_step { seen = leaf; same = seen; printf("CPU 1: loads the leaf: %d\n", seen) }
	if
	:: seen ->
		ref_get();
		same = got;
#ifndef KO_RECHECK_LEAF
		if
		:: got ->
			d_step { same = leaf; printf("CPU 1: the leaf again: the same %d\n", same) }
			if
			:: !same -> put_page(1)
			:: else
			fi
		:: else
		fi
#endif
	:: else
	fi;
	interrupts_on();
	if
	:: same -> use_page()
	:: else
	fi
}

active proctype cpu1() provided (!in_irq)
{
	bool seen, got, same, last;
	byte round;

	do
	:: round < WALKS ->
		round++;
		if
		:: gup()
		:: access(1)
		:: interrupts_off();
		   atomic { !ptl -> ptl = 1; printf("CPU 1: takes the table's lock\n") }
		   d_step { ptl = 0; printf("CPU 1: drops the table's lock\n") }
		   interrupts_on()
		fi
	:: else -> break
	od
}
#endif

active proctype thread0() provided (!busy0)
{
end:
	access(0)
}

active proctype mmu0()
{
end:
	do
	:: atomic { leaf && !accessed -> accessed = 1; printf("CPU 0: marks the leaf\n") }
	:: atomic { leaf && accessed && !tlb[0] -> tlb[0] = 1; printf("CPU 0: its TLB is filled\n") }
	od
}

#ifndef ALONE
active proctype mmu1()
{
end:
	do
	:: atomic { leaf && !accessed -> accessed = 1; printf("CPU 1: marks the leaf\n") }
	:: atomic { leaf && accessed && !tlb[1] -> tlb[1] = 1; printf("CPU 1: its TLB is filled\n") }
	od
}
#endif
