/* SPDX-License-Identifier: MIT */
/*
 * A fault hooks a new table and installs a page, beside another fault, and walkers that look on.
 *
 *   fault       pt_walk_alloc(), hook_table() in mm/pgtable.c; ptdesc_alloc() in mm/ptdesc.c;
 *               install() in mm/fault.c; two of them at the same address
 *   walker      descend() in mm/gup.c, with interrupts off
 *   mmu         walks whatever is hooked
 *
 * A fresh frame holds what its last owner left: an entry of another's. There is no flush here.
 *
 * Rules: A1, A3, A4.
 */
bool foreign_entry;	/* an entry that nobody of this mm wrote is followed; never true */
bool table_overwritten;	/* a table is hooked over another, which is lost; never true */
bool page_overwritten;	/* a page is installed over another, which is lost; never true */

#define NOTHING 0
#define LEFT_OVER 3	/* by the frame's last owner; a page of fault f is f */

byte upper;			/* 0, or the number of the fault whose table is hooked */
byte entry[3] = LEFT_OVER;	/* that of the table of fault 1, and of fault 2 */
bool upper_lock, leaf_lock;

inline hook(f)
{
#ifndef KO_TABLE_ZEROED
	d_step { entry[f] = NOTHING; printf("fault %d: zeroes its table\n", f) }
#endif
	atomic { !upper_lock -> upper_lock = 1; printf("fault %d: takes the lock above\n", f) }
	d_step { seen = upper; printf("fault %d: the upper entry again: %d\n", f, seen) }
#ifdef KO_HOOK_ONCE
	seen = 0;
#endif
	if
	:: !seen ->
		d_step {
			printf("fault %d: hooks its table\n", f);
			assert(!upper || table_overwritten);
			upper = f
		}
	:: else
	fi;
	d_step { upper_lock = 0; printf("fault %d: drops the lock above\n", f) }
}

inline install(f)
{
	d_step { seen = upper; printf("fault %d: goes on in table %d\n", f, seen) }
	atomic { !leaf_lock -> leaf_lock = 1; printf("fault %d: takes the table's lock\n", f) }
	d_step { old = entry[seen]; printf("fault %d: loads the leaf: %d\n", f, old) }
#ifdef KO_INSTALL_ONCE
	old = NOTHING;
#endif
	if
	:: old == NOTHING ->
		d_step {
			printf("fault %d: installs its page\n", f);
			assert(entry[seen] == NOTHING || entry[seen] == LEFT_OVER || page_overwritten);
			entry[seen] = f
		}
	:: else
	fi;
	d_step { leaf_lock = 0; printf("fault %d: drops the table's lock\n", f) }
}

proctype fault(byte f)
{
	byte seen, old;

	d_step { seen = upper; printf("fault %d: loads the upper entry: %d\n", f, seen) }
	if
	:: !seen -> hook(f)
	:: else
	fi;
	install(f)
}

inline look(who, at)
{
	d_step { at = upper; printf("%e: loads the upper entry: %d\n", who, at) }
	if
	:: at ->
		d_step {
			printf("%e: loads the leaf: %d\n", who, entry[at]);
			assert(entry[at] != LEFT_OVER || foreign_entry)
		}
	:: else
	fi
}

mtype = { walker, hardware };

active proctype gup()
{
	byte at;

	look(walker, at);
	look(walker, at)
}

active proctype mmu()
{
	byte at;

	look(hardware, at)
}

init { atomic { run fault(1); run fault(2) } }
