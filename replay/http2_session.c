// SPDX-License-Identifier: Apache-2.0
#include "replay/http2_session.h"

#include <stdlib.h>

#include "lib/clock.h"
#include "replay/http2_fields.h"

/*
 * Frames, HPACK, flow control and the target's limit of streams are libnghttp2's. This file makes fields of the
 * recorded text, gives and takes bytes, and notes how each stream ended.
 *
 * Callbacks only gather, and put streams that ended into session.done; results are given out when
 * libnghttp2 has returned, for a result may free the item, or send another.
 *
 * A stream with turns gives no more of its body than they allow: libnghttp2 is told to come back later, and
 * whoever takes the turns (client_http2.c) tells it when.
 */

#define OUT_BYTES	(64 * 1024)
#define FIELD_BLOCK_MAX (16 * 1024 * 1024) /* as sent; nothing recorded is longer */
#define WINDOW_BYTES	(1 << 20)	   /* of a stream */
#define SESSION_WINDOW	(16 << 20)

static struct http2_stream *find(nghttp2_session *ng, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

void http2_stream_free(struct http2_stream *s)
{
	list_remove(&s->node);
	http2_answer_fini(&s->answer);
	free(s->turns);
	free(s);
}

/* ---- what libnghttp2 tells ---- */

static void end_stream(struct http2_session *h, struct http2_stream *s)
{
	if (!s->item)
		return;
	list_remove(&s->node);
	list_append(&h->done, &s->node);
}

static void hear(struct http2_session *h, struct http2_stream *s, struct span bytes)
{
	if (s->turns && http2_turns_heard(s->turns, bytes))
		h->has_heard = s->has_heard = true;
}

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct http2_stream *s = find(ng, frame->hd.stream_id);

	(void)ctx;
	if (s && s->item)
		http2_answer_begin_block(&s->answer);
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
		     void *ctx)
{
	struct http2_stream *s = find(ng, frame->hd.stream_id);

	(void)flags;
	(void)ctx;
	if (s && s->item &&
	    !http2_answer_field(&s->answer, span_of(name, name_len), span_of(value, value_len)))
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	return 0;
}

static int on_data(nghttp2_session *ng, uint8_t flags, int32_t id, const uint8_t *data, size_t len,
		   void *ctx)
{
	struct http2_stream *s = find(ng, id);

	(void)flags;
	if (!s || !s->item)
		return 0;
	http2_answer_data(&s->answer, span_of(data, len));
	hear(ctx, s, span_of(data, len));
	return 0;
}

static int on_frame(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct http2_session *h = ctx;
	struct http2_stream *s = find(ng, frame->hd.stream_id);
	bool may_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;

	if (frame->hd.type == NGHTTP2_GOAWAY)
		h->has_goaway = true;
	if (!s || !s->item)
		return 0;
	s->is_reset_by_target |= frame->hd.type == NGHTTP2_RST_STREAM;
	if (frame->hd.type == NGHTTP2_HEADERS) {
		http2_answer_end_block(&s->answer);
		hear(h, s, (struct span){0});
	}
	if (may_end && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM)) {
		http2_answer_end(&s->answer);
		end_stream(h, s);
	}
	return 0;
}

static int on_stream_close(nghttp2_session *ng, int32_t id, uint32_t code, void *ctx)
{
	struct http2_stream *s = find(ng, id);

	if (!s)
		return 0;
	s->is_closed = true;
	s->code = code;
	if (s->item)
		end_stream(ctx, s);
	else
		http2_stream_free(s);
	return 0;
}

static int before_send(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct http2_session *h = ctx;
	struct http2_stream *s = find(ng, frame->hd.stream_id);

	if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR)
		h->is_garbage = true;
	if (s && s->item && !s->is_sent && frame->hd.type == NGHTTP2_HEADERS) {
		s->is_sent = true;
		h->has_heard |= s->turns != NULL;
		if (s->item->sent_ns == 0)
			s->item->sent_ns = clock_mono_ns();
	}
	return 0;
}

/* ---- sending ---- */

static struct span head_of(const struct item *item)
{
	return span_of(item->bytes.ptr, item->head_bytes);
}

static struct span body_of(const struct item *item)
{
	return span_of(item->bytes.ptr + item->head_bytes, item->body_bytes);
}

static struct span trailers_of(const struct item *item)
{
	return span_from(item->bytes, item->head_bytes + item->body_bytes);
}

/* behind the body. Return: false when they are too many, or memory is short */
static bool submit_trailers(struct http2_session *h, const struct http2_stream *s)
{
	ssize_t n = http2_trailer_fields(h->fields, trailers_of(s->item));

	return n >= 0 && nghttp2_submit_trailer(h->ng, s->id, h->fields, (size_t)n) == 0;
}

static ssize_t read_body(nghttp2_session *ng, int32_t id, uint8_t *to, size_t max, uint32_t *flags,
			 nghttp2_data_source *source, void *ctx)
{
	struct http2_stream *s = find(ng, id);
	struct span rest;

	(void)source;
	if (!s || !s->item)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	rest = span_from(body_of(s->item), s->body_sent);
	max = MIN(max, rest.len);
	if (s->turns)
		max = MIN(max, s->turns->allowed - MIN(s->turns->allowed, s->body_sent));
	s->is_held = max == 0 && s->turns && (rest.len || !s->turns->may_end);
	if (s->is_held)
		return NGHTTP2_ERR_DEFERRED;
	if (max)
		memcpy(to, rest.ptr, max);
	s->body_sent += max;
	if (max < rest.len || (s->turns && !s->turns->may_end))
		return (ssize_t)max;
	*flags |= NGHTTP2_DATA_FLAG_EOF;
	if (trailers_of(s->item).len == 0)
		return (ssize_t)max;
	*flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
	return submit_trailers(ctx, s) ? (ssize_t)max : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
}

/* Return: the stream's number, or a negative one */
static int32_t submit(struct http2_session *h, struct http2_stream *s)
{
	nghttp2_data_provider body = {.read_callback = read_body};
	bool has_more = s->item->bytes.len > s->item->head_bytes || s->turns;
	ssize_t n = http2_request_fields(h->fields, head_of(s->item));

	if (n < 0)
		return NGHTTP2_ERR_INVALID_ARGUMENT;
	return nghttp2_submit_request(h->ng, NULL, h->fields, (size_t)n, has_more ? &body : NULL,
				      s);
}

void http2_session_fill(struct http2_session *h)
{
	const uint8_t *bytes;
	ssize_t n;

	buf_clear(&h->out);
	h->out_sent = 0;
	while (h->out.len < OUT_BYTES && (n = nghttp2_session_mem_send(h->ng, &bytes)) > 0)
		buf_add(&h->out, bytes, (size_t)n);
	h->is_garbage |= h->out.is_failed;
}

struct http2_stream *http2_stream_new(struct http2_session *h, struct item *item, size_t body_max,
				      const struct schedule_config *schedule)
{
	struct http2_stream *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	list_init(&s->node);
	s->item = item;
	http2_answer_begin(&s->answer, body_max);
	if (http2_turns_are_due(item)) {
		s->turns = malloc(sizeof(*s->turns));
		if (s->turns)
			http2_turns_begin(s->turns, item, body_of(item), schedule);
	}
	s->id = !s->turns && http2_turns_are_due(item) ? -1 : submit(h, s);
	if (s->id < 0) {
		http2_stream_free(s);
		return NULL;
	}
	item->stream = s;
	list_append(&h->open, &s->node);
	return s;
}

/* ---- the session ---- */

static void set_callbacks(nghttp2_session_callbacks *on)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(on, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(on, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(on, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(on, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(on, on_stream_close);
	nghttp2_session_callbacks_set_before_frame_send_callback(on, before_send);
}

static bool make_session(struct http2_session *h)
{
	nghttp2_session_callbacks *on = NULL;
	nghttp2_option *option = NULL;
	bool is_made = nghttp2_session_callbacks_new(&on) == 0 && nghttp2_option_new(&option) == 0;

	if (is_made) {
		set_callbacks(on);
		nghttp2_option_set_max_send_header_block_length(option, FIELD_BLOCK_MAX);
		is_made = nghttp2_session_client_new2(&h->ng, on, h, option) == 0;
	}
	nghttp2_option_del(option);
	nghttp2_session_callbacks_del(on);
	return is_made;
}

static bool greet(struct http2_session *h)
{
	static const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW_BYTES},
	};

	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) ==
		       0 &&
	       nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, SESSION_WINDOW) ==
		       0;
}

static void free_streams(struct list *streams)
{
	struct list *n;

	while ((n = list_first(streams)) != NULL) {
		if (http2_stream_of(n)->item)
			http2_stream_of(n)->item->stream = NULL;
		http2_stream_free(http2_stream_of(n));
	}
}

struct http2_session *http2_session_new(nghttp2_nv *fields)
{
	struct http2_session *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	h->fields = fields;
	list_init(&h->open);
	list_init(&h->done);
	list_init(&h->gone);
	if (make_session(h) && greet(h))
		return h;
	http2_session_free(h);
	return NULL;
}

void http2_session_free(struct http2_session *h)
{
	if (!h)
		return;
	free_streams(&h->open);
	free_streams(&h->done);
	free_streams(&h->gone);
	nghttp2_session_del(h->ng); /* calls nothing back */
	buf_fini(&h->out);
	free(h);
}
