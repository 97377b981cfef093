/* SPDX-License-Identifier: MIT */
/*
 * What the models share: two CPUs, their TLBs and walk caches, and the two transports.
 *
 * CPU 0 runs the unmapper, CPU 1 whatever meets it. An interrupt stops CPU 1's software, so that is
 * a process "provided (!in_irq)". Steps are as fine as the kernel's: one shared access each.
 *
 * A hit in a TLB and the access that it serves are one step, and so are a walk cache's hit and the
 * load of the entry below it: an invalidation is over only when what used the old entry is over.
 * Software has no such luck: its load of an entry and its use of the value are steps apart.
 *
 * MASKABLE: tell_by_ipi() in mm/tlb.c, flush_ipi() on the other side. Without: tell_others() alone.
 * KO_NAME: rule(NAME) of include/rules.h is off. KO_ORDER_...: two accesses that a full barrier
 * keeps in order have changed places, which is what its absence would allow.
 *
 * A statement's printf() is one row of the trail, in the column before its colon. A report is an
 * assertion with a name in it; the names are never true.
 */
bool stale_translation;		/* a foreign page is accessed through a TLB entry */
bool stale_after_return;	/* the caller was told that it is unmapped, and it is not */
bool hardware_in_freed_table;	/* an MMU walks a table that is another's */
bool walker_in_freed_table;	/* software is in a table that is another's */
bool no_such_table;		/* software follows an entry that points to no table */
bool get_on_zero;		/* a count is raised that was zero */
bool foreign_reference;		/* gup_fast() returned a page of another owner */
bool table_lost;		/* teardown ended, and nobody will free the table */

#define NONE 0
#define MINE 1
#define FREED 2
#define OTHER 3

bool irqs_off;		/* CPU 1's */
bool in_irq;		/* CPU 1 runs a handler */
bool ipi;		/* sent to CPU 1, not yet answered */
byte tlb[2];		/* what each CPU's TLB has for the one address; 0: nothing */
bool walk_cache[2];	/* it has the way to the table */

inline drop(cpu, tables)
{
	tlb[cpu] = 0;
	if
	:: tables -> walk_cache[cpu] = 0
	:: else
	fi
}

/* The part of CPU 1, which the caller is to tell. */
inline flush_cpu1(tables)
{
#ifdef MASKABLE
	d_step { ipi = 1; printf("CPU 0: sends CPU 1 the IPI, waits\n") }
	atomic { !ipi -> printf("CPU 0: the IPI is answered\n") }
#else
	d_step { drop(1, tables); printf("CPU 0: drops CPU 1's translations\n") }
#endif
}

#if defined(MASKABLE) && !defined(OWN_INTERRUPT)
/* flush_ipi(); ipi_tables: does this invalidation reach walk caches? */
bool ipi_tables;

active proctype interrupt()
{
end:
	do
	:: atomic { ipi && !irqs_off && !in_irq -> in_irq = 1; printf("CPU 1: takes the IPI\n") }
	   d_step { drop(1, ipi_tables); printf("CPU 1: drops its translations\n") }
	   d_step { ipi = 0; in_irq = 0; printf("CPU 1: answers\n") }
	od
}
#define ask_for(tables) ipi_tables = tables
#else
#define ask_for(tables) skip
#endif

/* ---- A page: its count and who owns the frame -------------------------------------------- */

#ifdef HOLDER
byte count = 2;		/* its mapping holds one, and somebody else does */
#else
byte count = 1;		/* its mapping holds one */
#endif
byte owner = MINE;

inline next_owner_page()
{
	d_step { owner == FREED -> owner = OTHER; printf("next owner: takes the frame\n") }
	d_step { count = 1; printf("next owner: its count is 1\n") }
}

/* put_page(): the last one frees. `last` is the caller's. */
inline put_page(cpu)
{
	d_step {
		assert(count > 0 || get_on_zero);
		count--;
		last = count == 0;
		printf("CPU %d: drops its reference: %d left\n", cpu, count)
	}
	if
	:: last -> d_step { owner = FREED; printf("CPU %d: frees the page\n", cpu) }
	:: else
	fi
}

#ifdef HOLDER
/* Whoever has the other reference drops it at any time: the last may be anybody's. */
active proctype holder()
{
	bool last;

	put_page(2)
}
#endif

/* ref_get() in mm/gup.c. `got` is the caller's. */
inline ref_get()
{
#ifdef KO_REF_NOT_ZERO
	d_step {
		printf("CPU 1: raises the count\n");
		assert(count > 0 || get_on_zero);
		got = 1;
		count++
	}
#else
	d_step {
		got = count > 0;
		count = count + got;
		printf("CPU 1: a reference unless zero: got %d\n", got)
	}
#endif
}

/* What the reference was for, and its end. */
inline use_page()
{
	d_step {
		printf("CPU 1: uses the page it got\n");
		assert(owner == MINE || foreign_reference)
	}
	put_page(1)
}

/* An access in user mode: a hit, and the load or store that it serves. */
inline access(cpu)
{
	atomic {
		tlb[cpu] -> printf("CPU %d: a thread accesses the page through the TLB\n", cpu);
		assert(owner == MINE || stale_translation)
	}
}

#define interrupts_off() d_step { irqs_off = 1; printf("CPU 1: interrupts off\n") }
#define interrupts_on() d_step { irqs_off = 0; printf("CPU 1: interrupts on\n") }
