// SPDX-License-Identifier: Apache-2.0
#include "wire/wsdecode.h"

#include "schema/wsdeflate.h"
#include "wire/internal.h"

/*
 * Theory of operation
 *
 * schema/wsdeflate.h reads messages in their order; here it lives as long as the connection, from the first part
 * on: the row of that part is put through it once, then each message as it comes. What it takes from malloc is
 * counted with the other decoders (WIRE_DECODER_SHARE); where there is no room for it, compressed messages of later parts
 * stay as they are and say that they cannot be read. What a message becomes is bounded by body_max, and what the first
 * row becomes by so many times that.
 */

#define DEFLATE_BYTES                                                                              \
	(2 * (48 << 10)) /* two inflaters with their windows, by zlib's documentation 44 KiB each */
#define ROW_BOMB 16

static bool take_room(struct wire *w)
{
	if (w->decoder_bytes + DEFLATE_BYTES > w->config.memory_max / WIRE_DECODER_SHARE)
		return false;
	w->decoder_bytes += DEFLATE_BYTES;
	return true;
}

void wsdecode_end(struct wsdecode *d, struct wire *w)
{
	if (d->deflate)
		w->decoder_bytes -= DEFLATE_BYTES;
	wsdeflate_free(d->deflate);
	d->deflate = NULL;
}

/* Return: false when later messages could not be understood */
static bool read_row(struct wsdecode *d, const struct conn *c, struct span row)
{
	size_t body_max = c->wire->config.body_max, left = ROW_BOMB * body_max;
	AUTO_BUF room = {0};
	struct child child;

	while (child_next(&row, &child) == 1) {
		struct span text;
		struct err why;

		if (child.is_compressed && wsdeflate_read(d->deflate, &child, MIN(left, body_max),
							  &room, &text, &why) == 0)
			left -= MIN(left, text.len);
	}
	return left > 0;
}

void wsdecode_begin(struct wsdecode *d, struct pair *p)
{
	struct conn *c = p->owner->c;
	const struct chain *row = &p->children.row;
	struct exchange handshake = {.response.head = draft_head(&p->response, c->wire)};
	AUTO_BUF bytes = {0};

	d->is_begun = true;
	if (!take_room(c->wire))
		return;
	d->deflate = wsdeflate_new(&handshake);
	if (!d->deflate) {
		c->wire->decoder_bytes -= DEFLATE_BYTES;
		return;
	}
	if (p->children.is_cut || !buf_reserve(&bytes, row->len)) {
		wsdecode_end(d, c->wire);
		return;
	}
	chain_copy(row, 0, row->len, bytes.ptr);
	if (!read_row(d, c, span_of(bytes.ptr, row->len)))
		wsdecode_end(d, c->wire);
}

bool wsdecode_message(struct wsdecode *d, const struct conn *c, struct child *child,
		      const struct chain *payload, struct buf *room)
{
	AUTO_BUF bytes = {0};
	struct span text;
	struct err why;

	child->payload = (struct span){0};
	if (d->deflate && buf_reserve(&bytes, payload->len)) {
		chain_copy(payload, 0, payload->len, bytes.ptr);
		child->payload = span_of(bytes.ptr, payload->len);
		if (wsdeflate_read(d->deflate, child, c->wire->config.body_max, room, &text,
				   &why) == 0) {
			child->is_compressed = false;
			child->bytes = text.len;
			return true;
		}
	}
	child->has_gap = true;
	return false;
}
