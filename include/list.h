/* SPDX-License-Identifier: MIT */
/*
 * Doubly linked circular list. A node that is in no list points at itself.
 */
#ifndef GRACE_LIST_H
#define GRACE_LIST_H

#include <types.h>

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name)                                                                       \
	{                                                                                          \
		&(name), &(name)                                                                   \
	}
#define LIST_HEAD(name) struct list_head name = LIST_HEAD_INIT(name)

static inline void list_init(struct list_head *h)
{
	h->next = h;
	h->prev = h;
}

static inline bool list_empty(const struct list_head *h)
{
	return h->next == h;
}

static inline void list_insert(struct list_head *n, struct list_head *prev, struct list_head *next)
{
	n->next = next;
	n->prev = prev;
	prev->next = n;
	next->prev = n;
}

/* Adds n as the first entry of h. */
static inline void list_add(struct list_head *n, struct list_head *h)
{
	list_insert(n, h, h->next);
}

/* Adds n as the last entry of h. */
static inline void list_add_tail(struct list_head *n, struct list_head *h)
{
	list_insert(n, h->prev, h);
}

/* Takes n out of its list and leaves it in none. */
static inline void list_del(struct list_head *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	list_init(n);
}

/* Moves every entry of from to the end of to; from is empty afterwards. */
static inline void list_splice_tail(struct list_head *from, struct list_head *to)
{
	if (list_empty(from))
		return;
	from->next->prev = to->prev;
	to->prev->next = from->next;
	from->prev->next = to;
	to->prev = from->prev;
	list_init(from);
}

#define list_entry(ptr, type, member) container_of(ptr, type, member)
#define list_first_entry(h, type, member) list_entry((h)->next, type, member)
#define list_for_each(pos, h) for (pos = (h)->next; pos != (h); pos = pos->next)
#define list_for_each_safe(pos, n, h)                                                              \
	for (pos = (h)->next, n = pos->next; pos != (h); pos = n, n = pos->next)
/*
 * At the end pos is no entry: where its member would be is the head. So the member is not named by
 * way of pos until it is known not to be that.
 */
#define list_node(pos, member)                                                                     \
	((struct list_head *)((char *)(pos) + offsetof(typeof(*(pos)), member)))
#define list_for_each_entry(pos, h, member)                                                        \
	for (pos = list_entry((h)->next, typeof(*pos), member); list_node(pos, member) != (h);     \
	     pos = list_entry(pos->member.next, typeof(*pos), member))
#define list_for_each_entry_safe(pos, n, h, member)                                                \
	for (pos = list_entry((h)->next, typeof(*pos), member),                                    \
	    n = list_entry(list_node(pos, member)->next, typeof(*pos), member);                    \
	     list_node(pos, member) != (h);                                                        \
	     pos = n, n = list_entry(list_node(n, member)->next, typeof(*n), member))

#endif
