// SPDX-License-Identifier: Apache-2.0
#include "replay/noise.h"

#include <stdio.h>
#include <stdlib.h>

/*
 * A few kinds of differences make up nearly all of them, so the list is searched from its front and
 * a row that is found moves one place forward: frequent ones end up first without sorting.
 */

/* "$.items[12].id" -> "$.items[*].id". Return: false when it is too long. */
static bool name_path(char out[NOISE_TEXT_MAX], struct span path)
{
	size_t n = 0;

	for (size_t i = 0; i < path.len; i++) {
		if (n + 2 >= NOISE_TEXT_MAX)
			return false;
		out[n++] = (char)path.ptr[i];
		if (path.ptr[i] != '[' || i + 1 == path.len || path.ptr[i + 1] < '0' ||
		    path.ptr[i + 1] > '9')
			continue;
		out[n++] = '*';
		while (i + 1 < path.len && path.ptr[i + 1] != ']')
			i++;
	}
	out[n] = '\0';
	return true;
}

static bool name_item(char out[NOISE_TEXT_MAX], const struct diff *d, const struct diff_item *item)
{
	struct span where = diff_text(d, item->where);

	if (item->kind == DIFF_JSON)
		return name_path(out, where);
	if (item->kind == DIFF_MESSAGE || item->kind == DIFF_STATUS)
		where = item->kind == DIFF_STATUS	 ? SPAN_LIT("status")
			: span_eq(where, SPAN_LIT("id")) ? SPAN_LIT("event-id")
							 : SPAN_LIT("body");
	if (where.len + 8 >= NOISE_TEXT_MAX)
		return false;
	(void)snprintf(out, NOISE_TEXT_MAX, "%s%.*s", item->kind == DIFF_HEADER ? "header:" : "",
		       (int)where.len, (const char *)where.ptr);
	return true;
}

static void add_row(struct noise *n, uint8_t kind, const char *where)
{
	size_t i = 0;

	while (i < n->count && !(n->rows[i].kind == kind && strcmp(n->rows[i].where, where) == 0))
		i++;
	if (i == NOISE_MAX) {
		n->others++;
		return;
	}
	if (i == n->count) {
		n->rows[n->count++] = (struct noise_row){.kind = kind};
		(void)snprintf(n->rows[i].where, NOISE_TEXT_MAX, "%s", where);
	}
	n->rows[i].count++;
	if (i > 0 && n->rows[i - 1].count < n->rows[i].count) {
		struct noise_row row = n->rows[i];

		n->rows[i] = n->rows[i - 1];
		n->rows[i - 1] = row;
	}
}

void noise_add(struct noise *n, const struct diff *d)
{
	char names[DIFF_ITEMS_MAX][NOISE_TEXT_MAX];

	for (unsigned i = 0; i < d->kept; i++) {
		bool is_told = false;

		if (!name_item(names[i], d, &d->items[i])) {
			names[i][0] = '\0';
			n->others++;
			continue;
		}
		for (unsigned k = 0; k < i && !is_told; k++)
			is_told = strcmp(names[k], names[i]) == 0;
		if (!is_told)
			add_row(n, d->items[i].kind, names[i]);
	}
}

static int by_count(const void *a, const void *b)
{
	const struct noise_row *ra = a, *rb = b;

	return (ra->count < rb->count) - (ra->count > rb->count);
}

void noise_sort(struct noise *n)
{
	qsort(n->rows, n->count, sizeof(n->rows[0]), by_count);
}
