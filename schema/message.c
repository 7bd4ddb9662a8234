// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A chunked body (RFC 9112 7.1) is kept apart from its chunk-size lines. Walking those lines, each
 * says how many bytes of the body follow it; the line of size 0 is followed by the trailers and an
 * empty line. A chunked message that comes without its lines (read back from JSON for people) gets
 * one chunk.
 */
#include "schema/message.h"

static struct span take_line(struct span *rest)
{
	const uint8_t *nl = rest->len ? memchr(rest->ptr, '\n', rest->len) : NULL;
	struct span line = {rest->ptr, nl ? (size_t)(nl - rest->ptr) + 1 : rest->len};

	*rest = span_from(*rest, line.len);
	return line;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* what the line says, before any extension; saturates */
static uint64_t chunk_size(struct span line)
{
	uint64_t n = 0;

	line = span_trim(line);
	for (size_t i = 0; i < line.len && hex_digit(line.ptr[i]) >= 0; i++)
		n = n >> 60 ? UINT64_MAX : n << 4 | (uint64_t)hex_digit(line.ptr[i]);
	return n;
}

static bool write_last(const struct message *m, struct buf *out)
{
	if (!(m->flags & MESSAGE_COMPLETE))
		return false;
	buf_add_span(out, m->trailers);
	buf_add_str(out, "\r\n");
	return true;
}

static bool write_chunks(const struct message *m, struct buf *out)
{
	struct span framing = m->framing, body = m->body;

	while (framing.len) {
		struct span line = take_line(&framing);
		uint64_t size = chunk_size(line);

		buf_add_span(out, line);
		if (size == 0)
			return write_last(m, out);
		buf_add(out, body.ptr, (size_t)MIN(size, body.len));
		if (size > body.len)
			return false;
		body = span_from(body, (size_t)size);
		buf_add_str(out, "\r\n");
	}
	buf_add_span(out, body);
	return false;
}

static bool write_one_chunk(const struct message *m, struct buf *out)
{
	if (m->body.len)
		buf_add_fmt(out, "%zx\r\n", m->body.len);
	buf_add_span(out, m->body);
	buf_add_str(out, m->body.len ? "\r\n0\r\n" : "0\r\n");
	return write_last(m, out);
}

bool message_write(const struct message *m, struct buf *out)
{
	bool is_whole = (m->flags & MESSAGE_COMPLETE) &&
			!(m->flags & (MESSAGE_BODY_CUT | MESSAGE_HEAD_CUT | MESSAGE_HAS_GAP));

	buf_add_span(out, m->head);
	if (m->flags & MESSAGE_CHUNKED)
		return (m->framing.len ? write_chunks(m, out) : write_one_chunk(m, out)) &&
		       is_whole;
	buf_add_span(out, m->body);
	return is_whole;
}
