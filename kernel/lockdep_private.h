/* SPDX-License-Identifier: MIT */
/*
 * Private to lockdep.c, lockdep_graph.c and lockdep_report.c: classes, orders, reports.
 */
#ifndef GRACE_KERNEL_LOCKDEP_PRIVATE_H
#define GRACE_KERNEL_LOCKDEP_PRIVATE_H

#include <lockdep.h>
#include <percpu.h>
#include <types.h>

#ifdef GRACE_DEBUG
#define CLASS_NONE 0   /* memory that is no lock, or not one yet */
#define CLASS_STATIC 1 /* by LOCK_CLASS_INIT and not used yet; outside the image it stays so */
#define CLASS_IRQ 2    /* stands for "an interrupt": see lockdep_graph.c */
#define CLASS_FIRST 3
#define NR_CLASSES 256
#define CLASS_DEAD 0xffff

struct lock_class {
	vaddr_t place;	  /* lock_place(), perhaps lock_inner(); of a lock of the image: the lock */
	vaddr_t first[2]; /* of a lock of the image: who took it first, and that one's caller */
};

/* An order: `to` is taken at ip with `from` held since held_ip. Distances from image_start. */
struct lock_edge {
	u32 held_ip, ip;
	u8 from, to;
};
#define PATH_MAX 8
struct lock_path {
	unsigned int nr;
	struct lock_edge edges[PATH_MAX];
};

/* lockdep.c: what the interrupt on a CPU holds. Its CPU's, irqs off. */
DECLARE_PER_CPU(struct lock_stack, irq_locks);

/* lockdep_graph.c. Any context but NMI. */
/* The class of place, made if need be; CLASS_STATIC if there is no room. ip: who takes it, or 0. */
u8 lock_class_of(vaddr_t place, vaddr_t ip);
const struct lock_class *lock_class_get(u8 class);
/* Whether the order is known. A plain look: one that is just being made may be missed. */
bool lock_edge_known(u8 from, u8 to);
/* Makes an order known. False: the reverse is, and path leads from e->to to e->from. */
bool lock_edge_add(const struct lock_edge *e, struct lock_path *path);

/* lockdep.c: prints what this thread, and the interrupt that it may be in, holds. */
void lock_print_held(void);
/* True if a test wanted to know of m. */
bool lock_mistake_expected(enum lock_mistake m);

/* lockdep_report.c: all return only if a test wanted to see the report. */
void lock_report(enum lock_mistake m, const lock_class_t *lock, const char *fmt, ...)
	__printf(3, 4);
void lock_report_order(const struct lock_edge *e, const struct lock_path *path);
struct lock_name {
	char text[112];
};
/* "name+0x12" of a place in the text; what is known of a class. */
struct lock_name lock_place_name(vaddr_t place);
struct lock_name lock_class_name(u8 class);
#endif

#endif
