// SPDX-License-Identifier: MIT
/*
 * The truth about frames: which are free, and who may still reach one that is being freed.
 *
 * Why it exists: the kernel's own oracles guess what hardware may hold; the model knows. A table
 * that is freed while some MMU may still walk it, a page that is freed while user code may still
 * reach it, and kernel code that reads a freed frame are findings at once, whatever is done with
 * them. It learns of lives by the kernel's page_step(), which debug builds call at each step of a
 * frame.
 */
#include "sim.h"

#include <oracle.h>
#include <page.h>

/* The frame's word: generation << 1 | free. */
static u64 frame_word(u64 pfn)
{
	return SIM_FRAMES + pfn * 8;
}

u8 frame_gen(u64 pfn)
{
	note_read(frame_word(pfn), 8);
	return (u8)(*(u64 *)frame_word(pfn) >> 1);
}

bool frame_is_free(u64 pfn)
{
	note_read(frame_word(pfn), 8);
	return *(u64 *)frame_word(pfn) & 1;
}

void frame_access(u64 addr, void *pc)
{
	u64 pfn = (addr - DIRECT_MAP) >> PAGE_SHIFT;

	if (addr < DIRECT_MAP || pfn >= DIRECT_MAP_SIZE >> PAGE_SHIFT || !frame_is_free(pfn))
		return;
	finding("use after free", "kernel code on CPU %u touches frame %#llx, which is free",
		sim_cpu(), (unsigned long long)pfn);
}

bool mmu_may_hold_leaf(const struct vcpu *v, u64 pfn);

static void judge_free(u64 pfn, bool table)
{
	touch_all(THING_MMU, false);
	for (unsigned int i = 0; i < MAX_CPUS; i++) {
		const struct vcpu *v = &M.cpu[i];

		if (v->state == VCPU_OFF)
			continue;
		if (v->root && v->root >> PAGE_SHIFT == pfn)
			finding("root", "frame %#llx is freed while CPU %u has it loaded as root",
				(unsigned long long)pfn, i);
		if (table && mmu_may_hold_table(v, pfn))
			finding("walk cache",
				"table %#llx is freed while CPU %u's walk cache may lead "
				"to it",
				(unsigned long long)pfn, i);
		if (!table && v->state == VCPU_USER && mmu_may_hold_leaf(v, pfn))
			finding("TLB",
				"page %#llx is freed while user code on CPU %u may reach it "
				"through its TLB",
				(unsigned long long)pfn, i);
	}
}

static void freed(struct page *p)
{
	for (u64 n = 0; n < 1UL << p->order; n++) {
		u64 pfn = page_to_pfn(p) + n, word = frame_word(pfn);

		if (!quiet)
			judge_free(pfn, p->type == PAGE_TABLE);
		sim_store(word, *(u64 *)word | 1);
	}
}

static void given_out(u64 pfn)
{
	u64 word = frame_word(pfn), old = *(u64 *)word;

	if (old & 1)
		sim_store(word, (((old >> 1) + 1) & 0xff) << 1);
}

/* Physical address 0 means "none": nobody follows that. */
void frame_init(void)
{
	*(u64 *)frame_word(0) = 1;
}

void __real_page_step(struct page *p, enum page_step step);
void __wrap_page_step(struct page *p, enum page_step step);
void __wrap_page_step(struct page *p, enum page_step step)
{
	/* When and where a step was is for reports alone, and would tell states apart. */
	if (oracles() && step == STEP_ALLOC) {
		note_oracle((u64)&p->debug, sizeof(p->debug));
		p->debug = (struct page_debug){ 0 };
	} else if (oracles() && step == STEP_FREE && p->debug.entries) {
		__real_page_step(p, step);
	}
	if (step == STEP_FREE)
		freed(p);
	/*
	 * The kernel's own check of F1 asks whether a grace period has passed; without oracles it
	 * is decided by whether somebody is hurt.
	 */
	if (step == STEP_FLUSH && p->type == PAGE_TABLE && !oracles()) {
		note_write((u64)&p->pt_gp, sizeof(p->pt_gp));
		p->pt_gp = 0;
	}
}

/* The allocator looks at the poison before it gives a frame out: the model needs none. */
bool __wrap_page_poison_intact(const struct page *p, size_t *offset, u64 *value);
bool __wrap_page_poison_intact(const struct page *p, size_t *offset, u64 *value)
{
	given_out(page_to_pfn(p));
	return true;
}

void __wrap_page_poison(struct page *p);
void __wrap_page_poison(struct page *p)
{
	note_write((u64)&p->flags, 1);
	WRITE_ONCE(p->flags, p->flags | PG_POISONED);
}

void __wrap_clear_page(void *page);
void __wrap_clear_page(void *page)
{
	for (u64 *w = page, *end = w + PAGE_SIZE / 8; w < end; w++) {
		if (!*w)
			continue;
		order_store((u64)w, 8, false, __builtin_return_address(0));
		note_write((u64)w, 8);
		*w = 0;
	}
}

void page_owner_set(struct page *p, unsigned int order, bool alloc)
{
}
