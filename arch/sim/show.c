// SPDX-License-Identifier: MIT
/*
 * What a counterexample says of memory: for each step of a replay what stands where it touches.
 *
 * Lines, for scripts/counterexample.py, all addresses as they are:
 *   percpu CPU OFFSET      where the per-CPU variables of a CPU are, from those of the image
 *   step N ...             before a step: CPU, kind, argument, access, code address
 *   touch ADDR SIZE OWNER  what the step is about to touch
 *   became OLD NEW         that, before and behind the step; words, or entries of tables
 *   event CPU NAME A B     what the kernel notes of itself (include/trace.h), or order.c
 * OWNER is "table LEVEL", "page", "descriptor KIND", "slab NAME SIZE" or "data".
 * An entry is "none", "page:FRAME:rw", "page:FRAME:rw,unused" (not marked accessed), "table:FRAME"
 * or "freed".
 */
#include "explore.h"

#include <page.h>
#include <percpu.h>
#include <pgtable.h>
#include <stdio.h>
#include <string.h>

bool showing;

static struct {
	u64 addr, was;
	unsigned int size;
	bool entry;
	u8 level; /* of the table that the entry is in */
} at;

void sim_event(const char *name, u64 a, u64 b)
{
	if (showing)
		printf("event %u %s %#llx %#llx\n", sim_cpu(), name, (unsigned long long)a,
		       (unsigned long long)b);
}

void show_begin(void)
{
	showing = true;
	for (unsigned int cpu = 0; cpu < scenario->cpus; cpu++)
		printf("percpu %u %#lx\n", cpu, percpu_offset[cpu]);
}

/* The newest value of a word that its CPU sees: it may wait in the buffer. */
static u64 value_at(const struct vcpu *v, u64 addr, unsigned int size)
{
	u64 value = 0;

	memcpy(&value, (void *)addr, size);
	for (unsigned int i = 0; i < v->nr_buffer; i++)
		if (v->buffer[i].addr == addr && v->buffer[i].size == size)
			value = v->buffer[i].other;
	return value;
}

static struct page *frame_of(u64 addr)
{
	return addr - DIRECT_MAP < DIRECT_MAP_SIZE ? virt_to_page((void *)addr) : NULL;
}

static void print_slab(const struct page *p)
{
	/* What struct kmem_cache begins with. */
	const struct {
		const char *name;
		size_t size;
	} *cache = (void *)p->cache;

	printf("slab %s %zu\n", cache->name, cache->size);
}

static void print_owner(u64 addr)
{
	const struct page *p = frame_of(addr);

	at.entry = p && p->type == PAGE_TABLE;
	at.level = at.entry ? p->pt_level : 0;
	if (at.entry)
		printf("table %u\n", p->pt_level);
	else if (p && p->type == PAGE_SLAB)
		print_slab(p);
	else if (p)
		printf("page\n");
	else if (addr - VMEMMAP < SIM_STACKS - VMEMMAP)
		printf("descriptor %s\n", ((struct page *)VMEMMAP)[(addr - VMEMMAP) /
			sizeof(struct page)].type == PAGE_TABLE ? "table" : "page");
	else
		printf("data\n");
}

static void print_entry(u64 value)
{
	pte_t pte = { value };

	if (pte_none(pte))
		printf(" none");
	else if (value == PAGE_POISON)
		printf(" freed");
	else if (!pte_present(pte))
		printf(" absent");
	else if (pte_leaf(pte, at.level))
		printf(" page:%#llx:%s%s", (unsigned long long)(pte_pa(pte) >> PAGE_SHIFT),
		       pte_write(pte) ? "rw" : "ro",
		       pte_attr_in(pte, PA_ACCESSED) ? "" : ",unused");
	else
		printf(" table:%#llx", (unsigned long long)(pte_pa(pte) >> PAGE_SHIFT));
}

static void print_value(u64 value)
{
	if (at.entry)
		print_entry(value);
	else
		printf(" %#llx", (unsigned long long)value);
}

static void touch_begin(const struct step *s)
{
	const struct vcpu *v = &M.cpu[s->cpu];

	at.addr = 0;
	if (s->kind == DRAIN) {
		at.addr = v->buffer[s->arg].addr;
		at.size = v->buffer[s->arg].size;
	} else if (s->kind == RUN && v->op >= OP_READ && v->op <= OP_RMW && v->addr) {
		at.addr = v->addr;
		at.size = v->size;
	}
	if (!at.addr)
		return;
	at.was = 0;
	memcpy(&at.was, (void *)at.addr, at.size);
	printf("touch %#llx %u ", (unsigned long long)at.addr, at.size);
	print_owner(at.addr);
}

/* gdb stops here. */
void replay_step(unsigned int number, const struct step *s)
{
	static const char *const kinds[] = { "run", "ipi", "tick", "drain", "choose" };
	const struct vcpu *v = &M.cpu[s->cpu];

	printf("step %u cpu %u %s %u op %u pc %#x addr %#x cost %u\n", number, s->cpu,
	       kinds[s->kind], s->arg, v->op, v->pc, v->addr, s->cost);
	touch_begin(s);
	fflush(stdout);
}

void show_touched(const struct step *s)
{
	if (!at.addr)
		return;
	printf("became");
	print_value(at.was);
	print_value(value_at(&M.cpu[s->cpu], at.addr, at.size));
	printf("\n");
}
