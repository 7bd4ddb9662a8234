// SPDX-License-Identifier: Apache-2.0
#include "replay/client_http2.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "replay/http2_fields.h"
#include "replay/http2_session.h"

/*
 * What libnghttp2 needs and tells is replay/http2_session.h's. This file moves the bytes and says what becomes of
 * each stream.
 *
 * Streams are concurrent as recorded: a request waits for those that had been answered when it was
 * recorded, and for no others. One whose recorded answer has no end is waited for by none.
 *
 *     item handed over:   session.open --- END_STREAM, RST_STREAM, refused ---> session.done
 *     settle():           session.done --- result ---> session.gone, or freed when libnghttp2 has closed it
 *
 * A stream whose messages came in turns sends them in turns (replay/http2_turns.h): after what was read, and when
 * their time comes. One that the recorded client gave up is given up, and is a result with what came until then.
 *
 * What the target says it did not look at may go again on another connection, whatever its method:
 * REFUSED_STREAM, and streams above the last of GOAWAY (RFC 9113 8.7). After GOAWAY nothing new is
 * sent there; the streams below end in their time, then the link connects anew. When a connection
 * breaks, a safe request on a connection that had been used goes again, as with HTTP/1.
 */

#define READS_MAX 4
#define TRIES_MAX 2

_Static_assert(HTTP2_FIELDS_MAX * sizeof(nghttp2_nv) <= CLIENT_SCRATCH_BYTES, "no room for fields");

static void flush(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	for (;;) {
		ssize_t n;

		if (h->out_sent == h->out.len)
			http2_session_fill(h);
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
		http2_stream_free(s);
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

static void tell_turns(struct http2_stream *s)
{
	const struct conversation *talk = &s->turns->talk;

	s->answer.base.out_of_turn = talk->out_of_turn;
	s->answer.base.awaited = talk->first_after;
	s->answer.base.had_come = talk->first_come;
}

static void finish(struct client *c, struct link *l, struct item *item, enum miss miss, int error)
{
	struct http2_stream *s = detach(item);

	if (s->turns)
		tell_turns(s);

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

	for (struct list *n = h->open.next, *next = n->next; n != &h->open;
	     n = next, next = n->next)
		if (!http2_stream_of(n)->is_sent)
			conclude(c, l, http2_stream_of(n));
}

static void give_results(struct client *c, struct link *l)
{
	struct list *n;

	while ((n = list_first(&l->http2->done)) != NULL)
		conclude(c, l, http2_stream_of(n));
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
			finish(c, l, item,
			       miss == MISS_CLOSED && has_begun ? MISS_CLOSED_EARLY : miss, error);
		}
	}
	link_disconnect(c, l);
}

/* what @s may say now, or that it is given up */
static void take_turn(struct client *c, struct link *l, struct http2_stream *s)
{
	struct http2_session *h = l->http2;
	uint64_t wake_ns;

	if (!s->is_sent)
		return;
	if (s->has_heard)
		link_renew(c, s->item);
	s->has_heard = false;
	if (http2_turns_go(s->turns, c->now_ns, &wake_ns)) {
		link_renew(c, s->item);
		if (s->is_held)
			(void)nghttp2_session_resume_data(h->ng, s->id);
	}
	if (wake_ns)
		client_wake_at(c, s->item, wake_ns);
	if (!s->turns->is_given_up)
		return;
	http2_answer_leave(&s->answer, s->item->recorded->protocol == PROTOCOL_GRPC);
	s->code = NGHTTP2_CANCEL;
	finish(c, l, s->item, MISS_NONE, 0);
}

static void take_turns(struct client *c, struct link *l)
{
	struct http2_session *h = l->http2;

	h->has_heard = false;
	for (struct list *n = h->open.next, *next = n->next; n != &h->open;
	     n = next, next = n->next)
		if (http2_stream_of(n)->turns)
			take_turn(c, l, http2_stream_of(n));
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
	if (h->has_heard)
		take_turns(c, l);
	flush(c, l);	    /* WINDOW_UPDATE, acknowledgements, RST_STREAM of what was retired */
	if (h->has_heard) { /* streams have begun with that */
		take_turns(c, l);
		flush(c, l);
	}
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
			lose(c, l, n < 0 ? link_miss_of_end(l) : MISS_CLOSED,
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

void http2_open(struct client *c, struct link *l)
{
	l->http2 = http2_session_new((nghttp2_nv *)(void *)c->scratch);
	if (!l->http2) {
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

void http2_close(struct link *l)
{
	http2_session_free(l->http2);
	l->http2 = NULL;
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
	if (!http2_stream_new(l->http2, item, link_body_max(item), &c->config.schedule)) {
		link_take_flying(c, l, item);
		link_finish(c, l, item, NULL, MISS_UNREACHABLE, ENOMEM);
		return;
	}
	settle(c, l);
}

void http2_event(struct client *c, struct link *l, uint32_t events)
{
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !read_some(c, l))
		return;
	settle(c, l);
}

void http2_go(struct client *c, struct link *l)
{
	l->http2->has_heard = true;
	settle(c, l);
}

void http2_give_up(struct client *c, struct link *l, struct item *item)
{
	struct http2_session *h = l->http2;
	struct http2_turns *turns = ((struct http2_stream *)item->stream)->turns;

	if (turns && http2_turns_late(turns, c->now_ns)) {
		link_renew(c, item);
		http2_go(c, l);
		return;
	}

	finish(c, l, item, MISS_TIMEOUT, ETIMEDOUT);
	if (h->has_received)
		settle(c, l);
	else
		lose(c, l, MISS_TIMEOUT, ETIMEDOUT); /* not a word of HTTP/2 in all that time */
}
