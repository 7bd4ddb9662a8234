// SPDX-License-Identifier: Apache-2.0
#include "wire/http2.h"

#include "wire/http2_conn.h"
#include "wire/internal.h"
#include "wire/protocol.h"

/*
 * Theory of operation
 *
 * Each direction is a walker over frames (wire/h2frame.h) and an inflater (wire/hpack.h). Frames of
 * streams go to wire/http2_stream.c; of the connection's own frames only GOAWAY means anything to one
 * who looks on: windows and settings bind the endpoints.
 *
 *   PREFACE --24 bytes--> WALK --hole, nonsense--> SEARCH --chain of frame heads--> WALK
 *     (client)             ^                                                        |
 *     (server) ------------+                      joined midstream: begins in SEARCH
 *
 * Header blocks are the business of wire/http2_block.c.
 *
 * After a hole, header blocks may be missing and the table is not known any more, unless the hole lies
 * inside one DATA frame: the direction joins again, with every entry unknown. Which side is the client
 * is known from the preface or SYN; else from the first block with :method or :status in it.
 */

/* --- losing the thread and finding it again --- */

static void lose(struct conn *c, unsigned dir)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];

	if (c->client >= 0)
		h2_streams_lost(&h->streams, is_server_side(c, dir));
	h2_block_drop(c, d);
	h2_hpack_drop(c, d);
	d->walker = (struct h2_walker){0};
	d->small_bytes = d->preface_left = 0;
	d->is_searching = d->is_joined = true;
}

/* --- frames --- */

static uint32_t number_at(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool is_block_frame(const struct h2_frame *f)
{
	return f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE || f->type == H2_CONTINUATION;
}

static bool is_open_stream(const void *streams, uint32_t id)
{
	return h2_stream_find(streams, id);
}

static bool walk(struct conn *c, unsigned dir, struct span *bytes, uint64_t ts_ns);

/* It is known where frames begin: what was kept since then is read. */
static void read_found(struct conn *c, unsigned dir)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	struct h2_finder *f = d->finder;
	struct span piece;
	uint64_t ts_ns = 0;
	bool is_sound = true;

	d->finder = NULL;
	d->is_searching = false;
	while (is_sound && h2_find_next(f, &piece, &ts_ns))
		is_sound = walk(c, dir, &piece, ts_ns);
	pool_give(c->wire->pool, f);
	if (!is_sound)
		lose(c, dir);
}

/* Return: false when @bytes are used up, and it is not certain yet */
static bool search(struct conn *c, unsigned dir, uint64_t offset, struct span *bytes,
		   uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];

	if (!d->finder) {
		d->finder = wire_block(c->wire, c);
		if (!d->finder)
			return false;
		memset(d->finder, 0, sizeof(*d->finder));
	}
	if (!h2_find(d->finder, offset, bytes, ts_ns, is_open_stream, &h->streams))
		return false;
	read_found(c, dir);
	return true;
}

/* A stream is spoken on of which nothing was read: it may stand among the bytes that the other direction kept. */
static void look_for_peer(struct conn *c, unsigned dir, uint32_t stream)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *other = &h->dirs[!dir];

	if (other->finder && !h2_stream_find(&h->streams, stream) &&
	    h2_find_on_stream(other->finder, stream))
		read_found(c, !dir);
}

static void begin_frame(struct conn *c, unsigned dir, uint64_t ts_ns)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;

	d->small_bytes = 0;
	if (UNLIKELY(http2_of(c)->dirs[!dir].is_searching) && f->type == H2_HEADERS)
		look_for_peer(c, dir, f->stream);
	if (f->type != H2_HEADERS && f->type != H2_PUSH_PROMISE)
		return;
	d->is_in_block = true;
	d->block_type = f->type;
	d->block_stream = f->stream;
	d->block_ends_stream = f->type == H2_HEADERS && (f->flags & H2_FLAG_END_STREAM);
	d->block_ns = ts_ns;
}

/* does the block end with the bytes just walked? */
static bool is_block_over(const struct h2_direction *d)
{
	const struct h2_walker *w = &d->walker;

	return (w->frame.flags & H2_FLAG_END_HEADERS) && w->left == w->pad;
}

/* Bytes of a frame that is small, or of its beginning. Return: what is behind them. */
static struct span collect(struct h2_direction *d, struct span piece, size_t want)
{
	size_t n = MIN(piece.len, want - MIN(want, (size_t)d->small_bytes));

	if (n)
		memcpy(d->small + d->small_bytes, piece.ptr, n);
	d->small_bytes = (uint8_t)(d->small_bytes + n);
	return span_from(piece, n);
}

static bool take_payload(struct conn *c, unsigned dir, struct span piece, uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;
	struct h2_stream *x;

	switch (f->type) {
	case H2_DATA:
		x = c->client >= 0 ? h2_stream_find(&h->streams, f->stream) : NULL;
		if (x)
			h2_stream_data(x, is_server_side(c, dir), piece, ts_ns);
		return true;
	case H2_PUSH_PROMISE:
		/* the promised stream stands before the block (RFC 9113 6.6) */
		piece = collect(d, piece, 4);
		if (d->small_bytes == 4)
			d->block_stream = number_at(d->small) & 0x7fffffff;
		return piece.len == 0 || h2_block_feed(c, dir, piece, is_block_over(d));
	case H2_HEADERS:
	case H2_CONTINUATION:
		return !d->is_in_block || h2_block_feed(c, dir, piece, is_block_over(d));
	case H2_RST_STREAM: (void)collect(d, piece, 4); return true;
	case H2_GOAWAY: (void)collect(d, piece, SMALL_BYTES); return true;
	default: return true;
	}
}

static bool end_frame(struct conn *c, unsigned dir, uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;
	bool is_response = is_server_side(c, dir);
	struct h2_stream *x;

	if (is_block_frame(f) && (f->flags & H2_FLAG_END_HEADERS))
		return !d->is_in_block || h2_block_feed(c, dir, (struct span){0}, true);
	if (f->type == H2_DATA && !(f->flags & H2_FLAG_END_STREAM))
		return true;
	x = c->client >= 0 ? h2_stream_find(&h->streams, f->stream) : NULL;
	if (f->type == H2_DATA && x && (f->flags & H2_FLAG_END_STREAM) &&
	    h2_stream_has_begun(x, is_response))
		h2_stream_end(&h->streams, x, is_response, ts_ns);
	else if (f->type == H2_RST_STREAM && x && d->small_bytes == 4)
		h2_stream_reset(&h->streams, x, is_response, number_at(d->small), ts_ns);
	else if (f->type == H2_GOAWAY && is_response && d->small_bytes == SMALL_BYTES)
		h2_streams_refused(&h->streams, number_at(d->small) & 0x7fffffff,
				   number_at(d->small + 4));
	return true;
}

/* Return: false when the direction lost its thread at what was just read. */
static bool walk(struct conn *c, unsigned dir, struct span *bytes, uint64_t ts_ns)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	struct span piece;

	for (;;) {
		if (LIKELY(h2_walk_whole(&d->walker, bytes, &piece))) {
			begin_frame(c, dir, ts_ns);
			if (!take_payload(c, dir, piece, ts_ns) || !end_frame(c, dir, ts_ns))
				return false;
			continue;
		}
		switch (h2_walk(&d->walker, bytes, &piece)) {
		case H2_NEED_MORE: return true;
		case H2_BEGIN: begin_frame(c, dir, ts_ns); break;
		case H2_PAYLOAD:
			if (!take_payload(c, dir, piece, ts_ns))
				return false;
			break;
		case H2_END:
			if (!end_frame(c, dir, ts_ns))
				return false;
			break;
		case H2_BROKEN:
			counter_add(c->wire->counters, COUNTER_PARSE_ERRORS, 1);
			return false;
		}
	}
}

static struct span skip_preface(struct h2_direction *d, struct span bytes)
{
	size_t n = MIN(bytes.len, (size_t)d->preface_left);

	d->preface_left = (uint8_t)(d->preface_left - n);
	return span_from(bytes, n);
}

/*
 * The first bytes of a direction: with the preface it is the client's, and is read from its beginning
 * even where no SYN was seen. Fewer bytes than all of it will do: no frame begins like this.
 */
static void note_preface(struct conn *c, unsigned dir, struct span bytes)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	struct span preface = SPAN_LIT(H2_PREFACE);

	if (memcmp(bytes.ptr, preface.ptr, MIN(bytes.len, preface.len)) != 0)
		return;
	c->client = (int8_t)dir;
	d->is_searching = d->is_joined = false;
	d->preface_left = H2_PREFACE_BYTES;
}

/* --- the door --- */

static void http2_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
		       struct span bytes, uint64_t ts_ns)
{
	struct h2_direction *d = &http2_of(c)->dirs[dir];
	const uint8_t *begin = bytes.ptr;

	(void)acked;
	if (UNLIKELY(offset == 0))
		note_preface(c, dir, bytes);
	bytes = skip_preface(d, bytes);
	while (bytes.len) {
		if (d->is_searching) {
			uint64_t at = offset + (uint64_t)(bytes.ptr - begin);

			if (!search(c, dir, at, &bytes, ts_ns))
				return;
			continue;
		}
		if (walk(c, dir, &bytes, ts_ns))
			return;
		lose(c, dir);
	}
}

static void http2_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len, uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct h2_direction *d = &h->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;

	(void)offset;
	(void)ts_ns;
	if (d->is_searching)
		return;
	if (f->type == H2_DATA && c->client >= 0 && h2_skip(&d->walker, len)) {
		struct h2_stream *x = h2_stream_find(&h->streams, f->stream);

		if (x)
			h2_stream_missing(x, is_server_side(c, dir), len);
		return;
	}
	lose(c, dir);
}

static enum reason reason_of(const struct conn *c, unsigned dir, enum conn_end how)
{
	switch (how) {
	case CONN_END_RST:
		return is_server_side(c, dir) ? REASON_RESET_SERVER : REASON_RESET_CLIENT;
	case CONN_END_FIN: return is_server_side(c, dir) ? REASON_CLOSED : REASON_CLIENT_CLOSED;
	case CONN_END_IDLE: return REASON_TIMED_OUT;
	case CONN_END_EVICTED: return REASON_EVICTED;
	case CONN_END_REUSED: return REASON_CLOSED;
	case CONN_END_CAPTURE: break;
	}
	return REASON_CAPTURE_END;
}

static void http2_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns)
{
	(void)ts_ns;
	/* a client that has sent its last byte may still be answered */
	if (how == CONN_END_FIN && !is_server_side(c, dir))
		return;
	h2_streams_close(&http2_of(c)->streams, reason_of(c, dir, how));
}

static void http2_close(struct conn *c)
{
	struct http2 *h = http2_of(c);

	h2_streams_close(&h->streams, REASON_CLIENT_CLOSED);
	for (unsigned dir = 0; dir < 2; dir++) {
		h2_block_drop(c, &h->dirs[dir]);
		h2_hpack_drop(c, &h->dirs[dir]);
		pool_give(c->wire->pool, h->dirs[dir].finder);
	}
}

static void http2_open(struct conn *c)
{
	h2_streams_init(&http2_of(c)->streams, c);
	if (c->client >= 0)
		http2_of(c)->dirs[c->client].preface_left = H2_PREFACE_BYTES;
}

void http2_upgraded(struct conn *c, struct draft *request, uint64_t ts_ns)
{
	struct h2_streams *s = &http2_of(c)->streams;
	struct h2_stream *x = c->state ? h2_stream_open(s, 1) : NULL;

	if (!x) {
		counter_sub(c->wire->counters, COUNTER_REQUESTS_OPEN, 1);
		counter_add(c->wire->counters, COUNTER_REQUESTS_EVICTED, 1);
		draft_free(request, c->wire->pool);
		return;
	}
	x->pair.request = *request;
	x->pair.sequence = c->sequence - 1;
	http2_of(c)->newest[0] = 1;
	h2_stream_end(s, x, false, ts_ns);
}

static const struct conn_protocol http2_joined_protocol;

static void http2_open_joined(struct conn *c)
{
	struct http2 *h = http2_of(c);

	h2_streams_init(&h->streams, c);
	for (unsigned dir = 0; dir < 2; dir++) {
		h->dirs[dir].is_searching = h->dirs[dir].is_joined = true;
		h->dirs[dir].finder = c->finders[dir];
		c->finders[dir] = NULL;
	}
}

void http2_join(struct conn *c, unsigned dir)
{
	conn_become(c, &http2_joined_protocol);
	if (c->protocol == &http2_joined_protocol)
		read_found(c, dir);
}

/*
 * The client's preface (RFC 9113 3.4), or a SETTINGS frame, with which a server begins and which may
 * be on the wire first.
 */
static enum conn_guess recognise(const struct conn *c, struct span first)
{
	struct span preface = SPAN_LIT(H2_PREFACE);
	size_t n = MIN(first.len, preface.len);
	struct h2_frame f;

	if (memcmp(first.ptr, preface.ptr, n) == 0)
		return n == preface.len ? CONN_YES : CONN_MAYBE;
	if (c->is_midstream || first.ptr[0] != 0)
		return CONN_NO;
	if (first.len < H2_FRAME_HEAD_BYTES)
		return CONN_MAYBE;
	f = h2_frame_read(first.ptr);
	return f.type == H2_SETTINGS && f.flags == 0 && h2_frame_is_plausible(&f) ? CONN_YES
										  : CONN_NO;
}

const struct conn_protocol http2_conn_protocol = {
	.name = "http2",
	.kind = COUNTER_CONNECTIONS_HTTP2,
	.recognise = recognise,
	.open = http2_open,
	.data = http2_data,
	.gap = http2_gap,
	.end = http2_end,
	.close = http2_close,
};

static const struct conn_protocol http2_joined_protocol = {
	.name = "http2",
	.kind = COUNTER_CONNECTIONS_HTTP2,
	.open = http2_open_joined,
	.data = http2_data,
	.gap = http2_gap,
	.end = http2_end,
	.close = http2_close,
};
