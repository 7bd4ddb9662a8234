// SPDX-License-Identifier: Apache-2.0
#include "replay/http2_fields.h"

/*
 * The way back of wire/http2_head.h. Which place :method and :path had among the pseudo-header
 * fields was not recorded, and means nothing (RFC 9113 8.3): they go first. libnghttp2 makes names
 * lower-case, as RFC 9113 8.2 wants those that --set-header brings.
 */

static nghttp2_nv field_of(struct span name, struct span value)
{
	/* libnghttp2 copies both, and writes neither */
	return (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.ptr,
			    .value = (uint8_t *)(uintptr_t)value.ptr,
			    .namelen = name.len,
			    .valuelen = value.len};
}

/* lines of a head or of trailers as fields. Return: how many; -1 when they are too many */
static ssize_t list_fields(nghttp2_nv *fields, size_t at, struct span lines, bool is_trailers)
{
	struct header_iter it = {.rest = lines, .is_trailers = is_trailers};

	while (header_next(&it)) {
		if (it.name.len == 0)
			continue;
		if (at == HTTP2_FIELDS_MAX)
			return -1;
		fields[at++] = field_of(it.name, it.value);
	}
	return (ssize_t)at;
}

/* "GET /x HTTP/2": the target may hold blanks, the others do not */
static bool read_start_line(struct span head, struct span *method, struct span *path)
{
	struct message m = {.head = head};
	struct span line = message_start_line(&m);
	const uint8_t *first = span_chr(line, ' ');
	const uint8_t *last = line.len ? memrchr(line.ptr, ' ', line.len) : NULL;

	if (!first || last <= first)
		return false;
	*method = span_of(line.ptr, (size_t)(first - line.ptr));
	*path = span_of(first + 1, (size_t)(last - first) - 1);
	return true;
}

ssize_t http2_request_fields(nghttp2_nv *fields, struct span head)
{
	struct span method, path;

	if (!read_start_line(head, &method, &path))
		return -1;
	fields[0] = field_of(SPAN_LIT(":method"), method);
	fields[1] = field_of(SPAN_LIT(":path"), path);
	return list_fields(fields, 2, head, false);
}

ssize_t http2_trailer_fields(nghttp2_nv *fields, struct span lines)
{
	return list_fields(fields, 0, lines, true);
}
