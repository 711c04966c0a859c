/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intrusive circular doubly linked list. The same struct is head and link. Pure: the
 * caller's lock protects it. A removed link points to itself, so removing it again is
 * harmless and list_empty(link) tells whether it is on a list.
 */
#ifndef RAYOS_KERNEL_LIB_LIST_H
#define RAYOS_KERNEL_LIB_LIST_H

#include "kernel/lib/types.h"

struct list_head {
	struct list_head *next, *prev;
};

#define LIST_HEAD_INIT(name) { &(name), &(name) }

static inline void list_init(struct list_head *l)
{
	l->next = l;
	l->prev = l;
}

static inline bool list_empty(const struct list_head *l)
{
	return l->next == l;
}

static inline void list_insert(struct list_head *node, struct list_head *prev,
                               struct list_head *next)
{
	next->prev = node;
	node->next = next;
	node->prev = prev;
	prev->next = node;
}

/** Put @node first. It must not be on a list. */
static inline void list_add(struct list_head *node, struct list_head *head)
{
	list_insert(node, head, head->next);
}

/** Put @node last; or, given a member instead of the head, just before that member. */
static inline void list_add_tail(struct list_head *node, struct list_head *head)
{
	list_insert(node, head->prev, head);
}

static inline void list_del(struct list_head *node)
{
	node->next->prev = node->prev;
	node->prev->next = node->next;
	list_init(node);
}

static inline void list_move_tail(struct list_head *node, struct list_head *head)
{
	list_del(node);
	list_add_tail(node, head);
}

/** Move all of @from to the end of @to; @from is empty afterwards. */
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

/* NULL when the list is empty. */
#define list_first_entry(head, type, member) \
	(list_empty(head) ? (type *)NULL : list_entry((head)->next, type, member))
#define list_last_entry(head, type, member) \
	(list_empty(head) ? (type *)NULL : list_entry((head)->prev, type, member))

#define list_for_each(pos, head) \
	for ((pos) = (head)->next; (pos) != (head); (pos) = (pos)->next)

#define list_for_each_entry(pos, head, member)                                  \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member);      \
	     &(pos)->member != (head);                                          \
	     (pos) = list_entry((pos)->member.next, __typeof__(*(pos)), member))

/* The body may remove and free @pos. */
#define list_for_each_entry_safe(pos, tmp, head, member)                           \
	for ((pos) = list_entry((head)->next, __typeof__(*(pos)), member),         \
	     (tmp) = list_entry((pos)->member.next, __typeof__(*(pos)), member);   \
	     &(pos)->member != (head);                                             \
	     (pos) = (tmp),                                                        \
	     (tmp) = list_entry((tmp)->member.next, __typeof__(*(tmp)), member))

#endif
