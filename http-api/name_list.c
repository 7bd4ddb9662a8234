// SPDX-License-Identifier: Apache-2.0
#include "http-api/name_list.h"

#include "lib/array.h"

#include <errno.h>
#include <stdlib.h>

void name_list_fini(struct name_list *l)
{
	for (size_t i = 0; i < l->count; i++)
		free(l->all[i]);
	free(l->all);
	*l = (struct name_list){0};
}

bool name_list_has(const struct name_list *l, struct span name)
{
	for (size_t i = 0; i < l->count; i++)
		if (span_eq(span_str(l->all[i]), name))
			return true;
	return false;
}

int name_list_add(struct name_list *l, struct span name)
{
	void *all = l->all;
	char *copy;

	if (name.len && memchr(name.ptr, 0, name.len))
		return -EINVAL;
	if (name_list_has(l, name))
		return 0;
	copy = strndup(name.len ? (const char *)name.ptr : "", name.len);
	if (!copy || !array_room(&all, &l->room, l->count, sizeof(*l->all))) {
		free(copy);
		return -ENOMEM;
	}
	l->all = all;
	l->all[l->count++] = copy;
	return 0;
}
