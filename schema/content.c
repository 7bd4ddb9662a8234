// SPDX-License-Identifier: Apache-2.0
#include "schema/content.h"

#include "lib/codec.h"

#include <errno.h>

/* The codings of all Content-Encoding lines, in the order they were applied; identity left out. */
static int list_codings(const struct message *m, int codings[CONTENT_CODINGS_MAX], struct err *e)
{
	struct header_iter it = {.rest = m->head};
	int count = 0;

	while (header_next(&it)) {
		struct span rest = it.value;

		if (!span_ieq(it.name, SPAN_LIT("Content-Encoding")))
			continue;
		while (rest.len) {
			const uint8_t *comma = memchr(rest.ptr, ',', rest.len);
			size_t n = comma ? (size_t)(comma - rest.ptr) : rest.len;
			struct span name = span_trim(span_of(rest.ptr, n));
			int coding = codec_parse(name);

			rest = span_from(rest, n + 1);
			if (name.len == 0 || span_ieq(name, SPAN_LIT("identity")))
				continue;
			if (coding < 0)
				return err_set(e, -ENOENT, "content coding %.*s is not known",
					       (int)MIN(name.len, (size_t)64),
					       (const char *)name.ptr);
			if (count == CONTENT_CODINGS_MAX)
				return err_set(e, -E2BIG, "more than %d content codings",
					       CONTENT_CODINGS_MAX);
			codings[count++] = coding;
		}
	}
	return count;
}

int content_peek(const struct message *m, size_t max, struct buf *room, struct span *out_body,
		 struct err *e)
{
	const struct codec_limits limits = {max, CONTENT_RATIO_MAX};
	int codings[CONTENT_CODINGS_MAX];
	int count = list_codings(m, codings, e), r = 0;
	AUTO_BUF other = {0};

	*out_body = m->body;
	buf_clear(room);
	if (count <= 0 || m->body.len == 0)
		return count < 0 ? count : 0;
	for (int i = count - 1; i >= 0 && r == 0; i--) {
		struct buf was = *room;

		buf_clear(&other);
		r = codec_decode((enum codec)codings[i], *out_body, &limits, &other, e);
		*room = other;
		other = was;
		*out_body = buf_span(room);
		/* the beginning of an outer coding's output is no use to the inner one's reader */
		if (r < 0 && i > 0)
			out_body->len = 0;
	}
	return r < 0 ? r : count;
}

int content_decode(const struct message *m, struct buf *room, struct span *out_body, struct err *e)
{
	return content_peek(m, CONTENT_BYTES_MAX, room, out_body, e);
}
