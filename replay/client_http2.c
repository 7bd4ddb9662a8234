// SPDX-License-Identifier: Apache-2.0
#include "replay/client_http2.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "lib/clock.h"
#include "replay/http2_answer.h"
#include "replay/http2_fields.h"

/*
 * Frames, HPACK, flow control and the target's limit of streams are libnghttp2's. This file makes
 * fields of the recorded text, gives and takes bytes, and says how each stream ended.
 *
 * Streams are concurrent as recorded: a request waits for those that had been answered when it was
 * recorded, and for no others. One whose recorded answer has no end is waited for by none.
 *
 * Callbacks only gather, and put streams that ended into session.done; results are given out when
 * libnghttp2 has returned (settle()), for a result may free the item, or send another.
 *
 *     item handed over:   session.open --- END_STREAM, RST_STREAM, refused ---> session.done
 *     settle():           session.done --- result ---> session.gone, or freed when libnghttp2 has closed it
 *
 * What the target says it did not look at may go again on another connection, whatever its method:
 * REFUSED_STREAM, and streams above the last of GOAWAY (RFC 9113 8.7). After GOAWAY nothing new is
 * sent there; the streams below end in their time, then the link connects anew. When a connection
 * breaks, a safe request on a connection that had been used goes again, as with HTTP/1.
 */

#define OUT_BYTES         (64 * 1024)
#define READS_MAX         4
#define FIELD_BLOCK_MAX   (16 * 1024 * 1024) /* as sent; nothing recorded is longer */
#define WINDOW_BYTES      (1 << 20)          /* of a stream */
#define SESSION_WINDOW    (16 << 20)
#define TRIES_MAX         2

_Static_assert(HTTP2_FIELDS_MAX * sizeof(nghttp2_nv) <= CLIENT_SCRATCH_BYTES, "no room for fields");

struct http2_stream {
	struct list node;         /* http2_session::open, done or gone */
	struct item *item;        /* NULL: it has its result */
	int32_t id;
	uint32_t code;            /* why it ended (RFC 9113 7) */
	size_t body_sent;         /* bytes of the body given to libnghttp2 */
	bool is_sent;             /* its HEADERS went out */
	bool is_reset_by_target;
	bool is_closed;           /* libnghttp2 has forgotten it */
	struct http2_answer answer;
};

struct http2_session {
	nghttp2_session *ng;
	struct list open, done, gone;
	nghttp2_nv *fields;       /* HTTP2_FIELDS_MAX, in client.scratch: not while what was read lies there */
	struct buf out;           /* bytes to send; out_sent of them are */
	size_t out_sent;
	bool has_goaway;          /* the target takes no new streams */
	bool is_garbage;          /* what the target sent is not HTTP/2 */
	bool has_received;
};

static struct http2_stream *stream_of(struct list *n)
{
	return CONTAINER_OF(n, struct http2_stream, node);
}

static struct http2_stream *find(nghttp2_session *ng, int32_t id)
{
	return id > 0 ? nghttp2_session_get_stream_user_data(ng, id) : NULL;
}

static void free_stream(struct http2_stream *s)
{
	list_remove(&s->node);
	http2_answer_fini(&s->answer);
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

static int on_begin_headers(nghttp2_session *ng, const nghttp2_frame *frame, void *ctx)
{
	struct http2_stream *s = find(ng, frame->hd.stream_id);

	(void)ctx;
	if (s && s->item)
		http2_answer_begin_block(&s->answer);
	return 0;
}

static int on_header(nghttp2_session *ng, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags, void *ctx)
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
	(void)ctx;
	if (s && s->item)
		http2_answer_data(&s->answer, span_of(data, len));
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
	if (frame->hd.type == NGHTTP2_HEADERS)
		http2_answer_end_block(&s->answer);
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
		free_stream(s);
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
	if (max)
		memcpy(to, rest.ptr, max);
	s->body_sent += max;
	if (max < rest.len)
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
	bool has_more = s->item->bytes.len > s->item->head_bytes;
	ssize_t n = http2_request_fields(h->fields, head_of(s->item));

	if (n < 0)
		return NGHTTP2_ERR_INVALID_ARGUMENT;
	return nghttp2_submit_request(h->ng, NULL, h->fields, (size_t)n, has_more ? &body : NULL, s);
}

static void fill_out(struct http2_session *h)
{
	const uint8_t *bytes;
	ssize_t n;

	buf_clear(&h->out);
	h->out_sent = 0;
	while (h->out.len < OUT_BYTES && (n = nghttp2_session_mem_send(h->ng, &bytes)) > 0)
		buf_add(&h->out, bytes, (size_t)n);
	h->is_garbage |= h->out.is_failed;
}

static void flush(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	for (;;) {
		ssize_t n;

		if (h->out_sent == h->out.len)
			fill_out(h);
		if (h->out.len == 0)
			break;
		n = transport_send(&l->transport, span_from(buf_span(&h->out), h->out_sent));
		if (n < 0 && n != -EAGAIN)
			break; /* answers may lie there all the same: reading will tell */
		if (n > 0) {
			h->out_sent += (size_t)n;
			c->stats.bytes_out += (uint64_t)n;
		}
		if (h->out_sent < h->out.len) {
			link_watch(c, l, true);
			return;
		}
	}
	link_watch(c, l, false);
}

/* ---- results ---- */

static void submit_cancel(struct http2_session *h, const struct http2_stream *s)
{
	(void)nghttp2_submit_rst_stream(h->ng, NGHTTP2_FLAG_NONE, s->id, NGHTTP2_CANCEL);
}

/* it has its result; libnghttp2 may still know it */
static void retire(struct http2_session *h, struct http2_stream *s)
{
	if (s->is_closed) {
		free_stream(s);
		return;
	}
	list_remove(&s->node);
	list_append(&h->gone, &s->node);
	submit_cancel(h, s);
}

static struct http2_stream *detach(struct item *item)
{
	struct http2_stream *s = item->stream;

	item->stream = NULL;
	if (s)
		s->item = NULL;
	return s;
}

void http2_forget(struct link *l, struct item *item)
{
	struct http2_stream *s = detach(item);

	if (s)
		retire(l->http2, s);
}

/* the target did not look at it, and says so; or it never left */
static bool is_refused(const struct http2_session *h, const struct http2_stream *s)
{
	return !s->is_sent || (s->is_closed && s->code == NGHTTP2_REFUSED_STREAM &&
			       (s->is_reset_by_target || h->has_goaway));
}

static enum miss miss_of(const struct http2_session *h, const struct http2_stream *s)
{
	if (s->answer.is_whole)
		return MISS_NONE;
	if (s->is_reset_by_target)
		return MISS_STREAM_RESET;
	return h->has_goaway && is_refused(h, s) ? MISS_GOAWAY : MISS_GARBAGE;
}

static void finish(struct client *c, struct link *l, struct item *item, enum miss miss, int error)
{
	struct http2_stream *s = detach(item);

	s->answer.base.h2_error = miss == MISS_NONE ? 0 : s->code;
	link_take_flying(c, l, item);
	link_finish(c, l, item, &s->answer.base, miss, error);
	retire(l->http2, s);
}

static void conclude(struct client *c, struct link *l, struct http2_stream *s)
{
	struct http2_session *h = l->http2;
	enum miss miss = miss_of(h, s);

	if (miss != MISS_NONE && is_refused(h, s) && s->item->tries < TRIES_MAX) {
		c->stats.retries += s->is_sent;
		link_requeue(c, l, s->item);
		return;
	}
	l->is_used |= miss == MISS_NONE;
	finish(c, l, s->item, miss, 0);
}

/* libnghttp2 would hold those back for ever */
static void take_unsent_back(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	for (struct list *n = h->open.next, *next = n->next; n != &h->open; n = next, next = n->next)
		if (!stream_of(n)->is_sent)
			conclude(c, l, stream_of(n));
}

static void give_results(struct client *c, struct link *l)
{
	struct list *n;

	while ((n = list_first(&l->http2->done)) != NULL)
		conclude(c, l, stream_of(n));
}

/* the connection is of no further use: a safe request may go again as with HTTP/1 */
static void lose(struct client *c, struct link *l, enum miss miss, int error)
{
	bool was_used = l->is_used && miss != MISS_GARBAGE;
	struct list *n;

	give_results(c, l);
	while ((n = list_first(&l->flying)) != NULL) {
		struct item *item = item_of(n);
		struct http2_stream *s = item->stream;
		bool has_begun = s->answer.base.bytes > 0;
		bool may_retry = !s->is_sent || (item->is_safe && was_used && !has_begun);

		if (may_retry && item->tries < TRIES_MAX) {
			c->stats.retries += s->is_sent;
			link_requeue(c, l, item);
		} else {
			finish(c, l, item, miss == MISS_CLOSED && has_begun ? MISS_CLOSED_EARLY : miss,
			       error);
		}
	}
	link_disconnect(c, l);
}

/* after libnghttp2 was given or asked something: results, GOAWAY, the end */
static void settle(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	give_results(c, l);
	if (h->has_goaway && !l->is_ending) {
		l->is_ending = true;
		take_unsent_back(c, l);
	}
	flush(c, l); /* WINDOW_UPDATE, acknowledgements, RST_STREAM of what was retired */
	give_results(c, l);
	if (h->is_garbage)
		lose(c, l, MISS_GARBAGE, 0);
	else if (l->is_ending && list_is_empty(&l->flying))
		link_disconnect(c, l);
	else if (!nghttp2_session_want_read(h->ng) && !nghttp2_session_want_write(h->ng))
		lose(c, l, MISS_CLOSED, 0);
}

/* Return: false when the connection is lost */
static bool read_some(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	for (unsigned i = 0; i < READS_MAX; i++) {
		ssize_t n = transport_recv(&l->transport, c->scratch, CLIENT_SCRATCH_BYTES);

		if (n == -EAGAIN)
			return true;
		if (n <= 0) {
			lose(c, l, n < 0 ? link_miss_of(l, MISS_RESET) : MISS_CLOSED,
			     n < 0 && !l->transport.fault ? (int)-n : 0);
			return false;
		}
		c->stats.bytes_in += (uint64_t)n;
		h->has_received = true;
		h->is_garbage |= nghttp2_session_mem_recv(h->ng, c->scratch, (size_t)n) != n;
		if ((n < CLIENT_SCRATCH_BYTES && !l->transport.has_ended) || h->is_garbage)
			return true;
	}
	return true;
}

/* ---- what client_link.c calls ---- */

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

	return nghttp2_submit_settings(h->ng, NGHTTP2_FLAG_NONE, settings, COUNT_OF(settings)) == 0 &&
	       nghttp2_session_set_local_window_size(h->ng, NGHTTP2_FLAG_NONE, 0, SESSION_WINDOW) == 0;
}

void http2_open(struct client *c, struct link *l)
{
	struct http2_session *h = calloc(1, sizeof(*h));

	if (h) {
		h->fields = (nghttp2_nv *)(void *)c->scratch;
		list_init(&h->open);
		list_init(&h->done);
		list_init(&h->gone);
	}
	l->http2 = h;
	if (!h || !make_session(h) || !greet(h)) {
		link_disconnect(c, l);
		while (list_first(&l->flying))
			link_miss_first(c, l, MISS_UNREACHABLE, ENOMEM);
		return;
	}
	/* one at most: http2_may_send() lets no other begin before the connection is made */
	if (list_first(&l->flying))
		http2_send(c, l, item_of(list_first(&l->flying)));
	else
		flush(c, l);
}

static void free_streams(struct list *streams)
{
	struct list *n;

	while ((n = list_first(streams)) != NULL) {
		if (stream_of(n)->item)
			stream_of(n)->item->stream = NULL;
		free_stream(stream_of(n));
	}
}

void http2_close(struct link *l)
{
	struct http2_session *h = l->http2;

	l->http2 = NULL;
	if (!h)
		return;
	free_streams(&h->open);
	free_streams(&h->done);
	free_streams(&h->gone);
	nghttp2_session_del(h->ng); /* calls nothing back */
	buf_fini(&h->out);
	free(h);
}

/* UINT64_MAX: it was given up, or its end was not recorded */
static uint64_t recorded_end_ns(const struct exchange *x)
{
	return x->response.flags & MESSAGE_COMPLETE ? x->response.last_ns : UINT64_MAX;
}

bool http2_may_send(const struct link *l, const struct item *next)
{
	if (l->is_ending || (l->state != LINK_OPEN && !list_is_empty(&l->flying)))
		return false;
	for (struct list *n = l->flying.next; n != &l->flying; n = n->next)
		if (item_of(n)->loop != next->loop ||
		    recorded_end_ns(item_of(n)->recorded) <= next->recorded->start_ns)
			return false;
	return true;
}

void http2_send(struct client *c, struct link *l, struct item *item)
{
	struct http2_session *h = l->http2;
	struct http2_stream *s = calloc(1, sizeof(*s));

	if (s) {
		list_init(&s->node);
		s->item = item;
		http2_answer_begin(&s->answer, link_body_max(item));
		s->id = submit(h, s);
	}
	if (!s || s->id < 0) {
		free(s);
		link_take_flying(c, l, item);
		link_finish(c, l, item, NULL, MISS_UNREACHABLE, ENOMEM);
		return;
	}
	item->stream = s;
	list_append(&h->open, &s->node);
	settle(c, l);
}

void http2_event(struct client *c, struct link *l, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !read_some(c, l))
		return;
	settle(c, l);
}

void http2_give_up(struct client *c, struct link *l, struct item *item)
{
	struct http2_session *h = l->http2;

	finish(c, l, item, MISS_TIMEOUT, ETIMEDOUT);
	if (h->has_received)
		settle(c, l);
	else
		lose(c, l, MISS_TIMEOUT, ETIMEDOUT); /* not a word of HTTP/2 in all that time */
}
