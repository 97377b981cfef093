/* SPDX-License-Identifier: MIT */
/*
 * Two gathers of one mm beside each other, on CPUs 0 and 2; a user thread on CPU 1.
 *
 *   gather      gather_start(), tlb_finish_mmu(), flush_for_both(), tlb_flush_mmu(),
 *               free_pages_gathered() in mm/mmu_gather.c; zap_entries() in mm/unmap.c
 *   user        accesses on CPU 1, before and after either call has returned
 *   mmu         fills CPU 1's TLB at any time
 *
 * There are two addresses: gather 0 unmaps the first, gather 1 both. A flush is of what was
 * recorded or of the whole mm. Who has been told that an address is unmapped must find it so.
 *
 * Rules: G4, G5, G8. Barrier, as changed order: gather_start()'s (ORDER_PENDING).
 */
bool stale_translation;		/* a foreign page is accessed through a TLB; never true */
bool stale_after_return;	/* who was told that it is unmapped finds it; never true */

#define ACCESSES 3

bool leaf[2] = 1;	/* of each address */
bool tlb[2];		/* of CPU 1 */
bool freed[2];		/* its page */
bool told[2];		/* a call that unmaps it has returned */
byte pending;		/* mm->tlb_flush_pending */
bool ipi[2];		/* sent by each gather to CPU 1 */
bool whole[2];		/* what to drop: everything, or what that gather has recorded */
bool recorded[4];	/* by gather g of address a: [2 * g + a] */

#define REC(g, a) recorded[2 * (g) + (a)]

inline drop(g)
{
	tlb[0] = tlb[0] && !(whole[g] || REC(g, 0));
	tlb[1] = tlb[1] && !(whole[g] || REC(g, 1))
}

inline flush(g)
{
#ifdef MASKABLE
	d_step { ipi[g] = 1; printf("gather %d: sends CPU 1 the IPI, waits\n", g) }
	atomic { !ipi[g] -> printf("gather %d: the IPI is answered\n", g) }
#else
	d_step { drop(g); printf("gather %d: drops CPU 1's translations\n", g) }
#endif
}

inline zap(g, a)
{
	d_step {
		took[a] = leaf[a];
		leaf[a] = 0;
		printf("gather %d: address %d: clears the leaf, it was %d\n", g, a, took[a])
	}
#ifndef KO_GATHER_RECORD
	REC(g, a) = took[a]
#endif
}

inline start(g) { d_step { pending++; printf("gather %d: pending %d\n", g, pending) } }

proctype gather(byte g)
{
	bool took[2], others;

#ifndef KO_ORDER_PENDING
	start(g);
#endif
	zap(g, 0);
	if
	:: g == 1 -> zap(g, 1)
	:: else
	fi;
#ifdef KO_ORDER_PENDING
	start(g);
#endif
#if !defined(KO_GATHER_NESTED) && !defined(KO_NESTED_WHOLE_MM)
	d_step { others = pending > 1; printf("gather %d: others are pending: %d\n", g, others) }
	if
	:: others -> whole[g] = 1
	:: else
	fi;
#endif
	if
	:: whole[g] || REC(g, 0) || REC(g, 1) -> flush(g)
	:: else
	fi;
	if
	:: took[0] -> d_step { freed[0] = 1; printf("gather %d: frees page 0\n", g) }
	:: else
	fi;
	if
	:: took[1] -> d_step { freed[1] = 1; printf("gather %d: frees page 1\n", g) }
	:: else
	fi;
	d_step { pending--; printf("gather %d: pending %d\n", g, pending) }
	d_step {
		told[0] = 1;
		told[1] = told[1] || g == 1;
		printf("gather %d: the call returns\n", g)
	}
}

#ifdef MASKABLE
active proctype interrupt()
{
end:
	do
	:: ipi[0] -> d_step { drop(0); printf("CPU 1: drops its translations\n") }
		d_step { ipi[0] = 0; printf("CPU 1: answers\n") }
	:: ipi[1] -> d_step { drop(1); printf("CPU 1: drops its translations\n") }
		d_step { ipi[1] = 0; printf("CPU 1: answers\n") }
	od
}
#endif

inline access(a)
{
	atomic {
		n < ACCESSES && tlb[a] -> n++;
		printf("CPU 1: a thread accesses address %d through the TLB\n", a);
		assert(!freed[a] || stale_translation);
		assert(!told[a] || stale_after_return)
	}
}

active proctype user()
{
	byte n;

end:
	do
	:: access(0)
	:: access(1)
	od
}

active proctype mmu()
{
end:
	do
	:: atomic { leaf[0] && !tlb[0] -> tlb[0] = 1; printf("CPU 1: TLB: address 0\n") }
	:: atomic { leaf[1] && !tlb[1] -> tlb[1] = 1; printf("CPU 1: TLB: address 1\n") }
	od
}

init { atomic { run gather(0); run gather(1) } }
