// SPDX-License-Identifier: MIT
/*
 * What the lock checker says of a mistake.
 *
 * Why apart: names and chains are for people; the checker itself deals in numbers.
 * A lock has no name, but places have: a class is told by where its locks are initialised, or,
 * where the compiler did that, by who took the lock first.
 * Rules: T4, F3 are reported as broken; any other mistake ends the run as a panic.
 * Contexts: any but NMI; no lock is taken. See also: lockdep.c, lockdep_graph.c.
 */
#include "lockdep_private.h"

#include <boot.h>
#include <oracle.h>
#include <page.h>
#include <printk.h>
#include <symbols.h>

#ifdef GRACE_DEBUG
#define TEXT_MAX 288

/* ---- Names -------------------------------------------------------------------------------- */

/* A return address may be the first of the next function: so the byte before is looked up. */
struct lock_name lock_place_name(vaddr_t place)
{
	struct lock_name n;
	size_t offset = 0;
	const char *name = symbol_name(place - 1, &offset);

	if (name)
		snprintf(n.text, sizeof(n.text), "%s+%#zx", name, offset + 1);
	else
		snprintf(n.text, sizeof(n.text), "?");
	return n;
}

static struct lock_name image_lock_name(const struct lock_class *c)
{
	struct lock_name n;

	snprintf(n.text, sizeof(n.text), "lock %#llx, first taken by %s for %s",
		 (unsigned long long)c->place, lock_place_name(c->first[0]).text,
		 lock_place_name(c->first[1]).text);
	return n;
}

struct lock_name lock_class_name(u8 class)
{
	const struct lock_class *c = lock_class_get(class);
	bool inner = c->place && (c->place ^ (vaddr_t)image_start) & BIT(62);
	vaddr_t place = inner ? lock_inner(c->place) : c->place;
	struct lock_name n;

	if (class == CLASS_IRQ)
		snprintf(n.text, sizeof(n.text), "an interrupt");
	else if (class < CLASS_FIRST)
		snprintf(n.text, sizeof(n.text), "a lock of no class");
	else if (place >= (vaddr_t)data_start)
		return image_lock_name(c);
	else
		snprintf(n.text, sizeof(n.text), "%slock of %s", inner ? "inner " : "",
			 (const char *)place);
	return n;
}

static struct lock_name offset_name(u32 offset)
{
	return lock_place_name((vaddr_t)image_start + offset);
}

/* ---- Reports ------------------------------------------------------------------------------- */

/* The frame whose descriptor the lock is in, or NULL. */
static const struct page *page_of_lock(const lock_class_t *lock)
{
	vaddr_t at = (vaddr_t)lock;

	if (at < VMEMMAP || at >= VMALLOC_START)
		return NULL;
	return pfn_to_page((at - VMEMMAP) / sizeof(struct page));
}

/* From here on only this CPU prints. */
static void report_begin(const char *fmt, ...) __printf(1, 2);
static void report_begin(const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	/* What the report itself takes is not checked. */
	WRITE_ONCE(oracles_on, false);
	va_start(ap, fmt);
	panic_begin(EXIT_PANIC, fmt, ap);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printk("PANIC: locks: %s", text);
}

static __noreturn void report_end(void)
{
	lock_print_held();
	panic_end(EXIT_PANIC);
}

void lock_report(enum lock_mistake m, const lock_class_t *lock, const char *fmt, ...)
{
	char text[TEXT_MAX];
	va_list ap;

	if (lock_mistake_expected(m))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (m == LOCK_WAIT)
		oracle_report(ORACLE_LOCKS, RULE_NO_WAIT_LOCKED, NULL, "%s", text);
	if (m == LOCK_DEAD || m == LOCK_HELD_AT_END)
		oracle_report(ORACLE_LOCKS, RULE_DESCRIPTOR_LIFETIME, page_of_lock(lock), "%s",
			      text);
	report_begin("%s", text);
	report_end();
}

static void print_edge(const struct lock_edge *e, const char *when)
{
	if (e->to == CLASS_IRQ)
		printk("locks: %s, %s took with interrupts on: %s", when,
		       offset_name(e->held_ip).text, lock_class_name(e->from).text);
	else if (e->from == CLASS_IRQ)
		printk("locks: %s, %s took in an interrupt: %s", when, offset_name(e->ip).text,
		       lock_class_name(e->to).text);
	else
		printk("locks: %s, %s took %s; held since %s: %s", when, offset_name(e->ip).text,
		       lock_class_name(e->to).text, offset_name(e->held_ip).text,
		       lock_class_name(e->from).text);
}

static bool about_interrupts(const struct lock_edge *e, const struct lock_path *path)
{
	bool irq = e->from == CLASS_IRQ || e->to == CLASS_IRQ;

	for (unsigned int i = 0; i < path->nr; i++)
		irq = irq || path->edges[i].to == CLASS_IRQ;
	return irq;
}

void lock_report_order(const struct lock_edge *e, const struct lock_path *path)
{
	bool irq = about_interrupts(e, path);

	if (lock_mistake_expected(irq ? LOCK_IRQ : LOCK_ORDER))
		return;
	report_begin("%s; orders that lead round in a circle: %u",
		     irq ? "an interrupt may spin for ever for what it interrupted" :
			   "threads may wait for each other for ever",
		     path->nr + 1);
	print_edge(e, "now");
	for (unsigned int i = path->nr; i-- > 0;)
		print_edge(&path->edges[i], "before");
	report_end();
}
#endif
