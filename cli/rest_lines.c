// SPDX-License-Identifier: Apache-2.0
#include "cli/rest_lines.h"

#include <errno.h>

static int take_line(struct rest_lines *l, struct span part)
{
	int r;

	if (l->rest.len == 0)
		return l->fn(l->ctx, part);
	buf_add_span(&l->rest, part);
	r = l->rest.is_failed ? -ENOMEM : l->fn(l->ctx, buf_span(&l->rest));
	buf_clear(&l->rest);
	return r;
}

int rest_on_lines(void *ctx, struct span bytes)
{
	struct rest_lines *l = ctx;

	while (bytes.len) {
		const uint8_t *nl = memchr(bytes.ptr, '\n', bytes.len);
		size_t n = nl ? (size_t)(nl - bytes.ptr) : bytes.len;
		int r;

		if (!nl) {
			if (l->rest.len + n > (size_t)REST_LINE_MAX_MIB << 20)
				return -E2BIG;
			buf_add(&l->rest, bytes.ptr, n);
			return l->rest.is_failed ? -ENOMEM : 0;
		}
		r = take_line(l, span_of(bytes.ptr, n));
		if (r)
			return r;
		bytes = span_from(bytes, n + 1);
	}
	return 0;
}
