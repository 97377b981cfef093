/* SPDX-License-Identifier: MIT */
/*
 * The grace period: CPU 0 unhooks something and asks for one, CPU 1 reads, idles, is interrupted.
 *
 *   gp_begin, gp_end, gp_advance, gp_request, report, idle_enter, idle_exit, irq_enter, irq_exit,
 *   tick        the functions of these names in kernel/rcu.c
 *   cpu0        unhook() in mm/unmap.c and call_rcu() in kernel/rcu_callback.c; perhaps another
 *               call_rcu() before, so that a period is under way; then it waits, idle
 *   cpu1        readers with preemption off and with interrupts off, switches, idle
 *   interrupt   on CPU 1: the tick, while a period waits for a CPU that is not idle, and devices,
 *               whose handlers may be readers too
 *
 * A period that never ends is an invalid end state: CPU 1 ends idle, where no tick comes.
 *
 * Rules: R1, R2, R3, R4. Barriers, as changed order: rcu_idle_enter()'s (ORDER_IDLE_ENTER) and
 * gp_begin()'s (ORDER_GP_BEGIN).
 */
bool freed_under_reader;	/* a reader holds what has been freed; never true */

#define ROUNDS 3
#define DEVICE_INTERRUPTS 1

bool hooked = 1, freed;
bool lock;		/* gp.lock; whoever has it has interrupts off */
byte seq, wanted;
byte waiting;		/* bit n: CPU n owes a quiescent state */
bool watching[2] = 1;	/* false: even, idle */
bool irqs_off, in_irq, preempt_off, need_resched;	/* of CPU 1 */

#define BIT(cpu) (1 << (cpu))

#ifdef KO_RCU_NEXT_PERIOD
#define SNAP(s) (((s) + 2) & 254)
#else
#define SNAP(s) (((s) + 3) & 254)
#endif

#ifdef KO_RCU_ALL_CPUS
#define WHOM(cpu) BIT(cpu)
#else
#define WHOM(cpu) 3
#endif

inline take_lock(cpu) { atomic { !lock -> lock = 1; printf("CPU %d: takes gp.lock\n", cpu) } }
inline drop_lock(cpu) { d_step { lock = 0; printf("CPU %d: drops gp.lock\n", cpu) } }

inline gp_end(cpu) { d_step { seq++; printf("CPU %d: the period ends: seq %d\n", cpu, seq) } }

inline look_idle(cpu, other)
{
	d_step {
		idle = idle | (BIT(other) * !watching[other]);
		printf("CPU %d: sees CPU %d watching: %d\n", cpu, other, watching[other])
	}
}

inline gp_begin(cpu)
{
	idle = 0;
	d_step { seq++; printf("CPU %d: a period begins: seq %d\n", cpu, seq) }
#ifdef KO_ORDER_GP_BEGIN
	look_idle(cpu, 0);
	look_idle(cpu, 1);
	d_step { waiting = WHOM(cpu); printf("CPU %d: waits for CPUs %d\n", cpu, waiting) }
#else
	d_step { waiting = WHOM(cpu); printf("CPU %d: waits for CPUs %d\n", cpu, waiting) }
	look_idle(cpu, 0);
	look_idle(cpu, 1);
#endif
	d_step {
		owed = waiting;
		waiting = waiting & (3 - idle);
		printf("CPU %d: not for idle ones: %d left\n", cpu, waiting)
	}
	if
	:: owed && !(owed & (3 - idle)) -> gp_end(cpu)
	:: else
	fi
}

inline gp_advance(cpu)
{
	do
	:: !(seq & 1) && seq < wanted -> gp_begin(cpu)
	:: else -> break
	od
}

/* report_normal() with the look before it. */
inline report(cpu)
{
	d_step { owed = waiting & BIT(cpu); printf("CPU %d: is waited for: %d\n", cpu, owed) }
	if
	:: owed ->
		d_step {
			owed = waiting;
			waiting = waiting & (3 - BIT(cpu));
			printf("CPU %d: reports a quiescent state: %d left\n", cpu, waiting)
		}
		if
		:: owed == BIT(cpu) ->
			take_lock(cpu);
			gp_end(cpu);
			gp_advance(cpu);
			drop_lock(cpu)
		:: else
		fi
	:: else
	fi
}

inline set_watching(cpu, on)
{
	d_step { watching[cpu] = on; printf("CPU %d: watching: %d\n", cpu, on) }
}

inline idle_enter(cpu)
{
#ifdef KO_ORDER_IDLE_ENTER
	report(cpu);
	set_watching(cpu, 0)
#else
	set_watching(cpu, 0);
	report(cpu)
#endif
}

/* rcu_gp_request(); leaves what has to be reached in snap. */
inline gp_request()
{
	d_step { snap = SNAP(seq); printf("CPU 0: asks for seq %d\n", snap) }
	if
	:: wanted >= snap -> skip
	:: else ->
		take_lock(0);
		d_step { snap = SNAP(seq); printf("CPU 0: asks for seq %d\n", snap) }
		d_step {
			if
			:: wanted < snap -> wanted = snap
			:: else
			fi
		}
		gp_advance(0);
		drop_lock(0)
	fi
}

active proctype cpu0()
{
	byte idle, owed, snap;

	if
	:: gp_request()		/* for something else */
	:: skip
	fi;
	d_step { hooked = 0; printf("CPU 0: unhooks it\n") }
	gp_request();
	idle_enter(0);
	atomic { seq >= snap -> printf("CPU 0: seq is reached\n") }
	set_watching(0, 1);
	d_step { freed = 1; printf("CPU 0: frees it\n") }
	idle_enter(0)
}

inline read(found)
{
	d_step { found = hooked; printf("CPU 1: reader: finds it hooked: %d\n", found) }
	if
	:: found ->
		d_step {
			printf("CPU 1: reader: uses it\n");
			assert(!freed || freed_under_reader)
		}
	:: else
	fi
}

active proctype cpu1() provided (!in_irq)
{
	byte idle, owed, round;
	bool found;

	do
	:: round < ROUNDS ->
		round++;
		if
		:: d_step { preempt_off = 1; printf("CPU 1: preemption off\n") }
		   read(found);
		   d_step { preempt_off = 0; printf("CPU 1: preemption on\n") }
		   if
		   :: need_resched ->
			irqs_off = 1;
			need_resched = 0;
			report(1);
			irqs_off = 0
		   :: else
		   fi
		:: d_step { irqs_off = 1; printf("CPU 1: interrupts off\n") }
		   read(found);
		   d_step { irqs_off = 0; printf("CPU 1: interrupts on\n") }
		:: irqs_off = 1;
		   idle_enter(1);
		   d_step { irqs_off = 0; printf("CPU 1: idle, interrupts on\n") }
		   irqs_off = 1;
		   set_watching(1, 1);
		   irqs_off = 0
		fi
	:: else -> break
	od;
	irqs_off = 1;
	idle_enter(1);
	d_step { irqs_off = 0; printf("CPU 1: idle from now on\n") }
}

#define TICK_DUE ((waiting & 2) && watching[1] && !need_resched)

active proctype interrupt()
{
	byte idle, owed, devices;
	bool from_idle, found;

end:
	do
	:: atomic { !irqs_off && !in_irq && (TICK_DUE || devices < DEVICE_INTERRUPTS) ->
		    in_irq = 1; printf("CPU 1: an interrupt\n") }
#ifndef KO_RCU_IRQ_FROM_IDLE
	   from_idle = !watching[1];
#endif
	   if
	   :: from_idle -> set_watching(1, 1)
	   :: else
	   fi;
	   if
	   :: devices < DEVICE_INTERRUPTS -> devices++; read(found)
	   :: TICK_DUE -> skip
	   :: else
	   fi;
	   if
	   :: !(waiting & 2) -> skip
#ifdef KO_RCU_OFF_IS_READER
	   :: waiting & 2 -> report(1)
#else
	   :: (waiting & 2) && (from_idle || !preempt_off) -> report(1)
	   :: (waiting & 2) && !from_idle && preempt_off -> need_resched = 1
#endif
	   fi;
	   if
	   :: from_idle -> from_idle = 0; idle_enter(1)
	   :: else
	   fi;
	   d_step { in_irq = 0; printf("CPU 1: the interrupt is over\n") }
	od
}
