// SPDX-License-Identifier: Apache-2.0
#include "store/id_ranges.h"

#include <stdlib.h>

#include "lib/array.h"

bool id_ranges_add(struct id_ranges *r, uint64_t first, uint64_t last)
{
	void *all = r->all;
	bool has_room = array_room(&all, &r->room, r->count, sizeof(*r->all));

	r->all = all;
	if (has_room)
		r->all[r->count++] = (struct id_range){first, last};
	return has_room;
}

static int by_first(const void *a, const void *b)
{
	const struct id_range *x = a, *y = b;

	return (x->first > y->first) - (x->first < y->first);
}

void id_ranges_sort(struct id_ranges *r)
{
	size_t kept = 0;

	if (r->count)
		qsort(r->all, r->count, sizeof(*r->all), by_first);
	for (size_t i = 0; i < r->count; i++)
		if (kept == 0 || r->all[kept - 1].first != r->all[i].first)
			r->all[kept++] = r->all[i];
	r->count = kept;
}

void id_ranges_fini(struct id_ranges *r)
{
	free(r->all);
	*r = (struct id_ranges){0};
}
