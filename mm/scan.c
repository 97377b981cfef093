// SPDX-License-Identifier: MIT
/*
 * Counting what is mapped, as a monitor does: under rcu_read_lock() alone.
 *
 * Terms. A reader with interrupts on and preemption off is the third kind of witness, beside TLBs
 * and walkers with interrupts off: no flush of any transport, and no round of IPIs, waits for it.
 * Why. Without such a reader, rules that are for it alone (F2, F3) could not be seen to matter.
 * Rules: F1, F2, F3 rest on it; U2. Locks: rcu_read_lock(), and the table's own lock inside.
 * See also: mm/gup.c, the walker with interrupts off; tests/stress.c.
 */
#include <census.h>
#include <inject.h>
#include <irqflags.h>
#include <mm.h>
#include <ptdesc.h>
#include <rcu.h>
#include <tlb.h>

static u64 count_leaves(pte_t *table, vaddr_t va, vaddr_t end, unsigned int level)
{
	u64 n = 0;

	for (; va < end; va = pt_next(va, end, level)) {
		pte_t pte = pte_read(table + pt_index(va, level));

		n += pte_present(pte) && pte_leaf(pte, level);
	}
	return n << (level * PT_INDEX_BITS);
}

/*
 * The leaves of one table, under its lock, as pte_offset_map_lock() would have it: whoever holds
 * the lock of a table that is still LIVE sees entries that nobody changes meanwhile.
 * rcu_read_lock().
 */
static u64 count_table(pte_t *table, vaddr_t va, vaddr_t end, unsigned int level)
{
	struct page *page = virt_to_page(table);
	u64 n = 0;

	inject_delay(TABLE_WINDOW);
	/*
	 * WHY SAFE: the descriptor's lock lives as long as the table [F3], and the table until a
	 * grace period that waits for us [F1, F2].
	 */
	spin_lock(&page->ptl);
	if (READ_ONCE(page->pt_state) == PT_LIVE)
		n = count_leaves(table, va, end, level);
	spin_unlock(&page->ptl);
	return n;
}

/* From va to where the entry of `level` that covers it ends, or end; sets *next to there. */
static u64 count_span(struct mm *mm, vaddr_t va, vaddr_t end, vaddr_t *next)
{
	pte_t *table = mm->root;
	unsigned int level = pt_top_level();

	for (; level > 0; level--) {
		pte_t pte = pte_read(table + pt_index(va, level));

		if (!pte_present(pte)) {
			*next = pt_next(va, end, level);
			return 0;
		}
		if (pte_leaf(pte, level))
			break;
		inject_delay(TABLE_WINDOW);
		/* WHY SAFE: as in count_table(); the entry was loaded once [U2]. */
		table = pte_table(pte);
	}
	*next = pt_next(va, end, level + 1);
	return count_table(table, va, *next, level);
}

/*
 * A grace period waits for preemption off. Where tables go with the gather, only the flush's own
 * interrupt does, and interrupts off hold that up [F4].
 */
static bool reader_enter(void)
{
	rcu_read_lock();
	return table_free_mode == TABLE_FREE_GATHER ? local_irq_save() : false;
}

static void reader_leave(bool on)
{
	local_irq_restore(on);
	rcu_read_unlock();
}

u64 mm_count_mapped(struct mm *mm, vaddr_t start, vaddr_t end)
{
	u64 n = 0;

	for (vaddr_t va = start; va < end;) {
		/*
		 * A reader for as long as it is in one table. It orders nothing, but no grace
		 * period ends until reader_leave() [R2].
		 */
		bool on = reader_enter();

		census_enter(mm);
		n += count_span(mm, va, end, &va);
		census_leave();
		reader_leave(on);
	}
	return n;
}
