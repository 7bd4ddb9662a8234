// SPDX-License-Identifier: Apache-2.0
/*
 * http2_session.h - one HTTP/2 connection as libnghttp2 has it, and its streams; for client_http2.c
 *
 * What comes is gathered in the streams; whoever fed the session gives out results afterwards.
 */
#pragma once

#include <nghttp2/nghttp2.h>

#include "replay/http2_answer.h"
#include "replay/http2_turns.h"

struct http2_stream {
	struct list node;  /* http2_session::open, done or gone */
	struct item *item; /* NULL: it has its result */
	int32_t id;
	uint32_t code;	  /* why it ended (RFC 9113 7) */
	size_t body_sent; /* bytes of the body given to libnghttp2 */
	bool is_sent;	  /* its HEADERS went out */
	bool is_reset_by_target;
	bool is_closed;		   /* libnghttp2 has forgotten it */
	bool has_heard;		   /* a message that was awaited has come */
	bool is_held;		   /* libnghttp2 was told that there is nothing to send just now */
	struct http2_turns *turns; /* NULL: the request goes out whole */
	struct http2_answer answer;
};

/* Streams are in one of three lists: open; done, without their result given out; gone, with it. */
struct http2_session {
	nghttp2_session *ng;
	struct list open, done, gone;
	/* HTTP2_FIELDS_MAX, in client.scratch: not while what was read lies there */
	nghttp2_nv *fields;
	struct buf out; /* bytes to send; out_sent of them are */
	size_t out_sent;
	bool has_goaway; /* the target takes no new streams */
	bool is_garbage; /* what the target sent is not HTTP/2 */
	bool has_received;
	bool has_heard; /* one of them got what it had waited for, or began */
};

static inline struct http2_stream *http2_stream_of(struct list *n)
{
	return CONTAINER_OF(n, struct http2_stream, node);
}

/*
 * http2_session_new() - preface and SETTINGS wait to be sent
 * @fields: room for HTTP2_FIELDS_MAX, not used by others while something is sent
 *
 * Return: owned by the caller, free with http2_session_free(); NULL without memory.
 */
struct http2_session *http2_session_new(nghttp2_nv *fields) MUST_USE;
/* items are left without a stream; accepts NULL */
void http2_session_free(struct http2_session *h);
/* http2_stream_new() - a stream for @item begins, or waits for the target's limit. Return: NULL without memory */
struct http2_stream *http2_stream_new(struct http2_session *h, struct item *item, size_t body_max,
				      const struct schedule_config *schedule) MUST_USE;
void http2_stream_free(struct http2_stream *s);
/* http2_session_fill() - session.out, which is all sent, becomes what is to be sent next; maybe nothing */
void http2_session_fill(struct http2_session *h);
