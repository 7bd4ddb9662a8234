// SPDX-License-Identifier: Apache-2.0
#include "wire/http2.h"

#include "wire/h2find.h"
#include "wire/h2frame.h"
#include "wire/hpack.h"
#include "wire/http2_head.h"
#include "wire/http2_stream.h"
#include "wire/internal.h"
#include "wire/protocol.h"
#include "wire/redact.h"

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
 * A header block is decoded as its bytes come into wire->block, as lines; a block that goes on in a
 * later segment or frame is kept in a chain meanwhile. Blocks of streams that nobody follows are decoded
 * all the same: each may change the table for all that follow.
 *
 * After a hole, header blocks may be missing and the table is not known any more, unless the hole lies
 * inside one DATA frame: the direction joins again, with every entry unknown. Which side is the client
 * is known from the preface or SYN; else from the first block with :method or :status in it.
 *
 * What the inflaters take from malloc is bounded for each, and together by WIRE_DECODER_SHARE.
 */

#define HPACK_MEMORY_MAX  (256 << 10)
#define SMALL_BYTES       8 /* GOAWAY: last stream, error code */

struct direction {
	struct h2_walker walker;
	struct h2_finder *finder; /* while it is searching and had bytes to search */
	struct hpack *hpack;
	struct chain lines;      /* of a block that is not complete yet */
	uint64_t block_ns;       /* when it began */
	uint32_t block_stream;   /* stream that the block belongs to; promised by PUSH_PROMISE */
	uint8_t block_type;      /* H2_HEADERS or H2_PUSH_PROMISE */
	bool block_ends_stream;
	struct http2_block block; /* what was noted of it so far; no lines */
	bool is_in_block;        /* HEADERS without END_HEADERS: CONTINUATION must follow */
	uint8_t small[SMALL_BYTES];
	uint8_t small_bytes;
	uint8_t preface_left;
	bool is_searching;
	bool is_joined;          /* some of its table was not seen */
	uint8_t join_level;      /* of hpack_join(): how large a table the peer was found to use */
	bool is_hpack_lost;      /* no memory for a table: blocks are passed over */
};

struct http2 {
	struct h2_streams streams;
	struct direction dirs[2];
	uint32_t newest[2]; /* highest stream opened, by the client and (pushed) by the server */
};

_Static_assert(sizeof(struct http2) <= POOL_BLOCK_BYTES, "the state of a connection is one block");

static struct http2 *http2_of(const struct conn *c)
{
	return c->state;
}

/* --- the inflaters' memory --- */

static void hpack_account(struct conn *c, struct direction *d, size_t before)
{
	c->wire->decoder_bytes += (d->hpack ? hpack_memory_bytes(d->hpack) : 0) - before;
}

static void hpack_drop(struct conn *c, struct direction *d)
{
	size_t before = d->hpack ? hpack_memory_bytes(d->hpack) : 0;

	hpack_free(d->hpack);
	d->hpack = NULL;
	hpack_account(c, d, before);
}

/* Return: false when there is no memory for it: blocks of this direction stay unread */
static bool hpack_ready(struct conn *c, struct direction *d)
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

/* --- losing the thread and finding it again --- */

static void end_block(struct conn *c, struct direction *d)
{
	chain_free(&d->lines, c->wire->pool);
	d->is_in_block = false;
	d->block = (struct http2_block){0};
}

static bool is_server_side(const struct conn *c, unsigned dir)
{
	return c->client >= 0 && dir != (unsigned)c->client;
}

static void lose(struct conn *c, unsigned dir)
{
	struct http2 *h = http2_of(c);
	struct direction *d = &h->dirs[dir];

	if (c->client >= 0)
		h2_streams_lost(&h->streams, is_server_side(c, dir));
	end_block(c, d);
	hpack_drop(c, d);
	d->walker = (struct h2_walker){0};
	d->small_bytes = d->preface_left = 0;
	d->is_searching = d->is_joined = true;
}

/* --- header blocks --- */

static void promise_request(struct conn *c, struct span head, const struct http1_head *info,
			    const struct http2_grpc *grpc, struct direction *d)
{
	struct http2 *h = http2_of(c);
	struct h2_stream *x = h2_stream_find(&h->streams, d->block_stream);

	if (x || !(x = h2_stream_open(&h->streams, d->block_stream)))
		return;
	h2_stream_request(&h->streams, x, head, info, grpc, d->block_ns);
	x->pair.anomalies |= ANOMALY_BIT(PUSHED);
	h2_stream_end(&h->streams, x, false, d->block_ns);
}

static void begin_request(struct conn *c, struct h2_stream *x, struct span head,
			  const struct http1_head *info, const struct http2_grpc *grpc, struct direction *d)
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
	h2_stream_request(&h->streams, x, head, info, grpc, d->block_ns);
}

static void begin_response(struct conn *c, struct h2_stream *x, struct span head,
			   const struct http1_head *info, const struct http2_grpc *grpc, struct direction *d)
{
	struct http2 *h = http2_of(c);

	if (info->status >= 100 && info->status < 200) {
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
		h2_stream_response(&h->streams, x, head, info, grpc, d->block_ns);
}

/* A block is request, response or trailers by its direction and its pseudo-header fields (RFC 9113 8.1). */
static void take_block(struct conn *c, unsigned dir, struct span lines, const struct http2_block *b)
{
	struct http2 *h = http2_of(c);
	struct direction *d = &h->dirs[dir];
	struct http2_pseudo pseudo = http2_pseudo_read(lines);
	bool is_promise = d->block_type == H2_PUSH_PROMISE, is_response;
	struct h2_stream *x;
	struct http1_head info;
	struct http2_grpc grpc;
	struct span head;

	if (c->client < 0 && (pseudo.method.ptr || pseudo.path.ptr))
		c->client = (int8_t)(is_promise ? !dir : dir);
	else if (c->client < 0 && pseudo.status)
		c->client = (int8_t)!dir;
	if (c->client < 0)
		return;
	is_response = is_server_side(c, dir);
	x = h2_stream_find(&h->streams, d->block_stream);
	if (x && !is_promise && draft_has_begun(is_response ? &x->pair.response : &x->pair.request)) {
		h2_stream_trailers(&h->streams, x, is_response, lines, d->block_ns);
	} else if (pseudo.has_any || (b->has_unknown && !is_response && d->block_stream > h->newest[0])) {
		enum http1_kind kind = is_response && !is_promise ? HTTP1_RESPONSE : HTTP1_REQUEST;

		head = span_of(c->wire->scratch,
			       http2_head_build(kind, lines, &pseudo, redactor_watch(c->wire->redactor),
						c->wire->scratch, &info, &grpc));
		info.anomalies |= b->has_bad ? ANOMALY_BIT(BAD_HEADER) : 0;
		info.anomalies |= b->has_unknown ? ANOMALY_BIT(H2_PARTIAL) : 0;
		info.anomalies |= b->is_cut ? ANOMALY_BIT(HEAD_CUT) : 0;
		if (is_promise)
			promise_request(c, head, &info, &grpc, d);
		else if (is_response)
			begin_response(c, x, head, &info, &grpc, d);
		else
			begin_request(c, x, head, &info, &grpc, d);
		x = h2_stream_find(&h->streams, d->block_stream);
	}
	if (x && d->block_ends_stream && !is_promise &&
	    draft_has_begun(is_response ? &x->pair.response : &x->pair.request))
		h2_stream_end(&h->streams, x, is_response, d->block_ns);
}

static bool decode(struct conn *c, struct direction *d, struct span bytes, bool is_last,
		   struct http2_block *b)
{
	size_t before;
	int r;

	if (!hpack_ready(c, d))
		return false;
	before = hpack_memory_bytes(d->hpack);
	r = hpack_block(d->hpack, bytes, is_last, http2_block_add, b);
	hpack_account(c, d, before);
	return r == 0;
}

/* The next bytes of a block; at @is_last it is complete. Return: false when the table is lost. */
static bool feed_block(struct conn *c, unsigned dir, struct span bytes, bool is_last)
{
	struct direction *d = &http2_of(c)->dirs[dir];
	size_t room = c->wire->config.head_max - HTTP2_START_LINE_EXTRA;
	struct http2_block *b = &d->block;
	struct span lines;

	b->lines = c->wire->block;
	b->len = 0;
	b->max = room - MIN(room, d->lines.len);
	if (!decode(c, d, bytes, is_last, b)) {
		if (d->is_hpack_lost)
			return true;
		if (d->is_joined && d->join_level < HPACK_LEVEL_MAX)
			d->join_level++;
		counter_add(c->wire->counters, COUNTER_PARSE_ERRORS, 1);
		return false;
	}
	lines = span_of(b->lines, b->len);
	if (d->lines.len || !is_last) {
		if (chain_add(&d->lines, c->wire->pool, lines) < lines.len)
			b->is_cut = true;
		if (!is_last)
			return true;
		chain_copy(&d->lines, 0, d->lines.len, c->wire->block);
		lines = span_of(c->wire->block, d->lines.len);
	}
	take_block(c, dir, lines, b);
	end_block(c, d);
	return true;
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
	struct direction *d = &http2_of(c)->dirs[dir];
	struct h2_finder *f = d->finder;
	struct span piece;
	uint64_t ts_ns;
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
static bool search(struct conn *c, unsigned dir, uint64_t offset, struct span *bytes, uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct direction *d = &h->dirs[dir];

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
	struct direction *other = &h->dirs[!dir];

	if (other->finder && !h2_stream_find(&h->streams, stream) && h2_find_on_stream(other->finder, stream))
		read_found(c, !dir);
}

static void begin_frame(struct conn *c, unsigned dir, uint64_t ts_ns)
{
	struct direction *d = &http2_of(c)->dirs[dir];
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
static bool is_block_over(const struct direction *d)
{
	const struct h2_walker *w = &d->walker;

	return (w->frame.flags & H2_FLAG_END_HEADERS) && w->left == w->pad;
}

/* Bytes of a frame that is small, or of its beginning. Return: what is behind them. */
static struct span collect(struct direction *d, struct span piece, size_t want)
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
	struct direction *d = &h->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;
	struct h2_stream *x;

	switch (f->type) {
	case H2_DATA:
		x = c->client >= 0 ? h2_stream_find(&h->streams, f->stream) : NULL;
		if (x)
			h2_stream_data(x, is_server_side(c, dir), piece, ts_ns);
		return true;
	case H2_PUSH_PROMISE:
		piece = collect(d, piece, 4); /* the promised stream stands before the block (RFC 9113 6.6) */
		if (d->small_bytes == 4)
			d->block_stream = number_at(d->small) & 0x7fffffff;
		return piece.len == 0 || feed_block(c, dir, piece, is_block_over(d));
	case H2_HEADERS:
	case H2_CONTINUATION: return !d->is_in_block || feed_block(c, dir, piece, is_block_over(d));
	case H2_RST_STREAM: (void)collect(d, piece, 4); return true;
	case H2_GOAWAY: (void)collect(d, piece, SMALL_BYTES); return true;
	default: return true;
	}
}

static bool end_frame(struct conn *c, unsigned dir, uint64_t ts_ns)
{
	struct http2 *h = http2_of(c);
	struct direction *d = &h->dirs[dir];
	const struct h2_frame *f = &d->walker.frame;
	bool is_response = is_server_side(c, dir);
	struct h2_stream *x = c->client >= 0 ? h2_stream_find(&h->streams, f->stream) : NULL;

	if (is_block_frame(f) && (f->flags & H2_FLAG_END_HEADERS))
		return !d->is_in_block || feed_block(c, dir, (struct span){0}, true);
	if (f->type == H2_DATA && x && (f->flags & H2_FLAG_END_STREAM) &&
	    draft_has_begun(is_response ? &x->pair.response : &x->pair.request))
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
	struct direction *d = &http2_of(c)->dirs[dir];
	struct span piece;

	for (;;) {
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

static struct span skip_preface(struct direction *d, struct span bytes)
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
	struct direction *d = &http2_of(c)->dirs[dir];
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
	struct direction *d = &http2_of(c)->dirs[dir];
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
	struct direction *d = &h->dirs[dir];
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
	case CONN_END_RST: return is_server_side(c, dir) ? REASON_RESET_SERVER : REASON_RESET_CLIENT;
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
		end_block(c, &h->dirs[dir]);
		hpack_drop(c, &h->dirs[dir]);
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
	return f.type == H2_SETTINGS && f.flags == 0 && h2_frame_is_plausible(&f) ? CONN_YES : CONN_NO;
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
