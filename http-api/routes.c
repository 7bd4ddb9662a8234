// SPDX-License-Identifier: Apache-2.0
#include "http-api/routes.h"

const struct param_row param_rows[PARAM_COUNT] = {
#define PARAM(NAME, name, what) {name, what},
#include "http-api/routes.tbl.h"
#undef PARAM
};

const struct route routes[] = {
#define ROUTE(function, path, access, params, what) {path, what, function, ROUTE_##access, params},
#include "http-api/routes.tbl.h"
#undef ROUTE
};
const size_t route_count = COUNT_OF(routes);

/* The part of a path before the next slash; @s moves behind it. */
static struct span next_segment(struct span *s)
{
	const uint8_t *slash = s->len ? memchr(s->ptr, '/', s->len) : NULL;
	struct span segment = {s->ptr, slash ? (size_t)(slash - s->ptr) : s->len};

	*s = slash ? span_from(*s, segment.len + 1) : (struct span){0};
	return segment;
}

static bool path_fits(struct span path, const char *pattern, struct span *id_out)
{
	struct span want = span_str(pattern);

	*id_out = (struct span){0};
	while (path.len && want.len) {
		struct span p = next_segment(&path), w = next_segment(&want);

		if (span_eq(w, SPAN_LIT("{id}")) && p.len)
			*id_out = p;
		else if (!span_eq(p, w))
			return false;
	}
	return path.len == 0 && want.len == 0;
}

const struct route *routes_find(struct span path, struct span *id_out)
{
	/* "/a/" is not "/a" */
	if (path.len > 1 && path.ptr[path.len - 1] == '/')
		return NULL;
	for (size_t i = 0; i < route_count; i++)
		if (path_fits(path, routes[i].path, id_out))
			return &routes[i];
	return NULL;
}
