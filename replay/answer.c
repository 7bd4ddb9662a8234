// SPDX-License-Identifier: Apache-2.0
#include "replay/answer.h"

/*
 * wire/http1.h tells the pieces; this file puts them together. While an answer lies in the bytes
 * being fed, head and body are spans in them: a body in one piece grows its span, and nothing is
 * copied. Two things force a copy: a body in several pieces (chunks), and the end of the fed bytes
 * before the end of the answer.
 *
 * The recorder's parser forgives what it sees; a client may not: bytes in which no status line is
 * found are garbage, and so is a message that cannot be followed to its end.
 *
 * 1xx answers (RFC 9110 15.2) are passed over, 101 is final: nothing that follows is HTTP/1.
 */

#define ANSWER_HEAD_MAX (256 * 1024)

void answer_fini(struct answer *a)
{
	buf_fini(&a->head_kept);
	buf_fini(&a->body_kept);
}

static void forget_message(struct answer *a)
{
	a->head = a->body = (struct span){0};
	a->is_head_kept = a->is_body_kept = a->has_head = a->is_cut = a->is_left = false;
	a->status = 0;
	a->message = (struct message){0};
	buf_clear(&a->head_kept);
	buf_clear(&a->body_kept);
}

void answer_reset(struct answer *a)
{
	forget_message(a);
	a->is_begun = a->ends_connection = false;
	http1_init(&a->parser, HTTP1_RESPONSE, NULL);
}

void answer_begin(struct answer *a, bool is_head, size_t body_max)
{
	forget_message(a);
	a->asked = (struct http1_asked){.is_head = is_head};
	a->body_max = body_max;
	a->bytes = 0;
	a->is_begun = true;
	a->ends_connection = false;
}

static void keep_head(struct answer *a)
{
	if (!a->is_head_kept)
		buf_add_span(&a->head_kept, a->head);
	a->is_head_kept = true;
	a->head = buf_span(&a->head_kept);
}

static void keep_body(struct answer *a)
{
	if (!a->is_body_kept)
		buf_add_span(&a->body_kept, a->body);
	a->is_body_kept = true;
	a->body = buf_span(&a->body_kept);
}

/* the fed bytes go away before the answer is whole */
static void keep_all(struct answer *a)
{
	if (a->head.len)
		keep_head(a);
	if (a->body.len)
		keep_body(a);
}

static bool add_head(struct answer *a, const struct http1_step *step)
{
	if (a->head.len == 0 && step->is_parsed) {
		a->head = step->bytes;
		return true;
	}
	keep_head(a);
	buf_add_span(&a->head_kept, step->bytes);
	a->head = buf_span(&a->head_kept);
	return a->head.len <= ANSWER_HEAD_MAX && !a->head_kept.is_failed;
}

static void add_body(struct answer *a, struct span piece)
{
	size_t room = a->body_max - MIN(a->body_max, a->body.len);

	a->message.body_bytes += piece.len;
	if (piece.len > room) {
		piece.len = room;
		a->is_cut = true;
	}
	if (piece.len == 0)
		return;
	if (a->body.len == 0 && !a->is_body_kept) {
		a->body = piece;
	} else if (!a->is_body_kept && a->body.ptr + a->body.len == piece.ptr) {
		a->body.len += piece.len;
	} else {
		keep_body(a);
		buf_add_span(&a->body_kept, piece);
		a->body = buf_span(&a->body_kept);
		a->is_cut |= a->body_kept.is_failed;
	}
}

/* RFC 9112 9.3: does the connection go on after this answer? */
static bool is_last(const struct http1_head *h, enum http1_follows follows)
{
	if (follows == HTTP1_FOLLOWS_CLOSE || follows == HTTP1_FOLLOWS_TUNNEL)
		return true;
	return h->has_close || (h->version < 11 && !h->has_keep_alive);
}

/* the head is there. Return: false when the answer cannot be followed */
static bool end_head(struct answer *a, const struct http1_step *step, bool *is_done_out)
{
	enum http1_follows follows;

	if (!step->is_parsed)
		http1_parse(&a->parser, a->head, false);
	follows = http1_begin_body(&a->parser, a->asked);
	*is_done_out = false;
	if (follows == HTTP1_FOLLOWS_INTERIM) {
		forget_message(a);
		return true;
	}
	if (follows == HTTP1_FOLLOWS_UNKNOWN || a->parser.head.status == 0)
		return false;
	a->has_head = true;
	a->status = a->parser.head.status;
	a->ends_connection = is_last(&a->parser.head, follows);
	a->message.version = a->parser.head.version;
	if (a->parser.head.framing == HTTP1_CHUNKED)
		a->message.flags |= MESSAGE_CHUNKED;
	if (follows == HTTP1_FOLLOWS_CLOSE)
		a->message.flags |= MESSAGE_CLOSE_DELIMITED;
	*is_done_out = follows == HTTP1_FOLLOWS_TUNNEL;
	return true;
}

static enum answer_state finish(struct answer *a)
{
	a->message.flags |= MESSAGE_PRESENT | MESSAGE_COMPLETE;
	if (a->is_cut)
		a->message.flags |= MESSAGE_BODY_CUT;
	a->message.head = a->head;
	a->message.body = a->body;
	a->message.content_type = http1_span(a->head, a->parser.head.content_type);
	a->is_begun = false;
	return ANSWER_DONE;
}

static enum answer_state take_step(struct answer *a, const struct http1_step *step)
{
	bool is_done = false;

	switch (step->kind) {
	case HTTP1_HEAD_PART:
		return !step->is_resynced && add_head(a, step) ? ANSWER_MORE : ANSWER_GARBAGE;
	case HTTP1_HEAD:
		if (step->is_resynced || !add_head(a, step) || !end_head(a, step, &is_done))
			return ANSWER_GARBAGE;
		return is_done ? finish(a) : ANSWER_MORE;
	case HTTP1_BODY: add_body(a, step->bytes); return ANSWER_MORE;
	case HTTP1_END: return finish(a);
	case HTTP1_NEED_MORE:
	case HTTP1_FRAMING:
	case HTTP1_TRAILER: return ANSWER_MORE;
	case HTTP1_BROKEN:
	case HTTP1_SKIPPED:
	case HTTP1_TUNNEL: break;
	}
	return ANSWER_GARBAGE;
}

enum answer_state answer_feed(struct answer *a, struct span *in)
{
	size_t fed = in->len;
	enum answer_state state = ANSWER_MORE;

	while (state == ANSWER_MORE && (in->len > 0 || http1_has_more(&a->parser))) {
		struct http1_step step;

		*in = span_from(*in, http1_next(&a->parser, *in, &step));
		state = take_step(a, &step);
	}
	a->bytes += fed - in->len;
	if (state == ANSWER_MORE)
		keep_all(a);
	return state;
}

void answer_leave(struct answer *a)
{
	(void)finish(a);
	a->message.flags &= ~(uint32_t)MESSAGE_COMPLETE;
	a->is_left = a->ends_connection = true;
}

enum answer_state answer_close(struct answer *a)
{
	if (a->is_begun && a->has_head && http1_close(&a->parser))
		return finish(a);
	return ANSWER_MORE;
}
