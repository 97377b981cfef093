/* SPDX-License-Identifier: MIT */
/*
 * Which address space CPU 1 has loaded, against a flush on CPU 0: the mask, lazy CPUs, tags.
 *
 *   cpu0        zap_leaf(), unhook() in mm/unmap.c; flush(), tell_by_ipi(), lazy_cpus() in
 *               mm/tlb.c; with EXIT exit_mmap(), mmput(), mm_shoot_lazy(), mmdrop()
 *   cpu1        switch_mm(), load(), go_lazy(), mm_leave_lazy(), join_mask(), leave_mask() in
 *               mm/context.c, each with interrupts off; a user thread's accesses between them
 *   mmu1        walks from whatever root is loaded, at any time
 *
 * The space is A: one table, one page; CPU 1 also runs another, B, which nobody unmaps.
 * TAGS: entries of A outlive the switch to B. TABLES: the table goes as well as the page.
 * FRESH: CPU 1 has not run A yet. EXIT: the last user has left A, which is lazily loaded on CPU 1,
 * and all of it goes, the root too.
 *
 * Rules: T1, T2, T3, T6, T8, G9, A2. Barriers, as changed order: that of flush() after the clearing
 * (ORDER_CLEAR_MASK) and before the loads of lazy marks (ORDER_GEN_LAZY), mm_leave_lazy()'s
 * (ORDER_LEAVE_LAZY), go_lazy()'s release (ORDER_GO_LAZY); and that only who noted an older
 * generation is skipped (ORDER_LAZY_GEN).
 */
#define OWN_INTERRUPT
#include "machine.pml"

#define A 1
#define B 2
#define SWITCHES 6

bool root_freed;	/* CPU 1 has a root loaded that is another's; never true */

bool upper = 1, leaf = 1;
byte table = MINE, root_frame = MINE;
#ifdef FRESH
#define START B
#else
#define START A
#endif
byte refs = 1 + (START == A);	/* of A: its users' one, and CPU 1's */
bool in_mask = START == A;	/* CPU 1 in A's mask */
byte gen = 1;			/* A's tlb_gen */
byte root = START;		/* the register */
byte loaded = START;		/* struct context of CPU 1 */
byte lazy_gen;
bool shoot;		/* CPU 1 is asked to leave the root */
#ifdef EXIT
bool lazy = 1;
#else
bool lazy;
#endif

#if defined(TABLES) || defined(EXIT)
#define UNHOOKS 1
#else
#define UNHOOKS 0
#endif

inline mmdrop(cpu)
{
	d_step { refs--; last = refs == 0; printf("CPU %d: drops its reference to the space\n", cpu) }
	if
	:: last -> d_step { root_frame = FREED; printf("CPU %d: frees the root\n", cpu) }
	:: else
	fi
}

/* CPU 0: the flusher. */

inline clear()
{
	d_step { leaf = 0; printf("CPU 0: clears the leaf\n") }
	if
	:: UNHOOKS -> d_step { upper = 0; printf("CPU 0: unhooks the table\n") }
	:: else
	fi
}

inline bump() { d_step { gen++; my_gen = gen; printf("CPU 0: tlb_gen is %d\n", gen) } }

inline read_mask() { d_step { ask = in_mask; printf("CPU 0: CPU 1 in the mask: %d\n", ask) } }

/* mm_cpu_lazy_before(): three loads. */
inline read_lazy()
{
	d_step { skip1 = lazy; printf("CPU 0: CPU 1 lazy: %d\n", skip1) }
	if
	:: skip1 -> d_step { skip1 = loaded == A; printf("CPU 0: and on this space: %d\n", skip1) }
	:: else
	fi
#ifndef KO_ORDER_LAZY_GEN
	if
	:: skip1 -> d_step { skip1 = lazy_gen < my_gen; printf("CPU 0: since before: %d\n", skip1) }
	:: else
	fi
#endif
}

inline flush()
{
#ifdef KO_ORDER_CLEAR_MASK
	/* the mask was read before the clearing */
#else
	bump();
	read_mask();
#endif
	if
	:: ask ->
#ifdef MASKABLE
#ifdef KO_LAZY_TABLES
		read_lazy();
#elif defined(KO_ORDER_GEN_LAZY)
		/* the marks were read before tlb_gen was changed */
#else
		if
		:: !UNHOOKS -> read_lazy()
		:: else
		fi;
#endif
#endif
		if
		:: !skip1 -> flush_cpu1(1)
		:: else
		fi
	:: else
	fi
}

active proctype cpu0()
{
	bool ask, skip1, last;
	byte my_gen;

#ifdef KO_EXIT_UNHOOK_FIRST
	flush();
	clear();
#else
#ifdef KO_ORDER_CLEAR_MASK
	bump();
	read_mask();
#endif
#if defined(KO_ORDER_GEN_LAZY) && defined(MASKABLE)
	my_gen = gen + 1;
	read_lazy();
#endif
	clear();
	flush();
#endif
	put_page(0);
	if
	:: UNHOOKS -> d_step { table = FREED; printf("CPU 0: frees the table\n") }
	:: else
	fi
#ifdef EXIT
#ifdef KO_ROOT_UNLOADED
	d_step { root_frame = FREED; printf("CPU 0: frees the root\n") }
#else
	d_step { ask = in_mask; printf("CPU 0: whom to shoot: CPU 1 %d\n", ask) }
	if
	:: ask ->
		d_step { shoot = 1; printf("CPU 0: sends CPU 1 off the root, waits\n") }
		atomic { !shoot -> printf("CPU 0: the IPI is answered\n") }
	:: else
	fi;
	mmdrop(0)
#endif
#endif
}

active proctype next_owner()
{
end:
	next_owner_page()
}

/* CPU 1: handlers. */

active proctype interrupt()
{
	bool last;
end:
	do
#ifdef MASKABLE
	:: atomic { ipi && !irqs_off && !in_irq -> in_irq = 1; printf("CPU 1: takes the IPI\n") }
	   d_step { drop(1, 1); printf("CPU 1: drops its translations\n") }
	   d_step { ipi = 0; in_irq = 0; printf("CPU 1: answers\n") }
#endif
	/* shoot_lazy_ipi() */
	:: atomic { shoot && !irqs_off && !in_irq -> in_irq = 1; printf("CPU 1: takes the IPI\n") }
	   if
	   :: loaded == A ->
		d_step { root = 0; drop(1, 1); printf("CPU 1: loads the empty root\n") }
		d_step { lazy = 0; loaded = 0; printf("CPU 1: is on no space\n") }
		d_step { in_mask = 0; printf("CPU 1: leaves the mask\n") }
		mmdrop(1)
	   :: else
	   fi;
	   d_step { shoot = 0; in_irq = 0; printf("CPU 1: answers\n") }
	od
}

/* CPU 1: switching. */

inline join_mask() { d_step { in_mask = 1; printf("CPU 1: joins the mask\n") } }

inline leave_mask()
{
#if !defined(TAGS) || defined(KO_MASK_MAY_HOLD)
	d_step { in_mask = 0; printf("CPU 1: leaves the mask\n") }
#else
	skip
#endif
}

inline load_root(r)
{
	d_step {
		root = r;
#ifndef TAGS
		drop(1, 1);
#endif
		printf("CPU 1: loads the root of %d\n", r)
	}
}

inline go_lazy()
{
#ifdef KO_ORDER_GO_LAZY
	d_step { lazy = 1; printf("CPU 1: is lazy\n") }
#endif
	d_step { seen = gen; printf("CPU 1: reads tlb_gen: %d\n", seen) }
	d_step { lazy_gen = seen; printf("CPU 1: notes it\n") }
#ifndef KO_ORDER_GO_LAZY
	d_step { lazy = 1; printf("CPU 1: is lazy\n") }
#endif
}

inline leave_lazy()
{
#ifdef KO_ORDER_LEAVE_LAZY
	d_step { seen = gen; printf("CPU 1: reads tlb_gen: %d\n", seen) }
#endif
	d_step { lazy = 0; printf("CPU 1: is not lazy\n") }
#ifndef KO_ORDER_LEAVE_LAZY
	d_step { seen = gen; printf("CPU 1: reads tlb_gen: %d\n", seen) }
#endif
#ifndef KO_LAZY_CATCHES_UP
	if
	:: seen != lazy_gen -> d_step { drop(1, 1); printf("CPU 1: catches up, drops all\n") }
	:: else
	fi
#endif
}

inline switch_to_b()
{
	was_lazy = lazy;
#ifdef TAGS
	if
	:: was_lazy -> leave_lazy()
	:: else
	fi;
#endif
	d_step { lazy = 0; printf("CPU 1: switches to the other space, not lazy\n") }
#ifdef KO_SWITCH_IN_BOTH
	leave_mask();
	d_step { loaded = B; printf("CPU 1: counts as on the other\n") }
	d_step { lazy = was_lazy; printf("CPU 1: lazy as before: %d\n", was_lazy) }
#endif
	load_root(B);
	d_step { lazy = 0; loaded = B; printf("CPU 1: is on the other\n") }
#ifndef KO_SWITCH_IN_BOTH
	leave_mask();
#endif
	mmdrop(1)
}

inline switch_to_a()
{
	d_step { refs++; printf("CPU 1: switches to the space\n") }
#ifndef KO_MASK_BEFORE_LOAD
	join_mask();
#endif
#ifdef KO_SWITCH_IN_BOTH
	d_step { loaded = A; printf("CPU 1: counts as on the space\n") }
#endif
	load_root(A);
#ifdef KO_MASK_BEFORE_LOAD
	join_mask();
#endif
	d_step { lazy = 0; loaded = A; printf("CPU 1: is on the space\n") }
}

active proctype cpu1() provided (!in_irq)
{
	bool was_lazy, last;
	byte seen, round;

	do
	:: round < SWITCHES ->
		round++;
		interrupts_off();
		if
		:: loaded == A && !lazy -> go_lazy()
#ifndef EXIT
		:: loaded == A && lazy -> leave_lazy()
		:: loaded == B -> switch_to_a()
#endif
		:: loaded == A -> switch_to_b()
		:: else
		fi;
		interrupts_on()
	:: atomic { round < SWITCHES && loaded == A && !lazy && tlb[1] -> round++;
		    printf("CPU 1: a thread accesses the page through the TLB\n");
		    assert(owner == MINE || stale_translation) }
	:: round == SWITCHES -> break
	od
}

active proctype mmu1()
{
end:
	do
	:: atomic { root == A && upper && !walk_cache[1] -> walk_cache[1] = 1;
		    printf("CPU 1: its walk cache is filled\n") }
	:: atomic { root == A && walk_cache[1] && !tlb[1] && (leaf || table != MINE) ->
		    printf("CPU 1: its MMU walks from the cached way\n");
		    assert(table == MINE || hardware_in_freed_table);
		    tlb[1] = 1 }
	:: atomic { root == A && root_frame != MINE ->
		    printf("CPU 1: its MMU walks from the root\n");
		    assert(root_freed) }
	od
}
