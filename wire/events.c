// SPDX-License-Identifier: Apache-2.0
#include "lib/codec_stream.h"
#include "wire/children.h"
#include "wire/internal.h"

#include "schema/content.h"

#include <errno.h>

/*
 * Theory of operation
 *
 * Events of a body without content coding are pieces of it: wire/part.c notes where they end. With a coding they are
 * to be found only in what it decodes to, so that is done as the octets come, and each event is kept as a
 * child with its text; the body stays as it was on the wire. Decoders count towards WIRE_DECODER_SHARE. A bomb, damage, a hole
 * or no room for a decoder end it: what is missing is said by children_cut.
 */

#define STEP_BYTES	 2048
#define RATIO_FREE_BYTES 65536

/* the coding of the body; -ENOENT: none, or none that is known, or several */
static int coding_of(struct span head, unsigned version)
{
	struct message m = {.head = head, .version = (uint8_t)version};

	return codec_parse(message_header(&m, "Content-Encoding"));
}

void events_begin(struct events *e, struct conn *c, struct span head, unsigned version,
		  struct span content_type)
{
	struct wire *w = c->wire;
	int coding;

	e->is_on = is_event_stream(content_type);
	coding = e->is_on ? coding_of(head, version) : -ENOENT;
	if (coding < 0)
		return;
	e->codec_bytes = codec_stream_bytes((enum codec)coding);
	if (w->decoder_bytes + e->codec_bytes <= w->config.memory_max / WIRE_DECODER_SHARE)
		e->codec = codec_stream_new((enum codec)coding);
	e->is_on = e->codec;
	e->codec_bytes = e->codec ? e->codec_bytes : 0;
	w->decoder_bytes += e->codec_bytes;
}

void events_free(struct events *e, struct wire *w)
{
	codec_stream_free(e->codec);
	w->decoder_bytes -= e->codec_bytes;
	chain_free(&e->text, w->pool);
	e->codec = NULL;
	e->codec_bytes = 0;
	e->is_on = false;
}

static void add_text(struct events *e, struct conn *c, struct span piece)
{
	size_t room = c->wire->config.body_max - MIN(c->wire->config.body_max, e->text.len);

	e->text_bytes += piece.len;
	if (chain_add(&e->text, c->wire->pool, span_of(piece.ptr, MIN(piece.len, room))) <
	    piece.len)
		return; /* text.len < text_bytes says so */
}

static void take_text(struct events *e, struct children *all, struct conn *c, struct span text,
		      uint64_t ts_ns)
{
	struct span piece;

	while (text.len) {
		bool is_end = sse_walk(&e->walker, &text, &piece);
		struct child event = {.kind = CHILD_SSE, .is_from_server = true, .time_ns = ts_ns};

		add_text(e, c, piece);
		if (!is_end)
			return;
		event.bytes = e->text_bytes;
		event.is_cut = e->text.len < e->text_bytes;
		children_add(all, c, &event, &e->text);
		chain_free(&e->text, c->wire->pool);
		e->text_bytes = 0;
	}
}

static bool is_bomb(const struct events *e)
{
	return e->out_bytes > RATIO_FREE_BYTES && e->out_bytes / e->in_bytes >= CONTENT_RATIO_MAX;
}

void events_decode(struct events *e, struct children *all, struct conn *c, struct span bytes,
		   bool has_gap, uint64_t ts_ns)
{
	uint8_t out[STEP_BYTES];
	size_t n = 0;
	int r = has_gap ? -ENODATA : 0;

	e->in_bytes += bytes.len;
	while (r == 0 && (bytes.len || n == sizeof(out))) {
		size_t before = bytes.len;

		r = codec_stream_feed(e->codec, &bytes, out, sizeof(out), &n);
		take_text(e, all, c, span_of(out, n), ts_ns);
		e->out_bytes += n;
		if (is_bomb(e) || (n == 0 && bytes.len == before))
			r = -E2BIG;
	}
	if (r < 0) {
		children_cut(all, c);
		events_free(e, c->wire);
	}
}
