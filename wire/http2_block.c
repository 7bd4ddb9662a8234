// SPDX-License-Identifier: Apache-2.0
#include "wire/http2_conn.h"

#include "wire/internal.h"
#include "wire/redact.h"

/*
 * Theory of operation
 *
 * A header block that comes in one piece, as nearly all do, is decoded into a head (wire/http2_head.h) in wire->block.
 * Of one that goes on in a later segment or frame the lines of its fields are kept in a chain, and the head is made of
 * them at its end. Blocks of streams that nobody follows are decoded all the same: each may change the table for all
 * that follow.
 *
 * What the tables take from malloc is bounded for each, and together with other decoders by WIRE_DECODER_SHARE.
 */

#define HPACK_MEMORY_MAX (384 << 10)

/* --- the tables' memory --- */

static void hpack_account(struct conn *c, struct h2_direction *d, size_t before)
{
	c->wire->decoder_bytes += (d->hpack ? hpack_memory_bytes(d->hpack) : 0) - before;
}

void h2_hpack_drop(struct conn *c, struct h2_direction *d)
{
	size_t before = d->hpack ? hpack_memory_bytes(d->hpack) : 0;

	hpack_free(d->hpack);
	d->hpack = NULL;
	hpack_account(c, d, before);
}

/* Return: false when there is no memory for it: blocks of this direction stay unread */
static bool hpack_ready(struct conn *c, struct h2_direction *d)
{
	size_t max = c->wire->config.memory_max / WIRE_DECODER_SHARE;

	if (d->hpack)
		return true;
	if (d->is_hpack_lost)
		return false;
	while (c->wire->decoder_bytes > max && wire_make_room(c->wire, c))
		;
	if (c->wire->decoder_bytes <= max)
		d->hpack = hpack_new(HPACK_MEMORY_MAX);
	if (d->hpack && d->is_joined && hpack_join(d->hpack, d->join_level) < 0) {
		hpack_free(d->hpack);
		d->hpack = NULL;
	}
	hpack_account(c, d, 0);
	d->is_hpack_lost = !d->hpack;
	if (d->is_hpack_lost)
		counter_add(c->wire->counters, COUNTER_HPACK_LOST, 1);
	return d->hpack;
}

/* --- what a block means --- */

static void promise_request(struct conn *c, struct span head, const struct http2_block *b,
			    struct h2_direction *d)
{
	struct http2 *h = http2_of(c);
	struct h2_stream *x = h2_stream_find(&h->streams, d->block_stream);

	if (x || !(x = h2_stream_open(&h->streams, d->block_stream)))
		return;
	h2_stream_request(&h->streams, x, head, b, d->block_ns);
	x->pair.anomalies |= ANOMALY_BIT(PUSHED);
	h2_stream_end(&h->streams, x, false, d->block_ns);
}

static void begin_request(struct conn *c, struct h2_stream *x, struct span head,
			  const struct http2_block *b, struct h2_direction *d)
{
	struct http2 *h = http2_of(c);

	if (!x)
		x = h2_stream_open(&h->streams, d->block_stream);
	if (!x) {
		counter_add(c->wire->counters, COUNTER_REQUESTS_IN, 1);
		counter_add(c->wire->counters, COUNTER_REQUESTS_EVICTED, 1);
		return;
	}
	h->newest[0] = MAX(h->newest[0], d->block_stream);
	h2_stream_request(&h->streams, x, head, b, d->block_ns);
}

static void begin_response(struct conn *c, struct h2_stream *x, struct span head,
			   const struct http2_block *b, struct h2_direction *d)
{
	struct http2 *h = http2_of(c);

	if (b->info.status >= 100 && b->info.status < 200) {
		counter_add(c->wire->counters, COUNTER_INTERIM_RESPONSES, 1);
		return;
	}
	if (!x) {
		/* its request was not seen: before we joined, or in a hole */
		if (!c->is_midstream && !h->dirs[c->client == 1].is_joined)
			return;
		x = h2_stream_open(&h->streams, d->block_stream);
	}
	if (x)
		h2_stream_response(&h->streams, x, head, b, d->block_ns);
}

static void begin_message(struct conn *c, struct h2_stream *x, bool is_response,
			  struct http2_block *b, struct h2_direction *d)
{
	bool is_promise = d->block_type == H2_PUSH_PROMISE;
	struct span head =
		http2_block_head(b, is_response && !is_promise ? HTTP1_RESPONSE : HTTP1_REQUEST);

	b->info.anomalies |= b->has_bad ? ANOMALY_BIT(BAD_HEADER) : 0;
	b->info.anomalies |= b->has_unknown ? ANOMALY_BIT(H2_PARTIAL) : 0;
	b->info.anomalies |= b->is_cut ? ANOMALY_BIT(HEAD_CUT) : 0;
	if (is_promise)
		promise_request(c, head, b, d);
	else if (is_response)
		begin_response(c, x, head, b, d);
	else
		begin_request(c, x, head, b, d);
}

static void learn_client(struct conn *c, unsigned dir, const struct http2_block *b, bool is_promise)
{
	if (b->method_len || b->has_path)
		c->client = (int8_t)(is_promise ? !dir : dir);
	else if (b->status)
		c->client = (int8_t)!dir;
}

/* A block is request, response or trailers by its direction and its pseudo-header fields (RFC 9113 8.1). */
static void take_block(struct conn *c, unsigned dir, struct http2_block *b)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];
	bool is_promise = d->block_type == H2_PUSH_PROMISE, is_response;
	struct h2_stream *x;

	if (UNLIKELY(c->client < 0))
		learn_client(c, dir, b, is_promise);
	if (c->client < 0)
		return;
	is_response = is_server_side(c, dir);
	x = h2_stream_find(&h->streams, d->block_stream);
	if (x && !is_promise && h2_stream_has_begun(x, is_response)) {
		h2_stream_trailers(&h->streams, x, is_response, b, d->block_ns);
	} else if (b->has_pseudo ||
		   (b->has_unknown && !is_response && d->block_stream > h->newest[0])) {
		begin_message(c, x, is_response, b, d);
		x = h2_stream_find(&h->streams, d->block_stream);
	}
	if (x && d->block_ends_stream && !is_promise && h2_stream_has_begun(x, is_response))
		h2_stream_end(&h->streams, x, is_response, d->block_ns);
}

/* --- blocks in pieces --- */

struct lines {
	struct conn *c;
	struct h2_direction *d;
};

static void keep_line(void *ctx, const struct hpack_field *f)
{
	struct lines *l = ctx;
	struct chain *chain = &l->d->lines;

	l->d->block_has_bad |= f->has_bad || (f->name.len == 0 && !f->is_name_unknown);
	if (f->name.len == 0 && !f->is_name_unknown)
		return;
	if (f->line.len > l->c->wire->config.head_max - chain->len) {
		l->d->block_is_cut = true;
		return;
	}
	if (chain_add(chain, l->c->wire->pool, f->line) < f->line.len)
		l->d->block_is_cut = true;
}

static void take_lines(struct conn *c, unsigned dir, struct http2_block *b)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];

	chain_copy(&d->lines, 0, d->lines.len, c->wire->scratch);
	http2_block_add_lines(b, span_of(c->wire->scratch, d->lines.len));
	b->has_bad |= d->block_has_bad;
	b->is_cut |= d->block_is_cut;
	take_block(c, dir, b);
}

void h2_block_drop(struct conn *c, struct h2_direction *d)
{
	chain_free(&d->lines, c->wire->pool);
	d->is_in_block = d->is_in_pieces = d->block_has_bad = d->block_is_cut = false;
}

/* Return: what hpack_block() did */
static int decode(struct conn *c, struct h2_direction *d, struct span bytes, bool is_last,
		  hpack_field_fn *fn, void *ctx)
{
	size_t before = hpack_memory_bytes(d->hpack);
	int r = hpack_block(d->hpack, bytes, is_last, fn, ctx);

	hpack_account(c, d, before);
	return r;
}

bool h2_block_feed(struct conn *c, unsigned dir, struct span bytes, bool is_last)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	struct lines lines = {c, d};
	struct http2_block b;
	int r;

	if (!hpack_ready(c, d))
		return true;
	d->is_in_pieces |= !is_last;
	http2_block_begin(&b, c->wire->block, c->wire->config.head_max,
			  redactor_watch(c->wire->redactor));
	r = LIKELY(!d->is_in_pieces) ? decode(c, d, bytes, true, http2_block_add, &b)
				     : decode(c, d, bytes, is_last, keep_line, &lines);
	if (UNLIKELY(r < 0)) {
		if (d->is_joined && d->join_level < HPACK_LEVEL_MAX)
			d->join_level++;
		counter_add(c->wire->counters, COUNTER_PARSE_ERRORS, 1);
		return false;
	}
	if (!is_last)
		return true;
	if (d->is_in_pieces)
		take_lines(c, dir, &b);
	else
		take_block(c, dir, &b);
	h2_block_drop(c, d);
	return true;
}
