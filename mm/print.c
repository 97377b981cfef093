// SPDX-License-Identifier: MIT
/*
 * Address spaces for human eyes: the console's mm and pt commands.
 *
 * Locks: mmap_lock while an mm is printed, for writing where its tables have to stay. Lines are
 * printed as the walk goes; the walk is of the live tree, entry by entry, and may sleep between
 * lines.
 */
#include <mm.h>
#include <pgtable.h>
#include <printk.h>
#include <ptdesc.h>

static void prot_string(u64 attr, char *s)
{
	s[0] = attr & PA_READ ? 'r' : '-';
	s[1] = attr & PA_WRITE ? 'w' : '-';
	s[2] = attr & PA_EXEC ? 'x' : '-';
	s[3] = attr & PA_SPECIAL ? 's' : '-';
	s[4] = 0;
}

#define MM_LIST_MAX 64
struct mm_ids {
	unsigned int n, id[MM_LIST_MAX];
};

static void collect(struct mm *mm, void *arg)
{
	struct mm_ids *ids = arg;

	if (ids->n < MM_LIST_MAX)
		ids->id[ids->n++] = mm->id;
}

void mm_print_all(void)
{
	struct mm_ids ids = { 0 };

	mm_for_each(collect, &ids);
	print_line("%u address spaces", ids.n);
	for (unsigned int i = 0; i < ids.n; i++) {
		struct mm *mm = mm_find_get(ids.id[i]);

		if (!mm)
			continue; /* on its way out */
		print_line("mm %u: users %d, vmas %u, pages %llu, tables %lld and %lld of CPUs' "
			   "own, root %#llx, tag %u, CPUs %#llx",
			   mm->id, atomic_read(&mm->users) - 1, mm->nr_vmas,
			   (unsigned long long)mm_nr_pages(mm),
			   (long long)atomic64_read(&mm->nr_tables),
			   (long long)atomic64_read(&mm->nr_own_tables),
			   (unsigned long long)mm->root_pa,
			   mm_tag(mm), (unsigned long long)READ_ONCE(mm->cpu_mask));
		mmput(mm);
	}
}

void mm_print(struct mm *mm)
{
	char prot[5];

	down_read(&mm->mmap_lock);
	for (struct vma *v = vma_find(mm, 0); v; v = v->next) {
		prot_string(prot_attr(v->prot), prot);
		print_line("%016llx-%016llx %s %6llu KiB%s", (unsigned long long)v->start,
			   (unsigned long long)v->end, prot,
			   (unsigned long long)(v->end - v->start) >> 10,
			   v->flags & MAP_HUGE ? " huge" : "");
	}
	up_read(&mm->mmap_lock);
}

/*
 * A run of leaves of one level, next to each other in virtual addresses, with the same attributes.
 */
struct run {
	vaddr_t start, end;
	u64 attr;
	unsigned int level, indent;
};

static void run_print(struct run *r)
{
	char prot[5];

	if (r->end == r->start)
		return;
	prot_string(r->attr, prot);
	print_line("%*s%016llx-%016llx %s %llu x %s", r->indent * 2, "",
		   (unsigned long long)r->start,
		   (unsigned long long)r->end, prot,
		   (unsigned long long)(r->end - r->start) >> pt_shift(r->level),
		   pt_level_name(r->level));
	r->end = r->start;
}

static void run_add(struct run *r, vaddr_t va, pte_t pte, unsigned int level, unsigned int indent)
{
	u64 attr = pte_attr(pte);

	if (r->end != va || r->attr != attr || r->level != level || r->start == r->end) {
		run_print(r);
		*r = (struct run){ .start = va, .attr = attr, .level = level, .indent = indent };
	}
	r->end = va + pt_span(level);
}

static void print_table(pte_t *table, unsigned int level, vaddr_t va, vaddr_t end, struct run *r)
{
	unsigned int indent = pt_top_level() - level + 1;

	while (va < end) {
		vaddr_t next = pt_next(va, end, level);
		pte_t pte = pte_read(table + pt_index(va, level));

		if (pte_present(pte) && pte_leaf(pte, level)) {
			run_add(r, ALIGN_DOWN(va, pt_span(level)), pte, level, indent);
		} else if (pte_present(pte)) {
			run_print(r);
			print_line("%*s%016llx %s entry -> %s table at %#llx", indent * 2, "",
				   (unsigned long long)ALIGN_DOWN(va, pt_span(level)),
				   pt_level_name(level), pt_level_name(level - 1),
				   (unsigned long long)pte_pa(pte));
			/*
			 * WHY SAFE: mmap_lock is held for writing, and tables go under it alone.
			 */
			print_table(pte_table(pte), level - 1, va, next, r);
		}
		va = next;
	}
}

void mm_print_tables(struct mm *mm, vaddr_t from, vaddr_t to)
{
	struct run r = { 0 };

	/* For writing: the second half of a munmap frees tables while it holds it for reading. */
	down_write(&mm->mmap_lock);
	print_line("mm %u: %s table at %#llx, %lld tables in all", mm->id,
		   pt_level_name(pt_top_level()), (unsigned long long)mm->root_pa,
		   (long long)atomic64_read(&mm->nr_tables));
	print_table(mm->root, pt_top_level(), from, min(to, user_end()), &r);
	run_print(&r);
	up_write(&mm->mmap_lock);
}
