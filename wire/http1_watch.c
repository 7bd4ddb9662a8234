// SPDX-License-Identifier: Apache-2.0
#include "wire/http1_watch.h"

#include <assert.h>

#include "wire/noted.h"

/*
 * Theory of operation. A hash table with chaining over rows that are only ever added. It is four times as large
 * as any number of names that is likely, so that a name which means nothing nearly always finds an empty slot,
 * and costs no comparison.
 */

static struct http1_name *find(struct http1_watch *w, struct span name)
{
	for (size_t i = 0; i < w->count; i++)
		if (span_ieq(w->rows[i].text, name))
			return &w->rows[i];
	return NULL;
}

static bool is_plain(struct span name)
{
	for (size_t i = 0; i < name.len; i++)
		if (!(name.ptr[i] >= 'a' && name.ptr[i] <= 'z') &&
		    !(name.ptr[i] >= '-' && name.ptr[i] <= ':'))
			return false;
	return true;
}

static void add(struct http1_watch *w, struct span name, uint8_t noted, uint8_t rule)
{
	uint16_t *first = &w->first[http1_watch_slot(name)];

	assert(w->count < w->max && w->max < UINT16_MAX);
	w->rows[w->count++] = (struct http1_name){
		.text = name,
		.noted = noted,
		.rule = rule,
		.is_plain = is_plain(name),
		.next = *first,
	};
	*first = (uint16_t)w->count;
}

void http1_watch_init(struct http1_watch *w, struct http1_name *rows, size_t max)
{
	*w = (struct http1_watch){.rows = rows, .max = max};
	for (unsigned which = NOTED_NONE + 1; which < NOTED_COUNT; which++)
		add(w, noted_name((enum noted)which), (uint8_t)which, 0);
}

void http1_watch_add(struct http1_watch *w, struct span name, uint8_t rule)
{
	struct http1_name *row = name.len ? find(w, name) : NULL;

	if (row)
		row->rule = rule;
	else if (name.len)
		add(w, name, NOTED_NONE, rule);
}

const struct http1_name *http1_watch_slow(const struct http1_watch *w, struct span name,
					  size_t slot)
{
	for (uint16_t i = w->first[slot]; i; i = w->rows[i - 1].next) {
		const struct http1_name *row = &w->rows[i - 1];

		if (row->text.len == name.len &&
		    (LIKELY(row->is_plain) ? http1_name_eq(name.ptr, row->text.ptr, name.len)
					   : span_ieq(row->text, name)))
			return row;
	}
	return NULL;
}
