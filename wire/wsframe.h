// SPDX-License-Identifier: Apache-2.0
/*
 * wsframe.h - walk the frames of one direction of a WebSocket connection (RFC 6455 section 5)
 *
 * Works on whatever pieces the stream comes in; keeps no payload. Thread: capture.
 */
#pragma once

#include "lib/base.h"

enum ws_opcode {
	WS_CONTINUATION = 0,
	WS_TEXT = 1,
	WS_BINARY = 2,
	WS_CLOSE = 8,
	WS_PING = 9,
	WS_PONG = 10,
};

struct ws_frame {
	uint64_t length; /* of the payload */
	uint8_t opcode;	 /* enum ws_opcode, or one that RFC 6455 reserves */
	bool is_final;
	bool is_compressed; /* RSV1: permessage-deflate (RFC 7692 6) */
	bool is_masked;
	uint8_t mask[4];
};

enum ws_event {
	WS_NEED_MORE, /* all bytes are used up */
	WS_BEGIN,     /* a frame begins: walker.frame */
	WS_PAYLOAD,   /* a piece of its payload, still masked: *piece_out, walker.piece_at */
	WS_END,	      /* the frame ends */
	WS_BROKEN,    /* no frame can look like this: the rest of this direction is lost */
};

#define WS_HEAD_BYTES_MAX 14

/* The state of one direction. Zero-initialised it expects a frame head. */
struct ws_walker {
	struct ws_frame frame;
	uint64_t left;	   /* bytes of the payload yet to come */
	uint64_t piece_at; /* position of the last piece in its payload: where its mask stands */
	uint8_t head[WS_HEAD_BYTES_MAX];
	uint8_t head_bytes;
	bool is_inside;
};

/* ws_walk() - the next event in @bytes; what is used up is taken from its beginning */
enum ws_event ws_walk(struct ws_walker *w, struct span *bytes, struct span *piece_out);
/* ws_unmask() - @piece, which stands at @at in its payload, unmasked into @to (may be masked or not) */
void ws_unmask(const struct ws_frame *f, uint64_t at, struct span piece, uint8_t *to);
/* ws_skip() - @len bytes are missing. Return: true when they lie inside the payload being walked. */
bool ws_skip(struct ws_walker *w, uint64_t len);
static inline bool ws_is_control(uint8_t opcode)
{
	return (opcode & 8) != 0;
}
