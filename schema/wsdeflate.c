// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A compressed message is raw deflate whose last four bytes 00 00 ff ff were left out (RFC 7692
 * 7.2.2). Each direction has one inflater. It keeps its window from message to message unless the
 * handshake said <side>_no_context_takeover. A message that could not be fed whole leaves a window
 * that differs from the sender's: from there on that direction is lost, unless it takes no context.
 */
#include "schema/wsdeflate.h"

#include <errno.h>
#include <stdlib.h>
#include <zlib.h>

#define STEP_BYTES 4096

struct direction {
	z_stream z;
	bool is_open;
	bool is_lost;
	bool takes_no_context;
};

struct wsdeflate {
	struct direction from[2]; /* 0: the client, 1: the server */
	bool is_agreed;
};

/* One parameter of the extension, up to the next ; or , - with what it says noted. */
static void note_parameter(struct wsdeflate *w, struct span p)
{
	const uint8_t *eq = span_chr(p, '=');
	struct span name = span_trim(eq ? span_of(p.ptr, (size_t)(eq - p.ptr)) : p);

	if (span_ieq(name, SPAN_LIT("permessage-deflate")))
		w->is_agreed = true;
	else if (span_ieq(name, SPAN_LIT("client_no_context_takeover")))
		w->from[0].takes_no_context = true;
	else if (span_ieq(name, SPAN_LIT("server_no_context_takeover")))
		w->from[1].takes_no_context = true;
	/* window bits: the largest window reads what any smaller one wrote */
}

static void read_agreement(struct wsdeflate *w, struct span value)
{
	size_t from = 0;

	for (size_t i = 0; i <= value.len; i++) {
		if (i < value.len && value.ptr[i] != ';' && value.ptr[i] != ',')
			continue;
		note_parameter(w, span_of(value.ptr + from, i - from));
		from = i + 1;
	}
}

struct wsdeflate *wsdeflate_new(const struct exchange *handshake)
{
	struct wsdeflate *w = calloc(1, sizeof(*w));
	struct header_iter it = {.rest = handshake->response.head};

	while (w && header_next(&it))
		if (span_ieq(it.name, SPAN_LIT("Sec-WebSocket-Extensions")))
			read_agreement(w, it.value);
	return w;
}

void wsdeflate_free(struct wsdeflate *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < COUNT_OF(w->from); i++)
		if (w->from[i].is_open)
			(void)inflateEnd(&w->from[i].z);
	free(w);
}

/* Feed @in, appending to @out. Return: 0, or a negative errno. */
static int feed(struct direction *d, struct span in, size_t bytes_max, struct buf *out)
{
	d->z.next_in = (z_const Bytef *)(uintptr_t)in.ptr;
	d->z.avail_in = (uInt)in.len;
	do {
		int zr;

		if (!buf_reserve(out, STEP_BYTES))
			return -ENOMEM;
		d->z.next_out = out->ptr + out->len;
		d->z.avail_out = STEP_BYTES;
		zr = inflate(&d->z, Z_SYNC_FLUSH);
		out->len += STEP_BYTES - d->z.avail_out;
		if (out->len > bytes_max)
			return -E2BIG;
		/* a sender may end its last block: what follows begins a new one */
		if (zr == Z_STREAM_END && inflateReset(&d->z) != Z_OK)
			return -EBADMSG;
		if (zr != Z_OK && zr != Z_STREAM_END && zr != Z_BUF_ERROR)
			return -EBADMSG;
	} while (d->z.avail_in || d->z.avail_out == 0);
	return 0;
}

static int inflate_message(struct direction *d, const struct child *c, size_t bytes_max,
			   struct buf *out)
{
	static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
	int r;

	if (!d->is_open) {
		if (inflateInit2(&d->z, -MAX_WBITS) != Z_OK)
			return -ENOMEM;
		d->is_open = true;
	} else if (d->takes_no_context) {
		if (inflateReset(&d->z) != Z_OK)
			return -EBADMSG;
		d->is_lost = false;
	}
	if (d->is_lost)
		return -ENODATA;
	r = feed(d, c->payload, bytes_max, out);
	if (r == 0 && (c->is_cut || c->has_gap))
		r = -ENODATA;
	if (r == 0)
		r = feed(d, span_of(tail, sizeof(tail)), bytes_max, out);
	if (r < 0)
		d->is_lost = true;
	return r;
}

static const char *why(int r)
{
	switch (r) {
	case -ENODATA: return "it, or a message that it refers to, was not kept whole";
	case -E2BIG: return "it grows beyond the limit";
	case -ENOMEM: return "out of memory";
	default: return "it is damaged";
	}
}

int wsdeflate_read(struct wsdeflate *w, const struct child *c, size_t bytes_max, struct buf *room,
		   struct span *text_out, struct err *e)
{
	int r;

	buf_clear(room);
	*text_out = c->payload;
	if (!c->is_compressed)
		return 0;
	if (!w->is_agreed)
		return err_set(e, -EOPNOTSUPP,
			       "compressed though the handshake agreed on no compression");
	r = inflate_message(&w->from[c->is_from_server], c, bytes_max, room);
	room->len = MIN(room->len, bytes_max);
	*text_out = buf_span(room);
	return r < 0 ? err_set(e, r, "compressed message of %zu bytes: %s", c->payload.len, why(r))
		     : 0;
}
