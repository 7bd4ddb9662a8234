// SPDX-License-Identifier: Apache-2.0
/*
 * Theory of operation
 *
 * A frame is nine bytes of head and a payload whose length the head tells, so the walk is a count:
 *
 *   HEAD --9 bytes--> (PAD_LENGTH) --> PAYLOAD --left == pad--> PADDING --left == 0--> HEAD
 *
 * Pieces of the payload are handed out as they come; only the head is collected. A passive observer
 * tolerates what an endpoint must refuse (oversized frames, streams out of order); only a head whose
 * parts contradict each other says that this is no frame boundary (wire/h2find.h looks for the next).
 */
#include "wire/h2frame.h"

enum walker_state {
	WALKER_HEAD,
	WALKER_PAD_LENGTH,
	WALKER_PAYLOAD,
	WALKER_PADDING,
};

#define LENGTH_MAX     0xffffff /* RFC 9113 4.2 */
#define PRIORITY_BYTES 5

struct type_rule {
	uint8_t flags;	    /* those that have a meaning */
	bool on_stream;	    /* stream must not be 0 ... */
	bool on_connection; /* ... or must be 0; both: either */
	uint32_t length_min, length_max;
};

/* RFC 9113 sections 6.1 to 6.10 */
static const struct type_rule type_rules[H2_TYPE_COUNT] = {
	[H2_DATA] = {H2_FLAG_END_STREAM | H2_FLAG_PADDED, true, false, 0, LENGTH_MAX},
	[H2_HEADERS] = {H2_FLAG_END_STREAM | H2_FLAG_END_HEADERS | H2_FLAG_PADDED |
				H2_FLAG_PRIORITY,
			true, false, 1, LENGTH_MAX},
	[H2_PRIORITY] = {0, true, false, PRIORITY_BYTES, PRIORITY_BYTES},
	[H2_RST_STREAM] = {0, true, false, 4, 4},
	[H2_SETTINGS] = {H2_FLAG_ACK, false, true, 0, 6 * 64},
	[H2_PUSH_PROMISE] = {H2_FLAG_END_HEADERS | H2_FLAG_PADDED, true, false, 5, LENGTH_MAX},
	[H2_PING] = {H2_FLAG_ACK, false, true, 8, 8},
	[H2_GOAWAY] = {0, false, true, 8, 8 + 4096},
	[H2_WINDOW_UPDATE] = {0, true, true, 4, 4},
	[H2_CONTINUATION] = {H2_FLAG_END_HEADERS, true, false, 0, LENGTH_MAX},
};

struct h2_frame h2_frame_read(const uint8_t head[H2_FRAME_HEAD_BYTES])
{
	return (struct h2_frame){
		.length = (uint32_t)head[0] << 16 | (uint32_t)head[1] << 8 | head[2],
		.type = head[3],
		.flags = head[4],
		.stream = ((uint32_t)head[5] << 24 | (uint32_t)head[6] << 16 |
			   (uint32_t)head[7] << 8 | head[8]) &
			  0x7fffffff,
	};
}

bool h2_frame_is_plausible(const struct h2_frame *f)
{
	const struct type_rule *rule;

	if (f->type >= H2_TYPE_COUNT)
		return false;
	rule = &type_rules[f->type];
	return (f->flags & ~rule->flags) == 0 && f->length >= rule->length_min &&
	       f->length <= rule->length_max &&
	       (f->stream ? rule->on_stream : rule->on_connection) &&
	       !(f->type == H2_SETTINGS && f->length % 6 != 0) &&
	       !(f->type == H2_SETTINGS && (f->flags & H2_FLAG_ACK) && f->length != 0);
}

static bool is_padded(const struct h2_frame *f)
{
	return (f->flags & H2_FLAG_PADDED) &&
	       (f->type == H2_DATA || f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE);
}

/* RFC 9113 6.2: the fields of the deprecated priority signal stand before the header block */
static bool has_priority(const struct h2_frame *f)
{
	return f->type == H2_HEADERS && (f->flags & H2_FLAG_PRIORITY);
}

/* nearly all: DATA and HEADERS on a stream, of which only the end is said */
static bool is_usual(const struct h2_frame *f)
{
	return f->type <= H2_HEADERS && f->stream && f->length &&
	       !(f->flags & ~(f->type == H2_DATA ? H2_FLAG_END_STREAM
						 : H2_FLAG_END_STREAM | H2_FLAG_END_HEADERS));
}

static enum h2_event begin_frame(struct h2_walker *w, const uint8_t *head)
{
	struct h2_frame *f = &w->frame;

	*f = h2_frame_read(head);
	w->head_bytes = 0;
	if (LIKELY(is_usual(f) && !w->length_max)) {
		w->left = f->length;
		w->pad = w->skip = 0;
		w->state = WALKER_PAYLOAD;
		return H2_BEGIN;
	}
	if (f->length > (w->length_max ? w->length_max : LENGTH_MAX))
		return H2_BROKEN;
	/* unknown types are extensions; a known type that breaks its rule is no frame */
	if (f->type < H2_TYPE_COUNT && !h2_frame_is_plausible(f)) {
		struct h2_frame lenient = *f;

		lenient.flags &= type_rules[f->type].flags; /* unknown flags are ignored (4.1) */
		if (!h2_frame_is_plausible(&lenient))
			return H2_BROKEN;
	}
	w->left = f->length;
	w->pad = 0;
	w->skip = has_priority(f) ? PRIORITY_BYTES : 0;
	if (is_padded(f) && f->length == 0)
		return H2_BROKEN;
	w->state = is_padded(f) ? WALKER_PAD_LENGTH : WALKER_PAYLOAD;
	return H2_BEGIN;
}

static enum h2_event take_head(struct h2_walker *w, struct span *bytes)
{
	size_t n = MIN(bytes->len, (size_t)(H2_FRAME_HEAD_BYTES - w->head_bytes));
	const uint8_t *head = bytes->ptr;

	if (LIKELY(n == H2_FRAME_HEAD_BYTES)) {
		*bytes = (struct span){head + n, bytes->len - n};
		return begin_frame(w, head);
	}
	memcpy(w->head + w->head_bytes, bytes->ptr, n);
	w->head_bytes = (uint8_t)(w->head_bytes + n);
	*bytes = span_from(*bytes, n);
	return w->head_bytes < H2_FRAME_HEAD_BYTES ? H2_NEED_MORE : begin_frame(w, w->head);
}

static void pass_over(struct h2_walker *w, struct span *bytes, size_t n)
{
	*bytes = span_from(*bytes, n);
	w->left -= (uint32_t)n;
}

/* Padding or priority fields that claim more than the frame holds are a connection error (6.1, 6.2). */
static bool is_overdrawn(const struct h2_walker *w)
{
	return (uint32_t)w->pad + w->skip > w->left;
}

bool h2_walk_whole(struct h2_walker *w, struct span *bytes, struct span *payload_out)
{
	struct h2_frame f;

	if (w->state != WALKER_HEAD || w->head_bytes || w->length_max ||
	    bytes->len < H2_FRAME_HEAD_BYTES)
		return false;
	f = h2_frame_read(bytes->ptr);
	if (!is_usual(&f) || f.length > bytes->len - H2_FRAME_HEAD_BYTES)
		return false;
	w->frame = f;
	w->left = 0;
	w->pad = w->skip = 0;
	*payload_out = (struct span){bytes->ptr + H2_FRAME_HEAD_BYTES, f.length};
	*bytes = (struct span){payload_out->ptr + f.length,
			       bytes->len - H2_FRAME_HEAD_BYTES - f.length};
	return true;
}

enum h2_event h2_walk(struct h2_walker *w, struct span *bytes, struct span *piece_out)
{
	size_t n;

	for (;;) {
		if (w->state != WALKER_HEAD && w->left == 0) {
			w->state = WALKER_HEAD;
			return H2_END;
		}
		if (bytes->len == 0)
			return H2_NEED_MORE;
		switch ((enum walker_state)w->state) {
		case WALKER_HEAD: return take_head(w, bytes);
		case WALKER_PAD_LENGTH:
			w->pad = bytes->ptr[0];
			pass_over(w, bytes, 1);
			w->state = WALKER_PAYLOAD;
			if (is_overdrawn(w))
				return H2_BROKEN;
			break;
		case WALKER_PAYLOAD:
			if (LIKELY(!w->pad && !w->skip)) {
				n = MIN(bytes->len, (size_t)w->left);
				*piece_out = (struct span){bytes->ptr, n};
				*bytes = (struct span){bytes->ptr + n, bytes->len - n};
				w->left -= (uint32_t)n;
				return H2_PAYLOAD;
			}
			if (is_overdrawn(w))
				return H2_BROKEN;
			n = MIN(bytes->len, (size_t)w->skip);
			pass_over(w, bytes, n);
			w->skip = (uint8_t)(w->skip - n);
			n = MIN(bytes->len, (size_t)(w->left - w->pad));
			if (w->skip == 0 && w->left == w->pad)
				w->state = WALKER_PADDING;
			if (w->skip || n == 0)
				break;
			*piece_out = (struct span){bytes->ptr, n};
			pass_over(w, bytes, n);
			return H2_PAYLOAD;
		case WALKER_PADDING: pass_over(w, bytes, MIN(bytes->len, (size_t)w->left)); break;
		}
	}
}

bool h2_skip(struct h2_walker *w, uint64_t len)
{
	if (w->state == WALKER_PAYLOAD && w->skip == 0 && len <= w->left - w->pad) {
		w->left -= (uint32_t)len;
		return true;
	}
	*w = (struct h2_walker){.length_max = w->length_max};
	return false;
}
