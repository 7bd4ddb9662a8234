// SPDX-License-Identifier: Apache-2.0
#include "wire/websocket.h"

#include "wire/internal.h"
#include "wire/part.h"
#include "wire/protocol.h"
#include "wire/wsdecode.h"
#include "wire/wsframe.h"

/*
 * Theory of operation
 *
 * Each direction is a walker over frames (wire/wsframe.h). The frames of a message are put together in
 * a chain of the direction's own, for the other direction and control frames come in between; a whole
 * message becomes a child of the handshake. Payloads are unmasked and stay compressed
 * (schema/wsdeflate.h reads them), but for later parts (wire/wsdecode.h). The handshake leaves as an exchange,
 * or the last part of one (wire/part.h), when the conversation ends:
 *
 *   close frame, then FIN   outcome by the code (RFC 6455 7.4.1)
 *   FIN without one         1006: reset by whoever was first
 *   RST                     reset
 *
 * A hole inside a payload costs that message some bytes; any other hole ends the direction, for nothing
 * marks where the next frame begins.
 */

#define UNMASK_BYTES 512
#define NO_CODE	     1005 /* RFC 6455 7.4.1: a close frame without a code */
#define ABNORMAL     1006

struct direction {
	struct ws_walker walker;
	struct chain payload; /* of the message being put together */
	struct chain control; /* of the control frame in between */
	struct child message; /* what is known of it */
	uint64_t control_bytes;
	bool is_open; /* a message has begun and not ended */
	bool is_lost;
};

struct websocket {
	struct pairs pairs;
	struct pair *handshake; /* NULL once it was handed out */
	struct direction dirs[2];
	struct wsdecode decode;
	bool was_closed; /* by a close frame */
	bool is_closed_by_server;
	uint16_t code;
};

_Static_assert(sizeof(struct websocket) <= POOL_BLOCK_BYTES,
	       "the state of a connection is one block");

static struct websocket *websocket_of(const struct conn *c)
{
	return c->state;
}

static bool is_server(const struct conn *c, unsigned dir)
{
	return c->client != (int8_t)dir;
}

/* --- messages --- */

static void begin_message(struct direction *d, bool is_from_server)
{
	const struct ws_frame *f = &d->walker.frame;

	d->message = (struct child){
		.kind = f->opcode,
		.is_from_server = is_from_server,
		.is_compressed = f->is_compressed,
	};
	d->is_open = true;
}

static void begin_frame(struct conn *c, struct direction *d, unsigned dir)
{
	const struct ws_frame *f = &d->walker.frame;

	d->control_bytes = 0;
	if (!ws_is_control(f->opcode) && f->opcode != WS_CONTINUATION)
		begin_message(d, is_server(c, dir));
}

static bool is_in_control(const struct direction *d)
{
	return ws_is_control(d->walker.frame.opcode);
}

static void take_payload(struct conn *c, struct direction *d, struct span piece)
{
	struct chain *to = is_in_control(d) ? &d->control : &d->payload;
	uint64_t at = d->walker.piece_at;

	if (is_in_control(d))
		d->control_bytes += piece.len;
	else
		d->message.bytes += piece.len;
	while (piece.len) {
		uint8_t clear[UNMASK_BYTES];
		struct span some = {piece.ptr, MIN(piece.len, sizeof(clear))};

		if (to->len + some.len > c->wire->config.body_max)
			some.len = c->wire->config.body_max - to->len;
		ws_unmask(&d->walker.frame, at, some, clear);
		if (some.len == 0 ||
		    chain_add(to, c->wire->pool, span_of(clear, some.len)) < some.len) {
			d->message.is_cut = true;
			return;
		}
		at += some.len;
		piece = span_from(piece, some.len);
	}
}

static void note_close(struct websocket *w, const struct direction *d, bool is_from_server)
{
	uint8_t code[2];

	if (w->was_closed)
		return; /* the second close frame answers the first */
	w->was_closed = true;
	w->is_closed_by_server = is_from_server;
	w->code = NO_CODE;
	if (d->control.len < sizeof(code))
		return;
	chain_copy(&d->control, 0, sizeof(code), code);
	w->code = (uint16_t)(code[0] << 8 | code[1]);
}

static void add_message(struct conn *c, struct child *m, const struct chain *payload,
			uint64_t ts_ns)
{
	struct websocket *w = websocket_of(c);
	struct children *all = &w->handshake->children;
	AUTO_BUF text = {0};

	if (all->row.len && !children_have_room(all, c, payload->len))
		part_write(w->handshake, ts_ns);
	if (m->is_compressed && w->decode.is_begun &&
	    wsdecode_message(&w->decode, c, m, payload, &text))
		children_add_bytes(all, c, m, buf_span(&text));
	else
		children_add(all, c, m, payload);
	if (!w->was_closed)
		part_write_full(w->handshake, ts_ns);
}

static void end_control(struct conn *c, struct direction *d, unsigned dir, uint64_t ts_ns)
{
	struct websocket *w = websocket_of(c);
	struct child control = {
		.kind = d->walker.frame.opcode,
		.is_from_server = is_server(c, dir),
		.bytes = d->control_bytes,
		.time_ns = ts_ns,
	};

	if (control.kind == WS_CLOSE)
		note_close(w, d, control.is_from_server);
	add_message(c, &control, &d->control, ts_ns);
	chain_free(&d->control, c->wire->pool);
}

static void end_frame(struct conn *c, struct direction *d, unsigned dir, uint64_t ts_ns)
{
	if (is_in_control(d)) {
		end_control(c, d, dir, ts_ns);
		return;
	}
	if (!d->walker.frame.is_final)
		return;
	d->message.time_ns = ts_ns;
	if (d->is_open)
		add_message(c, &d->message, &d->payload, ts_ns);
	chain_free(&d->payload, c->wire->pool);
	d->is_open = false;
}

static void lose(struct conn *c, unsigned dir)
{
	struct websocket *w = websocket_of(c);
	struct direction *d = &w->dirs[dir];

	d->is_lost = true;
	chain_free(&d->payload, c->wire->pool);
	chain_free(&d->control, c->wire->pool);
	w->handshake->anomalies |=
		is_server(c, dir) ? ANOMALY_BIT(GAP_RESPONSE) : ANOMALY_BIT(GAP_REQUEST);
}

static void websocket_data(struct conn *c, unsigned dir, uint64_t offset, uint64_t acked,
			   struct span bytes, uint64_t ts_ns)
{
	struct websocket *w = websocket_of(c);
	struct direction *d = &w->dirs[dir];
	struct span piece;

	(void)offset;
	(void)acked;
	while (w->handshake && !d->is_lost) {
		switch (ws_walk(&d->walker, &bytes, &piece)) {
		case WS_NEED_MORE: return;
		case WS_BEGIN: begin_frame(c, d, dir); break;
		case WS_PAYLOAD: take_payload(c, d, piece); break;
		case WS_END: end_frame(c, d, dir, ts_ns); break;
		case WS_BROKEN:
			counter_add(c->wire->counters, COUNTER_PARSE_ERRORS, 1);
			lose(c, dir);
			break;
		}
	}
}

static void websocket_gap(struct conn *c, unsigned dir, uint64_t offset, uint64_t len,
			  uint64_t ts_ns)
{
	struct websocket *w = websocket_of(c);
	struct direction *d = &w->dirs[dir];

	(void)offset;
	(void)ts_ns;
	if (!w->handshake || d->is_lost)
		return;
	if (ws_skip(&d->walker, len) && !is_in_control(d)) {
		d->message.bytes += len;
		d->message.has_gap = true;
		return;
	}
	lose(c, dir);
}

/* --- the end --- */

/* RFC 6455 7.4.1: what a code says about who is to blame; whoever closes accuses the other side */
static enum outcome outcome_of_code(const struct websocket *w)
{
	if (w->code >= 1011 && w->code <= 1014)
		return OUTCOME_SERVER_ERROR;
	if (w->code >= 1002 && w->code <= 1010 && w->code != NO_CODE)
		return w->is_closed_by_server ? OUTCOME_CLIENT_ERROR : OUTCOME_SERVER_ERROR;
	return OUTCOME_OK;
}

static void hand_out(struct conn *c, enum outcome outcome, enum reason reason)
{
	struct websocket *w = websocket_of(c);
	struct pair *p = w->handshake;

	if (!p)
		return;
	w->handshake = NULL;
	p->close_code = w->was_closed ? w->code : ABNORMAL;
	if (w->was_closed)
		pair_leave(p, outcome_of_code(w), REASON_NONE);
	else
		pair_leave(p, outcome, reason);
}

static void websocket_end(struct conn *c, unsigned dir, enum conn_end how, uint64_t ts_ns)
{
	(void)ts_ns;
	switch (how) {
	case CONN_END_FIN:
		hand_out(c, OUTCOME_RESET,
			 is_server(c, dir) ? REASON_CLOSED : REASON_CLIENT_CLOSED);
		break;
	case CONN_END_RST:
		hand_out(c, OUTCOME_RESET,
			 is_server(c, dir) ? REASON_RESET_SERVER : REASON_RESET_CLIENT);
		break;
	case CONN_END_EVICTED: hand_out(c, OUTCOME_INCOMPLETE, REASON_EVICTED); break;
	case CONN_END_IDLE:
	case CONN_END_REUSED: hand_out(c, OUTCOME_INCOMPLETE, REASON_GAP); break;
	case CONN_END_CAPTURE: hand_out(c, OUTCOME_INCOMPLETE, REASON_CAPTURE_END); break;
	}
}

static void websocket_close(struct conn *c)
{
	struct websocket *w = websocket_of(c);

	hand_out(c, OUTCOME_INCOMPLETE, REASON_CAPTURE_END);
	for (unsigned dir = 0; dir < 2; dir++) {
		chain_free(&w->dirs[dir].payload, c->wire->pool);
		chain_free(&w->dirs[dir].control, c->wire->pool);
	}
	wsdecode_end(&w->decode, c->wire);
}

static bool websocket_wants_data(const struct conn *c, unsigned dir)
{
	const struct websocket *w = websocket_of(c);

	return w->handshake && !w->dirs[dir].is_lost;
}

static void websocket_open(struct conn *c)
{
	pairs_init(&websocket_of(c)->pairs, c);
}

static void begin_parts(struct pair *handshake)
{
	if (!handshake->is_continuation)
		wsdecode_begin(&websocket_of(handshake->owner->c)->decode, handshake);
}

void websocket_opened(struct conn *c, struct pair *handshake, uint64_t ts_ns)
{
	handshake->owner = &websocket_of(c)->pairs;
	handshake->protocol = PROTOCOL_WEBSOCKET;
	websocket_of(c)->handshake = handshake;
	handshake->on_part = begin_parts;
	part_watch(handshake, ts_ns);
}

const struct conn_protocol websocket_conn_protocol = {
	.name = "websocket",
	.kind = COUNTER_CONNECTIONS_HTTP1,
	.open = websocket_open,
	.data = websocket_data,
	.gap = websocket_gap,
	.end = websocket_end,
	.close = websocket_close,
	.wants_data = websocket_wants_data,
};
