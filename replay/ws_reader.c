// SPDX-License-Identifier: Apache-2.0
#include "replay/ws_reader.h"

#include <stdlib.h>

#include "schema/wsdeflate.h"
#include "wire/wsframe.h"

/*
 * wire/wsframe.h walks the frames, schema/wsdeflate.h undoes the compression; this file joins fragments and, other
 * than the recorder, which follows whatever it sees, insists on the rules that a client must insist on
 * (RFC 6455 5.1, 5.4): a server does not mask, a continuation continues something, a message ends before the
 * next begins.
 */

#define MESSAGE_MAX (16U << 20)

struct ws_reader {
	struct ws_walker walker;
	struct wsdeflate *inflater;
	struct buf payload, control; /* of the message, of a control frame in between */
	struct buf room;	     /* uncompressed */
	struct child message;
	uint64_t control_bytes;
	bool is_open; /* a message has begun and not ended */
	const char *why;
};

struct ws_reader *ws_reader_new(const struct message *answer)
{
	AUTO(ws_reader) r = calloc(1, sizeof(*r));
	struct exchange handshake = {.response = *answer};

	if (!r)
		return NULL;
	r->inflater = wsdeflate_new(&handshake);
	return r->inflater ? TAKE(r) : NULL;
}

void ws_reader_free(struct ws_reader *r)
{
	if (!r)
		return;
	wsdeflate_free(r->inflater);
	buf_fini(&r->payload);
	buf_fini(&r->control);
	buf_fini(&r->room);
	free(r);
}

const char *ws_reader_why(const struct ws_reader *r)
{
	return r->why;
}

static enum ws_read refuse(struct ws_reader *r, const char *why)
{
	r->why = why;
	return WS_READ_BROKEN;
}

static bool is_in_control(const struct ws_reader *r)
{
	return ws_is_control(r->walker.frame.opcode);
}

static enum ws_read begin_frame(struct ws_reader *r)
{
	const struct ws_frame *f = &r->walker.frame;

	if (f->is_masked)
		return refuse(r, "a frame of the server that is masked");
	if (is_in_control(r)) {
		buf_clear(&r->control);
		r->control_bytes = 0;
		return WS_READ_MORE;
	}
	if ((f->opcode == WS_CONTINUATION) != r->is_open)
		return refuse(r, r->is_open ? "a message within a message"
					    : "a continuation of nothing");
	if (r->is_open)
		return f->is_compressed ? refuse(r, "a continuation marked as compressed")
					: WS_READ_MORE;
	buf_clear(&r->payload);
	r->message = (struct child){
		.kind = f->opcode, .is_from_server = true, .is_compressed = f->is_compressed};
	r->is_open = true;
	return WS_READ_MORE;
}

static enum ws_read take_payload(struct ws_reader *r, struct span piece)
{
	size_t room = MESSAGE_MAX - MIN((size_t)MESSAGE_MAX, r->payload.len);

	if (is_in_control(r)) {
		r->control_bytes += piece.len;
		buf_add_span(&r->control, piece);
	} else {
		r->message.bytes += piece.len;
		r->message.is_cut |= piece.len > room;
		buf_add(&r->payload, piece.ptr, MIN(piece.len, room));
	}
	return r->control.is_failed || r->payload.is_failed ? refuse(r, "out of memory")
							    : WS_READ_MORE;
}

static enum ws_read end_message(struct ws_reader *r, struct child *out)
{
	struct span text;
	int n;

	r->is_open = false;
	r->message.payload = buf_span(&r->payload);
	n = wsdeflate_read(r->inflater, &r->message, MESSAGE_MAX, &r->room, &text, NULL);
	if (n < 0 && !r->message.is_cut)
		return refuse(r, "a compressed message that cannot be read");
	*out = r->message;
	out->payload = text;
	return WS_READ_MESSAGE;
}

static enum ws_read end_frame(struct ws_reader *r, struct child *out)
{
	const struct ws_frame *f = &r->walker.frame;

	if (!is_in_control(r))
		return f->is_final ? end_message(r, out) : WS_READ_MORE;
	*out = (struct child){.kind = f->opcode,
			      .is_from_server = true,
			      .bytes = r->control_bytes,
			      .payload = buf_span(&r->control)};
	return WS_READ_MESSAGE;
}

enum ws_read ws_read(struct ws_reader *r, struct span *bytes, struct child *out)
{
	enum ws_read done = r->why ? WS_READ_BROKEN : WS_READ_MORE;
	struct span piece;

	while (done == WS_READ_MORE) {
		switch (ws_walk(&r->walker, bytes, &piece)) {
		case WS_NEED_MORE: return WS_READ_MORE;
		case WS_BEGIN: done = begin_frame(r); break;
		case WS_PAYLOAD: done = take_payload(r, piece); break;
		case WS_END: done = end_frame(r, out); break;
		case WS_BROKEN: done = refuse(r, "no frame of a WebSocket"); break;
		}
	}
	return done;
}
