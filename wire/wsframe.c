// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * The head is 2 bytes, then 0, 2 or 8 of length, then 0 or 4 of mask; how many follows from the
 * first two, so the head is collected until it is whole. A frame that sets reserved bits or opcodes,
 * or a control frame that is fragmented or long (RFC 6455 5.5), is no WebSocket frame: a direction
 * that shows one cannot be followed, for nothing marks where the next frame begins.
 */
#include "wire/wsframe.h"

#define CONTROL_LENGTH_MAX 125 /* RFC 6455 5.5 */

static size_t head_bytes_wanted(const struct ws_walker *w)
{
	uint8_t length;

	if (w->head_bytes < 2)
		return 2;
	length = w->head[1] & 0x7f;
	return 2 +
	       (size_t)(length == 127	? 8
			: length == 126 ? 2
					: 0) +
	       (w->head[1] & 0x80 ? 4 : 0);
}

static bool is_known_opcode(uint8_t opcode)
{
	return opcode <= WS_BINARY || (opcode >= WS_CLOSE && opcode <= WS_PONG);
}

static enum ws_event begin_frame(struct ws_walker *w)
{
	struct ws_frame *f = &w->frame;
	const uint8_t *at = w->head + 2;

	*f = (struct ws_frame){
		.opcode = w->head[0] & 0x0f,
		.is_final = w->head[0] & 0x80,
		.is_compressed = w->head[0] & 0x40,
		.is_masked = w->head[1] & 0x80,
		.length = w->head[1] & 0x7f,
	};
	if (f->length >= 126) {
		size_t n = f->length == 126 ? 2 : 8;

		f->length = 0;
		while (n--)
			f->length = f->length << 8 | *at++;
	}
	if (f->is_masked)
		memcpy(f->mask, at, sizeof(f->mask));
	w->head_bytes = 0;
	w->left = f->length;
	w->piece_at = 0;
	if ((w->head[0] & 0x30) || !is_known_opcode(f->opcode) || f->length >> 63)
		return WS_BROKEN;
	if (ws_is_control(f->opcode) &&
	    (!f->is_final || f->is_compressed || f->length > CONTROL_LENGTH_MAX))
		return WS_BROKEN;
	w->is_inside = true;
	return WS_BEGIN;
}

enum ws_event ws_walk(struct ws_walker *w, struct span *bytes, struct span *piece_out)
{
	size_t n;

	if (w->is_inside && w->left == 0) {
		w->is_inside = false;
		return WS_END;
	}
	if (w->is_inside) {
		if (bytes->len == 0)
			return WS_NEED_MORE;
		n = (size_t)MIN((uint64_t)bytes->len, w->left);
		*piece_out = (struct span){bytes->ptr, n};
		*bytes = span_from(*bytes, n);
		w->piece_at = w->frame.length - w->left;
		w->left -= n;
		return WS_PAYLOAD;
	}
	while (w->head_bytes < head_bytes_wanted(w)) {
		if (bytes->len == 0)
			return WS_NEED_MORE;
		w->head[w->head_bytes++] = bytes->ptr[0];
		*bytes = span_from(*bytes, 1);
	}
	return begin_frame(w);
}

void ws_unmask(const struct ws_frame *f, uint64_t at, struct span piece, uint8_t *to)
{
	if (!f->is_masked) {
		if (piece.len)
			memcpy(to, piece.ptr, piece.len);
		return;
	}
	for (size_t i = 0; i < piece.len; i++)
		to[i] = piece.ptr[i] ^ f->mask[(at + i) & 3];
}

bool ws_skip(struct ws_walker *w, uint64_t len)
{
	if (!w->is_inside || len > w->left) {
		*w = (struct ws_walker){0};
		return false;
	}
	w->left -= len;
	return true;
}
