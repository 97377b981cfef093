/* SPDX-License-Identifier: MIT */
/*
 * A table is unhooked, and there is no memory for a batch: flush, wait for everybody, free.
 *
 *   cpu0        remove_table_slowly() in mm/mmu_gather.c; synchronize_rcu_expedited() and
 *               exp_begin() in kernel/rcu.c
 *   cpu1        gup_chunk() in mm/gup.c with interrupts off; count_span() in mm/scan.c under
 *               rcu_read_lock(); idle
 *   interrupt   IPIs to CPU 1: the flush's, the period's (rcu_exp_ipi(), report_from_irq()), or
 *               without F2 sync_irqoff_walkers(); in idle they come between rcu_irq_enter() and
 *               rcu_irq_exit()
 *   mmu1        fills walk cache and TLB at any time
 *
 * Rules: G7, F2, F5. Barriers, as changed order: rcu_idle_enter()'s (ORDER_IDLE_ENTER); that of
 * exp_begin(), its store of waiting before its loads of watching (ORDER_EXP_BEGIN); and the one at
 * the head of synchronize_rcu_expedited(), the unhooking before both (ORDER_UNHOOK).
 */
#define OWN_INTERRUPT
#include "machine.pml"

#define ROUNDS 3

bool upper = 1, leaf;
byte table = MINE;
byte ex_waiting;	/* only CPU 1's part is looked at */
bool watching = 1;	/* CPU 1's */
bool preempt_off, need_resched;
bool exp_ipi;		/* IPI_RCU_EXP sent to CPU 1 */
bool sync_ipi;		/* that of smp_call_all() */

inline look_idle()
{
	d_step { owed = watching; printf("CPU 0: CPU 1 is watching: %d\n", owed) }
}

inline wait_for_all()
{
	d_step { ex_waiting = 1; printf("CPU 0: the expedited period waits for CPU 1\n") }
}

inline synchronize_expedited()
{
#ifdef KO_ORDER_UNHOOK
	wait_for_all();		/* looked already, before the unhooking */
#elif defined(KO_ORDER_EXP_BEGIN)
	look_idle();
	wait_for_all();
#else
	wait_for_all();
	look_idle();
#endif
	if
	:: !owed -> d_step { ex_waiting = 0; printf("CPU 0: not for an idle one\n") }
	:: else -> d_step { exp_ipi = 1; printf("CPU 0: sends CPU 1 the period's IPI\n") }
	fi;
	atomic { !ex_waiting -> printf("CPU 0: the expedited period is over\n") }
}

active proctype cpu0()
{
	bool owed;

#ifdef KO_ORDER_UNHOOK
	look_idle();
#endif
	d_step { upper = 0; printf("CPU 0: unhooks the table\n") }
#ifdef KO_TEARDOWN_PROGRESS
	printf("CPU 0: no page for a batch: gives up\n");
#else
#ifndef KO_FALLBACK_FLUSHES
	flush_cpu1(1)
#endif
#ifdef KO_FALLBACK_ALL_WALKERS
	d_step { sync_ipi = 1; printf("CPU 0: a bare IPI to everybody\n") }
	atomic { !sync_ipi -> printf("CPU 0: everybody has answered\n") }
#else
	synchronize_expedited();
#endif
	d_step { table = FREED; printf("CPU 0: frees the table\n") }
#endif
	d_step {
		printf("CPU 0: the teardown is over\n");
		assert(table != MINE || table_lost)
	}
}

inline set_watching(on)
{
	d_step { watching = on; printf("CPU 1: watching: %d\n", on) }
}

inline report()
{
	d_step {
		ex_waiting = 0;
		printf("CPU 1: reports a quiescent state\n")
	}
}

inline report_if_waited_for()
{
	if
	:: ex_waiting -> report()
	:: else
	fi
}

inline idle_enter()
{
#ifdef KO_ORDER_IDLE_ENTER
	report_if_waited_for();
	set_watching(0)
#else
	set_watching(0);
	report_if_waited_for()
#endif
}

active proctype interrupt()
{
	bool from_idle;

end:
	do
	:: atomic { !irqs_off && !in_irq && (ipi || exp_ipi || sync_ipi) ->
		    in_irq = 1; printf("CPU 1: an interrupt\n") }
	   from_idle = !watching;
	   if
	   :: from_idle -> set_watching(1)
	   :: else
	   fi;
	   if
	   :: ipi ->
		d_step { drop(1, 1); printf("CPU 1: drops its translations\n") }
		d_step { ipi = 0; printf("CPU 1: answers the flush\n") }
	   :: sync_ipi ->
		d_step { sync_ipi = 0; printf("CPU 1: answers\n") }
	   :: exp_ipi ->
		exp_ipi = 0;
		if
		:: !ex_waiting -> skip
		:: ex_waiting && (from_idle || !preempt_off) -> report()
		:: ex_waiting && !from_idle && preempt_off ->
			d_step { need_resched = 1; printf("CPU 1: its reader is to report\n") }
		fi
	   fi;
	   if
	   :: from_idle -> from_idle = 0; idle_enter()
	   :: else
	   fi;
	   d_step { in_irq = 0; printf("CPU 1: the interrupt is over\n") }
	od
}

inline walk()
{
	d_step { inside = upper; printf("CPU 1: loads the upper entry: %d\n", inside) }
	if
	:: inside ->
		d_step {
			printf("CPU 1: reads the table\n");
			assert(table == MINE || walker_in_freed_table)
		}
	:: else
	fi
}

active proctype cpu1() provided (!in_irq)
{
	bool inside;
	byte round;

	do
	:: round < ROUNDS ->
		round++;
		if
		:: interrupts_off();
		   walk();
		   interrupts_on()
		:: d_step { preempt_off = 1; printf("CPU 1: rcu_read_lock\n") }
		   walk();
		   d_step { preempt_off = 0; printf("CPU 1: rcu_read_unlock\n") }
		   if
		   :: need_resched ->
			irqs_off = 1;
			need_resched = 0;
			report_if_waited_for();
			irqs_off = 0
		   :: else
		   fi
		:: irqs_off = 1;
		   idle_enter();
		   d_step { irqs_off = 0; printf("CPU 1: idle, interrupts on\n") }
		   irqs_off = 1;
		   set_watching(1);
		   irqs_off = 0
		fi
	:: else -> break
	od;
	irqs_off = 1;
	idle_enter();
	d_step { irqs_off = 0; printf("CPU 1: idle from now on\n") }
}

active proctype mmu1()
{
end:
	do
	:: atomic { upper && !walk_cache[1] -> walk_cache[1] = 1;
		    printf("CPU 1: its walk cache is filled\n") }
	:: atomic { walk_cache[1] && !tlb[1] && table != MINE ->
		    printf("CPU 1: its MMU walks from the cached way\n");
		    assert(hardware_in_freed_table) }
	od
}
