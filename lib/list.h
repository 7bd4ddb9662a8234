// SPDX-License-Identifier: Apache-2.0
/* list.h - a circular doubly linked list whose links live in the things it links */
#pragma once

#include "lib/base.h"

struct list {
	struct list *next, *prev;
};

static inline void list_init(struct list *head)
{
	head->next = head->prev = head;
}

static inline bool list_is_empty(const struct list *head)
{
	return head->next == head;
}

static inline void list_append(struct list *head, struct list *item)
{
	item->prev = head->prev;
	item->next = head;
	head->prev->next = item;
	head->prev = item;
}

/* afterwards @item is an empty list of its own, so removing it twice does no harm */
static inline void list_remove(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

static inline struct list *list_first(const struct list *head)
{
	return head->next == head ? NULL : head->next;
}
