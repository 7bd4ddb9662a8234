// SPDX-License-Identifier: Apache-2.0
#include "kube/channels.h"

#include "lib/websocket.h"

/*
 * Theory of operation
 *
 * wire/wsframe.h walks the frames. A message's first octet is its channel; its two first octets on each
 * channel are the port's number, little-endian, which says nothing new and is passed over. Frames of a server
 * are not masked (RFC 6455 5.1) and nothing was agreed on that sets RSV bits. Pings are answered from here;
 * a close frame is the end: the API server drops the connection behind it.
 */

#define CHANNEL_DATA  0
#define CHANNEL_ERROR 1
#define NUMBER_BYTES  2
#define FLAG_FINAL    0x80

static enum kube_channels_event refuse(struct kube_channels *c, const char *why)
{
	c->why = why;
	return KUBE_CHANNELS_BROKEN;
}

/* NULL, or what is wrong with the frame that begins */
static const char *begin_frame(struct kube_channels *c)
{
	const struct ws_frame *f = &c->walker.frame;

	if (f->is_masked)
		return "the API server masks its frames";
	if (f->is_compressed)
		return "the API server compresses what nobody asked it to";
	if (ws_is_control(f->opcode)) {
		c->control_bytes = 0;
		return NULL; /* the walker passes none that is longer than .control */
	}
	if ((f->opcode == WS_CONTINUATION) != c->is_inside)
		return "a WebSocket message within another";
	if (f->opcode != WS_CONTINUATION && f->opcode != WS_BINARY)
		return "a WebSocket message that is not binary";
	if (!c->is_inside)
		c->has_channel = false;
	c->is_inside = !f->is_final;
	return NULL;
}

static void end_frame(struct kube_channels *c)
{
	if (c->walker.frame.opcode == WS_PING)
		ws_frame_new(&c->reply, FLAG_FINAL | WS_PONG,
			     span_of(c->control, c->control_bytes));
}

static void take_control(struct kube_channels *c, struct span piece)
{
	size_t n = MIN(piece.len, sizeof(c->control) - c->control_bytes);

	memcpy(c->control + c->control_bytes, piece.ptr, n);
	c->control_bytes = (uint8_t)(c->control_bytes + n);
}

/* Return: what of @piece is data of the port, maybe nothing; *why_out when it cannot be */
static struct span take_data(struct kube_channels *c, struct span piece, const char **why_out)
{
	size_t n;

	if (!c->has_channel && piece.len) {
		c->channel = piece.ptr[0];
		c->has_channel = true;
		piece = span_from(piece, 1);
		if (c->channel > CHANNEL_ERROR)
			*why_out = "a channel that was not asked for";
	}
	if (*why_out || !piece.len)
		return (struct span){0};
	n = MIN(piece.len, (size_t)(NUMBER_BYTES - c->numbers[c->channel]));
	c->numbers[c->channel] = (uint8_t)(c->numbers[c->channel] + n);
	piece = span_from(piece, n);
	if (c->channel == CHANNEL_DATA)
		return piece;
	buf_add(&c->error, piece.ptr,
		MIN(piece.len,
		    KUBE_CHANNELS_ERROR_MAX - MIN(c->error.len, (size_t)KUBE_CHANNELS_ERROR_MAX)));
	return (struct span){0};
}

enum kube_channels_event kube_channels_read(struct kube_channels *c, struct span *bytes,
					    struct span *piece_out)
{
	struct span piece = {0};

	while (!c->why) {
		const char *why = NULL;

		switch (ws_walk(&c->walker, bytes, &piece)) {
		case WS_NEED_MORE: return KUBE_CHANNELS_MORE;
		case WS_BEGIN: why = begin_frame(c); break;
		case WS_PAYLOAD:
			if (ws_is_control(c->walker.frame.opcode)) {
				take_control(c, piece);
				break;
			}
			*piece_out = take_data(c, piece, &why);
			if (!why && piece_out->len)
				return KUBE_CHANNELS_DATA;
			break;
		case WS_END:
			if (c->walker.frame.opcode == WS_CLOSE)
				return KUBE_CHANNELS_END;
			end_frame(c);
			break;
		case WS_BROKEN: why = "no frame of a WebSocket looks like this"; break;
		}
		if (why)
			return refuse(c, why);
	}
	return KUBE_CHANNELS_BROKEN;
}

bool kube_channels_is_open(const struct kube_channels *c)
{
	return c->numbers[CHANNEL_DATA] == NUMBER_BYTES &&
	       c->numbers[CHANNEL_ERROR] == NUMBER_BYTES;
}

void kube_channels_write(struct span data, struct buf *out)
{
	AUTO_BUF message = {0};

	buf_add_char(&message, CHANNEL_DATA);
	buf_add_span(&message, data);
	if (message.is_failed)
		out->is_failed = true;
	else
		ws_frame_new(out, FLAG_FINAL | WS_BINARY, buf_span(&message));
}

void kube_channels_fini(struct kube_channels *c)
{
	buf_fini(&c->error);
	buf_fini(&c->reply);
}
